package store

import (
	"context"
	"crypto/sha256"
	"errors"

	"bellhop"
)

// Intake is one verified and validated thing to take in. Exactly one of Chat, Lead,
// Support, Payment and Subscription is set, or none for an event that is only kept.
type Intake struct {
	Event          bellhop.Event // ID, Source, ExternalID, Kind, CorrelationID, Body, times
	VendorType     string
	ConversationID string
	BodyHash       [32]byte // of what makes a repeat the same request
	Owner          bellhop.Owner
	Person         bellhop.PersonHint
	Chat           *ChatTurn
	Lead           *LeadAsk
	Support        *bellhop.SupportAsk
	Payment        *bellhop.PaymentFact
	Subscription   *bellhop.SubscriptionFact
}

// ChatTurn is a customer's message with the reply and the decision that was proposed.
type ChatTurn struct {
	ClientID string
	Text     string
	Reply    string
	ReplyID  string // "" has one made
	Decision bellhop.Decision
	Ask      *bellhop.SupportAsk // set when a person is needed
}

// LeadAsk is a lead that a server or user handed in.
type LeadAsk struct {
	Fields bellhop.LeadFields
	Source string
}

// Accepted is the answer to one Intake.
type Accepted struct {
	EventID string // of the first delivery, when this one is a duplicate
	// Duplicate is set when the event was there already: nothing was changed.
	Duplicate bool
	// Conflict is set with Duplicate when the same id came with another body.
	Conflict bool
	PersonID string
	Steps    int
}

// Policies are the pure functions that acceptance calls inside its transaction.
type Policies struct {
	Plan  bellhop.PlanFunc
	Fold  bellhop.FoldFunc
	Merge bellhop.MergeFunc
}

// Acceptor commits intakes in groups: the event, its projections, its steps and their
// jobs in one transaction.
type Acceptor struct {
	db  *DB
	pol Policies
	g   *group[Intake, Accepted]
}

// NewAcceptor starts the committers; Close stops them.
func NewAcceptor(db *DB, pol Policies) *Acceptor {
	a := &Acceptor{db: db, pol: pol}
	committers := 1
	if db.kind == Postgres {
		committers = 2
	}
	a.g = newGroup(committers, 256, a.commit)
	return a
}

// Accept returns after the commit. An error means that nothing was stored, unless ctx
// ended first: then the intake may be stored, and sending it again is answered as a
// duplicate.
func (a *Acceptor) Accept(ctx context.Context, in Intake) (Accepted, error) {
	return a.g.do(ctx, in)
}

// Close waits for what is being committed.
func (a *Acceptor) Close() { a.g.close() }

// errRaced is returned when another transaction changed in between what was looked at, as
// making the same row does too; the transaction runs again and finds it.
var errRaced = errors.New("another transaction was faster")

func (a *Acceptor) commit(ctx context.Context, items []Intake) ([]Accepted, error) {
	var b *batch
	err := errRaced
	for try := 0; try < 5 && (errors.Is(err, errRaced) || isUnique(err)); try++ {
		err = a.db.tx(ctx, func(t *Tx) error {
			b = newBatch(t, a.pol, items)
			return b.run(ctx)
		})
	}
	if err != nil {
		return nil, err
	}
	a.db.written()
	if a.db.queue != nil && len(b.jobs) > 0 {
		a.db.queue.Committed(b.jobs)
	}
	a.db.hub.Wake(b.topics...)
	return b.out, nil
}

// batch is one group of intakes on its way through one transaction. Each phase reads
// and writes for all of them at once; the intakes see each other's effects in order.
type batch struct {
	t     *Tx
	pol   Policies
	items []Intake
	out   []Accepted
	fresh []int // indexes of the items that are no duplicates

	convs     map[string]*convRow
	keys      map[string]string // person key → person id
	newKeys   []string
	corrected map[int]string    // item → the e-mail that its turn replaced
	moved     map[string]string // customer key → the nameless person it was of
	persons   map[string]*personRow
	leads     map[string]*leadRow
	pays      map[string]*payRow
	halves    map[string][]*payRow // customer → their payments of this group
	refs      map[string]string    // payment ref → payment id
	newRefs   []string
	subs      map[string]*subRow
	requests  map[string]*requestRow
	changes   [][]bellhop.Change
	leadReq   []string          // per item: the request that lead steps serve
	lanes     map[string]string // support request → the person whose lane its ticket is in

	steps   []*stepRow
	support []bellhop.SupportRequest
	touches []bellhop.SupportTouch
	jobs    []Job
	topics  []string
}

