//go:build unix

package nodes

import (
	"net/http"
	"testing"
	"time"

	"bellhop/internal/store/storetest"
)

// Promise: nodes that all start at once behind a pooler with fewer sessions than there are
// nodes bring the database to their schema and serve: a node that waits for another to
// migrate takes no session from it, and no transaction waits for a second session.
func TestNodesStartAtOnceBehindASmallPooler(t *testing.T) {
	t.Parallel()
	cluster := storetest.Postgres(t)
	pooler, err := cluster.StartPooler(2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pooler.Stop)
	if err := cluster.CreateDB(t.Context(), "crowded"); err != nil { // empty: the nodes migrate it
		t.Fatal(err)
	}
	s := newSite(t, siteOpts{database: pooler.DSN("crowded"), nodes: 4, idle: true})
	began := time.Now()
	for _, n := range s.nodes {
		n.begin()
	}
	for _, n := range s.nodes {
		s.until("a node to be ready", time.Minute, func() bool { return n.ready() == http.StatusOK })
	}
	t.Logf("4 nodes on 2 sessions were ready after %s", time.Since(began).Round(time.Millisecond))
	l := s.load(4)
	s.until("some load", time.Minute, func() bool { return l.accepted() > 40 })
	l.check(time.Minute)
	s.quiet()
}
