package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"bellhop/internal/config"
)

// certificates fetches the certificate of the public host by ACME and renews it. The
// authority asks on port 80, or in a handshake on the server's own port.
type certificates struct {
	cache    *certmagic.Cache
	magic    *certmagic.Config
	listener net.Listener
	http     *http.Server // answers the authority, and sends browsers on to https
}

// fetchCertificates begins to fetch, and goes on beside: until the certificate is there,
// handshakes fail. port is the server's own. What ends serving on port 80 goes to failed.
func fetchCertificates(ctx context.Context, c config.Config, port int, log *slog.Logger, failed chan<- error) (*certificates, error) {
	public, err := url.Parse(c.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("public_url: %w", err)
	}
	roots, err := authorityRoots(c.TLS.CAFile)
	if err != nil {
		return nil, err
	}
	quiet := zap.NewNop() // what matters is told by tell
	k := &certificates{}
	k.cache = certmagic.NewCache(certmagic.CacheOptions{Logger: quiet,
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return k.magic, nil }})
	k.magic = certmagic.New(k.cache, certmagic.Config{Storage: &certmagic.FileStorage{Path: c.TLS.Storage}, Logger: quiet,
		OnEvent: func(ctx context.Context, event string, data map[string]any) error { return tell(ctx, log, event, data) }})
	if k.listener, err = net.Listen("tcp", c.TLS.HTTPListen); err != nil {
		k.cache.Stop()
		return nil, fmt.Errorf("cannot listen on %s for the certificate authority: %w; set acme.listen to an address whose port 80 "+
			"leads here", c.TLS.HTTPListen, reason(err))
	}
	authority := certmagic.NewACMEIssuer(k.magic, certmagic.ACMEIssuer{CA: c.TLS.Directory, Email: c.TLS.Email, Agreed: true,
		TrustedRoots: roots, Logger: quiet, AltHTTPPort: portOf(k.listener), AltTLSALPNPort: port}) // both are answered here
	k.magic.Issuers = []certmagic.Issuer{authority}
	k.http = newHTTPServer(authority.HTTPChallengeHandler(toHTTPS(public)), defaultHTTPLimits(), log)
	go func() {
		if err := k.http.Serve(k.listener); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("the server stopped answering the certificate authority: %w", err)
		}
	}()
	if err := k.magic.ManageAsync(ctx, []string{public.Hostname()}); err != nil {
		return nil, errors.Join(fmt.Errorf("certificate: %w", err), k.close())
	}
	return k, nil
}

// tell logs what became of a certificate. A failure is tried again by itself.
// Source: https://pkg.go.dev/github.com/caddyserver/certmagic#hdr-Events
func tell(ctx context.Context, log *slog.Logger, event string, data map[string]any) error {
	host, _ := data["identifier"].(string)
	switch event {
	case "cert_obtained":
		log.InfoContext(ctx, "the certificate is there", "host", host)
	case "cert_failed":
		err, _ := data["error"].(error)
		log.ErrorContext(ctx, "no certificate could be fetched; it is tried again", "host", host, "error", err)
	}
	return nil
}

// config is the server's: its certificates, and nothing older than TLS 1.2.
func (k *certificates) config() *tls.Config {
	c := k.magic.TLSConfig()
	c.NextProtos = append([]string{"h2", "http/1.1"}, c.NextProtos...)
	c.MinVersion = tls.VersionTLS12
	return c
}

func (k *certificates) close() error {
	k.cache.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := k.http.Shutdown(ctx); err != nil {
		return errors.Join(err, k.http.Close())
	}
	return nil
}

// portOf returns the port that a listener has.
func portOf(l net.Listener) int {
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		return a.Port
	}
	return 0
}

// authorityRoots reads who signed the authority's own certificate; nil means the system's.
func authorityRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("acme.ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("acme.ca_file: %s holds no certificate in PEM form", file)
	}
	return pool, nil
}

// toHTTPS sends browsers on to the public address, whatever host they asked for.
func toHTTPS(public *url.URL) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, "Use "+public.Scheme+"://"+public.Host+".", http.StatusBadRequest)
			return
		}
		http.Redirect(w, r, public.Scheme+"://"+public.Host+r.URL.RequestURI(), http.StatusPermanentRedirect)
	})
}
