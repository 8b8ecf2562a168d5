// Package payments turns the facts that payment events tell into one payment: derived,
// re-derivable, and the same for every order and repetition of the events.
package payments

import (
	"encoding/json"
	"fmt"
	"time"

	"bellhop"
)

// object is what is known of one of the provider's objects: a charge, a refund, …
type object struct {
	Type     bellhop.FactType   `json:"t"`
	Status   bellhop.FactStatus `json:"s"`
	StatusAt time.Time          `json:"sa"` // when the winning status was told
	Amount   int64              `json:"a,omitempty"`
	Refunded int64              `json:"r,omitempty"`
	At       time.Time          `json:"at"` // when Refunded was told
	Currency string             `json:"c,omitempty"`
	Customer string             `json:"cu,omitempty"`
	Reason   string             `json:"re,omitempty"`
}

type state struct {
	Objects map[string]object `json:"o"`
}

var _ bellhop.FoldFunc = Fold

// Fold puts facts into the state of a payment and returns the new state and the payment
// it adds up to. Each fact joins what is known of its object by rules that commute and
// are idempotent, and the payment is computed from the objects alone: that is what makes
// the result independent of order and repetition.
func Fold(prev []byte, facts []bellhop.PaymentFact) (bellhop.PaymentFold, error) {
	st := state{Objects: map[string]object{}}
	if len(prev) > 0 {
		if err := json.Unmarshal(prev, &st); err != nil {
			return bellhop.PaymentFold{}, fmt.Errorf("payments: stored state: %w", err)
		}
	}
	for _, f := range facts {
		if f.Object == "" || f.Type == bellhop.FactLink {
			continue // a link only joins ids
		}
		o := fromFact(f)
		if old, ok := st.Objects[f.Object]; ok {
			o = join(old, o)
		}
		st.Objects[f.Object] = o
	}
	data, err := json.Marshal(st)
	if err != nil {
		return bellhop.PaymentFold{}, fmt.Errorf("payments: state: %w", err)
	}
	out := derive(st)
	out.State = data
	return out, nil
}

