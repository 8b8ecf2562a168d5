package bellhop

import "time"

// Change is something that became true by taking in an event: what policy plans from.
// A change is computed by the projections, so an event that tells nothing new (the
// second event of one payment) makes none.
type Change struct {
	Kind Kind
	// Key tells this change from every other of its kind, for ever: the payment and
	// what it reached, the lead's revision, the event. Step keys are made from it.
	Key string

	// RequestID is the customer's request that this change is, for payment.succeeded.
	RequestID string

	// PreviousEmail is the e-mail that a customer corrected, when the contact made for it
	// is to be renamed; FiledUnder is the e-mail that the conversation's note is filed under.
	PreviousEmail string
	FiledUnder    string

	Lead         *Lead         // lead.captured
	Said         *LeadFields   // lead.captured: what somebody said who may not change the lead; else nil
	Payment      *Payment      // payment.*
	RefundDelta  int64         // payment.refunded: what was refunded by this change
	Detail       string        // the vendor's reason of a failure or dispute
	Subscription *Subscription // subscription.*
	Support      *SupportAsk   // support.requested, person.asked_for_human, billing.unsure
}

// SupportAsk is what is known when a person is needed.
type SupportAsk struct {
	RequestID string // the support request this makes, or joins when Existing
	Existing  bool   // an open request of the same conversation and matter
	Reason    Reason
	Subject   string
	Body      string
	Priority  Priority // "" lets policy decide
}

// PlanInput is everything policy looks at. It is data: policy does no I/O.
type PlanInput struct {
	Event          Event
	Changes        []Change
	Person         Person
	ConversationID string
	LeadRequestID  string // the customer's request that lead steps serve
	Text           string // the customer's words, when the event is a message
	Now            time.Time
	NewID          func() string // ids for what the plan makes
}

// Target is a connection that can take an action.
type Target struct {
	Connection string
	Vendor     string
	Actions    []Action
}

// Can reports whether the target takes an action.
func (t Target) Can(a Action) bool {
	for _, x := range t.Actions {
		if x == a {
			return true
		}
	}
	return false
}

// Plan is what follows from an event. It is committed with the event or not at all.
type Plan struct {
	Steps   []PlannedStep
	Support []SupportRequest // new support requests, with ids the changes carry
	Touch   []SupportTouch   // open support requests that learned something
}

// PlannedStep is a step to be.
type PlannedStep struct {
	Connection string
	Action     Action
	Key        string // unique for ever
	Input      any    // the action's input type
	RequestID  string // the customer's request it serves, "" for none
	// MayExist is set when the key can have been planned by an earlier event.
	MayExist bool
}

// SupportTouch raises the priority of, or adds a line to, an open support request.
type SupportTouch struct {
	ID       string
	Priority Priority
	Line     string
}

// PlanFunc is policy as the store calls it inside the transaction.
type PlanFunc func(PlanInput) Plan

// PaymentFold is the state of a payment between two events: what internal/payments
// needs to fold the next fact in, as JSON, and the payment it adds up to.
type PaymentFold struct {
	State   []byte
	Payment Payment
	// Failure is the newest reason of a failed try, Dispute the newest of a dispute.
	Failure string
	Dispute string
}

// FoldFunc folds facts into the state of one payment. It is pure, and the result is
// the same for every order and repetition of the same facts.
type FoldFunc func(state []byte, facts []PaymentFact) (PaymentFold, error)

// MergeFunc joins the states of two payments that turned out to be one.
type MergeFunc func(a, b []byte) ([]byte, error)
