package stripe

import (
	"errors"
	"strings"

	"bellhop"
)

var errNoID = errors.New("the object has no id")

// fact begins a payment fact of an event.
func fact(e event, t bellhop.FactType, object, currency string, customer ref) *bellhop.PaymentFact {
	f := &bellhop.PaymentFact{Object: object, Type: t, Currency: strings.ToLower(cut(currency)), At: unix(e.Created)}
	if validID(customer.ID) {
		f.CustomerRef = customer.ID
	}
	return f
}

func readCharge(c *Connector, e event, in *bellhop.Inbound) error {
	var o charge
	if err := read(e, &o, &o.ID); err != nil {
		return err
	}
	in.Person = c.hint(o.Customer, first(o.BillingDetails.Email, o.ReceiptEmail), o.BillingDetails.Name, o.BillingDetails.Phone)
	if e.Type == "charge.succeeded" && o.Captured != nil && !*o.Captured {
		return nil // money is only held; charge.captured tells when it is taken
	}
	f := fact(e, bellhop.FactMoney, o.ID, o.Currency, o.Customer)
	f.Refs = refs(o.ID, o.PaymentIntent.ID, o.Invoice.ID)
	f.Amount, f.AmountRefunded, f.Description = o.Amount, o.AmountRefunded, cut(o.Description)
	f.Status = bellhop.FactSucceeded
	switch e.Type {
	case "charge.failed":
		in.Kind, f.Status = bellhop.KindPaymentFailed, bellhop.FactFailed
		f.Reason = cut(first(o.FailureMessage, o.FailureCode))
	case "charge.refunded":
		in.Kind = bellhop.KindPaymentRefunded
	default:
		in.Kind = bellhop.KindPaymentSucceeded
	}
	// Capturing less than was held releases the rest, which Stripe counts as refunded
	// (unconfirmed). What was taken is what was paid.
	if o.AmountCaptured != nil && *o.AmountCaptured > 0 && *o.AmountCaptured < o.Amount && f.Status == bellhop.FactSucceeded {
		f.Amount = *o.AmountCaptured
		f.AmountRefunded = max(0, o.AmountRefunded-(o.Amount-*o.AmountCaptured))
	}
	in.Payment = f
	return nil
}

func readPaymentIntent(c *Connector, e event, in *bellhop.Inbound) error {
	var o paymentIntent
	if err := read(e, &o, &o.ID); err != nil {
		return err
	}
	f := fact(e, bellhop.FactMoney, o.ID, o.Currency, o.Customer)
	f.Description = cut(o.Description)
	var who contact
	charge := o.LatestCharge.ID
	if e.Type == "payment_intent.succeeded" {
		in.Kind, f.Status, f.Amount = bellhop.KindPaymentSucceeded, bellhop.FactSucceeded, o.AmountReceived
		if f.Amount == 0 {
			f.Amount = o.Amount
		}
	} else {
		in.Kind, f.Status, f.Amount = bellhop.KindPaymentFailed, bellhop.FactFailed, o.Amount
		if le := o.LastError; le != nil {
			f.Reason = cut(first(le.Message, le.DeclineCode, le.Code))
			who = le.Method.BillingDetails
			charge = first(charge, le.Charge.ID)
		}
	}
	f.Refs = refs(o.ID, charge, o.Invoice.ID)
	in.Person = c.hint(o.Customer, first(o.ReceiptEmail, who.Email), who.Name, who.Phone)
	in.Payment = f
	return nil
}

