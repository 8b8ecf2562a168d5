package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"bellhop"
	"bellhop/internal/store"
)

const (
	heartbeatEvery = 10 * time.Second
	// deadAfter is how long a node may be silent before its steps are taken over: long
	// enough for a slow disk, short enough that rescue begins within 30 s.
	deadAfter = 25 * time.Second
	// requeueLimit bounds the lanes that one sweep makes jobs for.
	requeueLimit = 500
	// busyQueue is how many jobs wait in a queue that is only busy.
	busyQueue = 20
	// hourly is how often the coming months' partitions, and steps of connections that are
	// gone, are looked after.
	hourly = time.Hour
	// untoldAfter is how long a payment waits for an event that names its payer.
	untoldAfter = 5 * time.Minute
)

// maintain looks for what fell through: dead nodes, lost jobs, circuits nobody looks after, payments that name nobody.
func (e *Engine) maintain(ctx context.Context) {
	defer e.wg.Done()
	round := func() { e.logError(ctx, "maintenance failed", e.Maintain(ctx)) }
	round() // what fell through while no process ran is not made to wait longer
	e.every(ctx, heartbeatEvery, round)
}

// live says that this node lives. It has a goroutine of its own, so that slow maintenance
// cannot make a living node look dead.
func (e *Engine) live(ctx context.Context) {
	defer e.wg.Done()
	e.every(ctx, heartbeatEvery, func() { e.logError(ctx, "heartbeat failed", e.db.Heartbeat(ctx, e.o.Node)) })
}

func (e *Engine) every(ctx context.Context, d time.Duration, fn func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			fn()
		}
	}
}

// Maintain does one round of maintenance. It is safe to run on every node; one round at
// a time in each process.
func (e *Engine) Maintain(ctx context.Context) error {
	e.rounds.Lock()
	defer e.rounds.Unlock()
	if _, err := e.db.TakeOver(ctx, e.o.Node, deadAfter, false); err != nil {
		return err
	}
	if n, err := e.db.Realign(ctx, e.names()); err != nil {
		return err
	} else if n > 0 {
		e.log.WarnContext(ctx, "the clock was put back: what waited for the old time is due by the new one", "steps", n)
	}
	if err := e.db.WatchParked(ctx, e.names()); err != nil {
		return err
	}
	open, err := e.db.OpenCircuits(ctx)
	if err != nil {
		return err
	}
	for _, c := range open {
		wait := c.ProbeAt.Sub(e.clock.Now())
		if c.State == store.CircuitDraining {
			wait = 0 // its look has been; the time of it may be of a clock that was put back
		}
		e.watchSoon(c.Connection, wait)
	}
	if err := e.requeue(ctx); err != nil {
		return err
	}
	if now := e.clock.Now(); now.Sub(e.hourlyAt) > hourly {
		if err := e.db.EnsurePartitions(ctx); err != nil {
			return err
		}
		if err := e.handOverOrphans(ctx); err != nil {
			return err
		}
		e.hourlyAt = now
	}
	return e.handOverPayments(ctx)
}

// names returns the configured connections, sorted.
func (e *Engine) names() []string {
	return slices.Sorted(maps.Keys(e.conns))
}

// requeue makes jobs for steps that are long due, unless the connection's queue is simply
// busy, and for steps whose lease has ended in any case.
func (e *Engine) requeue(ctx context.Context) error {
	for _, name := range e.names() {
		depth, err := e.db.QueueDepth(ctx, queueOf(name))
		if err != nil {
			return err
		}
		overdue := e.o.Overdue
		if depth > busyQueue {
			overdue = 0
		}
		if _, err := e.db.RequeueDue(ctx, name, overdue, requeueLimit); err != nil {
			return err
		}
	}
	return nil
}

// handOverOrphans gives the steps of connections that bellhop.yaml no longer has to a
// person: no worker would ever take them.
func (e *Engine) handOverOrphans(ctx context.Context) error {
	names, err := e.db.OpenConnections(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if e.conns[name] != nil {
			continue
		}
		if err := e.handOverConnection(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// handOverConnection hands over the open steps of one connection, until there are none:
// handing over one makes the next of its lane due.
func (e *Engine) handOverConnection(ctx context.Context, name string) error {
	c := &conn{name: name}
	c.manifest.Name = name
	for {
		steps, err := e.db.OpenSteps(ctx, name, requeueLimit)
		if err != nil || len(steps) == 0 {
			return err
		}
		changed := false
		for _, s := range steps {
			rec, err := e.rec.Record(ctx, e.refuse(c, s, "the connection "+name+" is not in bellhop.yaml any more"))
			if err != nil {
				return err
			}
			changed = changed || !rec.Stale
		}
		if !changed {
			return nil // another node is at it
		}
	}
}

// handOverPayments gives money that names nobody to a person.
func (e *Engine) handOverPayments(ctx context.Context) error {
	pays, err := e.db.UntoldPayments(ctx, e.clock.Now().Add(-untoldAfter), 100)
	if err != nil {
		return err
	}
	for _, p := range pays {
		money := bellhop.Money{Amount: p.Amount, Currency: p.Currency}
		task := bellhop.SupportRequest{PersonID: p.PersonID, CorrelationID: store.NoCorrelation,
			Priority: bellhop.PriorityHigh, Reason: bellhop.ReasonSyncFailed,
			Subject: fmt.Sprintf("A payment of %s names no customer", money),
			Body: fmt.Sprintf("%s came in through %s (payment %s) and no event named an e-mail, so no CRM could be told.\n\n"+
				"Look the payment up at %s, put the payer's e-mail there, and update the CRM by hand.",
				money, p.Connection, p.ID, p.Connection)}
		if p.PersonID == store.NoPerson {
			task.PersonID = ""
		}
		if err := e.db.HandOverPayment(ctx, p.ID, task); err != nil {
			return err
		}
	}
	return nil
}
