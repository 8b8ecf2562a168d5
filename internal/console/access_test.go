package console

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"bellhop/internal/identity"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// pathOf makes a path of a route's pattern.
func pathOf(pattern string) (method, path string) {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		method, path = http.MethodGet, pattern+"nothing/here"
	}
	path = strings.NewReplacer("{$}", "", "{id}", store.NewID(), "{name}", "console-0.css").Replace(path)
	return method, path
}

func TestEveryRouteIsGuardedAndCarriesTheHeaders(t *testing.T) {
	t.Parallel()
	h := start(t, storetest.Open(t, store.SQLite, nil))
	paths := []string{}
	for _, rt := range h.con.routes() {
		method, path := pathOf(rt.pattern)
		paths = append(paths, path)
		for _, b := range []*browser{h.browser(), h.browser().signIn()} {
			res := b.send(httptest.NewRequest(method, path, nil))
			for name, want := range map[string]string{"Content-Security-Policy": contentPolicy, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
				"Cross-Origin-Opener-Policy": "same-origin", "X-Robots-Tag": "noindex, nofollow", "Cache-Control": "no-store"} {
				if got := res.Header.Get(name); got != want {
					t.Errorf("%s: %s is %q", rt.pattern, name, got)
				}
			}
			if res.Header.Get("Referrer-Policy") == "" || res.StatusCode >= 500 {
				t.Errorf("%s: %d, Referrer-Policy %q", rt.pattern, res.StatusCode, res.Header.Get("Referrer-Policy"))
			}
		}
		if rt.access != viewer && rt.access != agent {
			continue
		}
		res := h.browser().send(httptest.NewRequest(method, path, nil))
		switch {
		case method == http.MethodPost && res.StatusCode != http.StatusUnauthorized:
			t.Errorf("%s without a session: %d, want 401", rt.pattern, res.StatusCode)
		case method == http.MethodGet && (res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(res.Header.Get("Location"), "/console/login")):
			t.Errorf("%s without a session: %d", rt.pattern, res.StatusCode)
		}
	}
	closed := start(t, storetest.Open(t, store.SQLite, nil))
	closed.con.o.Operators = closed.newOperators(identity.Keys{})
	for _, path := range paths {
		if status, text := closed.browser().get(path); strings.HasPrefix(path, "/console") && path != "/console/setup" && status != http.StatusNotFound && status != http.StatusMovedPermanently &&
			(status != http.StatusServiceUnavailable || !strings.Contains(text, "BELLHOP_OPERATOR_KEY")) {
			t.Errorf("%s without an operator: %d", path, status)
		}
	}
}

func TestAssetsAreKeptForEver(t *testing.T) {
	t.Parallel()
	h := start(t, storetest.Open(t, store.SQLite, nil))
	for name, address := range h.con.assets.address {
		res := h.browser().send(httptest.NewRequest(http.MethodGet, address, nil))
		if res.StatusCode != http.StatusOK || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") || res.Header.Get("Content-Type") == "" {
			t.Errorf("%s: %d %v", name, res.StatusCode, res.Header)
		}
		if !strings.Contains(address, "-") {
			t.Errorf("%s carries no checksum", address)
		}
	}
}

func TestSessionsBeginEndAndExpire(t *testing.T) {
	t.Parallel()
	h := start(t, storetest.Open(t, store.SQLite, nil), func(o *Opts) { o.PublicURL = "https://chat.example.com" })
	res := h.browser().post("/console/login", "key", operatorKey, "next", "/console/steps?state=manual")
	if res.Header.Get("Location") != "/console/steps?state=manual" || len(res.Cookies()) != 1 {
		t.Fatalf("login: %v", res.Header)
	}
	k := res.Cookies()[0]
	if !k.HttpOnly || !k.Secure || k.SameSite != http.SameSiteStrictMode || k.Path != "/" || !strings.HasPrefix(k.Name, "__Host-") || strings.Contains(k.Value, operatorKey) {
		t.Errorf("cookie %+v", k)
	}
	for _, next := range []string{"https://evil.example/console", "//evil.example/console", "/\\evil.example", "javascript:alert(1)", "/v1/ops/steps", ""} {
		if res := h.browser().post("/console/login", "key", operatorKey, "next", next); res.Header.Get("Location") != "/console" {
			t.Errorf("next=%q led to %s", next, res.Header.Get("Location"))
		}
	}
	for _, key := range []string{"", serverKey, operatorKey + "x", "' OR 1=1"} {
		if res := h.browser().post("/console/login", "key", key); res.StatusCode != http.StatusUnauthorized || len(res.Cookies()) != 0 {
			t.Errorf("key %q: %d", key, res.StatusCode)
		}
	}
	b := h.browser().signIn()
	forged := *b.cookies[0]
	forged.Value = "x" + forged.Value[1:]
	if status, _ := (&browser{h: h, address: b.address, cookies: []*http.Cookie{&forged}}).get("/console"); status != http.StatusSeeOther {
		t.Errorf("a forged session: %d", status)
	}
	kept := *b
	if res := b.post("/console/logout"); res.StatusCode != http.StatusSeeOther || res.Cookies()[0].MaxAge >= 0 {
		t.Errorf("logout: %d", res.StatusCode)
	}
	if status, _ := kept.get("/console"); status != http.StatusSeeOther {
		t.Errorf("a session that was ended: %d", status)
	}
	b = h.browser().signIn()
	h.clock.forward(identity.SessionLength + time.Second)
	if status, _ := b.get("/console"); status != http.StatusSeeOther {
		t.Errorf("an expired session: %d", status)
	}
}

