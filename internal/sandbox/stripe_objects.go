package sandbox

import (
	"encoding/json"
	"strings"
	"time"
)

// The objects have the members that the API version StripeVersion requires, and those
// that a reader of payments looks at. Members that the version has dropped
// (invoice.subscription, invoice.charge, invoice.payment_intent, charge.invoice) are
// not there.

func (b *stripeBackend) now() int64 { return b.opts.Clock.Now().Unix() }

// customer returns the player's customer of an e-mail, made at need.
func (b *stripeBackend) customer(email, name string) stObject {
	if id, ok := b.byMail[email]; ok && email != "" {
		if c, ok := b.lists["customers"].get(id); ok {
			return c
		}
	}
	c := b.newCustomer(email, name)
	b.byMail[email] = str(c["id"])
	return c
}

func (b *stripeBackend) newCustomer(email, name string) stObject {
	return b.lists["customers"].add(stObject{"id": b.ids.stripe("cus"), "object": "customer", "address": nil,
		"balance": int64(0), "created": b.now(), "currency": nil, "default_source": nil, "delinquent": false,
		"description": nil, "email": null(email), "name": null(name), "phone": nil, "livemode": false,
		"metadata": map[string]string{}, "preferred_locales": []any{}, "shipping": nil, "tax_exempt": "none",
		"invoice_prefix": "BHSANDBX", "next_invoice_sequence": int64(1), "test_clock": nil,
		"invoice_settings": stObject{"custom_fields": nil, "default_payment_method": nil, "footer": nil,
			"rendering_options": nil}})
}

// stPay is what a payment's objects share.
type stPay struct {
	amount                int64
	currency, description string
	customer              any // id or nil
	email, name           string
	metadata              map[string]string
	failed                bool
}

// paymentIntent makes a payment intent and its charge, as both are after the attempt.
func (b *stripeBackend) paymentIntent(p stPay) (pi, charge stObject) {
	at, piID, chID := b.now(), b.ids.stripe("pi"), b.ids.stripe("ch")
	pi = b.lists["payment_intents"].add(stObject{"id": piID, "object": "payment_intent", "amount": p.amount,
		"amount_capturable": int64(0), "amount_received": p.amount, "canceled_at": nil, "cancellation_reason": nil,
		"capture_method": "automatic_async", "client_secret": piID + "_secret_sandbox", "confirmation_method": "automatic",
		"created": at, "currency": p.currency, "customer": p.customer, "description": null(p.description),
		"last_payment_error": nil, "latest_charge": chID, "livemode": false, "metadata": metadata(p.metadata),
		"next_action": nil, "payment_method": b.ids.stripe("pm"), "payment_method_types": []string{"card"},
		"receipt_email": nil, "setup_future_usage": nil, "shipping": nil, "status": "succeeded"})
	charge = b.lists["charges"].add(stObject{"id": chID, "object": "charge", "amount": p.amount,
		"amount_captured": p.amount, "amount_refunded": int64(0), "balance_transaction": nil,
		"billing_details": stObject{"address": stObject{"city": nil, "country": nil, "line1": nil, "line2": nil,
			"postal_code": nil, "state": nil}, "email": null(p.email), "name": null(p.name), "phone": nil, "tax_id": nil},
		"captured": true, "created": at, "currency": p.currency, "customer": p.customer,
		"description": null(p.description), "disputed": false, "failure_code": nil, "failure_message": nil,
		"fraud_details": stObject{}, "livemode": false, "metadata": metadata(p.metadata), "paid": true,
		"outcome": stObject{"type": "authorized", "network_status": "approved_by_network", "reason": nil,
			"risk_level": "normal", "seller_message": "Payment complete."},
		"payment_intent": piID, "payment_method": pi["payment_method"],
		"payment_method_details": stObject{"type": "card", "card": stObject{"brand": "visa", "last4": "4242",
			"exp_month": int64(8), "exp_year": int64(2030), "country": "US", "funding": "credit"}},
		"receipt_email": nil, "receipt_number": nil, "receipt_url": "https://pay.stripe.com/receipts/sandbox/" + chID,
		"refunded": false, "status": "succeeded"})
	if p.failed {
		declined(pi, charge)
		return pi, charge
	}
	charge["balance_transaction"] = b.balance("charge", chID, p.amount, p.currency)
	return pi, charge
}

// declined turns a payment into one that the card's bank refused.
func declined(pi, charge stObject) {
	const msg = "Your card has insufficient funds."
	pi["status"], pi["amount_received"] = "requires_payment_method", int64(0)
	pi["last_payment_error"] = stObject{"type": "card_error", "code": "card_declined",
		"decline_code": "insufficient_funds", "message": msg, "charge": charge["id"]}
	charge["status"], charge["paid"], charge["captured"], charge["amount_captured"] = "failed", false, false, int64(0)
	charge["failure_code"], charge["failure_message"], charge["receipt_url"] = "card_declined", msg, nil
	charge["outcome"] = stObject{"type": "issuer_declined", "network_status": "declined_by_network",
		"reason": "insufficient_funds", "risk_level": "normal", "seller_message": "The bank returned the decline code `insufficient_funds`."}
}

