package bellhop

import (
	"fmt"
	"strings"
	"time"
)

// Money is an amount in the currency's smallest unit, as payment providers count it.
type Money struct {
	Amount   int64  // smallest unit: cents, yen
	Currency string // ISO 4217, lower case as Stripe sends it
}

// String shows the amount with the currency's own number of decimals, "49.00 EUR".
func (m Money) String() string {
	cur := strings.ToUpper(m.Currency)
	sign, a := "", m.Amount
	if a < 0 {
		sign, a = "-", -a
	}
	switch currencyDecimals(m.Currency) {
	case 0:
		return fmt.Sprintf("%s%d %s", sign, a, cur)
	case 3:
		return fmt.Sprintf("%s%d.%03d %s", sign, a/1000, a%1000, cur)
	default:
		return fmt.Sprintf("%s%d.%02d %s", sign, a/100, a%100, cur)
	}
}

// currencyDecimals returns the number of decimals a provider's smallest unit has.
// Source: Stripe's list of zero-decimal and three-decimal currencies.
func currencyDecimals(c string) int {
	switch strings.ToLower(c) {
	case "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf":
		return 0
	case "bhd", "jod", "kwd", "omr", "tnd":
		return 3
	default:
		return 2
	}
}

// FactType says which part of a payment a fact tells about.
type FactType string

// The types of payment facts.
const (
	FactMoney   FactType = "money"   // money moved or failed to: charge, payment intent, paid checkout
	FactInvoice FactType = "invoice" // an invoice was paid or failed
	FactRefund  FactType = "refund"  // one refund object
	FactDispute FactType = "dispute" // one dispute object
	FactLink    FactType = "link"    // two ids are the same payment
)

// FactStatus is the state of the object a fact is about, in common words.
type FactStatus string

// The statuses of facts.
const (
	FactPending   FactStatus = "pending"
	FactSucceeded FactStatus = "succeeded"
	FactFailed    FactStatus = "failed"
	FactCanceled  FactStatus = "canceled"
	FactOpen      FactStatus = "open" // a dispute that is not decided
	FactWon       FactStatus = "won"
	FactLost      FactStatus = "lost"
)

// PaymentFact is what one provider event says about one payment. Facts may arrive
// twice and in any order; internal/payments folds them into a Payment.
type PaymentFact struct {
	Refs           []string // every id of the vendor that names this same payment: pi_…, ch_…, in_…, cs_…
	Object         string   // the object the fact is about: ch_…, re_…, dp_…
	Type           FactType
	Status         FactStatus
	Amount         int64  // smallest unit; of the object
	AmountRefunded int64  // total so far, where the object carries it
	Currency       string // lower case
	CustomerRef    string // the vendor's customer id
	Reason         string // the vendor's reason of a failure or dispute
	Description    string
	At             time.Time // when the vendor says it happened
}

// PaymentStatus is the state of a payment.
type PaymentStatus string

// The states of a payment.
const (
	PaymentPending           PaymentStatus = "pending"
	PaymentSucceeded         PaymentStatus = "succeeded"
	PaymentFailed            PaymentStatus = "failed"
	PaymentPartiallyRefunded PaymentStatus = "partially_refunded"
	PaymentRefunded          PaymentStatus = "refunded"
	PaymentDisputed          PaymentStatus = "disputed"
)

// Payment is the projection of the payment events of one provider object: derived,
// re-derivable, and the same whatever the order in which the events came.
type Payment struct {
	ID             string
	Connection     string
	PersonID       string
	Status         PaymentStatus
	Amount         int64
	AmountRefunded int64
	Currency       string
	Refs           []string
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// SubscriptionStatus is the state of a subscription in common words.
type SubscriptionStatus string

// The states of a subscription.
const (
	SubscriptionIncomplete SubscriptionStatus = "incomplete"
	SubscriptionTrialing   SubscriptionStatus = "trialing"
	SubscriptionActive     SubscriptionStatus = "active"
	SubscriptionPastDue    SubscriptionStatus = "past_due"
	SubscriptionPaused     SubscriptionStatus = "paused"
	SubscriptionCancelled  SubscriptionStatus = "cancelled"
)

// SubscriptionFact is what one provider event says about one subscription.
type SubscriptionFact struct {
	Ref               string // the vendor's subscription id
	Status            SubscriptionStatus
	CustomerRef       string
	Plan              string
	CancelAtPeriodEnd bool
	CurrentPeriodEnd  time.Time // zero when the event does not tell
	At                time.Time
}

// Subscription is the projection of the subscription events of one provider object.
type Subscription struct {
	ID                string
	Connection        string
	Ref               string
	PersonID          string
	Status            SubscriptionStatus
	Plan              string
	CancelAtPeriodEnd bool
	CurrentPeriodEnd  time.Time
	ConfirmedAt       time.Time // the newest vendor time folded in
	UpdatedAt         time.Time
}
