package engine

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"bellhop/internal/store"
)

// maxRelease bounds how many parked steps one release lets go: a vendor that was down
// is not greeted with everything at once.
const maxRelease = 32

// drainEvery is how often a draining connection is looked at.
const drainEvery = 300 * time.Millisecond

// watchCircuit makes the job that looks after an open circuit at a time, and remembers
// it in memory too when that is sooner than River's scheduler would.
func (e *Engine) watchCircuit(ctx context.Context, connection string, at time.Time) {
	_, err := e.river.Insert(ctx, circuitArgs{connection}, &river.InsertOpts{Queue: controlQueue, ScheduledAt: at,
		UniqueOpts: river.UniqueOpts{ByArgs: true, ByPeriod: 5 * time.Second}})
	e.logError(ctx, "circuit job could not be made", err, "connection", connection)
	e.watchSoon(connection, at.Sub(e.clock.Now()))
}

// watchSoon looks after a circuit from memory. One timer at a time for each connection.
func (e *Engine) watchSoon(connection string, wait time.Duration) {
	if wait > shortWait {
		return
	}
	if _, armed := e.watching.LoadOrStore(connection, struct{}{}); armed {
		return
	}
	e.timers.after(wait, func() {
		e.watching.Delete(connection)
		ctx, cancel := context.WithTimeout(e.early, jobTimeout)
		defer cancel()
		e.logError(ctx, "circuit could not be looked after", e.runCircuit(ctx, connection), "connection", connection)
	})
}

// runCircuit lets parked steps of a connection go when it is time: one to see whether
// the vendor is back, then more and more while they succeed. The first that fails parks
// itself and opens the circuit again.
func (e *Engine) runCircuit(ctx context.Context, connection string) error {
	c := e.conns[connection]
	if c == nil {
		return nil
	}
	released, inFlight, err := e.db.Release(ctx, connection, maxRelease)
	if err != nil {
		return err
	}
	c.forget()
	ci, err := c.state(ctx, e.db, e.clock.Now())
	if err != nil {
		return err
	}
	switch ci.State {
	case store.CircuitClosed:
		e.log.InfoContext(ctx, "connection works again", "connection", connection)
	case store.CircuitDraining:
		if released > 0 || inFlight > 0 {
			e.watchSoon(connection, drainEvery)
		}
	case store.CircuitOpen:
		e.watchSoon(connection, ci.ProbeAt.Sub(e.clock.Now()))
	}
	return nil
}
