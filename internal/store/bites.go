package store

import (
	"context"
	"time"
)

// bite is one small transaction of a large piece of work: it does at most n units and
// returns how many it did; fewer than n means that the work is done.
type bite func(ctx context.Context, t *Tx, n int) (int64, error)

const (
	// biteTime is how long one bite may hold the writer: what waits meanwhile is a commit.
	biteTime = 10 * time.Millisecond
	biteMin  = 20
	biteMax  = 1000
	// bitePause is the shortest and longest pause between bites; it is as long as the bite
	// was, so that at least half of the writer's time is everybody else's.
	bitePauseMin = time.Millisecond
	bitePauseMax = 250 * time.Millisecond
)

// pace sizes bites by how long the last ones took.
type pace struct{ n int }

// next returns the size of the next bite after one of n units took so long.
func (p *pace) next(took time.Duration) {
	switch {
	case took > biteTime:
		p.n = max(biteMin, p.n/2)
	case took < biteTime/2:
		p.n = min(biteMax, p.n*2)
	}
}

// inBites does work until it is done, and returns how much it was.
func (db *DB) inBites(ctx context.Context, once func(n int) (int64, error)) (int64, error) {
	var total int64
	p := pace{n: 4 * biteMin}
	for {
		began := db.clock.Now()
		asked := p.n
		did, err := once(asked)
		total += did
		if err != nil || did < int64(asked) {
			return total, err
		}
		took := db.clock.Now().Sub(began)
		p.next(took)
		if err := wait(ctx, min(max(took, bitePauseMin), bitePauseMax)); err != nil {
			return total, err
		}
	}
}

// pruneRows deletes in bites and counts what went.
func (db *DB) pruneRows(ctx context.Context, name string, b bite, out *Removed) error {
	total, err := db.inBites(ctx, func(n int) (did int64, err error) {
		err = db.tx(ctx, func(t *Tx) error {
			did, err = b(ctx, t, n)
			return err
		})
		return did, err
	})
	if total > 0 {
		out.Rows[name] += total
	}
	return err
}

// wait waits, unless ctx ends first.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
