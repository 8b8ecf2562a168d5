package cli

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"

	"bellhop"
	"bellhop/internal/config"
	"bellhop/internal/identity"
)

const publicHost = "chat.example.com"

// authority is Pebble, Let's Encrypt's test server. It exists once the ports are known
// that it is to ask at; who comes earlier waits.
type authority struct {
	*httptest.Server
	ready chan struct{}
	h     http.Handler
	ca    *ca.CAImpl
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{ready: make(chan struct{})}
	a.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-a.ready:
			a.h.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(a.Close)
	return a
}

// open lets the authority ask at the ports; every name leads to this machine.
func (a *authority) open(t *testing.T, httpPort, tlsPort int) {
	t.Helper()
	quiet, store := log.New(io.Discard, "", 0), db.NewMemoryStore()
	a.ca = ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "default", ValidityPeriod: 7776000}})
	front := wfe.New(quiet, store, va.New(quiet, httpPort, tlsPort, false, names(t), store), a.ca, nil, false, false, 1, 1)
	a.h = front.Handler()
	close(a.ready)
}

// names starts a name server and returns its address.
func names(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // Pebble asks by TCP
	if err != nil {
		t.Fatal(err)
	}
	srv := &dns.Server{Listener: listener, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			m.Answer = append(m.Answer, &dns.A{A: net.IPv4(127, 0, 0, 1), Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA,
				Class: dns.ClassINET, Ttl: 1}})
		}
		_ = w.WriteMsg(m) // who asked has gone
	})}
	go srv.ActivateAndServe() //nolint:errcheck // ends with the test
	t.Cleanup(func() { _ = srv.Shutdown() })
	return listener.Addr().String()
}

// Promise: with tls: auto the server fetches the certificate of its public host from a
// real certificate authority and answers with it; plain http leads to https.
func TestACertificateIsFetchedForThePublicHost(t *testing.T) {
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "20") // of every hundred, as real ones do now and then
	a := newAuthority(t)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	storage := filepath.Join(t.TempDir(), "certificates")
	cfg, err := config.Load(config.LoadOpts{Path: filepath.Join(t.TempDir(), "none.yaml"), Vendors: manifests(),
		Env: func(name string) (string, bool) {
			v, ok := map[string]string{"BELLHOP_LISTEN": "127.0.0.1:0", "BELLHOP_PUBLIC_URL": "https://" + publicHost,
				"BELLHOP_DATABASE": "sqlite:" + filepath.Join(t.TempDir(), "b.db")}[name]
			return v, ok
		}})
	if err != nil {
		t.Fatal(err)
	}
	cfg.TLS = config.TLS{Mode: config.TLSAuto, Storage: storage, Directory: a.URL + wfe.DirectoryPath, CAFile: caFile, HTTPListen: "127.0.0.1:0"}
	srv, err := startServer(t.Context(), serverOpts{Config: cfg, Logger: newLogger(io.Discard, false, nil), Clock: bellhop.SystemClock{}, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.stop(); err != nil {
			t.Error(err)
		}
	})
	a.open(t, portOf(srv.tls.listener), portOf(srv.listener))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.ca.GetRootCert(0).PEM())
	conn := handshake(t, srv.listener.Addr().String(), &tls.Config{RootCAs: roots, ServerName: publicHost})
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: "+publicHost+"\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200") || !strings.Contains(string(answer), "Strict-Transport-Security: "+identity.HSTS) {
		t.Errorf("%q, %v", answer, err)
	}
	for _, old := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		if c, err := tls.Dial("tcp", srv.listener.Addr().String(), &tls.Config{RootCAs: roots, ServerName: publicHost, MinVersion: old, MaxVersion: old}); err == nil {
			c.Close()
			t.Errorf("TLS %x is taken", old)
		}
	}
	checkRedirect(t, srv.tls.listener.Addr().String())
}

// handshake asks until the certificate is there.
func handshake(t *testing.T, addr string, c *tls.Config) *tls.Conn {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(60 * time.Second)
	defer deadline.Stop()
	for {
		conn, err := tls.Dial("tcp", addr, c)
		if err == nil {
			t.Cleanup(func() { _ = conn.Close() }) // also closed by the server
			return conn
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("no certificate came: %v", err)
		}
	}
}

func checkRedirect(t *testing.T, addr string) {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Get("http://" + addr + "/console?x=1")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if got := res.Header.Get("Location"); res.StatusCode != http.StatusPermanentRedirect || got != "https://"+publicHost+"/console?x=1" {
		t.Errorf("plain http: %d to %s", res.StatusCode, got)
	}
}
