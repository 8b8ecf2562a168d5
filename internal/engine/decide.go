package engine

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/store"
)

// rateLimitPatience is how long a vendor may go on answering nothing but "too many
// requests" before the connection is parked.
const rateLimitPatience = 10 * time.Minute

// decide turns a failed try into the step's next state. It is the one place where the
// error classes get their meaning; docs/states.md has the same as a table.
func (e *Engine) decide(c *conn, am connector.ActionManifest, s store.DueStep, att *bellhop.Attempt,
	ce *connector.Error) store.Outcome {
	now := e.clock.Now()
	out := store.Outcome{Step: s.Step, Attempt: att, Class: ce.Class, Error: ce.Message, Decided: now}
	uncertain := ce.Class == bellhop.ClassUnknownOutcome || ce.Class == bellhop.ClassMalformed
	if s.State == bellhop.StepUnknown || s.State == bellhop.StepRunning {
		// What an earlier call did is still not known, whatever this try was told, unless
		// the vendor was asked and said no.
		uncertain = uncertain || (!am.Once.Repeatable() && ce.Class != bellhop.ClassRejected)
	}
	switch ce.Class {
	case bellhop.ClassRejected:
		c.succeeded(now) // a vendor that says no is there
		return e.hand(c, out, ce.Class)
	case bellhop.ClassUnauthorized:
		return e.parkFailed(c, out, bellhop.ClassUnauthorized, uncertain, 12*e.o.Probe)
	case bellhop.ClassRateLimited:
		return e.rateLimited(c, out, ce, uncertain, now)
	}
	if uncertain && am.Once == connector.OnceNone {
		return e.hand(c, out, bellhop.ClassUnknownOutcome)
	}
	attempts := s.Attempts + 1
	exhausted := attempts >= e.o.Retry.Attempts
	answered, broken := heard(c, am, att, ce, now)
	switch {
	case answered && exhausted:
		return e.hand(c, out, bellhop.ClassUnknownOutcome)
	case answered: // looked up again, in case the vendor was not up to date yet
	case broken, e.released(c, s), exhausted && !c.successSince(e.seriesStart(att.StartedAt, attempts)):
		return e.parkFailed(c, out, bellhop.ClassUnavailable, uncertain, e.o.Probe)
	case exhausted:
		// Not the class of an outage: an outage that follows must be told by itself.
		if uncertain {
			return e.hand(c, out, bellhop.ClassUnknownOutcome)
		}
		return e.hand(c, out, bellhop.ClassNotSent)
	}
	wait := max(jitter(e.backoff(attempts)), ce.RetryAfter)
	out.State = bellhop.StepRetrying
	if uncertain {
		out.State = bellhop.StepUnknown
		wait = max(wait, am.LookupDelay())
	}
	out.DueAt = now.Add(wait)
	return out
}

// heard notes what a failed try says of the vendor: that it answered, though it could not
// say what became of this step, or that it failed and, with that, whether too often.
func heard(c *conn, am connector.ActionManifest, att *bellhop.Attempt, ce *connector.Error, now time.Time) (answered, broken bool) {
	switch {
	case refusedLookup(ce):
		c.succeeded(now) // it is this step that cannot be looked up, not the vendor that is down
		return true, false
	case att.Duration > am.Timeout()+2*time.Second:
		return false, false // a process that stood still has heard nothing of the vendor
	default:
		return false, c.failed()
	}
}

// refusedLookup reports whether the vendor answered a look-up, with a no.
func refusedLookup(ce *connector.Error) bool {
	var inner *connector.Error
	return errors.As(ce.Err, &inner) && inner.Class == bellhop.ClassRejected
}

// seriesStart estimates when the tries of a step began that end with this one. A retry by
// a person begins a new series, so the step's very first try does not tell.
func (e *Engine) seriesStart(last time.Time, attempts int) time.Time {
	for n := 1; n < attempts; n++ {
		last = last.Add(-e.backoff(n) * 5 / 4)
	}
	return last
}

// released reports whether the step was let go by the drain of its connection: then one
// failure is enough to park again.
func (e *Engine) released(c *conn, s store.DueStep) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return s.IncidentID != "" && c.circuit.State == store.CircuitDraining
}