func readSession(c *Connector, e event, in *bellhop.Inbound) error {
	var o session
	if err := read(e, &o, &o.ID); err != nil {
		return err
	}
	in.Person = c.hint(o.Customer, first(o.CustomerDetails.Email, o.CustomerEmail), o.CustomerDetails.Name, o.CustomerDetails.Phone)
	// The subscription's id is not among the refs: it names every payment of the
	// subscription, and would make them one.
	ids := refs(o.ID, o.PaymentIntent.ID, o.Invoice.ID)
	failed := e.Type == "checkout.session.async_payment_failed"
	paid := o.PaymentStatus == "paid" || e.Type == "checkout.session.async_payment_succeeded"
	kind, status := bellhop.KindPaymentSucceeded, bellhop.FactSucceeded
	if failed {
		kind, status = bellhop.KindPaymentFailed, bellhop.FactFailed
	}
	tells := bellhop.FactMoney
	if o.Mode == "subscription" || o.Mode == "setup" || o.AmountTotal == nil || o.Currency == "" {
		tells = bellhop.FactLink // the money of a subscription is told by its invoice and charge
	}
	switch {
	case !paid && !failed:
		return nil // completed, and the money is still on its way, or none was due
	case tells == bellhop.FactLink && (failed || len(ids) < 2):
		return nil // nothing to join
	}
	f := fact(e, tells, o.ID, o.Currency, o.Customer)
	f.Refs, f.Status = ids, status
	if tells == bellhop.FactMoney {
		f.Amount = *o.AmountTotal
	}
	in.Kind, in.Payment = kind, f
	return nil
}

func readInvoice(c *Connector, e event, in *bellhop.Inbound) error {
	var o invoice
	if err := read(e, &o, &o.ID); err != nil {
		return err
	}
	in.Person = c.hint(o.Customer, o.CustomerEmail, o.CustomerName, o.CustomerPhone)
	failed := e.Type == "invoice.payment_failed"
	if !failed && o.AmountPaid == 0 && o.AmountDue != nil && *o.AmountDue == 0 {
		return nil // the invoice of a trial or a full discount is "paid" without money
	}
	f := fact(e, bellhop.FactInvoice, o.ID, o.Currency, o.Customer)
	ids := []string{o.ID, o.PaymentIntent.ID, o.Charge.ID}
	for _, p := range o.Payments.Data {
		// One that was canceled has not paid this invoice.
		if p.Status != "canceled" {
			ids = append(ids, p.Payment.PaymentIntent.ID, p.Payment.Charge.ID)
		}
	}
	f.Refs = refs(ids...)
	f.Description = cut(first(o.Description, o.Number))
	if failed {
		in.Kind, f.Status = bellhop.KindPaymentFailed, bellhop.FactFailed
		if o.AmountDue != nil {
			f.Amount = *o.AmountDue
		}
		if o.LastError != nil {
			f.Reason = cut(o.LastError.Message)
		}
	} else {
		in.Kind, f.Status, f.Amount = bellhop.KindPaymentSucceeded, bellhop.FactSucceeded, o.AmountPaid
	}
	in.Payment = f
	return nil
}

func readInvoicePayment(c *Connector, e event, in *bellhop.Inbound) error {
	var o invoicePayment
	if err := read(e, &o, &o.ID); err != nil {
		return err
	}
	ids := refs(o.Invoice.ID, o.Payment.PaymentIntent.ID, o.Payment.Charge.ID)
	if len(ids) < 2 {
		return nil // paid outside Stripe: nothing to join
	}
	f := fact(e, bellhop.FactLink, o.ID, o.Currency, ref{})
	f.Status, f.Amount, f.Refs = bellhop.FactSucceeded, o.AmountPaid, ids
	in.Kind, in.Payment = bellhop.KindPaymentSucceeded, f
	return nil
}

func readRefund(c *Connector, e event, in *bellhop.Inbound) error {
	var o refund
	if err := read(e, &o, &o.ID); err != nil {
		return err
	}
	f := fact(e, bellhop.FactRefund, o.ID, o.Currency, ref{})
	f.Refs, f.Amount = refs(o.Charge.ID, o.PaymentIntent.ID), o.Amount
	f.Reason = cut(first(o.FailureReason, o.Reason))
	switch o.Status {
	case "succeeded":
		f.Status = bellhop.FactSucceeded
	case "failed":
		f.Status = bellhop.FactFailed
	case "canceled":
		f.Status = bellhop.FactCanceled
	default: // pending, requires_action
		f.Status = bellhop.FactPending
	}
	if len(f.Refs) == 0 {
		return nil // money given back without a payment: nothing to put it on
	}
	in.Kind, in.Payment = bellhop.KindPaymentRefunded, f
	return nil
}

