package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"bellhop/internal/store"
)

// unlimited are the limits of a CRM connection whose vendor takes whatever comes.
const unlimited = ", concurrency: 64, rate_per_second: 100000"

// The subjects.
const (
	subjectBellhop = "bellhop"
	subjectGrouped = "floor, grouped"
	subjectEach    = "floor, one commit each"
	subjectDirect  = "floor, direct call"
)

// used returns the CPU time that a target has used, its database included.
func used(t *target, kind store.Kind) time.Duration {
	d := cpu(t.cmd.Process.Pid)
	if kind == store.Postgres {
		d += postgresCPU()
	}
	return d
}

// prefix returns a new prefix for the ids of events.
func (l *lab) prefix() string {
	l.events++
	return fmt.Sprintf("r%03d", l.events)
}

// webhooks is a load of signed webhooks.
func (l *lab) webhooks(addr, path string, distinct func(int64) int64) load {
	prefix := l.prefix()
	return load{addr: addr, conns: l.conns, last: l.seconds,
		make: func(int) workload { return newEvents(path, addr, prefix, distinct) }}
}

// with starts a subject on a new database, runs fn and ends both.
func (l *lab) with(ctx context.Context, kind store.Kind, start func(db string) (*target, error), fn func(*target) error) error {
	db, err := l.database(ctx, kind)
	if err != nil {
		return err
	}
	t, err := start(db)
	if err != nil {
		return err
	}
	err = fn(t)
	if e := t.stop(); err == nil {
		err = e
	}
	if e := l.dropDatabase(ctx, kind, db); err == nil {
		err = e
	}
	l.box.Reset()
	return err
}

