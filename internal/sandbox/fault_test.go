package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// write is one write per vendor and what it leaves behind.
type write struct {
	vendor       Vendor
	path, body   string
	ok           int
	unauthorized int
	count        func(Snapshot) int
}

func writes() []write {
	return []write{
		{HubSpot, "/crm/v3/objects/contacts", `{"properties":{"email":"ada@example.com"}}`, 201, 401,
			func(s Snapshot) int { return len(s.Contacts) }},
		{Zendesk, "/api/v2/tickets.json", ticketBody("help"), 201, 401, func(s Snapshot) int { return len(s.Tickets) }},
		{Stripe, "/v1/customers", "email=ada%40example.com", 200, 401, func(s Snapshot) int { return s.Stripe.Customers }},
		{Slack, slackPath, `{"text":"hi"}`, 200, 403, func(s Snapshot) int { return len(s.Messages) }},
		{Webhook, "", `{"type":"a.b"}`, 200, 401, func(s Snapshot) int { return len(s.Webhooks) }},
	}
}

// TestEveryFaultMode: what the client sees, and whether the work was done, is what the
// mode promises, at every vendor.
func TestEveryFaultMode(t *testing.T) {
	t.Parallel()
	for _, w := range writes() {
		for _, mode := range FaultModes() {
			t.Run(string(w.vendor)+"/"+string(mode), func(t *testing.T) {
				t.Parallel()
				f := newFixture(t, Options{})
				f.s.SetFaults(w.vendor, Fault{Mode: mode, Count: 1, Path: "POST " + w.path, Delay: time.Millisecond, Status: 502})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if mode == FaultTimeoutAfter {
					go func() {
						_ = f.s.Wait(ctx, func(s Snapshot) bool { return w.count(s) == 1 })
						cancel()
					}()
				}
				header := f.header(w.vendor, "Webhook-Id", "msg_1")
				r := f.send(ctx, "POST", "/"+string(w.vendor)+w.path, header, w.body)
				checkSeen(t, w, mode, r)
				want := 0
				if mode.Done() {
					want = 1
				}
				if got := w.count(f.s.Snapshot()); got != want {
					t.Errorf("the vendor holds %d, want %d", got, want)
				}
				calls := f.s.Calls()
				if len(calls) != 1 || calls[0].Fault != mode {
					t.Errorf("calls: %+v", calls)
				}
				header["Webhook-Id"] = "msg_2"
				again := f.send(t.Context(), "POST", "/"+string(w.vendor)+w.path, header, strings.Replace(w.body, "ada", "bob", 1))
				f.want(again, w.ok) // the count is used up
				if got := w.count(f.s.Snapshot()); got != want+1 {
					t.Errorf("after the fault the vendor holds %d, want %d", got, want+1)
				}
			})
		}
	}
}

func checkSeen(t *testing.T, w write, mode FaultMode, r reply) {
	t.Helper()
	broken := func(target error) {
		if r.err == nil || (target != nil && !errors.Is(r.err, target)) {
			t.Errorf("status %d, error %v, want a broken connection (%v)", r.status, r.err, target)
		}
	}
	status := 0
	switch mode {
	case FaultDown:
		status = 503
	case FaultRefuse, FaultResetAfter:
		broken(nil)
	case FaultTimeoutAfter:
		broken(context.Canceled)
	case FaultSlow:
		status = w.ok
	case FaultRateLimited, FaultDailyQuota:
		status = 429
	case FaultServerErrorBefore, FaultServerErrorAfter:
		status = 502
	case FaultUnauthorized:
		status = w.unauthorized
	case FaultResetMid:
		if r.status != w.ok || !(errors.Is(r.err, syscall.ECONNRESET) || errors.Is(r.err, io.ErrUnexpectedEOF)) {
			t.Errorf("status %d, error %v, want half an answer", r.status, r.err)
		}
	case FaultMalformed, FaultMalformedBefore:
		status = w.ok
		if mode == FaultMalformedBefore {
			status = 200
		}
		if json.Valid(r.body) || string(r.body) == "ok" {
			t.Errorf("the body can be understood: %s", r.body)
		}
	}
	if status != 0 && (r.status != status || r.err != nil) {
		t.Errorf("status %d, error %v, want %d", r.status, r.err, status)
	}
}

