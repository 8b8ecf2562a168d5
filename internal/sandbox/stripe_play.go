package sandbox

import (
	"encoding/json"
	"strings"
	"time"
)

// Event is one event of the Stripe fake. Body is what a webhook carries and what
// GET /v1/events lists, byte for byte.
type Event struct {
	ID      string          `json:"id"`
	Type    string          `json:"type"`
	Object  string          `json:"object"` // the id of the object it is about
	Created time.Time       `json:"created"`
	Body    json.RawMessage `json:"body"`
}

// CheckoutParams describes a one-off purchase.
type CheckoutParams struct {
	Email       string `json:"email"`
	Name        string `json:"name,omitempty"`
	Amount      int64  `json:"amount"`             // smallest unit; 0 means 4900
	Currency    string `json:"currency,omitempty"` // "" means usd
	Description string `json:"description,omitempty"`
	// Guest leaves the customer of every object null, as Checkout does for one-off
	// purchases unless told otherwise; the e-mail is then on the charge and the session
	// only, not on the payment intent.
	Guest             bool              `json:"guest,omitempty"`
	ClientReferenceID string            `json:"client_reference_id,omitempty"`
	Metadata          map[string]string `json:"metadata,omitempty"`
}

// InvoiceParams describes a subscription and its payments.
type InvoiceParams struct {
	Email       string            `json:"email"`
	Name        string            `json:"name,omitempty"`
	Amount      int64             `json:"amount"`
	Currency    string            `json:"currency,omitempty"`
	Plan        string            `json:"plan,omitempty"` // the price's nickname
	Description string            `json:"description,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
}

// StripePlayer makes payments happen at the Stripe fake. Each method changes the
// objects and returns the events that Stripe would send, in the order in which they
// came to be; nothing is delivered before Server.Deliver.
type StripePlayer struct {
	b *stripeBackend
	s *Server
}

// play runs a flow under the fake's lock.
func (p *StripePlayer) play(flow func() []Event) []Event {
	p.b.mu.Lock()
	evs := flow()
	p.b.mu.Unlock()
	p.s.changes.bump()
	return evs
}

func (b *stripeBackend) checkoutPay(p *CheckoutParams, failed bool) (pi, ch stObject, customer any) {
	p.Amount, p.Currency = money(p.Amount, p.Currency)
	if !p.Guest {
		customer = b.customer(p.Email, p.Name)["id"]
	}
	pi, ch = b.paymentIntent(stPay{amount: p.Amount, currency: p.Currency, description: p.Description, customer: customer,
		email: p.Email, name: p.Name, metadata: p.Metadata, failed: failed})
	return pi, ch, customer
}

func money(amount int64, currency string) (int64, string) {
	if amount <= 0 {
		amount = 4900
	}
	return amount, strings.ToLower(or(currency, "usd"))
}

// PayCheckout is a one-off purchase through Checkout: charge.succeeded,
// payment_intent.succeeded, checkout.session.completed.
func (p *StripePlayer) PayCheckout(c CheckoutParams) []Event {
	return p.play(func() []Event {
		pi, ch, customer := p.b.checkoutPay(&c, false)
		cs := p.b.session(c, pi["id"], customer, "payment", "paid")
		return []Event{p.b.emit("charge.succeeded", ch, nil), p.b.emit("payment_intent.succeeded", pi, nil),
			p.b.emit("checkout.session.completed", cs, nil)}
	})
}

// FailPayment is a one-off purchase whose card is declined: charge.failed,
// payment_intent.payment_failed.
func (p *StripePlayer) FailPayment(c CheckoutParams) []Event {
	return p.play(func() []Event {
		pi, ch, _ := p.b.checkoutPay(&c, true)
		return []Event{p.b.emit("charge.failed", ch, nil), p.b.emit("payment_intent.payment_failed", pi, nil)}
	})
}

// Refund gives money back: refund.created, charge.refunded. An amount of 0 is all
// that is left. It returns nil when the charge does not exist or has less left.
func (p *StripePlayer) Refund(chargeID string, amount int64) []Event {
	return p.play(func() []Event {
		_, evs := p.b.refund(chargeID, amount, "requested_by_customer", nil)
		return evs
	})
}

func (b *stripeBackend) refund(chargeID string, amount int64, reason string, meta map[string]string) (stObject, []Event) {
	ch, ok := b.lists["charges"].get(chargeID)
	if !ok || ch["status"] != "succeeded" {
		return nil, nil
	}
	refunded := num(ch["amount_refunded"])
	left := num(ch["amount"]) - refunded
	if amount == 0 {
		amount = left
	}
	if amount <= 0 || amount > left {
		return nil, nil
	}
	id := b.ids.stripe("re")
	re := b.lists["refunds"].add(stObject{"id": id, "object": "refund", "amount": amount, "charge": chargeID,
		"balance_transaction": b.balance("refund", id, -amount, str(ch["currency"])), "created": b.now(),
		"currency": ch["currency"], "metadata": metadata(meta), "payment_intent": ch["payment_intent"],
		"reason": null(reason), "receipt_number": nil, "source_transfer_reversal": nil, "status": "succeeded",
		"transfer_reversal": nil, "destination_details": stObject{"type": "card", "card": stObject{"type": "refund"}}})
	prev := stObject{"amount_refunded": refunded}
	ch["amount_refunded"] = refunded + amount
	if amount == left {
		ch["refunded"], prev["refunded"] = true, false
	}
	return re, []Event{b.emit("refund.created", re, nil), b.emit("charge.refunded", ch, prev)}
}

// Dispute is a chargeback: charge.dispute.created. It returns nil when the charge
// does not exist or is disputed already.
func (p *StripePlayer) Dispute(chargeID string) []Event {
	return p.play(func() []Event {
		ch, ok := p.b.lists["charges"].get(chargeID)
		if !ok || ch["disputed"] == true || ch["status"] != "succeeded" {
			return nil
		}
		ch["disputed"] = true
		return []Event{p.b.emit("charge.dispute.created", p.b.newDispute(ch), nil)}
	})
}

// CloseDispute decides a dispute, "won" or "lost": charge.dispute.closed.
func (p *StripePlayer) CloseDispute(disputeID, status string) []Event {
	return p.play(func() []Event {
		d, ok := p.b.lists["disputes"].get(disputeID)
		if !ok || d["status"] != "needs_response" || (status != "won" && status != "lost") {
			return nil
		}
		prev := stObject{"status": d["status"]}
		d["status"] = status
		return []Event{p.b.emit("charge.dispute.closed", d, prev)}
	})
}

// Events returns every event so far, oldest first.
func (p *StripePlayer) Events() []Event { return p.filter(func(*stEvent) bool { return true }) }

// Undelivered returns the events that no delivery was answered 2xx for, oldest first.
func (p *StripePlayer) Undelivered() []Event {
	return p.filter(func(e *stEvent) bool { return !e.delivered })
}

func (p *StripePlayer) filter(keep func(*stEvent) bool) []Event {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	out := []Event{}
	for _, e := range p.b.events.all {
		if keep(e) {
			out = append(out, e.Event)
		}
	}
	return out
}