// rateLimited waits as told, for the whole connection, without using up a try; a quota
// that seconds do not heal parks the connection.
func (e *Engine) rateLimited(c *conn, out store.Outcome, ce *connector.Error, uncertain bool, now time.Time) store.Outcome {
	wait := ce.RetryAfter
	if wait <= 0 {
		wait = jitter(2 * time.Second)
	}
	if ce.Quota || now.Sub(c.limitedSince(now)) > rateLimitPatience {
		return e.parkFailed(c, out, bellhop.ClassRateLimited, uncertain, max(wait, time.Minute))
	}
	c.pause(now, now.Add(wait))
	out.State, out.DueAt = bellhop.StepRetrying, now.Add(wait)
	if uncertain {
		out.State = bellhop.StepUnknown
	}
	// A vendor that says "later" has not failed: the tries are for failures.
	out.Step.Attempts--
	return out
}

func (e *Engine) backoff(attempts int) time.Duration {
	b := e.o.Retry.Backoff
	if len(b) == 0 {
		return time.Second
	}
	return b[min(attempts-1, len(b)-1)]
}

// jitter spreads a wait over three quarters to five quarters of it, so that steps that
// failed together do not come back together.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + time.Duration(rand.Int64N(int64(d/2)+1))
}

// hand gives a step to a person.
func (e *Engine) hand(c *conn, out store.Outcome, class bellhop.ErrorClass) store.Outcome {
	out.State = bellhop.StepManual
	out.Incident = &store.Cause{Connection: c.name, Class: class, Detail: detailOf(out)}
	task := e.taskFor(c, out)
	out.Task = &task
	out.DedupKey = "sync:" + out.Step.Connection + ":" + cmp.Or(out.Step.EventID, out.Step.ID)
	return out
}

// refuse is hand for a step that no vendor was asked about.
func (e *Engine) refuse(c *conn, s store.DueStep, why string) store.Outcome {
	return e.hand(c, store.Outcome{Step: s.Step, Class: bellhop.ClassRejected, Error: why}, bellhop.ClassRejected)
}

// park holds back a step that was not tried, because its connection's circuit is open.
func (e *Engine) park(c *conn, s store.DueStep, circuit store.Circuit) store.Outcome {
	class := s.ErrorClass
	if waitState(s) == bellhop.StepUnknown {
		class = bellhop.ClassUnknownOutcome
	}
	return store.Outcome{Step: s.Step, State: bellhop.StepParked, Class: class,
		Error: cmp.Or(s.Error, "waiting for "+c.name+" to work again"), JoinIncident: circuit.IncidentID,
		Incident: &store.Cause{Connection: c.name, Class: bellhop.ClassUnavailable}, Park: true,
		ProbeAt: circuit.ProbeAt}
}

// parkFailed parks a step that failed and opens the circuit.
func (e *Engine) parkFailed(c *conn, out store.Outcome, class bellhop.ErrorClass, uncertain bool,
	probe time.Duration) store.Outcome {
	out.State = bellhop.StepParked
	if uncertain && out.Class != bellhop.ClassMalformed {
		out.Class = bellhop.ClassUnknownOutcome
	}
	c.mu.Lock()
	probes := c.circuit.Probes
	c.mu.Unlock()
	out.Incident = &store.Cause{Connection: c.name, Class: class, Detail: detailOf(out)}
	out.Park = true
	out.ProbeAt = out.Decided.Add(min(probe<<min(probes, 4), max(6*e.o.Probe, probe)))
	return out
}

// detailOf says in a few words what the vendor answered, without personal data: a
// vendor's message may quote the customer, its status does not.
func detailOf(o store.Outcome) string {
	if o.Attempt != nil && o.Attempt.Status != 0 {
		return fmt.Sprintf("the vendor answered %d", o.Attempt.Status)
	}
	switch o.Class {
	case bellhop.ClassNotSent:
		return "no connection could be made"
	case bellhop.ClassUnknownOutcome:
		return "calls were sent and no answer came back"
	case bellhop.ClassMalformed:
		return "the answers could not be understood"
	default:
		return string(o.Class)
	}
}
