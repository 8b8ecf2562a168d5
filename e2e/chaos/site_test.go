//go:build unix

package chaos

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"bellhop/internal/sandbox"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// site is the installation of one seed: database, vendors, the ways to them, servers.
type site struct {
	p       *plan
	dir     string
	lab     *lab
	box     *sandbox.Server
	running *sandbox.Running
	ways    map[sandbox.Vendor]*proxy
	dbWay   *proxy // Postgres only
	dsn     string // of the database itself, past every proxy
	nodes   []*node
	http    *http.Client
	began   time.Time
	o       *oracle
	tally   *tally

	mu   sync.Mutex
	errs []string
}

const hookSecret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// errf notes what is wrong.
func (s *site) errf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.errs) < 40 {
		s.errs = append(s.errs, fmt.Sprintf(format, args...))
	}
}

func newSite(p *plan, l *lab, t *tally) (*site, error) {
	dir, err := os.MkdirTemp(l.dir, fmt.Sprintf("seed%d-", p.seed))
	if err != nil {
		return nil, err
	}
	s := &site{p: p, dir: dir, lab: l, ways: map[sandbox.Vendor]*proxy{}, o: newOracle(), tally: t,
		// The webhook receiver checks no signature: it would refuse a moved clock, and no
		// clock is moved for it.
		box:  sandbox.New(sandbox.Options{SearchLag: -1, Latency: time.Millisecond, Seed: p.seed<<8 | 1}),
		http: &http.Client{Timeout: 4 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
	if s.running, err = s.box.Start("127.0.0.1:0"); err != nil {
		return s, err
	}
	for _, v := range []sandbox.Vendor{sandbox.HubSpot, sandbox.Zendesk, sandbox.Webhook, sandbox.Slack} {
		if s.ways[v], err = newProxy(s.running.URL[len("http://"):]); err != nil {
			return s, err
		}
	}
	db := "sqlite:" + filepath.Join(dir, "bellhop.db")
	if p.kind == store.Postgres {
		if db, err = s.openDatabase(); err != nil {
			return s, err
		}
	} else {
		s.dsn = db
	}
	for i := range p.nodes {
		home := filepath.Join(dir, fmt.Sprintf("node%d", i))
		if err := os.Mkdir(home, 0o700); err != nil {
			return s, err
		}
		addr, err := freeAddress()
		if err != nil {
			return s, err
		}
		n, err := newNode(home, addr, s.config(addr, db))
		if err != nil {
			return s, err
		}
		s.nodes = append(s.nodes, n)
	}
	return s, nil
}

// openDatabase clones a database for the seed and returns its address through the proxy.
func (s *site) openDatabase() (string, error) {
	name := fmt.Sprintf("seed%d", s.p.seed)
	direct, err := s.lab.clone(name)
	if err != nil {
		return "", err
	}
	s.dsn = direct
	cfg, err := pgx.ParseConfig(direct)
	if err != nil {
		return "", err
	}
	if s.dbWay, err = newProxy(net.JoinHostPort(cfg.Host, fmt.Sprint(cfg.Port))); err != nil {
		return "", err
	}
	return fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", cfg.User, cfg.Password, s.dbWay.addr(), name), nil
}

func (s *site) config(listen, db string) string {
	base := func(v sandbox.Vendor) string { return sandbox.BaseURL("http://"+s.ways[v].addr(), string(v)) }
	return fmt.Sprintf(`listen: %s
database: %q
connections:
  - {name: crm, vendor: hubspot, base_url: %q, token: %s}
  - {name: stripe, vendor: stripe, base_url: %q, secret_key: %s, webhook_secrets: ["%s"]}
  - {name: helpdesk, vendor: zendesk, base_url: %q, email: ops@example.com, token: %s}
  - {name: founder, vendor: slack, url: %q}
  - {name: hooks, vendor: webhook, url: %q, secret: %q}
retry: %s
`, listen, db, base(sandbox.HubSpot), sandbox.Token, sandbox.BaseURL(s.running.URL, "stripe"), sandbox.StripeKey,
		sandbox.DefaultStripeWebhookSecret, base(sandbox.Zendesk), sandbox.Token, base(sandbox.Slack), base(sandbox.Webhook),
		hookSecret, s.p.retry)
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// age makes the rows of a silent process look as if it had been silent for so much
// longer: what waiting would do, without the wait. On SQLite there is nothing to wait for.
func (s *site) age(pid int, by time.Duration) {
	if s.p.kind != store.Postgres || pid == 0 {
		return
	}
	like, secs := fmt.Sprintf("%%-%d-%%", pid), by.Seconds()
	for _, stmt := range []string{
		"UPDATE bellhop.nodes SET heartbeat_at = heartbeat_at - $2 * interval '1 second' WHERE id LIKE $1",
		"UPDATE bellhop.steps SET lease_until = lease_until - $2 * interval '1 second' WHERE state = 'running' AND node LIKE $1",
	} {
		if err := s.exec(stmt, like, secs); err != nil {
			s.tally.count("rows not aged")
		}
	}
}

func (s *site) exec(stmt string, args ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	// A stopped process may hold a row; nobody waits for it here.
	if _, err := conn.Exec(ctx, "SET lock_timeout = '200ms'"); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, stmt, args...)
	return err
}

func (s *site) close() {
	for _, n := range s.nodes {
		n.mu.Lock()
		n.end(9)
		n.mu.Unlock()
		n.log.Close()
	}
	for _, w := range s.ways {
		w.close()
	}
	if s.dbWay != nil {
		s.dbWay.close()
		s.lab.drop(fmt.Sprintf("seed%d", s.p.seed))
	}
	if s.running != nil {
		s.running.Close()
	}
	s.http.CloseIdleConnections()
	_ = os.RemoveAll(s.dir)
}

// lab is what one worker keeps from seed to seed: a cluster of its own, so that a
// database restart disturbs nobody else.
type lab struct {
	dir     string
	cluster *storetest.Cluster
	mu      sync.Mutex // of restarts
}

const template = "chaos_template"

func newLab(dir string) (*lab, error) {
	c, err := storetest.StartPostgres("", storetest.Opts{})
	if err != nil {
		return nil, err
	}
	l := &lab{dir: dir, cluster: c}
	ctx := context.Background()
	if err := c.CreateDB(ctx, template); err != nil {
		return l, err
	}
	db, err := store.Open(ctx, store.Opts{URL: c.DSN(template)})
	if err != nil {
		return l, err
	}
	defer db.Close()
	return l, db.Migrate(ctx)
}

// clone makes a database whose commits survive a crash of the database server, which is
// all that a restart needs; surviving a power cut would cost an fsync each.
func (l *lab) clone(name string) (string, error) {
	ctx := context.Background()
	if err := l.cluster.DropDB(ctx, name); err != nil {
		return "", err
	}
	if err := l.cluster.CloneDB(ctx, template, name); err != nil {
		return "", err
	}
	conn, err := pgx.Connect(ctx, l.cluster.DSN("postgres"))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "ALTER DATABASE "+name+" SET synchronous_commit = on")
	return l.cluster.DSN(name), err
}

func (l *lab) drop(name string) { _ = l.cluster.DropDB(context.Background(), name) }

func (l *lab) close() { l.cluster.Stop() }
