package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"bellhop"
	"bellhop/internal/api"
	"bellhop/internal/assistant"
	"bellhop/internal/config"
	"bellhop/internal/console"
	"bellhop/internal/desk"
	"bellhop/internal/engine"
	"bellhop/internal/identity"
	"bellhop/internal/intake"
	"bellhop/internal/payments"
	"bellhop/internal/policy"
	"bellhop/internal/store"
	"bellhop/internal/watch"
)

// serveCmd runs the server until it is told to stop.
type serveCmd struct{}

// Help is the command's longer help.
func (serveCmd) Help() string {
	return "Needs no configuration: without a file it keeps its data in bellhop.db in this folder and listens on " +
		"127.0.0.1:8080. It stops gently on SIGTERM or Ctrl-C, at once on the second one.\n\nExample:\n\n" +
		"    BELLHOP_OPERATOR_KEY=$(openssl rand -hex 24) bellhop serve --config bellhop.yaml"
}

// Run serves until the session's context ends.
func (c *serveCmd) Run(s *session) error {
	cfg, err := s.config()
	if err != nil {
		return err
	}
	log := newLogger(s.stderr, isTerminal(s.stderr), secretsOf(cfg))
	tuneMemory(s.env)
	srv, err := startServer(s.ctx, serverOpts{Config: cfg, Logger: log, Clock: s.clock, Version: describe(s.build).Version})
	if err != nil {
		return err
	}
	secret, err := srv.operators.OpenSetup(s.ctx)
	if err != nil {
		return errors.Join(err, srv.stop())
	}
	fmt.Fprintf(s.stdout, "bellhop is listening on %s (%s, %s)\n", srv.url, srv.db.Kind(), count(len(cfg.Connections), "connection"))
	if secret != "" {
		srv.invite(s.stdout, secret)
	}
	select {
	case <-s.ctx.Done():
		log.Info("stopping: finishing what is in flight")
	case err = <-srv.failed:
	}
	return errors.Join(err, srv.stop())
}