func TestFaultBodiesAreTheVendorsOwn(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	want := map[Vendor]map[FaultMode]string{
		HubSpot: {FaultDown: `"status":"error"`, FaultRateLimited: `"policyName":"TEN_SECONDLY_ROLLING"`,
			FaultDailyQuota: `"policyName":"DAILY"`, FaultUnauthorized: `"category":"INVALID_AUTHENTICATION"`},
		Zendesk: {FaultDown: `"error":"ServiceUnavailable"`, FaultRateLimited: `"APIRateLimitExceeded"`,
			FaultUnauthorized: `Couldn't authenticate you`},
		Stripe: {FaultDown: `"type":"api_error"`, FaultRateLimited: `"code":"rate_limit"`,
			FaultUnauthorized: `Invalid API Key`},
		Slack: {FaultServerErrorBefore: "rollup_error", FaultUnauthorized: "invalid_token"},
	}
	for v, modes := range want {
		for mode, part := range modes {
			f.s.SetFaults(v, Fault{Mode: mode})
			f.contains(f.vendor(v, "POST", slackPath, `{"text":"x"}`), part)
		}
	}
}

func TestRetryAfterForms(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	date := f.clock.Now().Add(5 * time.Second).Format(http.TimeFormat)
	for raw, want := range map[string]string{"": "", "7": "7", "1.5": "1.5", "-3": "-3", "soon": "soon", "httpdate:5s": date} {
		for _, mode := range []FaultMode{FaultRateLimited, FaultDown, FaultServerErrorBefore} {
			f.s.SetFaults(HubSpot, Fault{Mode: mode, RetryAfter: raw})
			if got := f.vendor(HubSpot, "GET", "/crm/v3/objects/contacts/1", "").header.Get("Retry-After"); got != want {
				t.Errorf("%s with %q: Retry-After %q, want %q", mode, raw, got, want)
			}
		}
	}
}

func TestFaultPathCountAndOrder(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.s.SetFaults(HubSpot, Fault{Mode: FaultDown, Count: 1, Path: "POST /crm/v3/objects/notes$"},
		Fault{Mode: FaultRateLimited, Count: 2, Path: "/crm/v3/objects/contacts"})
	f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/notes/search", `{}`), 200)
	f.want(f.vendor(HubSpot, "GET", "/crm/v3/objects/contacts/1", ""), 429)
	f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/notes", `{}`), 503)
	f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/notes", `{}`), 400)
	f.want(f.vendor(HubSpot, "GET", "/crm/v3/objects/contacts/1", ""), 429)
	f.want(f.vendor(HubSpot, "GET", "/crm/v3/objects/contacts/1", ""), 404)
	f.want(f.vendor(Zendesk, "GET", "/api/v2/tickets.json", ""), 200)
}

func TestFaultProbabilityFollowsTheSeed(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) string {
		f := newFixture(t, Options{Seed: seed})
		f.s.SetFaults(Slack, Fault{Mode: FaultDown, Probability: 0.5})
		out := ""
		for range 24 {
			out += string(rune('0' + f.vendor(Slack, "POST", slackPath, `{"text":"x"}`).status/100))
		}
		return out
	}
	a := run(11)
	if a != run(11) || !strings.Contains(a, "2") || !strings.Contains(a, "5") {
		t.Errorf("outcomes %s", a)
	}
}

// TestSlowDoesTheWorkAtOnce: the state has changed while the client still waits, and
// clearing the faults lets the answer go.
func TestSlowDoesTheWorkAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.s.SetFaults(Slack, Fault{Mode: FaultSlow, Delay: time.Hour})
	got := make(chan reply, 1)
	go func() { got <- f.vendor(Slack, "POST", slackPath, `{"text":"x"}`) }()
	if err := f.s.Wait(t.Context(), func(s Snapshot) bool { return len(s.Messages) == 1 }); err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-got:
		t.Fatalf("answered early: %+v", r)
	default:
	}
	f.s.ClearFaults(Slack)
	f.want(<-got, 200)
}

func TestLatencyDelaysEveryAnswer(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{Latency: 20 * time.Millisecond})
	begin := time.Now()
	f.want(f.vendor(Slack, "POST", slackPath, `{"text":"x"}`), 200)
	if d := time.Since(begin); d < 20*time.Millisecond {
		t.Errorf("answered after %v", d)
	}
}

func TestServerErrorAfterKeepsAnHonestRefusal(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.s.SetFaults(HubSpot, Fault{Mode: FaultServerErrorAfter})
	f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/notes", `{}`), 400) // there was no work to fail after
}

func TestFaultJSON(t *testing.T) {
	t.Parallel()
	in := Fault{Mode: FaultSlow, Count: 2, Path: "POST /x", RetryAfter: "1", Delay: 1500 * time.Millisecond, Status: 503, Probability: 0.5}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out Fault
	if err := json.Unmarshal(b, &out); err != nil || out != in {
		t.Errorf("%s gave %+v, %v", b, out, err)
	}
	for _, bad := range []string{`{}`, `{"mode":"explode"}`, `{"mode":"down","count":-1}`, `{"mode":"down","status":200}`,
		`{"mode":"down","probability":2}`, `{"mode":"slow","delay":"soon"}`, `{"mode":"down","typo":1}`} {
		if err := json.Unmarshal([]byte(bad), &out); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}
