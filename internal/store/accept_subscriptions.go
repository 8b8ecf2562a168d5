package store

import (
	"context"
	"database/sql"
	"maps"
	"slices"

	"bellhop"
)

type subRow struct {
	bellhop.Subscription
	key   string
	told  string // what the world has been told, see tellSubscription
	isNew bool
	dirty bool
}

// takeSubscriptions keeps the newest state of every subscription. An older event never
// overwrites a newer one, and a cancelled subscription does not come back to life: the
// vendors make a new one for that.
func (b *batch) takeSubscriptions(ctx context.Context) error {
	var keys []string
	for _, i := range b.fresh {
		if f := b.items[i].Subscription; f != nil {
			keys = append(keys, f.Ref)
		}
	}
	slices.Sort(keys)
	if err := b.loadSubscriptions(ctx, "ref", slices.Compact(keys)); err != nil {
		return err
	}
	if err := b.adoptSubscriptions(ctx); err != nil {
		return err
	}
	for _, i := range b.fresh {
		if b.items[i].Subscription != nil {
			b.takeSubscription(i)
		}
	}
	return b.writeSubscriptions(ctx)
}

func (b *batch) takeSubscription(i int) {
	it, f := &b.items[i], b.items[i].Subscription
	key := it.Event.Source + ":" + f.Ref
	s := b.subs[key]
	if s == nil {
		s = &subRow{key: key, isNew: true, Subscription: bellhop.Subscription{ID: NewID(), Connection: it.Event.Source,
			Ref: f.Ref, PersonID: NoPerson}}
		b.subs[key] = s
	}
	if person := b.out[i].PersonID; person != "" && b.better(person, s.PersonID) {
		s.PersonID, s.dirty = person, true
	}
	if b.out[i].PersonID == "" && s.PersonID != NoPerson {
		b.out[i].PersonID = s.PersonID
	}
	was := s.Status
	stale := f.At.Before(s.ConfirmedAt) && f.Status != bellhop.SubscriptionCancelled
	if !s.isNew && (stale || (was == bellhop.SubscriptionCancelled && f.Status != was)) {
		return
	}
	s.Status, s.CancelAtPeriodEnd, s.dirty = f.Status, f.CancelAtPeriodEnd, true
	if f.Plan != "" {
		s.Plan = f.Plan
	}
	if !f.CurrentPeriodEnd.IsZero() {
		s.CurrentPeriodEnd = f.CurrentPeriodEnd
	}
	if f.At.After(s.ConfirmedAt) {
		s.ConfirmedAt = f.At
	}
	s.isNew = false
	b.tellSubscription(i, s)
}

// tellSubscription makes the change that the world has not been told of. Like a payment
// it waits for a person with an e-mail.
func (b *batch) tellSubscription(i int, s *subRow) {
	p := b.persons[s.PersonID]
	if p == nil || p.Email == "" {
		return
	}
	now := string(s.Status)
	if s.CancelAtPeriodEnd {
		now += ", ending"
	}
	if s.told == now {
		return
	}
	sub := s.Subscription
	c := bellhop.Change{Key: sub.ID + ":", Subscription: &sub}
	switch {
	case sub.Status == bellhop.SubscriptionCancelled:
		c.Kind, c.Key = bellhop.KindSubscriptionCancelled, c.Key+"cancelled"
	case s.told == "":
		c.Kind, c.Key = bellhop.KindSubscriptionCreated, c.Key+"created"
	default:
		c.Kind, c.Key = bellhop.KindSubscriptionUpdated, c.Key+b.items[i].Event.ID
	}
	s.told, s.dirty = now, true
	b.out[i].PersonID = s.PersonID
	b.changes[i] = append(b.changes[i], c)
}

func (b *batch) loadSubscriptions(ctx context.Context, column string, values []string) error {
	return queryIn(ctx, b.t, `SELECT id, connection, ref, person_id, status, plan, cancel_at_period_end,
		current_period_end, confirmed_at, told FROM bellhop.subscriptions WHERE `+column+` IN (?) ORDER BY id`+
		b.t.forUpdate(), values, func(r *sql.Rows) error {
		s := &subRow{}
		err := r.Scan(&s.ID, &s.Connection, &s.Ref, &s.PersonID, &s.Status, &s.Plan, &s.CancelAtPeriodEnd,
			timeDest{&s.CurrentPeriodEnd}, timeDest{&s.ConfirmedAt}, &s.told)
		s.key = s.Connection + ":" + s.Ref
		if err == nil && b.subs[s.key] == nil {
			b.subs[s.key] = s
		}
		return err
	})
}

// adoptSubscriptions gives the subscriptions of persons who were known by a customer id
// alone to the person that the id turned out to be, and tells what could not be told.
func (b *batch) adoptSubscriptions(ctx context.Context) error {
	if len(b.moved) == 0 {
		return nil
	}
	to := map[string]string{}
	for key, old := range b.moved {
		to[old] = b.keys[key]
	}
	if err := b.loadSubscriptions(ctx, "person_id", slices.Sorted(maps.Keys(to))); err != nil {
		return err
	}
	for _, s := range sorted(b.subs) {
		person := to[s.PersonID]
		if person == "" {
			continue
		}
		s.PersonID, s.dirty = person, true
		for _, i := range b.fresh {
			if b.out[i].PersonID == person {
				b.tellSubscription(i, s)
				break
			}
		}
	}
	return nil
}

func (b *batch) writeSubscriptions(ctx context.Context) error {
	var rows [][]any
	for _, s := range sorted(b.subs) {
		if s.dirty {
			rows = append(rows, []any{s.ID, s.Connection, s.Ref, s.PersonID, string(s.Status), s.Plan,
				s.CancelAtPeriodEnd, s.CurrentPeriodEnd, s.ConfirmedAt, s.told, b.t.now, b.t.now})
		}
	}
	return b.t.insertRows(ctx, `INSERT INTO bellhop.subscriptions (id::uuid, connection, ref, person_id::uuid, status, plan,
		cancel_at_period_end::boolean, current_period_end::timestamptz, confirmed_at::timestamptz, told,
		created_at::timestamptz, updated_at::timestamptz)`,
		`ON CONFLICT (connection, ref) DO UPDATE SET person_id = excluded.person_id, status = excluded.status,
		 plan = excluded.plan, cancel_at_period_end = excluded.cancel_at_period_end,
		 current_period_end = excluded.current_period_end, confirmed_at = excluded.confirmed_at, told = excluded.told,
		 updated_at = excluded.updated_at`, rows, nil)
}