func TestLoginsAreThrottledPerAddress(t *testing.T) {
	t.Parallel()
	h := start(t, storetest.Open(t, store.SQLite, nil))
	b := h.browser()
	for range identity.MaxFailures {
		if res := b.post("/console/login", "key", "wrong"); res.StatusCode != http.StatusUnauthorized {
			t.Fatalf("a wrong key: %d", res.StatusCode)
		}
	}
	res := b.post("/console/login", "key", operatorKey)
	if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" {
		t.Errorf("after %d failures: %d", identity.MaxFailures, res.StatusCode)
	}
	other := h.browser()
	other.address = "[2001:db8::1]:99"
	other.signIn()
	h.clock.forward(identity.FailureWindow + time.Second)
	b.signIn()
	for range 3 * identity.MaxFailures { // good ones do not count
		h.browser().signIn()
	}
}

func TestFormsOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	h := start(t, storetest.Open(t, store.SQLite, nil), func(o *Opts) { o.PublicURL = "http://chat.example.com" })
	_, req := h.chat("hello")
	b, other := h.browser().signIn(), h.browser().signIn()
	here := "/console/inbox/" + req.ID
	try := func(csrf string, header ...string) int {
		t.Helper()
		form := url.Values{"status": {"triaged"}}
		if csrf != "" {
			form.Set("csrf", csrf)
		}
		r := formRequest(here, form)
		r.Header.Del("Sec-Fetch-Site")
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		return b.send(r).StatusCode
	}
	for name, got := range map[string]int{
		"missing token":             try(""),
		"wrong token":               try("nonsense"),
		"token of another session":  try(other.csrf),
		"cross-site":                try(b.csrf, "Sec-Fetch-Site", "cross-site"),
		"same-site":                 try(b.csrf, "Sec-Fetch-Site", "same-site"),
		"other origin":              try(b.csrf, "Origin", "https://evil.example"),
		"origin of a sandbox":       try(b.csrf, "Origin", "null"),
		"signature of another kind": try(h.tokens.SignLink(linkTranscript, req.ID)),
	} {
		if got != http.StatusForbidden {
			t.Errorf("%s: %d, want 403", name, got)
		}
	}
	if strings.Contains(b.page(here), ">triaged</span>") {
		t.Fatal("a refused form changed something")
	}
	if got := try(b.csrf, "Origin", "http://chat.example.com"); got != http.StatusSeeOther {
		t.Errorf("from the public address: %d", got)
	}
	r := formRequest("/console/login", url.Values{"key": {operatorKey}})
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if got := h.browser().send(r).StatusCode; got != http.StatusForbidden {
		t.Errorf("a login from another site: %d, want 403", got)
	}
	if got := b.post(here, "note", strings.Repeat("x", maxForm+1)).StatusCode; got != http.StatusRequestEntityTooLarge {
		t.Errorf("a form that is too large: %d, want 413", got)
	}
}

func TestLinksFromElsewhereFindTheSession(t *testing.T) {
	t.Parallel()
	h := start(t, storetest.Open(t, store.SQLite, nil))
	follow := func(path string) *http.Response {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Sec-Fetch-Site", "cross-site") // and no cookie: SameSite=Strict
		return h.browser().send(r)
	}
	res := follow("/console/inbox?status=new")
	if text := body(t, res); res.StatusCode != http.StatusOK || !strings.Contains(text, `content="0; url=/console/inbox?again=1&amp;status=new"`) {
		t.Errorf("%d\n%s", res.StatusCode, text)
	}
	if res := follow("/console/inbox?again=1&status=new"); res.Header.Get("Location") != "/console/login?next=%2Fconsole%2Finbox%3Fstatus%3Dnew" {
		t.Errorf("the second time: %d %s", res.StatusCode, res.Header.Get("Location"))
	}
}
