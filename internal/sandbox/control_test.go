package sandbox

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestClientDrivesTheSandbox(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	c := NewClient(f.root + "/")
	defer c.Close()
	ctx := t.Context()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(c.Health(ctx))
	ok(c.SetFaults(ctx, Slack, Fault{Mode: FaultSlow, Delay: time.Hour, Count: 1}, Fault{Mode: FaultDown}))
	got := make(chan reply, 1)
	go func() { got <- f.vendor(Slack, "POST", slackPath, `{"text":"x"}`) }()
	ok(c.Wait(ctx, func(s Snapshot) bool { return len(s.Messages) == 1 && s.Requests[Slack] == 1 }))
	f.want(f.vendor(Slack, "POST", slackPath, `{"text":"x"}`), 503)
	ok(c.ClearFaults(ctx, Slack))
	f.want(<-got, 200)
	ok(c.SetFaults(ctx, Zendesk))
	ok(c.ClearFaults(ctx, ""))
	calls, err := c.Calls(ctx)
	ok(err)
	if len(calls) != 2 || calls[1].Fault != FaultDown {
		t.Errorf("calls: %+v", calls)
	}
	_, target := newHook(t, DefaultStripeWebhookSecret, f.clock.Now())
	p := FlowParams{DeliverTo: target, DeliverOpts: DeliverOpts{Copies: 2}}
	p.Email, p.Amount = "ada@example.com", 700
	res, err := c.Play(ctx, "pay_checkout", p)
	ok(err)
	if len(res.Events) != 3 || len(res.Deliveries) != 6 || string(res.Events[0].Body) != string(f.s.Stripe().Events()[0].Body) {
		t.Errorf("flow: %+v", res)
	}
	snap, err := c.Snapshot(ctx)
	ok(err)
	if snap.Stripe.Charges != 1 || !snap.Stripe.Events[0].Delivered {
		t.Errorf("snapshot: %+v", snap.Stripe)
	}
	counts, err := c.Counts(ctx)
	ok(err)
	if counts.Charges != 1 || counts.Events != 3 || counts.Messages != 1 || counts.Requests[Slack] != 2 {
		t.Errorf("counts: %+v", counts)
	}
	waited := make(chan error, 2)
	go func() { waited <- c.WaitCounts(ctx, func(n Counts) bool { return n.Contacts == 1 }) }()
	go func() { waited <- f.s.WaitCounts(ctx, func(n Counts) bool { return n.Contacts == 1 }) }()
	f.contact("ada@example.com")
	ok(<-waited)
	ok(<-waited)
	ok(c.Reset(ctx))
	if n := len(f.s.Calls()); n != 0 {
		t.Errorf("%d calls after the reset", n)
	}
	if c.BaseURL(Slack) != BaseURL(f.root, "slack") {
		t.Errorf("base URL %s", c.BaseURL(Slack))
	}
	if _, err := c.Play(ctx, "nonsense", FlowParams{}); err == nil {
		t.Error("an unknown flow is no error")
	}
	if err := c.SetFaults(ctx, "nobody", Fault{Mode: FaultDown}); err == nil {
		t.Error("an unknown vendor is no error")
	}
}

func TestEveryFlowIsPlayable(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	st := f.s.Stripe()
	pay, inv := st.PayCheckout(CheckoutParams{}), st.PayInvoice(InvoiceParams{})
	d := st.Dispute(inv[1].Object)
	p := FlowParams{Charge: pay[0].Object, Subscription: inv[0].Object, Dispute: d[0].Object, Status: "lost"}
	for _, flow := range Flows() {
		if flow == "dispute" {
			p.Charge = st.PayCheckout(CheckoutParams{})[0].Object
		}
		if res, err := f.s.Play(t.Context(), flow, p); err != nil || len(res.Events) == 0 {
			t.Errorf("%s: %d events, %v", flow, len(res.Events), err)
		}
	}
}

func TestControlAnswersThisMachineOnly(t *testing.T) {
	t.Parallel()
	h := New(Options{}).Handler()
	for name, c := range map[string]struct {
		remote, host, origin string
		want                 int
	}{
		"loopback":       {"127.0.0.1:5", "127.0.0.1:80", "", 200},
		"v6":             {"[::1]:5", "[::1]:80", "", 200},
		"localhost":      {"127.0.0.1:5", "localhost:80", "http://localhost:3000", 200},
		"other machine":  {"192.0.2.1:5", "127.0.0.1:80", "", 403},
		"rebound name":   {"127.0.0.1:5", "evil.example:80", "", 403},
		"foreign origin": {"127.0.0.1:5", "127.0.0.1:80", "https://evil.example", 403},
		"null origin":    {"127.0.0.1:5", "127.0.0.1:80", "null", 403},
	} {
		r := httptest.NewRequest("GET", "/_control/health", nil)
		r.RemoteAddr, r.Host = c.remote, c.host
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s: %d, want %d", name, w.Code, c.want)
		}
	}
}

func TestControlRefusals(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"PUT", "/_control/faults/slack", `[{"mode":"explode"}]`, 400}, {"PUT", "/_control/faults/slack", `[] []`, 400},
		{"PUT", "/_control/faults", `[]`, 404}, {"PUT", "/_control/faults/nobody", `[]`, 404},
		{"POST", "/_control/stripe/refund", `{"charge":"ch_none"}`, 422}, {"POST", "/_control/stripe/refund", `{"typo":1}`, 400},
		{"POST", "/_control/stripe/pay_checkout", `{"deliver_to":"ftp://x"}`, 400}, {"POST", "/_control/stripe/pay_checkout", "", 200},
		{"GET", "/_control/nonsense", "", 404}, {"GET", "/_control/a/b/c", "", 404}, {"GET", "/_control", "", 404},
		{"GET", "/", "", 404}, {"GET", "/nobody/x", "", 404}, {"GET", "/_control/faults", "", 200},
		{"POST", "/_control/reset", strings.Repeat(" ", 10), 200}, {"GET", "/_control/snapshot?after=1&wait=0s", "", http.StatusOK},
	} {
		if r := f.send(t.Context(), c.method, c.path, nil, c.body); r.status != c.want {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, r.status, r.body, c.want)
		}
	}
}
