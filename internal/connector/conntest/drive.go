// Package conntest is the suite that every connector passes, against the fakes of
// internal/sandbox. Drive is the engine's side of the connector contract in one
// function: what is done with each error class, for each way of "once".
package conntest

import (
	"context"
	"errors"
	"sync"
	"time"

	"bellhop"
	"bellhop/internal/connector"
)

// Clock is a clock that stands still until it is moved.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock at a fixed time.
func NewClock() *Clock { return &Clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// End says how a call ended.
type End string

// The ends of a call.
const (
	EndDone   End = "done"   // it took effect, once
	EndPerson End = "person" // a person decides: permanent, or an outcome that nothing can tell
	EndParked End = "parked" // the connection's error: it waits for the connection
	EndGaveUp End = "gave_up"
)

// Outcome is what Drive saw.
type Outcome struct {
	End    End
	Result connector.Result
	Errors []*connector.Error // every failed try and look-up, in order
	Sent   int                // how often Do was called
	Looked int                // how often Lookup was called
}

// Driver drives calls as the engine does.
type Driver struct {
	Connector connector.Connector
	Action    connector.ActionManifest
	Clock     *Clock
	// Timeout is the time box of one call in real time; 0 means the manifest's.
	Timeout time.Duration
	Tries   int // 0 means 6
}

const backoff = time.Second

// Drive carries one call to its end. The rules, by error class:
//
//	rejected                 a person decides; never sent again
//	unauthorized             the connection's matter; the call waits for it
//	rate_limited             not executed: wait as told, send again; with Quota park
//	not_sent, unavailable    not executed: send again
//	unknown_outcome,         it may have happened:
//	malformed                  native_key, upsert: send the same again
//	                           lookup: wait LookupDelay, Lookup; sent again only when
//	                           that says "not found" (a failed look-up says nothing)
//	                           none: a person decides
//
// Every try has the same Key, Marker, Input and Refs; from the second on FirstAttemptAt
// is the time of the first.
func (d Driver) Drive(ctx context.Context, call connector.Call) Outcome {
	var out Outcome
	tries := d.Tries
	if tries == 0 {
		tries = 6
	}
	for out.Sent < tries {
		began := d.Clock.Now()
		res, err := d.do(ctx, call)
		out.Sent++
		if call.FirstAttemptAt.IsZero() {
			call.FirstAttemptAt = began
		}
		if err == nil {
			out.End, out.Result = EndDone, res
			return out
		}
		e := asError(err)
		out.Errors = append(out.Errors, e)
		if end := d.after(ctx, e, call, &out); end != "" {
			out.End = end
			return out
		}
	}
	out.End = EndGaveUp
	return out
}

// Resume carries on with a call that was in flight when the engine crashed: nobody
// knows whether it took effect. That is an unknown outcome like any other, so a call
// that may be repeated is sent again and any other is looked up before.
func (d Driver) Resume(ctx context.Context, call connector.Call) Outcome {
	var out Outcome
	if call.FirstAttemptAt.IsZero() {
		call.FirstAttemptAt = d.Clock.Now()
	}
	lost := &connector.Error{Class: bellhop.ClassUnknownOutcome, Message: "the engine stopped during the call"}
	if end := d.after(ctx, lost, call, &out); end != "" {
		out.End = end
		return out
	}
	rest := d.Drive(ctx, call)
	rest.Looked += out.Looked
	rest.Errors = append(out.Errors, rest.Errors...)
	return rest
}

// after decides what follows from a failed try; "" means that it is sent again.
func (d Driver) after(ctx context.Context, e *connector.Error, call connector.Call, out *Outcome) End {
	switch e.Class {
	case bellhop.ClassRejected:
		return EndPerson
	case bellhop.ClassUnauthorized:
		return EndParked
	case bellhop.ClassRateLimited:
		if e.Quota {
			return EndParked
		}
		d.Clock.Advance(max(e.RetryAfter, backoff))
		return ""
	case bellhop.ClassNotSent, bellhop.ClassUnavailable:
		d.Clock.Advance(max(e.RetryAfter, backoff))
		return ""
	}
	// The outcome is unknown.
	switch {
	case d.Action.Once.Repeatable():
		d.Clock.Advance(max(e.RetryAfter, backoff))
		return ""
	case d.Action.Once == connector.OnceLookup:
		return d.lookUp(ctx, call, out)
	default:
		return EndPerson
	}
}

// lookUp looks until an answer comes: found ends the call, not found lets it be sent
// again, a failure says nothing and is tried again.
func (d Driver) lookUp(ctx context.Context, call connector.Call, out *Outcome) End {
	looker, ok := d.Connector.(connector.Looker)
	if !ok {
		return EndPerson
	}
	d.Clock.Advance(d.Action.LookupDelay())
	for range 5 {
		out.Looked++
		res, found, err := d.look(ctx, looker, call)
		if err == nil {
			if found {
				out.Result = res
				return EndDone
			}
			return ""
		}
		e := asError(err)
		out.Errors = append(out.Errors, e)
		switch e.Class {
		case bellhop.ClassRejected:
			return EndPerson
		case bellhop.ClassUnauthorized:
			return EndParked
		}
		d.Clock.Advance(max(e.RetryAfter, backoff))
	}
	return EndPerson
}

func (d Driver) do(ctx context.Context, call connector.Call) (connector.Result, error) {
	ctx, cancel := d.box(ctx, call)
	defer cancel()
	return d.Connector.Do(ctx, call)
}

func (d Driver) look(ctx context.Context, l connector.Looker, call connector.Call) (connector.Result, bool, error) {
	ctx, cancel := d.box(ctx, call)
	defer cancel()
	return l.Lookup(ctx, call)
}

// box gives a call its time box and its trace.
func (d Driver) box(ctx context.Context, call connector.Call) (context.Context, context.CancelFunc) {
	timeout := d.Timeout
	if timeout == 0 {
		timeout = d.Action.Timeout()
	}
	return context.WithTimeout(connector.WithTrace(ctx, call.CorrelationID), timeout)
}

// asError takes any other error as an unknown outcome, as the contract says.
func asError(err error) *connector.Error {
	var e *connector.Error
	if errors.As(err, &e) {
		return e
	}
	return &connector.Error{Class: bellhop.ClassUnknownOutcome, Err: err}
}
