package sandbox

import (
	"encoding/json"
	"os"
	"sort"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

func TestZZSchema(t *testing.T) {
	raw, err := os.ReadFile("/work/shared/specs/stripe.json")
	if err != nil { t.Fatal(err) }
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil { t.Fatal(err) }
	s := New(Options{})
	st := s.Stripe()
	pay := st.PayCheckout(CheckoutParams{Email: "a@example.com", Name: "A"})
	inv := st.PayInvoice(InvoiceParams{Email: "a@example.com", Plan: "Pro"})
	st.Refund(pay[0].Object, 100)
	d := st.Dispute(inv[1].Object)
	st.CloseDispute(d[0].Object, "won")
	st.FailPayment(CheckoutParams{Email: "b@example.com"})
	st.RenewSubscription(inv[0].Object)
	st.FailInvoice(inv[0].Object)
	st.CancelSubscription(inv[0].Object, true)
	st.CancelSubscription(inv[0].Object, false)
	check := func(kind string, b []byte) {
		ref, ok := doc.Components.Schemas[kind]
		if !ok { t.Errorf("no schema %s", kind); return }
		var v map[string]any
		_ = json.Unmarshal(b, &v)
		if err := ref.Value.VisitJSON(v, openapi3.MultiErrors()); err != nil {
			t.Errorf("%s: %.600v", kind, err)
		}
		var extra []string
		for k := range v { if _, ok := ref.Value.Properties[k]; !ok { extra = append(extra, k) } }
		sort.Strings(extra)
		if len(extra) > 0 { t.Errorf("%s extra %v", kind, extra) }
	}
	seen := map[string]bool{}
	for _, e := range st.Events() {
		check("event", e.Body)
		var b struct{ Data struct{ Object json.RawMessage } }
		_ = json.Unmarshal(e.Body, &b)
		var o struct{ Object string }
		_ = json.Unmarshal(b.Data.Object, &o)
		if !seen[o.Object] || true { check(o.Object, b.Data.Object) }
		seen[o.Object] = true
	}
	for _, k := range []string{"customers", "balance_transactions"} {
		b, _ := json.Marshal(s.stripe.lists[k].all[0])
		check(map[string]string{"customers": "customer", "balance_transactions": "balance_transaction"}[k], b)
	}
}
