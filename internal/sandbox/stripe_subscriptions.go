package sandbox

// PayInvoice is the first payment of a new subscription:
// customer.subscription.created, charge.succeeded, payment_intent.succeeded,
// invoice_payment.paid, invoice.paid.
func (p *StripePlayer) PayInvoice(in InvoiceParams) []Event {
	return p.play(func() []Event {
		in.Amount, in.Currency = money(in.Amount, in.Currency)
		cus := p.b.customer(in.Email, in.Name)
		sub := p.b.newSubscription(str(cus["id"]), in)
		inv := p.b.newInvoice(sub, cus, in, "subscription_create")
		sub["latest_invoice"] = inv["id"]
		return append([]Event{p.b.emit("customer.subscription.created", sub, nil)}, p.b.payInvoice(cus, inv, in)...)
	})
}

// payInvoice makes the money move for an invoice and tells it.
func (b *stripeBackend) payInvoice(cus, inv stObject, in InvoiceParams) []Event {
	pi, ch := b.paymentIntent(stPay{amount: in.Amount, currency: in.Currency, description: or(in.Description, "Subscription"),
		customer: cus["id"], email: str(cus["email"]), name: str(cus["name"]), metadata: in.Metadata})
	ip := b.newInvoicePayment(inv, pi, in.Amount, "paid")
	return []Event{b.emit("charge.succeeded", ch, nil), b.emit("payment_intent.succeeded", pi, nil),
		b.emit("invoice_payment.paid", ip, nil), b.emit("invoice.paid", inv, nil)}
}

// renewal is what a subscription's next invoice is made of.
func (b *stripeBackend) renewal(subscription string) (sub, cus stObject, in InvoiceParams, ok bool) {
	sub, ok = b.lists["subscriptions"].get(subscription)
	if !ok || sub["status"] == "canceled" {
		return nil, nil, in, false
	}
	cus, ok = b.lists["customers"].get(str(sub["customer"]))
	if !ok {
		return nil, nil, in, false
	}
	price := subItem(sub)["price"].(stObject) // newSubscription made it
	in = InvoiceParams{Amount: num(price["unit_amount"]), Currency: str(sub["currency"]), Plan: str(price["nickname"])}
	return sub, cus, in, true
}

func subItem(sub stObject) stObject {
	return sub["items"].(stObject)["data"].([]stObject)[0] // newSubscription made it
}

// RenewSubscription is the payment of a subscription's next period:
// customer.subscription.updated and the events of a paid invoice. It returns nil for
// a subscription that does not exist or has ended.
func (p *StripePlayer) RenewSubscription(subscription string) []Event {
	return p.play(func() []Event {
		sub, cus, in, ok := p.b.renewal(subscription)
		if !ok {
			return nil
		}
		item, inv := subItem(sub), p.b.newInvoice(sub, cus, in, "subscription_cycle")
		prev := stObject{"latest_invoice": sub["latest_invoice"], "status": sub["status"]}
		end := num(item["current_period_end"])
		item["current_period_start"], item["current_period_end"] = end, nextMonth(end)
		sub["latest_invoice"], sub["status"] = inv["id"], "active"
		return append([]Event{p.b.emit("customer.subscription.updated", sub, prev)}, p.b.payInvoice(cus, inv, in)...)
	})
}

// FailInvoice is a renewal whose card is declined: charge.failed,
// payment_intent.payment_failed, invoice.payment_failed, and
// customer.subscription.updated to past_due.
func (p *StripePlayer) FailInvoice(subscription string) []Event {
	return p.play(func() []Event {
		sub, cus, in, ok := p.b.renewal(subscription)
		if !ok {
			return nil
		}
		inv := p.b.newInvoice(sub, cus, in, "subscription_cycle")
		inv["status"], inv["amount_paid"], inv["amount_remaining"] = "open", int64(0), in.Amount
		inv["next_payment_attempt"] = p.b.now() + 3*86_400
		inv["status_transitions"].(stObject)["paid_at"] = nil // newInvoice made it
		pi, ch := p.b.paymentIntent(stPay{amount: in.Amount, currency: in.Currency, description: "Subscription",
			customer: cus["id"], email: str(cus["email"]), name: str(cus["name"]), failed: true})
		p.b.newInvoicePayment(inv, pi, in.Amount, "open")
		prev := stObject{"status": sub["status"], "latest_invoice": sub["latest_invoice"]}
		sub["status"], sub["latest_invoice"] = "past_due", inv["id"]
		return []Event{p.b.emit("charge.failed", ch, nil), p.b.emit("payment_intent.payment_failed", pi, nil),
			p.b.emit("invoice.payment_failed", inv, nil), p.b.emit("customer.subscription.updated", sub, prev)}
	})
}

// CancelSubscription ends a subscription at once (customer.subscription.deleted), or
// schedules its end (customer.subscription.updated with cancel_at_period_end).
func (p *StripePlayer) CancelSubscription(subscription string, atPeriodEnd bool) []Event {
	return p.play(func() []Event {
		sub, ok := p.b.lists["subscriptions"].get(subscription)
		if !ok || sub["status"] == "canceled" {
			return nil
		}
		sub["canceled_at"] = p.b.now()
		if atPeriodEnd {
			prev := stObject{"cancel_at_period_end": sub["cancel_at_period_end"], "cancel_at": sub["cancel_at"], "canceled_at": nil}
			sub["cancel_at_period_end"], sub["cancel_at"] = true, subItem(sub)["current_period_end"]
			return []Event{p.b.emit("customer.subscription.updated", sub, prev)}
		}
		sub["status"], sub["ended_at"] = "canceled", p.b.now()
		return []Event{p.b.emit("customer.subscription.deleted", sub, nil)}
	})
}