// balance makes a balance transaction and returns its id.
func (b *stripeBackend) balance(typ, source string, amount int64, currency string) string {
	at := b.now()
	o := b.lists["balance_transactions"].add(stObject{"id": b.ids.stripe("txn"), "object": "balance_transaction",
		"amount": amount, "available_on": at + 2*86_400, "balance_type": "payments", "created": at, "currency": currency,
		"description": nil, "exchange_rate": nil, "fee": int64(0), "fee_details": []any{}, "net": amount,
		"reporting_category": typ, "source": source, "status": "pending", "type": typ})
	return str(o["id"])
}

func (b *stripeBackend) session(p CheckoutParams, pi, customer any, mode, payStatus string) stObject {
	at := b.now()
	return b.lists["checkout/sessions"].add(stObject{"id": "cs_test_" + strings.TrimPrefix(b.ids.stripe("cs"), "cs_"),
		"object": "checkout.session", "amount_subtotal": p.Amount, "amount_total": p.Amount,
		"automatic_tax": stObject{"enabled": false, "liability": nil, "provider": nil, "status": nil},
		"cancel_url":    nil, "client_reference_id": null(p.ClientReferenceID), "created": at, "currency": p.Currency,
		"custom_fields": []any{}, "custom_text": stObject{"after_submit": nil, "shipping_address": nil, "submit": nil,
			"terms_of_service_acceptance": nil},
		"customer": customer, "customer_creation": "if_required", "customer_email": nil,
		"customer_details": stObject{"address": nil, "email": null(p.Email), "name": null(p.Name), "phone": nil,
			"tax_exempt": "none", "tax_ids": []any{}},
		"expires_at": at + 86_400, "invoice": nil, "livemode": false, "metadata": metadata(p.Metadata), "mode": mode,
		"payment_intent": pi, "payment_link": nil, "payment_method_types": []string{"card"},
		"payment_status": payStatus, "shipping_options": []any{}, "status": "complete", "subscription": nil,
		"success_url": "https://example.com/success", "ui_mode": "hosted_page", "url": nil})
}

func (b *stripeBackend) newSubscription(customer string, p InvoiceParams) stObject {
	at := b.now()
	id, end := b.ids.stripe("sub"), nextMonth(at)
	price := stObject{"id": b.ids.stripe("price"), "object": "price", "active": true, "billing_scheme": "per_unit",
		"created": at, "currency": p.Currency, "livemode": false, "lookup_key": nil, "metadata": stObject{},
		"nickname": null(p.Plan), "product": b.ids.stripe("prod"), "tax_behavior": "unspecified", "type": "recurring",
		"recurring":   stObject{"interval": "month", "interval_count": int64(1), "meter": nil, "usage_type": "licensed"},
		"unit_amount": p.Amount}
	item := stObject{"id": b.ids.stripe("si"), "object": "subscription_item", "created": at, "discounts": []any{},
		"current_period_start": at, "current_period_end": end, "metadata": stObject{}, "price": price,
		"quantity": int64(1), "subscription": id, "tax_rates": []any{}}
	return b.lists["subscriptions"].add(stObject{"id": id, "object": "subscription", "billing_cycle_anchor": at,
		"automatic_tax": stObject{"enabled": false, "liability": nil, "disabled_reason": nil},
		"billing_mode":  stObject{"type": "flexible", "flexible": stObject{}}, "billing_schedules": []any{},
		"cancel_at": nil, "cancel_at_period_end": false, "canceled_at": nil,
		"cancellation_details": stObject{"comment": nil, "feedback": nil, "reason": nil},
		"collection_method":    "charge_automatically", "created": at, "currency": p.Currency, "customer": customer,
		"description": null(p.Description), "discounts": []any{}, "ended_at": nil,
		"invoice_settings": stObject{"account_tax_ids": nil, "issuer": stObject{"type": "self"}},
		"items": stObject{"object": "list", "has_more": false, "total_count": int64(1),
			"url": "/v1/subscription_items?subscription=" + id, "data": []stObject{item}},
		"latest_invoice": nil, "livemode": false, "metadata": metadata(p.Metadata), "start_date": at, "status": "active",
		"trial_end": nil, "trial_start": nil})
}

