package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// testClock is a clock that a test moves.
type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func newTestClock() *testClock {
	return &testClock{now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fixture is a sandbox behind a real socket.
type fixture struct {
	t     *testing.T
	s     *Server
	clock *testClock
	root  string
	http  *http.Client
}

func newFixture(t *testing.T, opts Options) *fixture {
	t.Helper()
	clock := newTestClock()
	opts.Clock = clock
	s := New(opts)
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		s.Close()
		s.ClearFaults("")
		srv.CloseClientConnections()
		srv.Close()
	})
	// Without keep-alive net/http never repeats a request by itself.
	return &fixture{t: t, s: s, clock: clock, root: srv.URL,
		http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
}

type reply struct {
	status int
	header http.Header
	body   []byte
	err    error // of sending or of reading the body
}

// json reads the body; a body that is no JSON fails the test.
func (r reply) json(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(r.body, &m); err != nil {
		t.Fatalf("status %d: body %q: %v", r.status, r.body, err)
	}
	return m
}

func (f *fixture) send(ctx context.Context, method, path string, header map[string]string, body string) reply {
	req, err := http.NewRequestWithContext(ctx, method, f.root+path, strings.NewReader(body))
	if err != nil {
		return reply{err: err}
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := f.http.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return reply{status: resp.StatusCode, header: resp.Header, body: b, err: err}
}

// vendor sends with the vendor's own credential; header pairs follow.
func (f *fixture) vendor(v Vendor, method, path, body string, header ...string) reply {
	f.t.Helper()
	return f.send(f.t.Context(), method, "/"+string(v)+path, f.header(v, header...), body)
}

func (f *fixture) header(v Vendor, pairs ...string) map[string]string {
	h := map[string]string{"Content-Type": "application/json"}
	switch v {
	case HubSpot, Zendesk:
		h["Authorization"] = "Bearer " + Token
	case Stripe:
		h["Authorization"] = "Bearer " + StripeKey
		h["Content-Type"] = "application/x-www-form-urlencoded"
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		h[pairs[i]] = pairs[i+1]
	}
	return h
}

// want checks the status of a reply.
func (f *fixture) want(r reply, status int) reply {
	f.t.Helper()
	if r.err != nil || r.status != status {
		f.t.Fatalf("status %d, want %d; error %v; body %s", r.status, status, r.err, r.body)
	}
	return r
}

// contains checks that a reply's body has every part.
func (f *fixture) contains(r reply, parts ...string) {
	f.t.Helper()
	for _, p := range parts {
		if !bytes.Contains(r.body, []byte(p)) {
			f.t.Errorf("body has no %q: %s", p, r.body)
		}
	}
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for vendor, want := range map[string]string{"hubspot": "http://h/hubspot", "stripe": "http://h/stripe",
		"zendesk": "http://h/zendesk", "slack": "http://h/slack/services/T0/B0/sandbox", "webhook": "http://h/webhook"} {
		if got := BaseURL("http://h/", vendor); got != want {
			t.Errorf("BaseURL(%q) = %q, want %q", vendor, got, want)
		}
	}
}

func TestStartListensOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.com:0", "nonsense"} {
		if r, err := New(Options{}).Start(addr); err == nil {
			r.Close()
			t.Errorf("Start(%q) listened", addr)
		}
	}
	s := New(Options{})
	r, err := s.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := NewClient(r.URL)
	defer c.Close()
	if err := c.Health(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCloseEndsAHangingRequest(t *testing.T) {
	t.Parallel()
	s := New(Options{})
	r, err := s.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.SetFaults(Slack, Fault{Mode: FaultTimeoutAfter})
	gone := make(chan error, 1)
	go func() {
		resp, err := http.Post(BaseURL(r.URL, "slack"), "application/json", strings.NewReader(`{"text":"hi"}`))
		if err == nil {
			resp.Body.Close()
		}
		gone <- err
	}()
	if err := s.Wait(t.Context(), func(sn Snapshot) bool { return len(sn.Messages) == 1 }); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if err := <-gone; err == nil {
		t.Error("the hanging request was answered")
	}
}

func TestLiveKeysAreRefusedAndForgotten(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	const key = "sk_live_51Habcdefghijklmnop"
	for _, v := range Vendors() {
		for _, k := range []string{key, "rk_live_51Habcdef"} {
			r := f.vendor(v, "POST", "/services/"+k, `{"text":"x"}`, "Authorization", "Bearer "+k)
			f.want(r, http.StatusUnauthorized)
			f.contains(r, "Bellhop sandbox", "live key was refused")
			if bytes.Contains(r.body, []byte(k)) {
				t.Errorf("%s repeats the key: %s", v, r.body)
			}
		}
	}
	for name, v := range map[string]any{"calls": f.s.Calls(), "snapshot": f.s.Snapshot()} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte("_live_")) {
			t.Errorf("the %s keep a live key", name)
		}
	}
}

func TestForeignCredentialsAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	paths := map[Vendor]string{HubSpot: "/crm/v3/objects/contacts/1", Stripe: "/v1/charges", Zendesk: "/api/v2/tickets.json"}
	for v, path := range paths {
		for _, auth := range []string{"", "Bearer other", "Bearer sk_test_other", "Basic eDp5"} {
			f.want(f.vendor(v, "GET", path, "", "Authorization", auth), http.StatusUnauthorized)
		}
	}
	f.want(f.send(t.Context(), "GET", "/stripe/v1/charges", map[string]string{
		"Authorization": "Basic c2tfdGVzdF9zYW5kYm94Og=="}, ""), http.StatusOK) // sk_test_sandbox:
}

