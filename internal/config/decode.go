package config

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/knadh/koanf/v2"

	"bellhop"
)

const (
	maxOrigins   = 100
	maxBackoff   = 24 * time.Hour
	maxBackoffs  = 20
	maxAttempts  = 10
	minJWTSecret = 16
	maxKeepDays  = 36500
)

// decoder turns the layered values into a Config and tells what is wrong with them.
type decoder struct {
	k    *koanf.Koanf
	tree tree
	env  map[string]string // setting → the variable that overrides it
	m    *mistakes
}

// wrong adds a mistake about a setting, where the setting was made.
func (d *decoder) wrong(path, format string, args ...any) {
	if name := d.env[path]; name != "" {
		d.m.inEnv(name, format, args...)
		return
	}
	d.m.atLine(d.tree.lines[path], path+": "+format, args...)
}

func (d *decoder) str(path string) string {
	s, _ := d.k.Get(path).(string)
	return s
}

func (d *decoder) list(path string) []string {
	items, _ := d.k.Get(path).([]any)
	out := make([]string, 0, len(items))
	for _, item := range items {
		if s, ok := item.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func (d *decoder) config(opts LoadOpts) Config {
	c := Config{
		Path:           opts.Path,
		Listen:         d.listen(),
		Database:       d.database(),
		AllowedOrigins: d.origins(),
		Assistant:      d.assistant(),
		Auth:           d.auth(),
		Connections:    d.connections(opts.Vendors),
		Retry:          d.retry(),
		Retention:      d.retention(),
		Limits:         d.limits(),
		TrustedProxies: d.proxies(),
		OperatorKey:    d.key(opts.Env, "BELLHOP_OPERATOR_KEY"),
		ServerKey:      d.key(opts.Env, "BELLHOP_SERVER_KEY"),
	}
	c.PublicURL = d.publicURL(c.Listen)
	c.TLS = d.tls(c.PublicURL)
	if c.TLS.Mode == TLSAuto && d.tree.lines["listen"] == 0 && d.env["listen"] == "" {
		c.Listen = ":443" // where browsers look for https
	}
	if c.OperatorKey != "" && c.OperatorKey == c.ServerKey {
		d.m.inEnv("BELLHOP_SERVER_KEY", "must differ from BELLHOP_OPERATOR_KEY")
	}
	return c
}

func (d *decoder) listen() string {
	s := d.str("listen")
	host, port, err := net.SplitHostPort(s)
	n, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil || strings.ContainsFunc(host, unicode.IsSpace) {
		d.wrong("listen", "must be HOST:PORT, as in 127.0.0.1:8080, not %s", quote(s))
		return ""
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10))
}

func (d *decoder) publicURL(listen string) string {
	if s := d.str("public_url"); s != "" {
		return d.httpURL("public_url", s)
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil || port == "0" {
		return ""
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// httpURL returns the URL without trailing slash, "" when it is not one. The value is
// not shown: people paste URLs with passwords in them.
func (d *decoder) httpURL(path, s string) string {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil ||
		u.RawQuery != "" || u.Fragment != "" {
		d.wrong(path, "must be an http or https URL without user, query and fragment, as in https://chat.example.com")
		return ""
	}
	return strings.TrimRight(s, "/")
}

func (d *decoder) database() Database {
	db := Database(d.str("database"))
	if err := db.check(); err != nil {
		d.wrong("database", "%s", err)
	}
	return db
}

func (d *decoder) origins() []string {
	list := d.list("allowed_origins")
	if len(list) > maxOrigins {
		d.wrong("allowed_origins", "has %d entries; at most %d", len(list), maxOrigins)
		return nil
	}
	for i, s := range list {
		u, err := url.Parse(s)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" ||
			strings.Contains(u.Host, "*") || !strings.EqualFold(u.Scheme+"://"+u.Host, s) {
			d.wrong(join("allowed_origins", strconv.Itoa(i)),
				"must be an origin, scheme://host or scheme://host:port, without path and wildcard, not %s", quote(s))
			continue
		}
		list[i] = strings.ToLower(s) // browsers send it so
	}
	return list
}

func (d *decoder) assistant() Assistant {
	a := Assistant{
		Provider:  d.str("assistant.provider"),
		Model:     d.str("assistant.model"),
		APIKey:    bellhop.Secret(d.str("assistant.api_key")),
		Knowledge: d.str("assistant.knowledge"),
	}
	providers := []string{ProviderOffline, ProviderOpenAI, ProviderAnthropic}
	if !slices.Contains(providers, a.Provider) {
		d.wrong("assistant.provider", "must be %s, not %s", strings.Join(providers, ", "), quote(a.Provider))
		a.Provider = ProviderOffline // so that nothing is asked for a provider nobody meant
	}
	if s := d.str("assistant.base_url"); s != "" {
		a.BaseURL = d.httpURL("assistant.base_url", s)
	}
	needsKey := a.Provider != ProviderOffline && a.BaseURL == "" && !d.tree.lacks("assistant.api_key")
	if needsKey && a.APIKey == "" {
		d.wrong("assistant.provider", "%s needs assistant.api_key", a.Provider)
	}
	s := d.str("assistant.confidence_threshold")
	var err error
	a.ConfidenceThreshold, err = strconv.ParseFloat(s, 64)
	// Written so that NaN fails too.
	if inside := a.ConfidenceThreshold >= 0 && a.ConfidenceThreshold <= 1; err != nil || !inside {
		d.wrong("assistant.confidence_threshold", "must be a number from 0 to 1, not %s", quote(s))
	}
	return a
}

func (d *decoder) auth() Auth {
	var s Supabase
	if u := d.str("auth.supabase.url"); u != "" {
		s.URL = d.httpURL("auth.supabase.url", u)
	}
	s.JWTSecret = bellhop.Secret(d.str("auth.supabase.jwt_secret"))
	if s.JWTSecret != "" && d.str("auth.supabase.url") == "" && !d.tree.lacks("auth.supabase.url") {
		d.wrong("auth.supabase.jwt_secret", "needs auth.supabase.url, the project whose tokens it signs")
	}
	if n := len(s.JWTSecret); n > 0 && n < minJWTSecret {
		d.wrong("auth.supabase.jwt_secret", "is shorter than %d characters: anybody could forge users", minJWTSecret)
	}
	switch v := d.str("auth.supabase.emails_confirmed"); v {
	case "", "true":
	case "false":
		s.EmailsClaimed = true
	default:
		d.wrong("auth.supabase.emails_confirmed", "must be true or false, not %s", quote(v))
	}
	return Auth{Supabase: s}
}

func (d *decoder) retry() Retry {
	var r Retry
	s := d.str("retry.attempts")
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxAttempts {
		d.wrong("retry.attempts", "must be a whole number from 1 to %d, not %s", maxAttempts, quote(s))
	}
	r.Attempts = n
	list := d.list("retry.backoff")
	if (len(list) == 0 && !d.tree.lacks("retry.backoff")) || len(list) > maxBackoffs {
		d.wrong("retry.backoff", "must hold 1 to %d durations, as in [1s, 5s, 30s]", maxBackoffs)
	}
	for i, s := range list[:min(len(list), maxBackoffs)] {
		b, err := time.ParseDuration(s)
		if err != nil || b <= 0 || b > maxBackoff {
			d.wrong(join("retry.backoff", strconv.Itoa(i)), "must be a duration above 0 and at most 24h, as in 5s, not %s", quote(s))
		}
		r.Backoff = append(r.Backoff, b)
	}
	return r
}

func (d *decoder) retention() Retention {
	return Retention{Events: d.keep("retention.events"), Messages: d.keep("retention.messages"),
		Attempts: d.keep("retention.attempts"), Steps: d.keep("retention.steps"),
		SupportRequests: d.keep("retention.support_requests"), SecurityLog: d.keep("retention.security_log")}
}

// keep reads for how many days something is kept; 0 is for ever.
func (d *decoder) keep(path string) time.Duration {
	s := d.str(path)
	if s == "forever" || s == "0" {
		return 0
	}
	digits, inDays := strings.CutSuffix(s, "d")
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || !inDays || n < 1 || n > maxKeepDays {
		d.wrong(path, "must be a number of days from 1d to %dd, as in 400d, or forever, not %s", maxKeepDays, quote(s))
	}
	return time.Duration(n) * 24 * time.Hour
}

// key reads a bearer key from the environment; an empty one counts as not set.
func (d *decoder) key(env func(string) (string, bool), name string) bellhop.Secret {
	s, _ := env(name)
	bad := func(r rune) bool { return r <= ' ' || r > '~' }
	if strings.ContainsFunc(s, bad) {
		d.m.inEnv(name, "holds a space or a character that a header cannot carry")
	}
	if strings.HasPrefix(s, "sb_") {
		d.m.inEnv(name, "is an API key of Supabase; Bellhop needs a key of its own, for example from: openssl rand -hex 32")
	}
	return bellhop.Secret(s)
}