func newBatch(t *Tx, pol Policies, items []Intake) *batch {
	return &batch{t: t, pol: pol, items: items, out: make([]Accepted, len(items)),
		convs: map[string]*convRow{}, keys: map[string]string{}, moved: map[string]string{},
		corrected: map[int]string{}, persons: map[string]*personRow{},
		leads: map[string]*leadRow{}, pays: map[string]*payRow{}, halves: map[string][]*payRow{}, refs: map[string]string{},
		subs: map[string]*subRow{}, requests: map[string]*requestRow{},
		lanes: map[string]string{}, changes: make([][]bellhop.Change, len(items)), leadReq: make([]string, len(items))}
}

func (b *batch) run(ctx context.Context) error {
	for _, phase := range []func(context.Context) error{
		b.claimKeys, b.loadConversations, b.resolvePersons, b.insertEvents, b.takeChats, b.takeLeads,
		b.takeSupport, b.takePayments, b.takeSubscriptions, b.plan, b.write,
	} {
		if len(b.fresh) == 0 && b.keysClaimed() {
			return nil
		}
		if err := phase(ctx); err != nil {
			return err
		}
	}
	return nil
}

// keysClaimed reports whether claimKeys has run: every item then has an event id.
func (b *batch) keysClaimed() bool { return b.out[0].EventID != "" }

// keySize is the size of the digests that are kept for ever, in bytes: half a SHA-256 is
// as good as never the same twice, and half as large.
const keySize = 16

// keyDigest is a digest that is kept for ever.
type keyDigest = [keySize]byte

// digest is the key of an event for ever.
func digest(source, externalID string) keyDigest {
	h := sha256.New()
	h.Write([]byte(source))
	h.Write([]byte{0})
	h.Write([]byte(externalID))
	return keyDigest(h.Sum(nil)[:keySize])
}

// claimKeys tells the first delivery of every event from its repeats.
func (b *batch) claimKeys(ctx context.Context) error {
	first := map[keyDigest]int{}
	var order []keyDigest
	for i, it := range b.items {
		d := digest(it.Event.Source, it.Event.ExternalID)
		if _, ok := first[d]; !ok {
			first[d] = i
			order = append(order, d)
		}
	}
	sortDigests(order) // one order for all nodes, so that two groups cannot deadlock
	rows := make([][]any, len(order))
	for n, d := range order {
		it := &b.items[first[d]]
		rows[n] = []any{d[:], it.Event.ID, it.BodyHash[:keySize]}
	}
	fresh, err := b.t.insertNew(ctx, "INSERT INTO bellhop.event_keys (digest::bytea, event_id::uuid, body_hash::bytea)", "digest", rows)
	if err != nil {
		return err
	}
	won := map[keyDigest]bool{}
	for n, d := range order {
		won[d] = fresh[n]
	}
	for i, it := range b.items {
		d := digest(it.Event.Source, it.Event.ExternalID)
		switch f := first[d]; {
		case won[d] && f == i:
			b.out[i] = Accepted{EventID: it.Event.ID}
			b.fresh = append(b.fresh, i)
		case won[d]: // a repeat within the group
			b.out[i] = Accepted{EventID: b.items[f].Event.ID, Duplicate: true, Conflict: b.items[f].BodyHash != it.BodyHash}
		default:
			if err := b.readDuplicate(ctx, i, d); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *batch) readDuplicate(ctx context.Context, i int, d keyDigest) error {
	var id string
	var hash []byte
	err := b.t.queryRow(ctx, "SELECT event_id, body_hash FROM bellhop.event_keys WHERE digest = $1", d[:]).Scan(&id, &hash)
	if err != nil {
		return err
	}
	b.out[i] = Accepted{EventID: id, Duplicate: true, Conflict: string(hash) != string(b.items[i].BodyHash[:keySize])}
	return nil
}

func (b *batch) insertEvents(ctx context.Context) error {
	rows := make([][]any, 0, len(b.fresh))
	for _, i := range b.fresh {
		it := &b.items[i]
		e := &it.Event
		person := b.out[i].PersonID
		if person == "" {
			person = NoPerson
		}
		rows = append(rows, []any{e.ID, person, e.Source, e.ExternalID, string(e.Kind), it.VendorType, e.CorrelationID,
			nul(it.ConversationID), e.Body, e.OccurredAt, e.ReceivedAt})
	}
	return b.t.insertRows(ctx, `INSERT INTO bellhop.events (id::uuid, person_id::uuid, source, external_id, kind, vendor_type, correlation_id,
		conversation_id::uuid, body::bytea, occurred_at::timestamptz, received_at::timestamptz)`, "", rows, nil)
}
