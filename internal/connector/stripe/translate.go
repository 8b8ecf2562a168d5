package stripe

import (
	"bytes"
	"strings"
	"unicode/utf8"

	json "github.com/go-json-experiment/json/v1"

	"bellhop"
	"bellhop/internal/connector"
)

// translate reads a verified body and puts it into Bellhop's words.
func (c *Connector) translate(body []byte) (bellhop.Inbound, error) {
	e, err := c.parseEvent(body)
	if err != nil {
		return bellhop.Inbound{}, err
	}
	in := bellhop.Inbound{ExternalID: e.ID, Kind: bellhop.KindOther, VendorType: cut(e.Type), Live: e.Livemode,
		OccurredAt: unix(e.Created)}
	if read := translatorOf(e.Type); read != nil {
		if err := read(c, e, &in); err != nil {
			return bellhop.Inbound{}, malformed(err, "the %s event's object cannot be read", cut(e.Type))
		}
	}
	return in, nil
}

// parseEvent reads and checks the envelope.
func (c *Connector) parseEvent(body []byte) (event, error) {
	var e event
	if !utf8.Valid(body) || holdsNUL(body) {
		return e, malformed(nil, "the body is not UTF-8 text without NUL")
	}
	// encoding/json refuses more than 10,000 levels by itself and does not recurse
	// into what has no field here.
	err := json.Unmarshal(body, &e)
	// Looked at before the error: members of a thin event have other types, but its
	// "object" has been read by then.
	if strings.HasPrefix(e.Object, "v2.") {
		return e, bellhop.Errorf(bellhop.CodeMalformed,
			"In Stripe's dashboard make the event destination with the payload style \"Snapshot\", not \"Thin\".",
			"this is a thin event (%s), which carries no object", cut(e.Object))
	}
	if err != nil {
		return e, malformed(err, "the body is not the JSON of an event")
	}
	if !validID(e.ID) || e.Type == "" || (e.Object != "" && e.Object != "event") {
		return e, malformed(nil, "the body is not an event of Stripe")
	}
	if e.Livemode != c.live {
		return e, bellhop.Errorf(bellhop.CodeModeMismatch,
			"Give each mode a connection of its own, with the key and the signing secret of that mode.",
			"a %s event came to a connection with a %s key", mode(e.Livemode), mode(c.live))
	}
	return e, nil
}

func mode(live bool) string {
	if live {
		return "live"
	}
	return "test"
}

func malformed(cause error, format string, args ...any) *bellhop.Error {
	e := bellhop.Errorf(bellhop.CodeMalformed, "Look at the event in Stripe's dashboard; if it is whole there, report it with its id.",
		format, args...)
	e.Err = cause
	return e
}

// holdsNUL finds NUL as a byte or as a JSON escape: Postgres takes neither in text.
func holdsNUL(body []byte) bool {
	if bytes.IndexByte(body, 0) >= 0 {
		return true
	}
	esc := []byte(`\u0000`)
	for from := 0; ; {
		i := bytes.Index(body[from:], esc)
		if i < 0 {
			return false
		}
		at := from + i
		slashes := 0
		for j := at - 1; j >= 0 && body[j] == '\\'; j-- {
			slashes++
		}
		if slashes%2 == 0 { // otherwise the backslash is itself escaped
			return true
		}
		from = at + len(esc)
	}
}

// translator fills in what an event of one type says.
type translator func(c *Connector, e event, in *bellhop.Inbound) error

// translatorOf returns the translator of an event type, nil for types from which
// nothing follows here: they are kept as KindOther.
// Source of the types: the enum of enabled_events in Stripe's OpenAPI document.
func translatorOf(eventType string) translator {
	switch eventType {
	case "charge.succeeded", "charge.captured", "charge.failed", "charge.refunded":
		return readCharge
	case "payment_intent.succeeded", "payment_intent.payment_failed":
		return readPaymentIntent
	case "checkout.session.completed", "checkout.session.async_payment_succeeded", "checkout.session.async_payment_failed":
		return readSession
	case "invoice.paid", "invoice.payment_succeeded", "invoice.payment_failed":
		return readInvoice
	case "invoice_payment.paid":
		return readInvoicePayment
	case "refund.created", "refund.updated", "refund.failed", "charge.refund.updated":
		return readRefund
	case "charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed",
		"charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated":
		return readDispute
	case "customer.subscription.created", "customer.subscription.updated", "customer.subscription.deleted",
		"customer.subscription.paused", "customer.subscription.resumed":
		return readSubscription
	case "customer.created", "customer.updated":
		return readCustomer
	}
	return nil
}

// read decodes the event's object and checks that it has an id.
func read(e event, dst any, id *string) error {
	if err := json.Unmarshal(e.Data.Object, dst); err != nil {
		return err
	}
	if !validID(*id) {
		return errNoID
	}
	return nil
}

// hint makes the person's hint. Empty members say nothing.
func (c *Connector) hint(customer ref, email, name, phone string) bellhop.PersonHint {
	h := bellhop.PersonHint{Email: cut(first(email, customer.Email)), Name: cut(first(name, customer.Name)), Phone: cut(phone)}
	if validID(customer.ID) {
		h.CustomerRef = c.connection + ":" + customer.ID
	}
	return h
}

// cut bounds what is kept of a text.
func cut(s string) string { return connector.CutText(s, 500) }
