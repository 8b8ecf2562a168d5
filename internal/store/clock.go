package store

import (
	"context"
	"sync/atomic"
	"time"

	"bellhop"
)

// sharedClock is the clock that all nodes on one Postgres go by: the database's. Leases,
// due times and the order of a lane are compared between nodes, so the clocks of their
// machines must not matter, however wrong they are. It is asked for rarely and carried
// on by the node's own monotonic clock in between.
type sharedClock struct {
	own  bellhop.Clock
	mark atomic.Pointer[clockMark]
}

// clockMark is one moment on both clocks.
type clockMark struct {
	own, shared time.Time
	doubt       time.Duration // how far off it may be: half the way to the database and back
}

// Now returns the database's time, or the node's own before the database was asked.
func (c *sharedClock) Now() time.Time {
	now := c.own.Now()
	m := c.mark.Load()
	if m == nil {
		return now.UTC()
	}
	return m.shared.Add(elapsed(m.own, now)).UTC()
}

// suspendAfter is by how much the wall clock must be ahead of the monotonic one for the
// machine to have been suspended: then the monotonic clock stood still.
const suspendAfter = 2 * time.Second

// elapsed is the time from one reading of a node's clock to the next. It does not follow
// a wall clock that is set, but counts the time that the machine was suspended.
func elapsed(from, to time.Time) time.Duration {
	mono, wall := to.Sub(from), to.Round(0).Sub(from.Round(0))
	if wall > mono+suspendAfter {
		return wall
	}
	return mono
}

// set takes over a reading of the database's clock that was asked for between before and
// after. A vague one does not replace a sharp one, unless the two cannot both be right.
func (c *sharedClock) set(before, after, shared time.Time) {
	half := elapsed(before, after) / 2
	m := &clockMark{own: before.Add(half), shared: shared.UTC(), doubt: half}
	if old := c.mark.Load(); old != nil {
		apart := shared.Sub(old.shared.Add(elapsed(old.own, m.own))).Abs()
		drift := elapsed(old.own, m.own) / 1000
		if half > old.doubt+drift && apart <= half+old.doubt+drift {
			return
		}
	}
	c.mark.Store(m)
}

// Clock returns the clock that the nodes of this database go by: on Postgres the
// database's own, on SQLite, which one process serves, the one given to Open.
func (db *DB) Clock() bellhop.Clock { return db.clock }

// readClock reads the database's clock a few times and keeps the sharpest reading.
func (db *DB) readClock(ctx context.Context) error {
	for range 3 {
		if _, err := db.shared(ctx, db); err != nil {
			return err
		}
	}
	return nil
}

// shared is the time by which processes judge each other: since when one has been silent,
// until when a step is lent to it. On Postgres the database is asked each time, because
// nothing that a process remembers is good enough to call another one dead. dialect: one
// process serves a SQLite file, so there it is the clock of that process.
func (db *DB) shared(ctx context.Context, q queryer) (time.Time, error) {
	if db.kind == SQLite {
		return db.clock.Now(), nil
	}
	before := db.common.own.Now()
	var now time.Time
	err := q.queryRow(ctx, "SELECT clock_timestamp()").Scan(timeDest{&now})
	if err == nil {
		db.common.set(before, db.common.own.Now(), now)
	}
	return now, err
}