func readDispute(c *Connector, e event, in *bellhop.Inbound) error {
	var o dispute
	if err := read(e, &o, &o.ID); err != nil {
		return err
	}
	f := fact(e, bellhop.FactDispute, o.ID, o.Currency, ref{})
	f.Refs, f.Amount, f.Reason = refs(o.Charge.ID, o.PaymentIntent.ID), o.Amount, cut(o.Reason)
	switch o.Status {
	case "won", "warning_closed", "prevented":
		f.Status = bellhop.FactWon // the money stays
	case "lost":
		f.Status = bellhop.FactLost
	default: // needs_response, under_review, warning_needs_response, warning_under_review
		f.Status = bellhop.FactOpen
	}
	if len(f.Refs) == 0 {
		return nil
	}
	in.Kind, in.Payment = bellhop.KindPaymentDisputed, f
	return nil
}

func readSubscription(c *Connector, e event, in *bellhop.Inbound) error {
	var o subscription
	if err := read(e, &o, &o.ID); err != nil {
		return err
	}
	in.Person = c.hint(o.Customer, "", "", "")
	s := &bellhop.SubscriptionFact{Ref: o.ID, At: unix(e.Created), Status: subscriptionStatus(o.Status),
		CancelAtPeriodEnd: o.CancelAtPeriodEnd || (o.CancelAt != nil && *o.CancelAt > 0),
		CurrentPeriodEnd:  unix(o.CurrentPeriodEnd), Plan: o.Plan.name()}
	if validID(o.Customer.ID) {
		s.CustomerRef = o.Customer.ID
	}
	if len(o.Items.Data) > 0 {
		item := o.Items.Data[0]
		s.Plan = first(item.Price.name(), item.Plan.name(), s.Plan)
		if t := unix(item.CurrentPeriodEnd); !t.IsZero() {
			s.CurrentPeriodEnd = t
		}
	}
	s.Plan = cut(s.Plan)
	switch e.Type {
	case "customer.subscription.created":
		in.Kind = bellhop.KindSubscriptionCreated
	case "customer.subscription.deleted":
		in.Kind, s.Status = bellhop.KindSubscriptionCancelled, bellhop.SubscriptionCancelled
	default:
		in.Kind = bellhop.KindSubscriptionUpdated
	}
	in.Subscription = s
	return nil
}

// subscriptionStatus: https://docs.stripe.com/api/subscriptions/object#subscription_object-status
func subscriptionStatus(s string) bellhop.SubscriptionStatus {
	switch s {
	case "trialing":
		return bellhop.SubscriptionTrialing
	case "active":
		return bellhop.SubscriptionActive
	case "past_due", "unpaid":
		return bellhop.SubscriptionPastDue
	case "paused":
		return bellhop.SubscriptionPaused
	case "canceled", "incomplete_expired":
		return bellhop.SubscriptionCancelled
	default:
		return bellhop.SubscriptionIncomplete
	}
}

// readCustomer joins a customer id and an address; nothing else follows from it.
func readCustomer(c *Connector, e event, in *bellhop.Inbound) error {
	var o struct {
		ID    string `json:"id"`
		Email string `json:"email"`
		Name  string `json:"name"`
		Phone string `json:"phone"`
	}
	if err := read(e, &o, &o.ID); err != nil {
		return err
	}
	in.Person = c.hint(ref{ID: o.ID}, o.Email, o.Name, o.Phone)
	return nil
}
