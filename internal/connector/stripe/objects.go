package stripe

import (
	"bytes"
	"strings"
	"time"

	json "github.com/go-json-experiment/json/v1"
)

// The objects hold only what is read. Members that Stripe has moved since older API
// versions are read in both places, because an endpoint keeps the version it was made
// with. Source: https://docs.stripe.com/api and the changelog of 2025-03-31.basil.
//
// stripe-go's types are not used here: they follow one API version, so what older
// endpoints send is lost in them. Tests use them as the measure.

// event is the envelope. Source: https://docs.stripe.com/api/events/object
type event struct {
	ID       string `json:"id"`
	Object   string `json:"object"`
	Type     string `json:"type"`
	Created  int64  `json:"created"`
	Livemode bool   `json:"livemode"`
	Data     struct {
		Object json.RawMessage `json:"object"`
	} `json:"data"`
}

// ref is a member that is an id or, when expanded, the whole object.
// Source: https://docs.stripe.com/api/expanding_objects
type ref struct {
	ID    string
	Email string // of an expanded customer
	Name  string
}

// UnmarshalJSON takes a string, an object or null. Anything else says nothing.
func (r *ref) UnmarshalJSON(data []byte) error {
	*r = ref{}
	data = bytes.TrimSpace(data)
	if len(data) == 0 {
		return nil
	}
	switch data[0] {
	case '"':
		return json.Unmarshal(data, &r.ID)
	case '{':
		var obj struct {
			ID    string  `json:"id"`
			Email *string `json:"email"`
			Name  *string `json:"name"`
		}
		if err := json.Unmarshal(data, &obj); err != nil {
			return err
		}
		r.ID, r.Email, r.Name = obj.ID, val(obj.Email), val(obj.Name)
	}
	return nil
}

type contact struct {
	Email string `json:"email"`
	Name  string `json:"name"`
	Phone string `json:"phone"`
}

// charge: https://docs.stripe.com/api/charges/object
type charge struct {
	ID             string  `json:"id"`
	Amount         int64   `json:"amount"`
	AmountCaptured *int64  `json:"amount_captured"`
	AmountRefunded int64   `json:"amount_refunded"`
	Currency       string  `json:"currency"`
	Status         string  `json:"status"`
	Captured       *bool   `json:"captured"`
	Customer       ref     `json:"customer"`
	PaymentIntent  ref     `json:"payment_intent"`
	Invoice        ref     `json:"invoice"` // before basil
	BillingDetails contact `json:"billing_details"`
	ReceiptEmail   string  `json:"receipt_email"`
	Description    string  `json:"description"`
	FailureMessage string  `json:"failure_message"`
	FailureCode    string  `json:"failure_code"`
}

// paymentIntent: https://docs.stripe.com/api/payment_intents/object
type paymentIntent struct {
	ID             string `json:"id"`
	Amount         int64  `json:"amount"`
	AmountReceived int64  `json:"amount_received"`
	Currency       string `json:"currency"`
	Customer       ref    `json:"customer"`
	LatestCharge   ref    `json:"latest_charge"`
	Invoice        ref    `json:"invoice"` // before basil
	ReceiptEmail   string `json:"receipt_email"`
	Description    string `json:"description"`
	LastError      *struct {
		Message     string `json:"message"`
		Code        string `json:"code"`
		DeclineCode string `json:"decline_code"`
		Charge      ref    `json:"charge"`
		Method      struct {
			BillingDetails contact `json:"billing_details"`
		} `json:"payment_method"`
	} `json:"last_payment_error"`
}

// session: https://docs.stripe.com/api/checkout/sessions/object
type session struct {
	ID              string  `json:"id"`
	Mode            string  `json:"mode"`           // payment, subscription, setup
	PaymentStatus   string  `json:"payment_status"` // paid, unpaid, no_payment_required
	AmountTotal     *int64  `json:"amount_total"`
	Currency        string  `json:"currency"`
	Customer        ref     `json:"customer"`
	CustomerDetails contact `json:"customer_details"`
	CustomerEmail   string  `json:"customer_email"`
	PaymentIntent   ref     `json:"payment_intent"`
	Invoice         ref     `json:"invoice"`
	Subscription    ref     `json:"subscription"`
}

