package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"bellhop/internal/store"
)

// workGrown measures accepting and chatting with a year of events in the database beside
// the same with none (W6), and looking things up in it (W9).
func workGrown(ctx context.Context, l *lab, kind store.Kind, o opts) error {
	events := 1_000_000
	if o.full {
		events = 10_000_000
	}
	full, err := l.database(ctx, kind)
	if err != nil {
		return err
	}
	began := time.Now()
	g, err := fillEvents(ctx, full, events, func(s string) { fmt.Fprintf(l.out.w, "  W6 %-8s %s\n", kind, s) })
	if err != nil {
		return fmt.Errorf("filling: %w", err)
	}
	fmt.Fprintf(l.out.w, "  W6 %-8s %d events were made in %s\n", kind, events, time.Since(began).Round(time.Second))
	name := fmt.Sprintf("bellhop, %d events", events)
	const empty = "bellhop, no events"
	one := func(name, db string) error {
		t, err := l.bellhop(ctx, db, "")
		if err != nil {
			return err
		}
		err = l.grownLoad(ctx, kind, name, t)
		if err == nil && db == full {
			err = l.lookUps(ctx, kind, name, t, g)
		}
		l.box.Reset()
		return errors.Join(err, t.stop())
	}
	for round := range l.rounds {
		if err := l.grownRound(ctx, kind, round, full, [2]string{empty, name}, one); err != nil {
			return err
		}
	}
	return l.dropDatabase(ctx, kind, full)
}

// grownRound measures one round: on a fresh database and on the full one, in turn.
func (l *lab) grownRound(ctx context.Context, kind store.Kind, round int, full string, names [2]string,
	one func(name, db string) error) error {
	fresh, err := l.database(ctx, kind)
	if err != nil {
		return err
	}
	dbs := []string{fresh, full}
	for i := range dbs {
		i = (i + round) % len(dbs)
		if err := one(names[i], dbs[i]); err != nil {
			return err
		}
	}
	l.out.ratio("W6 accept", string(kind), names[1], names[0], "requests/s")
	l.out.ratio("W6 chat peak", string(kind), names[1], names[0], "requests/s")
	return l.dropDatabase(ctx, kind, fresh)
}

func (l *lab) grownLoad(ctx context.Context, kind store.Kind, name string, t *target) error {
	warm := l.webhooks(t.addr, "/webhooks/stripe", nil)
	warm.last = l.seconds / 3
	warm.run(ctx)
	before := used(t, kind)
	l.out.sample("W6 accept", string(kind), name, l.webhooks(t.addr, "/webhooks/stripe", nil).run(ctx), used(t, kind)-before)
	c, err := openChats(ctx, t.addr, chatUsers)
	if err != nil {
		return err
	}
	before = used(t, kind)
	l.out.sample("W6 chat at 200/s", string(kind), name, c.load(l, chatRate).run(ctx), used(t, kind)-before)
	before = used(t, kind)
	l.out.sample("W6 chat peak", string(kind), name, c.load(l, 0).run(ctx), used(t, kind)-before)
	return ctx.Err()
}

// reads asks for things of a grown database, each time for another.
type reads struct {
	host, key string
	path      func(n int64) string
	events    int
	rng       *rand.Rand
	out       []byte
}

func (r *reads) next(int64) []byte {
	r.out = fmt.Appendf(r.out[:0], "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n",
		r.path(r.rng.Int64N(int64(r.events))), r.host, r.key)
	return r.out
}

func (r *reads) check(status int, body []byte) error {
	if status != 200 {
		return fmt.Errorf("status %d: %.200s", status, body)
	}
	return nil
}

// lookUps measures W9.
func (l *lab) lookUps(ctx context.Context, kind store.Kind, name string, t *target, g grown) error {
	for _, q := range []struct {
		work, key string
		path      func(int64) string
	}{
		{"W9 GET /v1/requests/{id}", serverKey, func(n int64) string { return "/v1/requests/" + g.id(tagRequest, n-n%requestsEach) }},
		{"W9 GET /v1/ops/story/{id}", operatorKey, func(n int64) string { return "/v1/ops/story/" + g.correlation(n) }},
	} {
		ld := load{addr: t.addr, conns: 4, rate: 100, last: l.seconds, make: func(w int) workload {
			return &reads{host: t.addr, key: q.key, path: q.path, events: g.events, rng: rand.New(rand.NewPCG(uint64(w), 7))}
		}}
		before := used(t, kind)
		l.out.sample(q.work, string(kind), name, ld.run(ctx), used(t, kind)-before)
	}
	return ctx.Err()
}
