package engine

import (
	"context"
	"errors"
	"time"

	"bellhop/internal/connector"
	"bellhop/internal/store"
)

// A step is carried out by whoever may: a process can be stopped anywhere for any time
// (a laptop that sleeps, a machine that is moved, a full host), and while it stands still
// others take over what it had. So the right to make a call is proven right before the
// call, and it is so short that it ends before anybody else can have it.
//
// What is left is the moment between the last look at the clock and the first byte on
// the wire, some microseconds. A process that is stopped exactly there and wakes up after
// the take-over sends a call that the vendor's own key, or nobody, can fold.

const (
	// freshFor is how long what was read of a step is good enough to send a call by.
	freshFor = 250 * time.Millisecond
	// unmarkedFor is how long after it was read an unmarked step's requests may leave:
	// shorter than it takes others to call a process dead whose last heartbeat was just
	// before.
	unmarkedFor = deadAfter - heartbeatEvery - 3*time.Second
	// markedFor is the same for a marked step: its lease, less what two looks at a clock
	// may be apart.
	markedFor = store.Lease - 2*time.Second
)

// errTaken ends a run whose step somebody else has changed: taken over while this
// process stood still, or settled by a person while the call waited for its turn.
var errTaken = errors.New("the step has been changed by somebody else")

// errLate keeps a request from being sent by a process that stood still.
var errLate = errors.New("the process stood still for longer than its claim on the step lasts")

// mark makes the step this process's own for the length of a lease. It is called when the
// call is next: the lease covers the call, not the queue before it. A mark is never left
// half done, so ctx ending does not stop it. errTaken when somebody was faster.
func (e *Engine) mark(ctx context.Context, s *store.DueStep) error {
	marked, err := e.marks.Mark(context.WithoutCancel(ctx), *s)
	if err != nil {
		return err
	}
	if marked.ID == "" {
		return errTaken
	}
	*s = marked
	return nil
}

// renew proves, right before the call, that the step is still this process's to carry
// out. What was read or marked just now is proof enough; after that it is marked anew,
// which fails when anybody has touched it.
func (e *Engine) renew(ctx context.Context, am connector.ActionManifest, s *store.DueStep) error {
	slack := freshFor
	for range 3 {
		if e.since(s.TakenAt) <= slack {
			return nil
		}
		if err := e.mark(ctx, s); err != nil {
			return err
		}
		slack = markedFor - am.Timeout() // a slow commit has used up some of the lease
	}
	return errLate
}

// since is how long ago an instant was, by whichever way the clock was set.
func (e *Engine) since(t time.Time) time.Duration { return e.clock.Now().Sub(t).Abs() }

// inTime says whether a request of the step may still leave.
func (e *Engine) inTime(s *store.DueStep) error {
	limit := unmarkedFor
	if !s.LeaseUntil.IsZero() {
		limit = markedFor
	}
	if e.since(s.TakenAt) > limit {
		return errLate
	}
	return nil
}
