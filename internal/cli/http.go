package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"bellhop/internal/api"
	"bellhop/internal/config"
)

// httpLimits are how long a client may take, so that many slow ones cannot hold all
// sockets.
type httpLimits struct {
	header, body, answer, idle time.Duration
	headerBytes                int
}

// defaultHTTPLimits: an answer that is a stream moves its own limit on with every piece.
func defaultHTTPLimits() httpLimits {
	return httpLimits{header: 5 * time.Second, body: 30 * time.Second, answer: time.Minute, idle: 2 * time.Minute,
		headerBytes: 32 << 10}
}

// newHTTPServer makes a server with limits for everything that a client sends and reads.
func newHTTPServer(h http.Handler, l httpLimits, log *slog.Logger) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: l.header, ReadTimeout: l.body, WriteTimeout: l.answer,
		IdleTimeout: l.idle, MaxHeaderBytes: l.headerBytes, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
}

// serveHTTP begins to answer.
func (s *server) serveHTTP(ctx context.Context, h http.Handler) error {
	srv := newHTTPServer(h, defaultHTTPLimits(), s.log)
	serve := func() error { return srv.Serve(s.listener) }
	if s.o.Config.TLS.Mode == config.TLSAuto {
		var err error
		if s.tls, err = fetchCertificates(ctx, s.o.Config, portOf(s.listener), s.log, s.failed); err != nil {
			return err
		}
		srv.TLSConfig = s.tls.config()
		serve = func() error { return srv.ServeTLS(s.listener, "", "") }
	}
	s.http = srv
	go func() {
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("the server stopped answering: %w", err)
		}
	}()
	s.log.Info("serving", "config", s.o.Config, "version", s.o.Version)
	return nil
}

// limitsOf turns the file's limits into the API's.
func limitsOf(l config.Limits) *api.Limits {
	return &api.Limits{Address: api.Rate(l.Address), Caller: api.Rate(l.Caller), Key: api.Rate(l.Key),
		Visitors: api.Rate(l.Visitors), Messages: api.Rate(l.Messages), Streams: l.Streams}
}

// spendOf turns the file's caps into the API's. The offline assistant costs nothing.
func spendOf(c config.Config) api.Spend {
	if c.Assistant.Provider == config.ProviderOffline {
		return api.Spend{}
	}
	return api.Spend{PerPerson: c.Limits.SpendPerPerson, PerDay: c.Limits.SpendPerDay}
}