func (b *stripeBackend) newInvoice(sub, customer stObject, p InvoiceParams, reason string) stObject {
	at, id := b.now(), b.ids.stripe("in")
	line := stObject{"id": b.ids.stripe("il"), "object": "line_item", "amount": p.Amount, "currency": p.Currency,
		"description": or(p.Description, "1 × "+or(p.Plan, "Subscription")), "discount_amounts": []any{}, "discountable": true,
		"discounts": []any{}, "invoice": id, "livemode": false, "metadata": stObject{}, "subtotal": p.Amount,
		"period": stObject{"start": at, "end": nextMonth(at)}, "quantity": int64(1),
		"parent": stObject{"type": "subscription_item_details", "invoice_item_details": nil,
			"subscription_item_details": stObject{"subscription": sub["id"], "subscription_item": subItem(sub)["id"],
				"invoice_item": nil, "proration": false, "proration_details": nil}}}
	return b.lists["invoices"].add(stObject{"id": id, "object": "invoice", "account_country": "US", "amount_due": p.Amount,
		"amount_overpaid": int64(0), "amount_paid": p.Amount, "amount_paid_off_stripe": int64(0),
		"amount_remaining": int64(0), "amount_shipping": int64(0), "attempt_count": int64(1), "attempted": true,
		"auto_advance": false, "automatic_tax": stObject{"enabled": false, "liability": nil, "status": nil,
			"disabled_reason": nil, "provider": nil}, "billing_reason": reason,
		"collection_method": "charge_automatically", "created": at, "currency": p.Currency, "customer": customer["id"],
		"customer_email": customer["email"], "customer_name": customer["name"], "customer_phone": nil,
		"default_tax_rates": []any{}, "description": null(p.Description), "discounts": []any{},
		"hosted_invoice_url": "https://invoice.stripe.com/i/sandbox/" + id, "issuer": stObject{"type": "self"},
		"lines":    stObject{"object": "list", "has_more": false, "url": "/v1/invoices/" + id + "/lines", "data": []stObject{line}},
		"livemode": false, "metadata": metadata(p.Metadata), "next_payment_attempt": nil, "number": "BHSANDBX-" + id[len(id)-6:],
		"parent": stObject{"type": "subscription_details", "quote_details": nil,
			"subscription_details": stObject{"subscription": sub["id"], "metadata": metadata(p.Metadata)}},
		"payment_settings": stObject{"default_mandate": nil, "payment_method_options": nil, "payment_method_types": nil},
		"period_end":       at, "period_start": at, "post_payment_credit_notes_amount": int64(0),
		"pre_payment_credit_notes_amount": int64(0), "starting_balance": int64(0), "status": "paid",
		"status_transitions": stObject{"finalized_at": at, "marked_uncollectible_at": nil, "paid_at": at, "voided_at": nil},
		"subtotal":           p.Amount, "total": p.Amount})
}

// invoiceSubscription finds an invoice's subscription where the current API has it.
func invoiceSubscription(inv stObject) string {
	parent, _ := inv["parent"].(stObject)
	details, _ := parent["subscription_details"].(stObject)
	return str(details["subscription"])
}

func (b *stripeBackend) newInvoicePayment(inv, pi stObject, amount int64, status string) stObject {
	at := b.now()
	var paidAt, paid any
	if status == "paid" {
		paidAt, paid = at, amount
	}
	return b.lists["invoice_payments"].add(stObject{"id": b.ids.stripe("inpay"), "object": "invoice_payment",
		"amount_paid": paid, "amount_requested": amount, "created": at, "currency": inv["currency"], "invoice": inv["id"],
		"is_default": true, "livemode": false, "status": status,
		"payment":            stObject{"type": "payment_intent", "payment_intent": pi["id"]},
		"status_transitions": stObject{"canceled_at": nil, "paid_at": paidAt}})
}

func (b *stripeBackend) newDispute(charge stObject) stObject {
	at := b.now()
	return b.lists["disputes"].add(stObject{"id": b.ids.stripe("dp"), "object": "dispute", "amount": charge["amount"],
		"balance_transactions": []any{}, "charge": charge["id"], "created": at, "currency": charge["currency"],
		"enhanced_eligibility_types": []any{}, "evidence": stObject{"enhanced_evidence": stObject{}}, "is_charge_refundable": false, "livemode": false,
		"evidence_details": stObject{"due_by": at + 7*86_400, "has_evidence": false, "past_due": false,
			"submission_count": int64(0), "enhanced_eligibility": stObject{}}, "metadata": stObject{},
		"payment_intent": charge["payment_intent"], "reason": "fraudulent", "status": "needs_response",
		"payment_method_details": stObject{"type": "card", "card": stObject{"brand": "visa", "network": "visa", "case_type": "chargeback",
			"network_reason_code": "10.4"}}})
}

func metadata(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return cloneMap(m)
}

func nextMonth(unix int64) int64 { return time.Unix(unix, 0).UTC().AddDate(0, 1, 0).Unix() }

// emit adds an event about an object as it is now; prev is what it was before.
func (b *stripeBackend) emit(typ string, o, prev stObject) Event {
	data := stObject{"object": o}
	if prev != nil {
		data["previous_attributes"] = prev
	}
	now := b.opts.Clock.Now().Truncate(time.Second)
	e := Event{ID: b.ids.stripe("evt"), Type: typ, Object: str(o["id"]), Created: now}
	body, err := json.Marshal(stObject{"id": e.ID, "object": "event", "api_version": StripeVersion,
		"created": now.Unix(), "data": data, "livemode": false, "pending_webhooks": 1,
		"request": stObject{"id": nil, "idempotency_key": nil}, "type": typ})
	if err == nil { // always: strings, numbers, maps and lists
		e.Body = body
	}
	b.events.add(e)
	return e
}
