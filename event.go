package bellhop

import "time"

// Kind is the kind of an event, "lead.captured" and so on.
type Kind string

// The kinds of events that policy knows.
const (
	KindMessage               Kind = "chat.message"
	KindLeadCaptured          Kind = "lead.captured"
	KindPaymentSucceeded      Kind = "payment.succeeded"
	KindPaymentFailed         Kind = "payment.failed"
	KindPaymentRefunded       Kind = "payment.refunded"
	KindPaymentDisputed       Kind = "payment.disputed"
	KindSubscriptionCreated   Kind = "subscription.created"
	KindSubscriptionUpdated   Kind = "subscription.updated"
	KindSubscriptionCancelled Kind = "subscription.cancelled"
	KindSupportRequested      Kind = "support.requested"
	KindAskedForHuman         Kind = "person.asked_for_human"
	KindBillingUnsure         Kind = "billing.unsure"
	// KindOther is an event that was kept and that nothing follows from.
	KindOther Kind = "other"
)

// Kinds lists every kind, in the order of the documentation.
func Kinds() []Kind {
	return []Kind{KindMessage, KindLeadCaptured, KindPaymentSucceeded, KindPaymentFailed, KindPaymentRefunded,
		KindPaymentDisputed, KindSubscriptionCreated, KindSubscriptionUpdated, KindSubscriptionCancelled,
		KindSupportRequested, KindAskedForHuman, KindBillingUnsure, KindOther}
}

// Event is an immutable fact that came in. (Source, ExternalID) is unique for ever.
type Event struct {
	ID            string
	Source        string // the connection's name, "chat", "api"
	ExternalID    string // the id the source gave it
	Kind          Kind
	PersonID      string
	CorrelationID string
	Body          []byte // as received
	OccurredAt    time.Time
	ReceivedAt    time.Time
}

// Inbound is what a connector's verifier makes of one verified delivery: the event's
// own id, what it is about in Bellhop's words, and whom it concerns.
type Inbound struct {
	ExternalID   string
	Kind         Kind // KindOther when the vendor's type means nothing here
	VendorType   string
	Live         bool // the vendor's live mode, as opposed to its test mode
	OccurredAt   time.Time
	Person       PersonHint
	Payment      *PaymentFact      // set for payment kinds
	Subscription *SubscriptionFact // set for subscription kinds
}