// invoice: https://docs.stripe.com/api/invoices/object
type invoice struct {
	ID            string `json:"id"`
	AmountPaid    int64  `json:"amount_paid"`
	AmountDue     *int64 `json:"amount_due"`
	Currency      string `json:"currency"`
	Customer      ref    `json:"customer"`
	CustomerEmail string `json:"customer_email"`
	CustomerName  string `json:"customer_name"`
	CustomerPhone string `json:"customer_phone"`
	Description   string `json:"description"`
	Number        string `json:"number"`
	Charge        ref    `json:"charge"`         // before basil
	PaymentIntent ref    `json:"payment_intent"` // before basil
	Payments      struct {
		Data []struct {
			Status  string    `json:"status"`
			Payment paymentOf `json:"payment"`
		} `json:"data"`
	} `json:"payments"`
	LastError *struct {
		Message string `json:"message"`
	} `json:"last_finalization_error"`
}

// paymentOf is what paid an invoice.
type paymentOf struct {
	PaymentIntent ref `json:"payment_intent"`
	Charge        ref `json:"charge"`
}

// invoicePayment: https://docs.stripe.com/api/invoice-payment/object
type invoicePayment struct {
	ID         string    `json:"id"`
	AmountPaid int64     `json:"amount_paid"`
	Currency   string    `json:"currency"`
	Invoice    ref       `json:"invoice"`
	Payment    paymentOf `json:"payment"`
}

// refund: https://docs.stripe.com/api/refunds/object
type refund struct {
	ID            string `json:"id"`
	Amount        int64  `json:"amount"`
	Currency      string `json:"currency"`
	Status        string `json:"status"` // pending, requires_action, succeeded, failed, canceled
	Charge        ref    `json:"charge"`
	PaymentIntent ref    `json:"payment_intent"`
	Reason        string `json:"reason"`
	FailureReason string `json:"failure_reason"`
}

// dispute: https://docs.stripe.com/api/disputes/object
type dispute struct {
	ID            string `json:"id"`
	Amount        int64  `json:"amount"`
	Currency      string `json:"currency"`
	Status        string `json:"status"`
	Reason        string `json:"reason"`
	Charge        ref    `json:"charge"`
	PaymentIntent ref    `json:"payment_intent"`
}

// subscription: https://docs.stripe.com/api/subscriptions/object
type subscription struct {
	ID                string `json:"id"`
	Status            string `json:"status"`
	Customer          ref    `json:"customer"`
	CancelAtPeriodEnd bool   `json:"cancel_at_period_end"`
	CancelAt          *int64 `json:"cancel_at"`
	CurrentPeriodEnd  int64  `json:"current_period_end"` // before basil; now on the items
	Items             struct {
		Data []struct {
			CurrentPeriodEnd int64 `json:"current_period_end"`
			Price            plan  `json:"price"`
			Plan             plan  `json:"plan"`
		} `json:"data"`
	} `json:"items"`
	Plan plan `json:"plan"`
}

type plan struct {
	ID        string `json:"id"`
	Nickname  string `json:"nickname"`
	LookupKey string `json:"lookup_key"`
}

func (p plan) name() string { return first(p.Nickname, p.LookupKey, p.ID) }

func val(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// refs returns the ids that are there, each once.
func refs(ids ...string) []string {
	out := make([]string, 0, len(ids))
	seen := map[string]bool{}
	for _, id := range ids {
		if validID(id) && !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	return out
}

// validID takes what Stripe's ids are made of. Length: https://docs.stripe.com/upgrades
// says at most 255 characters.
func validID(id string) bool {
	return id != "" && len(id) <= 255 && strings.IndexFunc(id, func(r rune) bool {
		return !(r == '_' || r == '-' || (r >= '0' && r <= '9') || (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z'))
	}) < 0
}

func unix(secs int64) time.Time {
	if secs <= 0 || secs > 253402300799 { // the year 9999
		return time.Time{}
	}
	return time.Unix(secs, 0).UTC()
}
