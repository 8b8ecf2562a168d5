package config

import (
	"net"
	"net/url"
	"strings"
)

// TLS says who speaks TLS: a proxy in front (off), or this process with certificates that
// it fetches by ACME (auto).
type TLS struct {
	Mode       string // TLSOff or TLSAuto
	Storage    string // folder of certificates and keys; nodes that share it share them
	Email      string // the certificate authority's contact, may be ""
	Directory  string // of another certificate authority; "" is Let's Encrypt
	CAFile     string // PEM of who signed that authority's own certificate, "" for the system's
	HTTPListen string // for the authority's challenge, and to send browsers on to https
}

// The modes of TLS.
const (
	TLSOff  = "off"
	TLSAuto = "auto"
)

// tls reads whether certificates are fetched by this process.
func (d *decoder) tls(publicURL string) TLS {
	t := TLS{Mode: d.str("tls"), Storage: d.str("acme.storage"), Email: d.str("acme.email"), Directory: d.str("acme.directory"),
		CAFile: d.str("acme.ca_file"), HTTPListen: d.str("acme.listen")}
	if t.Mode != TLSOff && t.Mode != TLSAuto {
		d.wrong("tls", "must be %s or %s, not %s", TLSOff, TLSAuto, quote(t.Mode))
		t.Mode = TLSOff
	}
	if t.Mode == TLSOff {
		return t
	}
	u, err := url.Parse(publicURL)
	if err != nil || u.Scheme != "https" {
		d.wrong("tls", "auto needs public_url, an https URL with the host that the certificate is for")
	}
	if err == nil && (net.ParseIP(u.Hostname()) != nil || !strings.Contains(u.Hostname(), ".")) {
		d.wrong("tls", "auto needs a public host name in public_url, not %s", quote(u.Hostname()))
	}
	if t.Storage == "" {
		d.wrong("acme.storage", "must be a folder; certificates and their keys are kept in it")
	}
	if _, _, err := net.SplitHostPort(t.HTTPListen); err != nil {
		d.wrong("acme.listen", "must be HOST:PORT, as in :80, not %s", quote(t.HTTPListen))
	}
	if t.Directory != "" {
		t.Directory = d.httpURL("acme.directory", t.Directory)
	}
	return t
}
