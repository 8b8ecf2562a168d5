package store

import (
	"context"
	"database/sql"
	"slices"

	"bellhop"
)

type subRow struct {
	bellhop.Subscription
	key   string
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
	if len(keys) == 0 {
		return nil
	}
	slices.Sort(keys)
	err := queryIn(ctx, b.t, `SELECT id, connection, ref, person_id, status, plan, cancel_at_period_end,
		current_period_end, confirmed_at FROM bellhop.subscriptions WHERE ref IN (?) ORDER BY id`+b.t.forUpdate(), slices.Compact(keys), func(r *sql.Rows) error {
		s := &subRow{}
		err := r.Scan(&s.ID, &s.Connection, &s.Ref, &s.PersonID, &s.Status, &s.Plan, &s.CancelAtPeriodEnd,
			timeDest{&s.CurrentPeriodEnd}, timeDest{&s.ConfirmedAt})
		s.key = s.Connection + ":" + s.Ref
		b.subs[s.key] = s
		return err
	})
	if err != nil {
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
	wasEnding := s.CancelAtPeriodEnd
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
	sub := s.Subscription
	c := bellhop.Change{Key: sub.ID + ":", Subscription: &sub}
	switch {
	case sub.Status == bellhop.SubscriptionCancelled && was != sub.Status:
		c.Kind, c.Key = bellhop.KindSubscriptionCancelled, c.Key+"cancelled"
	case s.isNew:
		c.Kind, c.Key = bellhop.KindSubscriptionCreated, c.Key+"created"
	case was != sub.Status || wasEnding != sub.CancelAtPeriodEnd:
		c.Kind, c.Key = bellhop.KindSubscriptionUpdated, c.Key+it.Event.ID
	default:
		s.isNew = false
		return
	}
	s.isNew = false
	b.changes[i] = append(b.changes[i], c)
}

func (b *batch) writeSubscriptions(ctx context.Context) error {
	var rows [][]any
	for _, s := range sorted(b.subs) {
		if s.dirty {
			rows = append(rows, []any{s.ID, s.Connection, s.Ref, s.PersonID, string(s.Status), s.Plan,
				s.CancelAtPeriodEnd, s.CurrentPeriodEnd, s.ConfirmedAt, b.t.now, b.t.now})
		}
	}
	return b.t.insertRows(ctx, `INSERT INTO bellhop.subscriptions (id, connection, ref, person_id, status, plan,
		cancel_at_period_end, current_period_end, confirmed_at, created_at, updated_at)`,
		`ON CONFLICT (connection, ref) DO UPDATE SET person_id = excluded.person_id, status = excluded.status,
		 plan = excluded.plan, cancel_at_period_end = excluded.cancel_at_period_end,
		 current_period_end = excluded.current_period_end, confirmed_at = excluded.confirmed_at,
		 updated_at = excluded.updated_at`, rows, nil)
}