// invite prints the link that makes the first owner. It is printed and never logged: logs
// travel.
func (s *server) invite(out io.Writer, secret string) {
	fmt.Fprintf(out, "Nobody is its operator yet: the console and /v1/ops are closed. Whoever opens this link within an hour "+
		"becomes its owner:\n\n    %s\n\nOr make one with bellhop operator add, or set BELLHOP_OPERATOR_KEY to a long random "+
		"value and start again.\n", console.SetupURL(s.o.Config.PublicURL, secret))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// serverOpts is what a server is made of.
type serverOpts struct {
	Config  config.Config
	Logger  *slog.Logger
	Clock   bellhop.Clock
	Version string
	Product string        // the product's name, "" for Bellhop's own
	Probe   time.Duration // see engine.Opts
}

// server is everything that serves, running.
type server struct {
	url    string     // where it listens, "http://127.0.0.1:8080"
	failed chan error // gets the error that ended serving, if one does

	o        serverOpts
	log      *slog.Logger
	db       *store.DB
	listener net.Listener
	tokens   *identity.Tokens
	links    *links

	operators *identity.Operators
	acceptor  *store.Acceptor
	security  *watch.Security
	engine    *engine.Engine
	outbox    func() // stops taking in what was handed over by SQL; nil before it began
	helper    *assistant.Offline
	api       *api.API
	http      *http.Server
	tls       *certificates // nil unless tls is auto
	logFile   io.Closer     // closed last; nil when the log is not ours
}

// startServer wires everything and listens. When it returns an error, nothing is left
// running.
func startServer(ctx context.Context, o serverOpts) (_ *server, err error) {
	s := &server{o: o, log: o.Logger, failed: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	if err := s.openStore(ctx); err != nil {
		return nil, err
	}
	if s.links, err = connect(o.Config, o.Clock); err != nil {
		return nil, err
	}
	for _, m := range s.links.missing {
		s.log.Warn("a connection is not complete: what is for it waits", "connection", m.connection, "missing", m.what)
	}
	if s.helper, err = newAssistant(o.Config.Assistant, o.Clock, o.Logger); err != nil {
		return nil, err
	}
	if err := s.startEngine(ctx); err != nil {
		return nil, err
	}
	h, err := s.handler()
	if err != nil {
		return nil, err
	}
	if err := s.serveHTTP(ctx, h); err != nil {
		return nil, err
	}
	return s, nil
}

// openStore takes the database for this process, and the address before the schema is
// touched: a server that cannot listen should not have changed anything.
func (s *server) openStore(ctx context.Context) (err error) {
	cfg := &s.o.Config
	if s.db, err = store.Open(ctx, store.Opts{URL: cfg.Database.Reveal(), Clock: s.o.Clock}); err != nil {
		return err
	}
	s.o.Clock = s.db.Clock()
	if err := s.db.Lock(ctx); err != nil {
		return err
	}
	has, err := s.db.HasOperator(ctx)
	if err != nil {
		return err
	}
	if err := cfg.Check(has); err != nil {
		return err
	}
	if s.listener, err = net.Listen("tcp", cfg.Listen); err != nil {
		return fmt.Errorf("cannot listen on %s: %w; set listen in bellhop.yaml or BELLHOP_LISTEN to a free address",
			cfg.Listen, reason(err))
	}
	s.url = "http://" + s.listener.Addr().String()
	if cfg.TLS.Mode == config.TLSAuto {
		s.url = "https://" + s.listener.Addr().String()
	}
	if cfg.PublicURL == "" {
		cfg.PublicURL = s.url
	}
	if err := migrateStore(ctx, s.db, *cfg); err != nil {
		return err
	}
	if missing, err := s.db.RowSecurity(ctx); err != nil {
		return err
	} else if missing != "" {
		s.log.Warn("row level security does not stand behind the queries", "missing", missing)
	}
	secret, err := s.db.SigningSecret(ctx)
	if err != nil {
		return err
	}
	s.security = watch.NewSecurity(s.db, s.o.Clock, s.log)
	s.tokens, err = identity.NewTokens([][]byte{secret}, s.o.Clock)
	return err
}

// reason takes the address, which the sentence around it has, out of a network error.
func reason(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

func (s *server) startEngine(ctx context.Context) (err error) {
	cfg := s.o.Config
	rules := policy.New(policy.Opts{Targets: s.links.targets, TranscriptLink: s.transcriptLink})
	s.acceptor = store.NewAcceptor(s.db, store.Policies{Plan: rules.Plan, Fold: payments.Fold, Merge: payments.Merge})
	s.engine, err = engine.New(engine.Opts{DB: s.db, Clock: s.o.Clock, Connections: s.links.engine,
		Retry:  engine.Retry{Attempts: cfg.Retry.Attempts, Backoff: cfg.Retry.Backoff},
		Alerts: s.links.first(bellhop.ActionSendAlert), Node: nodeName(), Logger: s.log,
		ConsoleURL: cfg.PublicURL + "/console", Probe: s.o.Probe, Retention: store.Retention(cfg.Retention)})
	if err != nil {
		return err
	}
	return s.engine.Start(ctx)
}

func (s *server) transcriptLink(conversationID string) string {
	return console.TranscriptURL(s.o.Config.PublicURL, s.tokens, conversationID)
}

// nodeName differs between processes, also between two of one machine and between two
// lives of one container whose process always has the same id.
func nodeName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	var tail [4]byte
	_, _ = rand.Read(tail[:]) // never fails
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), hex.EncodeToString(tail[:]))
}

// newAssistant makes who answers. A folder of knowledge that is not there is no error:
// then every question goes to a person.
func newAssistant(c config.Assistant, clock bellhop.Clock, log *slog.Logger) (*assistant.Offline, error) {
	if c.Provider != config.ProviderOffline {
		return nil, fmt.Errorf("assistant.provider %s is not available in this version; use offline", c.Provider)
	}
	var folder fs.FS
	fi, err := os.Stat(c.Knowledge)
	switch {
	case err == nil && fi.IsDir():
		folder = os.DirFS(c.Knowledge)
	case err == nil:
		return nil, fmt.Errorf("assistant.knowledge: %s is not a folder; put your Markdown files into one", c.Knowledge)
	case errors.Is(err, fs.ErrNotExist):
		log.Warn("there is no knowledge folder: the assistant has nothing to answer from", "folder", c.Knowledge)
	default:
		return nil, fmt.Errorf("assistant.knowledge: %w", err)
	}
	return assistant.NewOffline(assistant.OfflineOpts{Knowledge: folder, Threshold: c.ConfidenceThreshold, Clock: clock})
}

