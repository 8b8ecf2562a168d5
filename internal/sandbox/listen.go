package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// errNotLoopback is wrapped by Start's error for any address but loopback.
var errNotLoopback = errors.New("the sandbox listens on loopback only")

// Running is a sandbox that listens.
type Running struct {
	// URL is the root, "http://127.0.0.1:port"; see BaseURL.
	URL    string
	srv    *http.Server
	cancel context.CancelFunc
	done   chan struct{}
}

// Start listens on addr ("127.0.0.1:0" for any free port) and serves until Close.
// An address that is not loopback is refused: nothing in the sandbox is protected.
func (s *Server) Start(addr string) (*Running, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if !loopbackHost(host) {
		return nil, fmt.Errorf("sandbox: %q: %w", addr, errNotLoopback)
	}
	if strings.EqualFold(host, "localhost") {
		host = "127.0.0.1"
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Running{URL: "http://" + ln.Addr().String(), cancel: cancel, done: make(chan struct{})}
	r.srv = &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	go func() {
		defer close(r.done)
		_ = r.srv.Serve(ln) // always returns ErrServerClosed, after Close
	}()
	return r, nil
}

// Close stops listening and breaks every open connection.
func (r *Running) Close() {
	r.cancel()
	_ = r.srv.Close() // nothing is left to do about an error
	<-r.done
}

// loopbackHost reports whether a host without port is loopback by its spelling.
func loopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && a.Unmap().IsLoopback()
}

// loopbackRequest reports whether a request came from this machine, by name of this
// machine (no DNS rebinding), and not from a web page of another site.
func loopbackRequest(r *http.Request) bool {
	remote, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || !loopbackHost(remote) {
		return false
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if !loopbackHost(host) {
		return false
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	_, rest, ok := strings.Cut(origin, "://")
	if h, _, err := net.SplitHostPort(rest); err == nil {
		rest = h
	}
	return ok && loopbackHost(rest)
}
