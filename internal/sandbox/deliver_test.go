package sandbox

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// hook is a webhook endpoint that checks signatures and remembers what came.
type hook struct {
	mu     sync.Mutex
	ids    []string
	bad    int
	status int
}

func newHook(t *testing.T, secret string, at time.Time) (*hook, string) {
	h := &hook{status: 200}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		if err != nil || r.Header.Get("Stripe-Signature") != SignStripe(body, secret, at) {
			h.bad++
		}
		h.ids = append(h.ids, string(body))
		w.WriteHeader(h.status)
	}))
	t.Cleanup(srv.Close)
	return h, srv.URL
}

func TestDeliverSignsCopiesAndRecords(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{Seed: 3})
	h, target := newHook(t, DefaultStripeWebhookSecret, f.clock.Now())
	evs := f.s.Stripe().PayCheckout(CheckoutParams{Email: "a@example.com"})
	res, err := f.s.Deliver(t.Context(), target, evs, DeliverOpts{Copies: 3, Shuffle: true, Concurrency: 4})
	if err != nil || len(res) != 9 {
		t.Fatalf("%d results, %v", len(res), err)
	}
	counts := map[string]int{}
	for _, b := range h.ids {
		counts[b]++
	}
	for _, e := range evs {
		if counts[string(e.Body)] != 3 {
			t.Errorf("%s came %d times", e.Type, counts[string(e.Body)])
		}
	}
	if h.bad != 0 {
		t.Errorf("%d bad signatures", h.bad)
	}
	for _, e := range f.s.Snapshot().Stripe.Events {
		if e.Deliveries != 3 || !e.Delivered {
			t.Errorf("%+v", e)
		}
	}
	if ids, _ := f.page("/v1/events?delivery_success=true"); len(ids) != 3 {
		t.Errorf("%d delivered events are listed", len(ids))
	}
	if left := f.s.Stripe().Undelivered(); len(left) != 0 {
		t.Errorf("%d undelivered", len(left))
	}
}

func TestDeliverOrderSecretAndTimestamp(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	at := f.clock.Now().Add(-time.Hour)
	h, target := newHook(t, "whsec_other", at)
	evs := f.s.Stripe().PayInvoice(InvoiceParams{Email: "a@example.com"})
	if _, err := f.s.Deliver(t.Context(), target, evs, DeliverOpts{Secret: "whsec_other", Timestamp: at}); err != nil {
		t.Fatal(err)
	}
	for i, e := range evs {
		if h.ids[i] != string(e.Body) {
			t.Errorf("event %d is out of order", i)
		}
	}
	if h.bad != 0 {
		t.Errorf("%d bad signatures", h.bad)
	}
}

func TestDeliverReportsRefusals(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	h, target := newHook(t, DefaultStripeWebhookSecret, f.clock.Now())
	h.status = 503
	evs := f.s.Stripe().FailPayment(CheckoutParams{Email: "a@example.com"})
	res, err := f.s.Deliver(t.Context(), target, evs, DeliverOpts{})
	if err != nil || res[0].Status != 503 || res[0].OK() {
		t.Errorf("%+v, %v", res, err)
	}
	if n := len(f.s.Stripe().Undelivered()); n != 2 {
		t.Errorf("%d undelivered, want 2", n)
	}
	res, err = f.s.Deliver(t.Context(), "http://127.0.0.1:1/", evs, DeliverOpts{})
	if err != nil || res[0].Status != 0 || res[0].Error == "" {
		t.Errorf("%+v, %v", res, err)
	}
	if _, err := f.s.Deliver(t.Context(), "ftp://x", evs, DeliverOpts{}); err == nil {
		t.Error("a bad URL is no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.s.Deliver(ctx, target, evs, DeliverOpts{}); err == nil {
		t.Error("a cancelled context is no error")
	}
}
