package console

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"bellhop/internal/identity"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
	"bellhop/internal/watch"
)

func TestTheSecurityPageShowsWhoDidWhat(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		log := watch.NewSecurity(db, nil, nil)
		t.Cleanup(log.Close)
		h := start(t, db, func(o *Opts) { o.Security = log })
		_, req := h.chat("hello")
		for range 3 {
			h.browser().post("/console/login", "key", "key-hush")
		}
		b := h.browser().signIn()
		b.post("/console/inbox/"+req.ID, "status", "triaged", "note", "note-hush", "assignee", "anna@example.com")
		r := formRequest("/console/inbox/"+req.ID, url.Values{"status": {"assigned"}})
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		b.send(r)
		text := b.page("/console/security")
		checkPage(t, "/console/security", text)
		for _, want := range []string{"A login was refused", "An operator signed in or out", "An operator did something", "192.0.2.0/24",
			"support request " + req.ID + ": status triaged, another assignee, a note", "Somebody asked for what they may not have",
			"POST /console/inbox/{id}"} {
			if !strings.Contains(text, want) {
				t.Errorf("the page does not say %q", want)
			}
		}
		if strings.Contains(text, "hush") || strings.Contains(text, "anna") || strings.Contains(text, operatorKey) {
			t.Error("the page shows a key, a note or a name")
		}
		if text := b.page("/console/security?kind=login_refused"); strings.Contains(text, "An operator did something</td>") || !strings.Contains(text, "A login was refused</td>") {
			t.Error("the filter does not filter")
		}
		if text := b.page("/console/security?kind=rate_limited"); !strings.Contains(text, "Nothing of this kind") {
			t.Error("an empty filter does not say so")
		}
		for i := range 2*listLength + 5 {
			log.Note(store.SecurityRecord{Kind: store.SecurityOperator, Detail: strings.Repeat("x", i%7+1)})
		}
		if text := b.page("/console/security"); !strings.Contains(text, `rel="next"`) {
			t.Error("a long log has no pages")
		}
	})
}

func TestTooManyLoginsAreCountedBehindAProxy(t *testing.T) {
	t.Parallel()
	trusted, err := identity.NewProxies([]string{"192.0.2.0/24"})
	if err != nil {
		t.Fatal(err)
	}
	h := start(t, storetest.Open(t, store.SQLite, nil), func(o *Opts) { o.Proxies = trusted })
	login := func(from, key string) int {
		r := formRequest("/console/login", url.Values{"key": {key}})
		r.Header.Set("X-Forwarded-For", from)
		return h.browser().send(r).StatusCode
	}
	for range identity.MaxFailures {
		login("198.51.100.1", "wrong")
	}
	if a, b := login("198.51.100.1", operatorKey), login("198.51.100.2", operatorKey); a != http.StatusTooManyRequests || b != http.StatusSeeOther {
		t.Errorf("the one who guessed: %d, another: %d", a, b)
	}
}

func TestEveryPageStaysOnHTTPS(t *testing.T) {
	t.Parallel()
	for public, want := range map[string]string{"https://chat.example.com": identity.HSTS, "http://chat.example.com": ""} {
		h := start(t, storetest.Open(t, store.SQLite, nil), func(o *Opts) { o.PublicURL = public })
		for _, rt := range h.con.routes() {
			method, path := pathOf(rt.pattern)
			if got := h.browser().send(httptest.NewRequest(method, path, nil)).Header.Get("Strict-Transport-Security"); got != want {
				t.Errorf("%s at %s: %q", rt.pattern, public, got)
			}
		}
	}
}
