package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"bellhop"
)

// told is what the world has been told of a payment: a change is told once, however
// many events prove it.
type told struct {
	Succeeded bool   `json:"succeeded,omitempty"`
	Failed    string `json:"failed,omitempty"` // the reason last told
	Refunded  int64  `json:"refunded,omitempty"`
	Disputed  bool   `json:"disputed,omitempty"`
}

type payRow struct {
	id, connection, personID string
	customerRef              string
	paidAt                   time.Time
	fold                     bellhop.PaymentFold
	told                     told
	hasMoney, hasInvoice     bool
	linked                   bool // the provider itself has told which invoice and charge it is
	mergedInto               string
	createdAt                time.Time
	dirty                    bool
	isNew                    bool // made by this group
}

// halfWindow is how far apart the invoice and the charge of one payment may be, when
// nothing but customer and amount joins them (since Stripe's 2025-03-31 API neither
// names the other).
const halfWindow = 10 * time.Minute

// takePayments folds the group's facts into payments and finds out what became true.
func (b *batch) takePayments(ctx context.Context) error {
	var refs []string
	for _, i := range b.fresh {
		if f := b.items[i].Payment; f != nil {
			refs = append(refs, paymentRefs(b.items[i].Event.Source, f)...)
		}
	}
	if len(refs) == 0 {
		return nil
	}
	slices.Sort(refs)
	refs = slices.Compact(refs)
	err := queryIn(ctx, b.t, "SELECT ref, payment_id FROM bellhop.payment_refs WHERE ref IN (?)", refs,
		func(r *sql.Rows) error {
			var ref, id string
			err := r.Scan(&ref, &id)
			b.refs[ref] = id
			return err
		})
	if err != nil {
		return err
	}
	ids := make([]string, 0, len(b.refs))
	for _, id := range b.refs {
		ids = append(ids, id)
	}
	if err := b.loadPayments(ctx, ids); err != nil {
		return err
	}
	if err := b.loadHalves(ctx); err != nil {
		return err
	}
	for _, i := range b.fresh {
		if b.items[i].Payment == nil {
			continue
		}
		if err := b.takePayment(ctx, i); err != nil {
			return err
		}
	}
	return b.writePayments(ctx)
}

func paymentRefs(connection string, f *bellhop.PaymentFact) []string {
	out := make([]string, 0, len(f.Refs))
	for _, r := range f.Refs {
		if r != "" {
			out = append(out, connection+":"+r)
		}
	}
	return out
}

func (b *batch) takePayment(ctx context.Context, i int) error {
	it, f := &b.items[i], b.items[i].Payment
	p, err := b.findPayment(ctx, i)
	if err != nil {
		return err
	}
	for _, ref := range paymentRefs(it.Event.Source, f) {
		if b.refs[ref] == "" {
			b.newRefs = append(b.newRefs, ref)
		}
		b.refs[ref] = p.id
	}
	if err := b.foldInto(p, f); err != nil {
		return err
	}
	if person := b.out[i].PersonID; person != "" && b.better(person, p.personID) {
		p.personID = person
	}
	if b.out[i].PersonID == "" && p.personID != NoPerson {
		b.out[i].PersonID = p.personID
	}
	return b.tellPayment(ctx, i, p)
}

func (b *batch) foldInto(p *payRow, f *bellhop.PaymentFact) error {
	out, err := b.pol.Fold(p.fold.State, []bellhop.PaymentFact{*f})
	if err != nil {
		return err
	}
	p.fold, p.dirty = out, true
	p.hasMoney = p.hasMoney || f.Type == bellhop.FactMoney
	p.hasInvoice = p.hasInvoice || f.Type == bellhop.FactInvoice
	p.linked = p.linked || f.Type == bellhop.FactLink
	if p.customerRef == "" {
		p.customerRef = f.CustomerRef
		b.ofCustomer(p)
	}
	if f.Status == bellhop.FactSucceeded && f.Type != bellhop.FactRefund && (p.paidAt.IsZero() || f.At.Before(p.paidAt)) {
		p.paidAt = f.At
	}
	return nil
}

// better reports whether a payment should be told of person a rather than b: one with
// an e-mail beats one without.
func (b *batch) better(a, old string) bool {
	if old == NoPerson {
		return true
	}
	pa, po := b.persons[a], b.persons[old]
	return a != old && pa != nil && pa.Email != "" && po != nil && po.Email == ""
}