// Merge puts the state of two payments that turned out to be one together.
func Merge(a, b []byte) ([]byte, error) {
	var x, y state
	if err := json.Unmarshal(a, &x); err != nil {
		return nil, fmt.Errorf("payments: stored state: %w", err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		return nil, fmt.Errorf("payments: stored state: %w", err)
	}
	if x.Objects == nil {
		x.Objects = map[string]object{}
	}
	for id, o := range y.Objects {
		if old, ok := x.Objects[id]; ok {
			o = join(old, o)
		}
		x.Objects[id] = o
	}
	return json.Marshal(x)
}

func fromFact(f bellhop.PaymentFact) object {
	at := f.At.UTC()
	return object{Type: f.Type, Status: f.Status, StatusAt: at, Amount: f.Amount, Refunded: f.AmountRefunded, At: at,
		Currency: f.Currency, Customer: f.CustomerRef, Reason: f.Reason}
}

// rank orders the statuses of an object: a later state of its life has the higher rank,
// whatever the vendor's clock says.
func rank(s bellhop.FactStatus) int {
	switch s {
	case bellhop.FactPending:
		return 1
	case bellhop.FactOpen:
		return 2
	case bellhop.FactFailed:
		return 3
	case bellhop.FactCanceled:
		return 4
	case bellhop.FactSucceeded:
		return 5
	case bellhop.FactWon:
		return 6
	case bellhop.FactLost:
		return 7
	default:
		return 0
	}
}

// rankFor differs for refunds: a refund that succeeded can still fail later.
func rankFor(t bellhop.FactType, s bellhop.FactStatus) int {
	if t == bellhop.FactRefund && s == bellhop.FactSucceeded {
		return 2
	}
	return rank(s)
}

func join(a, b object) object {
	out := a
	if a.Type != b.Type {
		// The same id told about under two types: keep the stronger word for the sum.
		if typeRank(b.Type) > typeRank(a.Type) {
			out.Type = b.Type
		}
	}
	ra, rb := rankFor(out.Type, a.Status), rankFor(out.Type, b.Status)
	switch {
	case rb > ra, rb == ra && b.StatusAt.After(a.StatusAt):
		out.Status, out.StatusAt = b.Status, b.StatusAt
		out.Reason = b.Reason // a weaker state's reason says nothing about this one
	case rb == ra && b.StatusAt.Equal(a.StatusAt):
		out.Reason = max(a.Reason, b.Reason)
	}
	out.Amount = max(a.Amount, b.Amount)
	switch {
	case b.At.After(a.At):
		out.Refunded, out.At = b.Refunded, b.At
	case b.At.Equal(a.At):
		out.Refunded = max(a.Refunded, b.Refunded)
	}
	out.Currency = max(a.Currency, b.Currency)
	out.Customer = max(a.Customer, b.Customer)
	return out
}

func typeRank(t bellhop.FactType) int {
	switch t {
	case bellhop.FactMoney:
		return 3
	case bellhop.FactInvoice:
		return 2
	default:
		return 1
	}
}

// sums are what the objects of one payment add up to.
type sums struct {
	paid, failed         bool
	amount, asked        int64
	chargeRefunded       int64
	chargeAt             time.Time
	refundsKept          int64
	disputed             bool
	currency, customer   string
	failure, dispute     string
	failureAt, disputeAt time.Time
}

func derive(st state) bellhop.PaymentFold {
	var s sums
	for _, o := range st.Objects {
		s.add(o)
	}
	refunded := s.chargeRefunded
	for _, o := range st.Objects {
		// The charge counted this refund before it failed.
		if o.Type == bellhop.FactRefund && rankFor(o.Type, o.Status) > 2 && !o.StatusAt.Before(s.chargeAt) {
			refunded -= o.Amount
		}
	}
	refunded = max(refunded, s.refundsKept, 0)
	p := bellhop.Payment{Amount: s.amount, AmountRefunded: refunded, Currency: s.currency, Status: s.status(refunded)}
	if p.Amount == 0 {
		p.Amount = s.asked
	}
	return bellhop.PaymentFold{Payment: p, Failure: s.failure, Dispute: s.dispute}
}

func (s *sums) add(o object) {
	s.currency = max(s.currency, o.Currency)
	s.customer = max(s.customer, o.Customer)
	switch o.Type {
	case bellhop.FactMoney, bellhop.FactInvoice:
		s.addMoney(o)
	case bellhop.FactRefund:
		if rankFor(o.Type, o.Status) <= 2 {
			s.refundsKept += o.Amount
		}
	case bellhop.FactDispute:
		s.disputed = s.disputed || o.Status == bellhop.FactOpen || o.Status == bellhop.FactLost
		if later(o, s.disputeAt, s.dispute) {
			s.dispute, s.disputeAt = o.Reason, o.StatusAt
		}
	}
}

func (s *sums) addMoney(o object) {
	s.asked = max(s.asked, o.Amount)
	if o.Refunded > s.chargeRefunded || (o.Refunded == s.chargeRefunded && o.At.After(s.chargeAt)) {
		s.chargeRefunded, s.chargeAt = o.Refunded, o.At
	}
	switch o.Status {
	case bellhop.FactSucceeded:
		s.paid = true
		s.amount = max(s.amount, o.Amount)
	case bellhop.FactFailed, bellhop.FactCanceled:
		s.failed = true
		if later(o, s.failureAt, s.failure) {
			s.failure, s.failureAt = o.Reason, o.StatusAt
		}
	}
}

// later orders reasons by time and, for the same instant, by text: map order must not show.
func later(o object, at time.Time, reason string) bool {
	return o.StatusAt.After(at) || (o.StatusAt.Equal(at) && o.Reason > reason)
}

func (s *sums) status(refunded int64) bellhop.PaymentStatus {
	switch {
	case s.disputed:
		return bellhop.PaymentDisputed
	case s.paid && refunded >= s.amount && s.amount > 0:
		return bellhop.PaymentRefunded
	case s.paid && refunded > 0:
		return bellhop.PaymentPartiallyRefunded
	case s.paid:
		return bellhop.PaymentSucceeded
	case s.failed:
		return bellhop.PaymentFailed
	default:
		return bellhop.PaymentPending
	}
}
