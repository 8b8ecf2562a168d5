// Package config reads bellhop.yaml and the environment into a checked Config. It
// names every mistake at once, each with its line, and never shows a secret: neither
// in an error nor when a Config is printed or logged.
package config

import (
	"net"
	"net/netip"
	"time"

	"bellhop"
	"bellhop/internal/connector"
)

// DefaultFile is read when no file is named and it is there.
const DefaultFile = "bellhop.yaml"

// Config is everything the operator decides. A Config that Load returned is valid.
type Config struct {
	Path           string // the file it came from, "" when there was none
	Listen         string // host:port
	PublicURL      string // no trailing slash; "" only when Listen leaves the port to the system
	Database       Database
	AllowedOrigins []string // scheme://host[:port]
	Assistant      Assistant
	Auth           Auth
	Connections    []Connection
	Retry          Retry
	Retention      Retention
	Limits         Limits
	TrustedProxies []string // networks whose X-Forwarded-For is believed
	TLS            TLS
	OperatorKey    bellhop.Secret // $BELLHOP_OPERATOR_KEY, "" when not set
	ServerKey      bellhop.Secret // $BELLHOP_SERVER_KEY, "" when not set
}

// Assistant says who answers customers.
type Assistant struct {
	Provider            string // ProviderOffline, ProviderOpenAI or ProviderAnthropic
	BaseURL             string // "" means the provider's own
	Model               string
	APIKey              bellhop.Secret
	Knowledge           string // folder of Markdown; it may be missing
	ConfidenceThreshold float64
}

// The providers of the assistant.
const (
	ProviderOffline   = "offline"
	ProviderOpenAI    = "openai"
	ProviderAnthropic = "anthropic"
)

// Auth says whose users may ask.
type Auth struct {
	Supabase Supabase
}

// Supabase is the project whose users are known. URL is "" when there is none.
type Supabase struct {
	URL       string         // no trailing slash
	JWTSecret bellhop.Secret // only for projects that sign with HS256
	// EmailsClaimed is set when the project does not confirm addresses, so that a token's
	// e-mail is only what somebody says.
	EmailsClaimed bool
}

// Connection is one configured account at a vendor.
type Connection struct {
	Name     string
	Vendor   string
	Raw      map[string]any // as written, variables replaced; holds secrets
	Settings connector.Settings
	Line     int // of the file
	// BaseURLFromOperator is true when the operator wrote base_url in the file: only
	// such a URL may be a private address.
	BaseURLFromOperator bool
}

// Retry says how often and when a failed step is tried again.
type Retry struct {
	Attempts int
	Backoff  []time.Duration // the last one repeats
}

// Retention says how long each kind of data is kept; 0 is for ever.
type Retention struct {
	Events          time.Duration
	Messages        time.Duration
	Attempts        time.Duration
	Steps           time.Duration
	SupportRequests time.Duration
	SecurityLog     time.Duration
}

// minKey is how long the environment's keys must be for strangers not to guess them.
const minKey = 16

// Check refuses what only makes sense with an operator: listening beyond loopback; and to
// do that with keys that can be guessed. hasOperator tells whether one exists elsewhere than in $BELLHOP_OPERATOR_KEY.
func (c Config) Check(hasOperator bool) error {
	if isLoopback(c.Listen) {
		return nil
	}
	for name, key := range map[string]bellhop.Secret{"BELLHOP_OPERATOR_KEY": c.OperatorKey, "BELLHOP_SERVER_KEY": c.ServerKey} {
		if key != "" && len(key.Reveal()) < minKey {
			return bellhop.Errorf(bellhop.CodeInvalid, "make one with: openssl rand -hex 32",
				"listen: %s can be reached from outside this machine, and %s is shorter than %d characters, which can be guessed",
				c.Listen, name, minKey)
		}
	}
	if hasOperator || c.OperatorKey != "" {
		return nil
	}
	return bellhop.Errorf(bellhop.CodeInvalid,
		"make one with bellhop operator add, or set BELLHOP_OPERATOR_KEY to a long random value, or listen on 127.0.0.1",
		"listen: %s can be reached from outside this machine, and nobody is its operator", c.Listen)
}

// isLoopback reports whether only this machine can reach the address. An unknown host
// name counts as reachable.
func isLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
