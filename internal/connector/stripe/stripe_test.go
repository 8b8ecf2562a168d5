package stripe

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/connector/conntest"
	"bellhop/internal/sandbox"
)

func newTest(t testing.TB, key string, secrets ...any) *Connector {
	t.Helper()
	raw := map[string]any{"secret_key": key, "webhook_secrets": secrets}
	s, err := connector.ParseSettings(Vendor().Manifest, "stripe", raw)
	if err != nil {
		t.Fatal(err)
	}
	clock := conntest.NewClock()
	c, err := Vendor().New(s, connector.Env{HTTP: connector.NewClient(connector.ClientOpts{Clock: clock, AllowPrivate: true}), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return c.(*Connector)
}

// TestPurchasesJoin plays purchases at the sandbox: the facts of one purchase must be
// joined by their refs, and those of two must not.
func TestPurchasesJoin(t *testing.T) {
	t.Parallel()
	c := newTest(t, sandbox.StripeKey, "whsec_1")
	box := sandbox.New(sandbox.Options{Clock: conntest.NewClock(), Seed: 3})
	p := box.Stripe()
	groups := [][]sandbox.Event{
		p.PayCheckout(sandbox.CheckoutParams{Email: "ada@example.com", Guest: true}),
		p.PayCheckout(sandbox.CheckoutParams{Email: "ada@example.com"}),
		p.FailPayment(sandbox.CheckoutParams{Email: "ada@example.com"}),
		p.PayInvoice(sandbox.InvoiceParams{Email: "ada@example.com", Plan: "Pro"}),
	}
	var charge string
	for _, e := range groups[1] {
		if e.Type == "charge.succeeded" {
			charge = e.Object
		}
	}
	groups[1] = append(groups[1], p.Refund(charge, 100)...)
	groups[1] = append(groups[1], p.Dispute(charge)...)
	owner := map[string]int{}
	for i, g := range groups {
		joined := map[string]bool{}
		var sets [][]string
		for _, e := range g {
			in, err := c.translate(e.Body)
			if err != nil {
				t.Fatalf("%s: %v", e.Type, err)
			}
			if in.ExternalID != e.ID || (in.Payment == nil && in.Subscription == nil) {
				t.Errorf("%s: %+v", e.Type, in)
			}
			if in.Payment != nil {
				sets = append(sets, in.Payment.Refs)
			}
		}
		if n := components(sets); n != 1 {
			t.Errorf("purchase %d falls into %d payments: %v", i, n, sets)
		}
		for _, s := range sets {
			for _, r := range s {
				joined[r] = true
			}
		}
		for r := range joined {
			if j, ok := owner[r]; ok && j != i {
				t.Errorf("%s is in purchases %d and %d", r, j, i)
			}
			owner[r] = i
		}
	}
}

// components counts the groups that sets of ids fall into.
func components(sets [][]string) int {
	var groups []map[string]bool
	for _, s := range sets {
		merged := map[string]bool{}
		for _, id := range s {
			merged[id] = true
		}
		var rest []map[string]bool
		for _, g := range groups {
			overlap := false
			for id := range g {
				overlap = overlap || merged[id]
			}
			if !overlap {
				rest = append(rest, g)
				continue
			}
			for id := range g {
				merged[id] = true
			}
		}
		groups = append(rest, merged)
	}
	return len(groups)
}

func TestListPagesThroughEverything(t *testing.T) {
	t.Parallel()
	clock := conntest.NewClock()
	box := sandbox.New(sandbox.Options{Clock: clock, Seed: 3})
	run, err := box.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(run.Close)
	for range 90 {
		box.Stripe().PayCheckout(sandbox.CheckoutParams{Email: "ada@example.com"})
	}
	c := newTest(t, sandbox.StripeKey, "whsec_1")
	c.base = sandbox.BaseURL(run.URL, "stripe")
	seen, cursor, pages := map[string]bool{}, "", 0
	for {
		page, err := c.List(context.Background(), clock.Now().Add(-time.Hour), cursor)
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, e := range page.Events {
			again, err := c.translate(e.Body)
			if err != nil || !reflect.DeepEqual(again, e.Inbound) || seen[e.Inbound.ExternalID] {
				t.Fatalf("%s: %v, seen %v", e.Inbound.ExternalID, err, seen[e.Inbound.ExternalID])
			}
			seen[e.Inbound.ExternalID] = true
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if len(seen) != 270 || pages != 3 {
		t.Errorf("%d events on %d pages", len(seen), pages)
	}
	later, err := c.List(context.Background(), clock.Now().Add(time.Hour), "")
	if err != nil || len(later.Events) != 0 || later.Next != "" {
		t.Errorf("since later: %+v, %v", later, err)
	}
	for mode, want := range map[sandbox.FaultMode]bellhop.ErrorClass{sandbox.FaultUnauthorized: bellhop.ClassUnauthorized,
		sandbox.FaultRateLimited: bellhop.ClassRateLimited, sandbox.FaultMalformed: bellhop.ClassMalformed, sandbox.FaultDown: bellhop.ClassUnknownOutcome} {
		box.SetFaults(sandbox.Stripe, sandbox.Fault{Mode: mode, Count: 1})
		_, err := c.List(context.Background(), time.Time{}, "")
		if e, ok := err.(*connector.Error); !ok || e.Class != want || strings.Contains(err.Error(), sandbox.StripeKey) {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

func TestListKeepsWhatItCannotRead(t *testing.T) {
	t.Parallel()
	c := newTest(t, "sk_test_1", "whsec_1")
	in, err := c.translateListed(eventBody("charge.failed", `"odd"`))
	if err != nil || in.Kind != bellhop.KindOther || in.ExternalID != "evt_1" {
		t.Errorf("%+v, %v", in, err)
	}
	if _, err := c.translateListed([]byte(`{}`)); err == nil {
		t.Error("an event without id was kept")
	}
}

func TestDoRefuses(t *testing.T) {
	t.Parallel()
	_, err := newTest(t, "sk_test_1", "whsec_1").Do(context.Background(), connector.Call{Action: bellhop.ActionSendAlert})
	if e, ok := err.(*connector.Error); !ok || e.Class != bellhop.ClassRejected {
		t.Errorf("%v", err)
	}
}

func TestNewChecksTheKey(t *testing.T) {
	t.Parallel()
	for key, live := range map[string]bool{"sk_live_1": true, "rk_live_1": true, "sk_test_1": false, "rk_test_1": false} {
		if c := newTest(t, key, "whsec_1"); c.live != live {
			t.Errorf("%s: live %v", key[:8], c.live)
		}
	}
	for _, key := range []string{"pk_live_HOT", "whsec_HOT", "sk_HOT"} {
		_, err := connector.ParseSettings(Vendor().Manifest, "stripe", map[string]any{"secret_key": key, "webhook_secrets": []any{"we_HOT"}})
		if err == nil || strings.Contains(err.Error(), "HOT") || !strings.Contains(err.Error(), "webhook_secrets") {
			t.Errorf("%v", err)
		}
	}
}