// handler puts API and console on one mux.
func (s *server) handler() (http.Handler, error) {
	cfg := s.o.Config
	keys := identity.NewKeys(cfg.OperatorKey, cfg.ServerKey)
	who := identity.Opts{Keys: keys, Tokens: s.tokens, ServerKeys: s.db, Clock: s.o.Clock}
	if cfg.Auth.Supabase.URL != "" {
		users, err := identity.NewSupabase(identity.SupabaseOpts{URL: cfg.Auth.Supabase.URL,
			JWTSecret: cfg.Auth.Supabase.JWTSecret, EmailsClaimed: cfg.Auth.Supabase.EmailsClaimed, Clock: s.o.Clock})
		if err != nil {
			return nil, err
		}
		who.Users = users
	}
	auth, err := identity.New(who)
	if err != nil {
		return nil, err
	}
	if s.operators, err = identity.NewOperators(identity.OperatorsOpts{Store: s.db, Keys: keys, Clock: s.o.Clock}); err != nil {
		return nil, err
	}
	proxies, err := identity.NewProxies(cfg.TrustedProxies)
	if err != nil {
		return nil, err
	}
	d := desk.New(s.db, s.engine, s.links.first(bellhop.ActionUpdateTicket))
	functions := watch.NewFunctions()
	door := intake.New(intake.Opts{Acceptor: s.acceptor, Clock: s.o.Clock, Verifiers: s.links.verifiers})
	s.startOutbox(door)
	s.api, err = api.New(api.Opts{DB: s.db, Desk: d, Auth: auth, Tokens: s.tokens, Assistant: s.helper, Functions: functions,
		Intake: door, Security: s.security, Proxies: proxies, Limits: limitsOf(cfg.Limits), Spend: spendOf(cfg),
		Clock: s.o.Clock, Logger: s.log, Origins: cfg.AllowedOrigins, PublicURL: cfg.PublicURL, Version: s.o.Version})
	if err != nil {
		return nil, err
	}
	pages, err := console.New(console.Opts{DB: s.db, Desk: d, Tokens: s.tokens, Operators: s.operators, Functions: functions,
		Security: s.security, Proxies: proxies,
		Clock: s.o.Clock, Logger: s.log, PublicURL: cfg.PublicURL, Product: s.o.Product})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", s.api.Handler())
	for _, prefix := range []string{"/console", "/console/", "/t/"} {
		mux.Handle(prefix, pages)
	}
	return mux, nil
}

// startOutbox begins to take in what was handed over by SQL.
func (s *server) startOutbox(door *intake.Intake) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	box := intake.NewOutbox(intake.OutboxOpts{DB: s.db, Intake: door, Logger: s.log})
	go func() {
		defer close(done)
		box.Run(ctx)
	}()
	s.outbox = func() {
		cancel()
		<-done
	}
}

const (
	drainHTTP   = 10 * time.Second
	drainEngine = 20 * time.Second
)

// stop lets what is in flight finish, in the order in which work comes in: requests,
// acceptance, steps. What is not finished in time is taken up by the next start. It also
// takes back a start that failed half-way.
func (s *server) stop() error {
	var errs []error
	if s.api != nil {
		s.api.Close() // streams would hold up the drain
	}
	if s.http != nil {
		ctx, cancel := context.WithTimeout(context.Background(), drainHTTP)
		if err := s.http.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("requests were cut off: %w", errors.Join(err, s.http.Close())))
		}
		cancel()
	} else if s.listener != nil {
		errs = append(errs, s.listener.Close())
	}
	if s.outbox != nil {
		s.outbox()
	}
	if s.tls != nil {
		errs = append(errs, s.tls.close())
	}
	s.security.Close()
	if s.acceptor != nil {
		s.acceptor.Close()
	}
	if s.engine != nil {
		ctx, cancel := context.WithTimeout(context.Background(), drainEngine)
		errs = append(errs, s.engine.Stop(ctx))
		cancel()
	}
	if s.links != nil {
		s.links.close()
	}
	if s.helper != nil {
		errs = append(errs, s.helper.Close())
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	if s.logFile != nil {
		errs = append(errs, s.logFile.Close())
	}
	return errors.Join(errs...)
}