// findPayment returns the payment that the fact of item i is about: by any of its ids,
// else by being the other half of one, else a new one. Ids that turn out to name two
// payments make them one.
func (b *batch) findPayment(ctx context.Context, i int) (*payRow, error) {
	it, f := &b.items[i], b.items[i].Payment
	var found *payRow
	for _, ref := range paymentRefs(it.Event.Source, f) {
		p, err := b.payment(ctx, b.refs[ref])
		if err != nil {
			return nil, err
		}
		switch {
		case p == nil, p == found:
		case found == nil:
			found = p
		case found.complete() && p.complete():
			// Two payments that are each whole are two, whatever a guess joined before.
		default:
			if found, err = b.mergePayments(found, p); err != nil {
				return nil, err
			}
		}
	}
	half := b.otherHalf(it.Event.Source, f, found)
	switch {
	case found != nil && half != nil:
		return b.mergePayments(found, half)
	case found != nil:
		return found, nil
	case half != nil:
		return half, nil
	}
	p := &payRow{id: NewID(), connection: it.Event.Source, personID: NoPerson, createdAt: b.t.now, isNew: true}
	b.pays[p.id] = p
	return p, nil
}

// payment returns a loaded payment, following merges; nil for "".
func (b *batch) payment(ctx context.Context, id string) (*payRow, error) {
	for id != "" {
		p := b.pays[id]
		if p == nil {
			if err := b.loadPayments(ctx, []string{id}); err != nil {
				return nil, err
			}
			if p = b.pays[id]; p == nil {
				return nil, fmt.Errorf("payment %s is named by a reference but does not exist", id)
			}
		}
		if p.mergedInto == "" {
			return p, nil
		}
		id = p.mergedInto
	}
	return nil, nil
}

func (b *batch) mergePayments(a, c *payRow) (*payRow, error) {
	if c.createdAt.Before(a.createdAt) || (c.createdAt.Equal(a.createdAt) && c.id < a.id) {
		a, c = c, a
	}
	st, err := b.pol.Merge(a.fold.State, c.fold.State)
	if err != nil {
		return nil, err
	}
	if a.fold, err = b.pol.Fold(st, nil); err != nil {
		return nil, err
	}
	a.hasMoney, a.hasInvoice = a.hasMoney || c.hasMoney, a.hasInvoice || c.hasInvoice
	a.linked = a.linked || c.linked
	if b.better(c.personID, a.personID) && c.personID != NoPerson {
		a.personID = c.personID
	}
	if a.customerRef == "" {
		a.customerRef = c.customerRef
		b.ofCustomer(a)
	}
	if a.told.Failed == "" {
		a.told.Failed = c.told.Failed
	}
	a.told.Succeeded = a.told.Succeeded || c.told.Succeeded
	a.told.Disputed = a.told.Disputed || c.told.Disputed
	a.told.Refunded = max(a.told.Refunded, c.told.Refunded)
	a.dirty, c.dirty, c.mergedInto = true, true, a.id
	return a, nil
}

// otherHalf finds the charge of an invoice or the invoice of a charge by customer,
// amount and time. known is the payment that the fact's own ids name, nil for none; one
// that has both halves already looks for no other.
func (b *batch) otherHalf(connection string, f *bellhop.PaymentFact, known *payRow) *payRow {
	if known != nil && (known.linked || known.hasInvoice || f.Type == bellhop.FactInvoice && known.hasMoney) {
		return nil
	}
	if !mayBeHalf(f) {
		return nil
	}
	var half *payRow
	for _, p := range b.halves[f.CustomerRef] {
		if p != known && p != half && !p.linked && p.connection == connection && p.mergedInto == "" &&
			p.fold.Payment.Amount == f.Amount && p.fold.Payment.Currency == f.Currency && !p.paidAt.IsZero() &&
			p.paidAt.Sub(f.At).Abs() <= halfWindow && halves(p, f) {
			if half != nil {
				return nil // two could be it: the provider's own link will tell
			}
			half = p
		}
	}
	return half
}

// ofCustomer notes a payment whose customer is known, for otherHalf.
func (b *batch) ofCustomer(p *payRow) {
	if p.customerRef != "" {
		b.halves[p.customerRef] = append(b.halves[p.customerRef], p)
	}
}