// workStart measures size, start-up and memory at rest (W0).
func workStart(ctx context.Context, l *lab, kind store.Kind, _ opts) error {
	if fi, err := os.Stat(l.binary); err == nil && kind == store.SQLite {
		l.out.add("W0", string(kind), subjectBellhop, "binary, MB", float64(fi.Size())/1e6)
	}
	for range l.rounds {
		err := l.with(ctx, kind, func(db string) (*target, error) { return l.bellhop(ctx, db, "") }, func(t *target) error {
			l.out.add("W0", string(kind), subjectBellhop, "start with an empty database, ms", float64(t.ready.Milliseconds()))
			now, _ := memory(t.cmd.Process.Pid)
			l.out.add("W0", string(kind), subjectBellhop, "memory at rest, MiB", now)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// subject is one program of an alternating measurement.
type subject struct {
	name  string
	start func(db string) (*target, error)
	path  string
}

func (l *lab) subjects(ctx context.Context, crmLimits string) []subject {
	return []subject{
		{subjectBellhop, func(db string) (*target, error) { return l.bellhop(ctx, db, crmLimits) }, "/webhooks/stripe"},
		{subjectGrouped, func(db string) (*target, error) { return l.floor(ctx, db, true, "") }, "/"},
		{subjectEach, func(db string) (*target, error) { return l.floor(ctx, db, false, "") }, "/"},
	}
}

// rotate returns the subjects beginning with another one each round, so that none has
// the advantage of its place.
func rotate(s []subject, round int) []subject {
	n := round % len(s)
	return append(append([]subject{}, s[n:]...), s[:n]...)
}

// workAccept measures how many new signed webhooks are accepted (W1): closed-loop at the
// peak, then open-loop at half of it. The CRM has its default limits, so that the steps
// stay behind as a backlog, as they would.
func workAccept(ctx context.Context, l *lab, kind store.Kind, _ opts) error {
	for round := range l.rounds {
		for _, s := range rotate(l.subjects(ctx, ""), round) {
			err := l.with(ctx, kind, s.start, func(t *target) error { return l.accept(ctx, kind, s, t) })
			if err != nil {
				return err
			}
		}
		l.out.ratio("W1", string(kind), subjectBellhop, subjectGrouped, "requests/s")
	}
	return nil
}

func (l *lab) accept(ctx context.Context, kind store.Kind, s subject, t *target) error {
	warm := l.webhooks(t.addr, s.path, nil)
	warm.last = l.seconds / 3
	warm.run(ctx)
	before := used(t, kind)
	peak := l.webhooks(t.addr, s.path, nil).run(ctx)
	l.out.sample("W1", string(kind), s.name, peak, used(t, kind)-before)
	half := l.webhooks(t.addr, s.path, nil)
	half.rate, half.conns = peak.perSecond()/2, 4*l.conns
	l.out.latency("W1 at half the peak", string(kind), s.name, half.run(ctx))
	_, mem := memory(t.cmd.Process.Pid)
	l.out.add("W1", string(kind), s.name, "peak memory, MiB", mem)
	return ctx.Err()
}

// workDeliver measures from webhook to finished vendor call (W2): at the peak, and one at
// a time in an idle server.
func workDeliver(ctx context.Context, l *lab, kind store.Kind, _ opts) error {
	direct := subject{subjectDirect, func(db string) (*target, error) { return l.floor(ctx, db, true, l.vendor.url+"/hubspot") }, "/"}
	subjects := []subject{l.subjects(ctx, unlimited)[0], direct}
	for round := range l.rounds {
		for _, s := range rotate(subjects, round) {
			err := l.with(ctx, kind, s.start, func(t *target) error { return l.deliver(ctx, kind, s, t) })
			if err != nil {
				return err
			}
		}
		l.out.ratio("W2", string(kind), subjectBellhop, subjectDirect, "finished calls/s")
	}
	return nil
}

func (l *lab) deliver(ctx context.Context, kind store.Kind, s subject, t *target) error {
	warm := l.webhooks(t.addr, s.path, nil)
	warm.last = l.seconds / 3
	if err := l.finished(ctx, warm.run(ctx), 0); err != nil {
		return err
	}
	idle := l.idleLatency(ctx, t, s.path)
	l.out.latency("W2 sent to called, idle", string(kind), s.name, idle)
	calls, before, began := l.vendor.calls.Load(), used(t, kind), time.Now()
	sent := l.webhooks(t.addr, s.path, nil).run(ctx)
	if err := l.finished(ctx, sent, calls); err != nil {
		return err
	}
	took := time.Unix(0, l.vendor.last.Load()).Sub(began)
	l.out.add("W2", string(kind), s.name, "finished calls/s", float64(sent.count)/took.Seconds())
	l.out.add("W2", string(kind), s.name, "CPU s per 1,000", (used(t, kind)-before).Seconds()*1000/float64(sent.count))
	_, mem := memory(t.cmd.Process.Pid)
	l.out.add("W2", string(kind), s.name, "peak memory, MiB", mem)
	fmt.Fprintf(l.out.w, "  W2 %-8s %-24s %7.0f calls/s (accepted at %.0f/s), idle p50 %s\n", kind, s.name,
		float64(sent.count)/took.Seconds(), sent.perSecond(), short(idle.quantile(0.5)))
	return nil
}

// finished waits until the vendor has had a call for every accepted webhook.
func (l *lab) finished(ctx context.Context, s sample, before int64) error {
	if s.failed > 0 {
		return fmt.Errorf("%d webhooks failed: %w", s.failed, s.firstErr)
	}
	deadline := time.Now().Add(time.Minute + time.Duration(float64(s.took)*10))
	for l.vendor.calls.Load()-before < s.count {
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("of %d webhooks only %d led to a call", s.count, l.vendor.calls.Load()-before)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// idleLatency sends webhooks one at a time and measures from sending to the vendor's
// being called.
func (l *lab) idleLatency(ctx context.Context, t *target, path string) sample {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	prefix := l.prefix()
	c := &client{addr: t.addr}
	defer c.close()
	work := newEvents(path, t.addr, prefix, nil)
	var out sample
	for n := range int64(60) {
		text := fmt.Sprintf("customer%s%08d@example.com", prefix, n)
		l.vendor.expect(text)
		request := work.next(n)
		sent := time.Now()
		if status, body, err := c.do(request); err != nil || work.check(status, body) != nil {
			out.failed++
			continue
		}
		if came := l.vendor.came(ctx, text); !came.IsZero() {
			out.count++
			out.latencies = append(out.latencies, came.Sub(sent))
		}
		time.Sleep(20 * time.Millisecond)
	}
	out.sort()
	return out
}

// workDuplicates measures a load in which 30 of 100 webhooks are repeats (W3), and counts
// what was stored.
func workDuplicates(ctx context.Context, l *lab, kind store.Kind, _ opts) error {
	distinct := func(n int64) int64 {
		if n%10 >= 7 {
			return n - n%10 - 10 + n%7 // one of the ten before
		}
		return n
	}
	for round := range l.rounds {
		for _, s := range rotate(l.subjects(ctx, "")[:2], round) {
			err := l.with(ctx, kind, s.start, func(t *target) error {
				before := used(t, kind)
				w := l.webhooks(t.addr, s.path, distinct)
				w.first = 10
				l.out.sample("W3", string(kind), s.name, w.run(ctx), used(t, kind)-before)
				return ctx.Err()
			})
			if err != nil {
				return err
			}
		}
		l.out.ratio("W3", string(kind), subjectBellhop, subjectGrouped, "requests/s")
	}
	return nil
}
