package stripe

import (
	"encoding/json"
	"os"
	"testing"

	"bellhop"
)

// fixtures are Stripe's own sample objects, where this machine has them; see
// ORIGIN.md beside the file. No test is registered where it is absent.
const fixtures = "../../../../shared/specs/stripe-fixtures.json"

// TestStripesOwnSamples reads every sample object under every event type that carries
// such an object.
func TestStripesOwnSamples(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(fixtures)
	if err != nil {
		data = []byte(`{"resources":{}}`)
	}
	var f struct {
		Resources map[string]json.RawMessage `json:"resources"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	c := newTest(t, "sk_test_1", "whsec_1")
	for resource, types := range map[string][]string{
		"charge":           {"charge.succeeded", "charge.failed", "charge.refunded", "charge.captured"},
		"payment_intent":   {"payment_intent.succeeded", "payment_intent.payment_failed"},
		"refund":           {"refund.created", "refund.updated", "refund.failed"},
		"dispute":          {"charge.dispute.created", "charge.dispute.closed"},
		"invoice":          {"invoice.paid", "invoice.payment_failed"},
		"subscription":     {"customer.subscription.created", "customer.subscription.updated", "customer.subscription.deleted"},
		"customer":         {"customer.created", "customer.updated"},
		"checkout.session": {"checkout.session.completed", "checkout.session.async_payment_succeeded"},
	} {
		object, ok := f.Resources[resource]
		if !ok {
			continue
		}
		for _, typ := range types {
			t.Run(typ, func(t *testing.T) {
				t.Parallel()
				in, err := c.translate(eventBody(typ, string(object)))
				if err != nil {
					t.Fatal(err)
				}
				if in.Payment != nil && (len(in.Payment.Refs) == 0 || in.Payment.Object == "" || (in.Payment.Type != bellhop.FactLink && in.Payment.Currency == "")) {
					t.Errorf("%+v", in.Payment)
				}
			})
		}
	}
}