func TestCallsKeepNothingPersonal(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	trace := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	f.vendor(HubSpot, "GET", "/crm/v3/objects/contacts/ada%40example.com?idProperty=email&x=secretquery", "", "Traceparent", trace)
	f.vendor(Slack, "POST", "/services/T1/B2/realsecret", `{"text":"privatebody"}`)
	calls := f.s.Calls()
	if len(calls) != 2 {
		t.Fatalf("%d calls, want 2", len(calls))
	}
	if c := calls[0]; c.Path != "/crm/v3/objects/contacts/{email}" || c.Status != 404 || c.Traceparent != trace ||
		c.Vendor != HubSpot || c.Method != "GET" || !c.Time.Equal(f.clock.Now()) {
		t.Errorf("first call: %+v", c)
	}
	if calls[1].Path != "/services/{webhook}" {
		t.Errorf("second call: %+v", calls[1])
	}
	b, err := json.Marshal(calls)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"ada@", "secretquery", "realsecret", "privatebody", Token} {
		if bytes.Contains(b, []byte(s)) {
			t.Errorf("the calls keep %q", s)
		}
	}
}

func TestCallLogIsBounded(t *testing.T) {
	t.Parallel()
	l := newCallLog()
	for i := range maxCalls + 10 {
		l.add(CallRecord{Vendor: Slack, Status: i})
	}
	got := l.list()
	if len(got) != maxCalls || got[0].Status != 10 || got[maxCalls-1].Status != maxCalls+9 {
		t.Errorf("%d calls, from %d to %d", len(got), got[0].Status, got[len(got)-1].Status)
	}
	if n := l.requests()[Slack]; n != maxCalls+10 {
		t.Errorf("counted %d", n)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	big := `{"text":"` + strings.Repeat("x", maxBody) + `"}`
	for _, v := range Vendors() {
		f.want(f.vendor(v, "POST", "/x", big), http.StatusRequestEntityTooLarge)
	}
}

func TestResetEmptiesEverythingAndKeepsIdsFresh(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	before := f.s.Stripe().PayCheckout(CheckoutParams{Email: "ada@example.com"})
	f.vendor(HubSpot, "POST", "/crm/v3/objects/contacts", `{"properties":{"email":"ada@example.com"}}`)
	f.vendor(Slack, "POST", slackPath, `{"text":"hi"}`)
	f.s.SetFaults(Zendesk, Fault{Mode: FaultDown})
	f.s.Reset()
	s := f.s.Snapshot()
	if len(s.Contacts)+len(s.Messages)+len(s.Stripe.Events)+s.Stripe.Charges+len(f.s.Calls())+len(s.Requests) != 0 {
		t.Errorf("after reset: %+v", s)
	}
	f.want(f.vendor(Zendesk, "GET", "/api/v2/tickets.json", ""), http.StatusOK)
	after := f.s.Stripe().PayCheckout(CheckoutParams{Email: "ada@example.com"})
	if before[0].ID == after[0].ID {
		t.Error("an event id came twice")
	}
}

func TestSeedRepeatsIDsAndNoSeedDoesNot(t *testing.T) {
	t.Parallel()
	id := func(seed uint64) string {
		return New(Options{Seed: seed}).Stripe().PayCheckout(CheckoutParams{})[0].ID
	}
	if a, b := id(7), id(7); a != b {
		t.Errorf("the same seed gave %s and %s", a, b)
	}
	if a, b := id(0), id(0); a == b {
		t.Errorf("two servers gave the same event id %s", a)
	}
}

func TestWaitWakesOnAChange(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	done := make(chan error, 1)
	go func() {
		done <- f.s.Wait(t.Context(), func(s Snapshot) bool { return len(s.Messages) == 3 })
	}()
	for range 3 {
		f.want(f.vendor(Slack, "POST", slackPath, `{"text":"hi"}`), http.StatusOK)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.s.Wait(ctx, func(Snapshot) bool { return false }); err == nil {
		t.Error("Wait ignores its context")
	}
}

func TestSnapshotIsACopy(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.vendor(HubSpot, "POST", "/crm/v3/objects/contacts", `{"properties":{"email":"ada@example.com"}}`)
	f.s.Snapshot().Contacts[0].Properties["email"] = "changed"
	if got := f.s.Snapshot().Contacts[0].Properties["email"]; got != "ada@example.com" {
		t.Errorf("the snapshot reaches into the server: %q", got)
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 10 {
				f.vendor(HubSpot, "POST", "/crm/v3/objects/contacts/batch/upsert", upsertBody("ada@example.com"))
				f.vendor(Zendesk, "POST", "/api/v2/tickets.json", ticketBody("x"), "Idempotency-Key", "k"+string(rune('a'+i)))
				f.s.Stripe().PayCheckout(CheckoutParams{Email: "ada@example.com"})
				f.s.Snapshot()
			}
		})
	}
	wg.Wait()
	s := f.s.Snapshot()
	if len(s.Contacts) != 1 || s.Contacts[0].Writes != 80 || len(s.Tickets) != 8 || s.Stripe.Charges != 80 {
		t.Errorf("%d contacts, %d tickets, %d charges", len(s.Contacts), len(s.Tickets), s.Stripe.Charges)
	}
}
