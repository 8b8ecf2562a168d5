package cli

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// A server whose database role owns nothing starts, serves and stops: docs/security.md
// says how such a role is made.
func TestServeWithTheLeastRights(t *testing.T) {
	t.Parallel()
	base := storetest.URL(t, store.Postgres)
	owner := storetest.OpenURL(t, base, nil)
	for _, q := range []string{"CREATE ROLE least_rights LOGIN NOINHERIT PASSWORD 'pw'", "GRANT bellhop_server TO least_rights",
		"ALTER ROLE least_rights SET role = 'bellhop_server'"} {
		if _, err := owner.Writer().Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("least_rights", "pw")
	srv, err := testServer(t, u.String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Writer().Exec(`SELECT bellhop.emit('lead', '{"email": "ada@example.com"}', 'k1')`); err != nil {
		t.Error(err)
	}
	api := newAPIClient(srv.url, "")
	if err := api.do(t.Context(), http.MethodGet, "/readyz", "", nil, nil); err != nil {
		t.Error(err)
	}
	taken := func() bool {
		var n int
		if err := owner.Writer().QueryRow("SELECT count(*) FROM bellhop.leads").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n == 1
	}
	deadline, tick := time.After(20*time.Second), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for !taken() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("what was handed over was not taken in")
		}
	}
	api.close()
	if err := srv.stop(); err != nil {
		t.Error(err)
	}
}