// mayBeHalf reports whether a fact can be one half of a payment.
func mayBeHalf(f *bellhop.PaymentFact) bool {
	return f.CustomerRef != "" && f.Status == bellhop.FactSucceeded && f.Amount != 0 &&
		(f.Type == bellhop.FactMoney || f.Type == bellhop.FactInvoice)
}

// loadHalves loads the payments of the group's customers that a fact of the group could
// be the other half of.
func (b *batch) loadHalves(ctx context.Context) error {
	var customers []string
	var from, to time.Time
	for _, i := range b.fresh {
		f := b.items[i].Payment
		if f == nil || !mayBeHalf(f) {
			continue
		}
		customers = append(customers, f.CustomerRef)
		if from.IsZero() || f.At.Before(from) {
			from = f.At
		}
		if f.At.After(to) {
			to = f.At
		}
	}
	slices.Sort(customers)
	var ids []string
	err := queryInWith(ctx, b.t, `SELECT id FROM bellhop.payments WHERE customer_ref IN (?) AND paid_at >= $1 AND paid_at <= $2
		AND customer_ref <> '' AND has_money <> has_invoice AND merged_into IS NULL`,
		[]any{from.Add(-halfWindow), to.Add(halfWindow)}, slices.Compact(customers), func(r *sql.Rows) error {
			var id string
			err := r.Scan(&id)
			ids = append(ids, id)
			return err
		})
	if err != nil {
		return err
	}
	return b.loadPayments(ctx, ids)
}

// complete reports whether both halves of a payment are known: merging it with another
// complete one would lose money.
func (p *payRow) complete() bool { return p.hasMoney && p.hasInvoice }

func halves(p *payRow, f *bellhop.PaymentFact) bool {
	if f.Type == bellhop.FactInvoice {
		return p.hasMoney && !p.hasInvoice
	}
	return p.hasInvoice && !p.hasMoney
}

// tellPayment makes the changes that the world has not been told of. Success waits for
// a person with an e-mail, because a payment that cannot be put to anybody helps no
// CRM; see UntoldPayments for those whose e-mail never comes.
func (b *batch) tellPayment(ctx context.Context, i int, p *payRow) error {
	pay := p.fold.Payment
	pay.ID, pay.Connection, pay.PersonID = p.id, p.connection, p.personID
	person := b.persons[p.personID]
	if person == nil && p.personID != NoPerson {
		if err := b.loadPerson(ctx, p.personID); err != nil {
			return err
		}
		person = b.persons[p.personID]
	}
	known := person != nil && person.Email != ""
	if known {
		b.out[i].PersonID = p.personID
	}
	add := func(k bellhop.Kind, key string, fill func(*bellhop.Change)) {
		c := bellhop.Change{Kind: k, Key: p.id + ":" + key, Payment: &pay}
		if fill != nil {
			fill(&c)
		}
		b.changes[i] = append(b.changes[i], c)
	}
	paid := pay.Status != bellhop.PaymentPending && pay.Status != bellhop.PaymentFailed
	if paid && known && !p.told.Succeeded {
		p.told.Succeeded = true
		// The customer can see what became of their payment when the product knows them.
		request := ""
		if person.UserID != "" {
			request = NewID()
			b.addRequest(i, request, bellhop.RequestPayment, bellhop.Owner{UserID: person.UserID})
		}
		add(bellhop.KindPaymentSucceeded, "succeeded", func(c *bellhop.Change) { c.RequestID = request })
	}
	if !known {
		return nil
	}
	if pay.Status == bellhop.PaymentFailed && p.told.Failed == "" {
		p.told.Failed = cmp.Or(p.fold.Failure, "failed")
		add(bellhop.KindPaymentFailed, "failed", func(c *bellhop.Change) { c.Detail = p.fold.Failure })
	}
	if delta := pay.AmountRefunded - p.told.Refunded; delta > 0 && pay.Amount > 0 && paid {
		p.told.Refunded = pay.AmountRefunded
		add(bellhop.KindPaymentRefunded, fmt.Sprintf("refunded:%d", pay.AmountRefunded),
			func(c *bellhop.Change) { c.RefundDelta = delta })
	}
	if pay.Status == bellhop.PaymentDisputed && !p.told.Disputed {
		p.told.Disputed = true
		add(bellhop.KindPaymentDisputed, "disputed", func(c *bellhop.Change) { c.Detail = p.fold.Dispute })
	}
	return nil
}
