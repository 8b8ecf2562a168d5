//go:build unix

package nodes

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// Promise: behind a transaction pooler two nodes do the main job, migration and repeats
// included, without an error in any log, and without being told that there is a pooler.
func TestBehindATransactionPooler(t *testing.T) {
	t.Parallel()
	cluster := storetest.Postgres(t)
	pooler, err := cluster.StartPooler(4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pooler.Stop)
	if err := cluster.CreateDB(t.Context(), "pooled"); err != nil { // empty: the nodes migrate it
		t.Fatal(err)
	}
	s := newSite(t, siteOpts{database: pooler.DSN("pooled"), nodes: 2, idle: true})
	s.nodes[0].begin()
	s.nodes[1].begin()
	for _, n := range s.nodes {
		s.until("a node to be ready", 90*time.Second, func() bool { return n.ready() == http.StatusOK })
	}
	l := s.load(4)
	s.until("some load", 2*time.Minute, func() bool { return l.accepted() > 100 })
	l.stop()
	// Everything once more, at the other node.
	before := s.box.Counts()
	for email, name := range l.leads {
		s.nodes[1].must("POST", "/v1/leads", serverKey, map[string]string{"email": email, "name": name, "message": "a demo"},
			"Idempotency-Key", strings.TrimSuffix(email, "@example.com"))
	}
	l.check(time.Minute)
	if after := s.box.Counts(); after.Contacts < before.Contacts {
		t.Errorf("%d contacts, then %d", before.Contacts, after.Contacts)
	}
	// How long an idle installation takes from a request to its effect.
	var slowest time.Duration
	for i := range 10 {
		want := s.box.Counts().Tickets + 1
		id := string(rune('a' + i))
		began := time.Now()
		s.nodes[i%2].must("POST", "/v1/support-requests", serverKey, map[string]string{"email": id + "@idle.example.com", "subject": "Idle " + id,
			"message": "x"}, "Idempotency-Key", "idle-"+id)
		s.until("the ticket", 90*time.Second, func() bool { return s.box.Counts().Tickets >= want })
		slowest = max(slowest, time.Since(began))
	}
	t.Logf("idle, from request to ticket: at most %s", slowest.Round(time.Millisecond))
	if slowest > 3*time.Second {
		t.Errorf("an idle installation took %s for a ticket", slowest)
	}
	s.quiet()
	if text := pooler.Log(); strings.Contains(text, "ERROR") {
		t.Errorf("the pooler complains: %s", text)
	}
}

// A node of many finds out by itself how it reaches its database.
func TestTheWayToPostgresIsFoundOut(t *testing.T) {
	t.Parallel()
	dsn := storetest.URL(t, store.Postgres)
	pooler, err := storetest.Postgres(t).StartPooler(2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pooler.Stop)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	for at, pooled := range map[string]bool{dsn: false, pooler.DSN(strings.TrimPrefix(u.Path, "/")): true} {
		db := storetest.OpenURL(t, at, nil)
		if db.Pooled() != pooled || (db.ListenerPool() == nil) != pooled {
			t.Errorf("behind a transaction pooler: %v, want %v", db.Pooled(), pooled)
		}
	}
}
