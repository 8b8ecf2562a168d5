//go:build unix

package nodes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"bellhop/internal/sandbox"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// durable starts a cluster of the test's own, whose commits survive a crash.
func durable(t *testing.T) *storetest.Cluster {
	t.Helper()
	c, err := storetest.StartPostgres("", storetest.Opts{Durable: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	if err := c.CreateDB(t.Context(), "bellhop"); err != nil {
		t.Fatal(err)
	}
	return c
}

// Promise: Postgres may be restarted under load, in order or by a crash. Meanwhile the
// nodes live and say that they are not ready, webhooks are answered 503, and afterwards
// they go on by themselves: nothing is lost, nothing done twice.
func TestPostgresRestartsUnderLoad(t *testing.T) {
	t.Parallel()
	c := durable(t)
	s := newSite(t, siteOpts{database: c.DSN("bellhop"), nodes: 2, latency: 5 * time.Millisecond})
	l := s.load(4)
	for _, immediate := range []bool{false, true} {
		before := l.accepted()
		s.until("some load", 90*time.Second, func() bool { return l.accepted() > before+30 })
		if err := c.Restart(t.Context(), immediate); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for _, n := range s.nodes {
			s.until("a node to be ready again", 90*time.Second, func() bool { return n.ready() == http.StatusOK })
		}
		t.Logf("ready again %s after the database was (immediate: %v)", time.Since(began).Round(time.Millisecond), immediate)
	}
	// Once more, for as long as it takes to look around.
	if err := c.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	evs := s.box.Stripe().PayCheckout(sandbox.CheckoutParams{Email: "ada@example.com", Name: "Ada Byron", Amount: 4900, Currency: "eur"})
	for _, n := range s.nodes {
		if code := n.ready(); code != http.StatusServiceUnavailable {
			t.Errorf("without a database /readyz answers %d", code)
		}
		if code, _, err := n.call("GET", "/healthz", "", nil); err != nil || code != http.StatusOK {
			t.Errorf("without a database /healthz answers %d %v", code, err)
		}
		s.refused(n, evs, "does not answer")
	}
	if err := c.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.deliver(0, evs)
	l.note(func() { l.paid["ada@example.com"] = true })
	before := l.accepted()
	s.until("the load to go on", 90*time.Second, func() bool { return l.accepted() > before+10 })
	l.check(2 * time.Minute)
	if n := l.codes[http.StatusInternalServerError]; n > 0 {
		t.Errorf("%d requests were answered with 500", n)
	}
}

// refused expects that a node takes neither a webhook nor a lead, and says why.
func (s *site) refused(n *node, evs []sandbox.Event, why string) {
	s.t.Helper()
	res, err := s.box.Deliver(context.Background(), n.url+"/webhooks/stripe", evs[:1], sandbox.DeliverOpts{})
	if err != nil || res[0].Status != http.StatusServiceUnavailable || !strings.Contains(res[0].Body, why) {
		s.t.Errorf("a webhook is answered %+v %v, want 503 and %q", res, err, why)
	}
	code, out, err := n.call("POST", "/v1/leads", serverKey, map[string]string{"email": "no@example.com"}, "Idempotency-Key", "no")
	if err != nil || code != http.StatusServiceUnavailable || out["retryable"] != true || !strings.Contains(fmt.Sprint(out["detail"]), why) {
		s.t.Errorf("a lead is answered %d %v %v, want 503 and %q", code, out, err, why)
	}
}

// Promise: when the primary dies and its streaming replica takes over, the nodes find it
// by themselves; nothing that was acknowledged is lost, nothing is done twice.
func TestFailoverToAReplica(t *testing.T) {
	t.Parallel()
	primary := durable(t)
	standby, err := primary.Standby(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(standby.Stop)
	s := newSite(t, siteOpts{database: storetest.EitherDSN("bellhop", primary, standby), nodes: 2, latency: 5 * time.Millisecond})
	l := s.load(4)
	s.until("some load", 90*time.Second, func() bool { return l.accepted() > 60 })
	before := l.accepted()
	primary.Stop()
	began := time.Now()
	if err := standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	promoted := time.Since(began)
	for _, n := range s.nodes {
		s.until("a node to be ready again", 90*time.Second, func() bool { return n.ready() == http.StatusOK })
	}
	t.Logf("promoted after %s, both nodes ready after %s", promoted.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	s.until("the load to go on", 90*time.Second, func() bool { return l.accepted() > before+30 })
	l.check(2 * time.Minute)
	if n := l.codes[http.StatusInternalServerError]; n > 0 {
		t.Errorf("%d requests were answered with 500", n)
	}
}

// Promise: when others hold all connections of the database, requests are refused with
// 503 and a sentence, and everything goes on when there are connections again.
func TestNoConnectionsLeft(t *testing.T) {
	t.Parallel()
	c := storetest.Postgres(t)
	admin, err := pgx.Connect(t.Context(), c.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.Background())
	for _, q := range []string{"CREATE ROLE scarce LOGIN PASSWORD 'scarce' CONNECTION LIMIT 14", "CREATE DATABASE scarce OWNER scarce"} {
		if _, err := admin.Exec(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	u, err := url.Parse(c.DSN("scarce"))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("scarce", "scarce")
	s := newSite(t, siteOpts{database: u.String(), nodes: 1})
	n := s.nodes[0]
	evs := s.box.Stripe().PayCheckout(sandbox.CheckoutParams{Email: "ada@example.com", Name: "Ada Byron", Amount: 4900, Currency: "eur"})
	// Others take what there is, and the node loses what it has.
	var others []*pgx.Conn
	grab := func() {
		for {
			conn, err := pgx.Connect(context.Background(), u.String())
			if err != nil {
				return
			}
			others = append(others, conn)
		}
	}
	ours := func(cond string) {
		if _, err := admin.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'scarce' AND "+cond); err != nil {
			t.Fatal(err)
		}
	}
	mine := func() string {
		pids := []string{"0"}
		for _, o := range others {
			pids = append(pids, fmt.Sprint(o.PgConn().PID()))
		}
		return "pid NOT IN (" + strings.Join(pids, ",") + ")"
	}
	s.until("the node to have no connection", 90*time.Second, func() bool {
		grab()
		ours(mine())
		grab()
		return len(others) == 14 && n.ready() == http.StatusServiceUnavailable
	})
	// A request that meets a connection which was cut is told so; the next ones find that
	// there is no new one to be had.
	s.until("the node to have noticed", 90*time.Second, func() bool {
		seen := 0
		for range 12 {
			_, out, err := n.call("POST", "/v1/leads", serverKey, map[string]string{"email": "no@example.com"}, "Idempotency-Key", "no")
			if err == nil && strings.Contains(fmt.Sprint(out["detail"]), "no more connections") {
				seen++
			}
		}
		return seen == 12
	})
	s.refused(n, evs, "no more connections")
	if _, out, err := n.call("GET", "/readyz", "", nil); err != nil || !strings.Contains(fmt.Sprint(out["detail"]), "no more connections") {
		t.Errorf("/readyz says %v %v", out, err)
	}
	for _, o := range others {
		o.Close(context.Background())
	}
	began := time.Now()
	s.until("the node to be ready again", 90*time.Second, func() bool { return n.ready() == http.StatusOK })
	t.Logf("ready again after %s", time.Since(began).Round(time.Millisecond))
	l := s.load(2)
	l.deliver(0, evs)
	s.until("the load", 90*time.Second, func() bool { return l.accepted() > 20 })
	l.check(time.Minute)
}

// An address with several hosts leads to the one that takes writes.
func TestAnAddressWithSeveralHostsIsTaken(t *testing.T) {
	t.Parallel()
	dsn := storetest.URL(t, store.Postgres)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = "127.0.0.1:1," + u.Host // nobody listens at the first
	u.RawQuery += "&target_session_attrs=read-write"
	db := storetest.OpenURL(t, u.String(), nil)
	if err := db.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := db.Step(t.Context(), store.NewID()); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("reading: %v", err)
	}
}
