package engine

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/store"
)

// chainFor is how long one job goes on to the next steps of its lanes; what is left
// after that gets a job of its own, so that jobs stay far below their time-out.
const chainFor = 10 * time.Second

// runLanes takes what is due at the head of each person's lane and carries it out, the
// lanes side by side, each in order.
// again says that somebody else may be at them too.
func (e *Engine) runLanes(ctx context.Context, connection string, persons []string, again bool) error {
	c := e.conns[connection]
	if c == nil {
		return fmt.Errorf("connection %s is not configured", connection)
	}
	heads, err := e.db.LaneHeads(ctx, connection, persons)
	if err != nil {
		return err
	}
	started := e.clock.Now()
	var mu sync.Mutex
	var errs []error
	var left []string
	var wg sync.WaitGroup
	for _, head := range heads {
		wg.Add(1)
		go func() {
			defer wg.Done()
			more, err := e.runLane(ctx, c, head, started, again)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
			}
			if more {
				left = append(left, head.PersonID)
			}
		}()
	}
	wg.Wait()
	if len(left) > 0 {
		errs = append(errs, e.db.EnqueueLanes(ctx, connection, left))
	}
	return errors.Join(errs...)
}

// runLane carries out a lane's head and, while time is left, the steps behind it. It
// reports whether the lane has more to do that nobody was told of.
func (e *Engine) runLane(ctx context.Context, c *conn, s store.DueStep, started time.Time, again bool) (bool, error) {
	follows := false
	for {
		mine := make(chan struct{})
		if other, busy := e.inflight.LoadOrStore(s.ID, mine); busy {
			// A retry from memory and its job met, or a step was let go while its parking was
			// still being told. The other one finishes; then the lane is looked at anew.
			select {
			case <-other.(chan struct{}):
			case <-ctx.Done():
				return false, ctx.Err()
			}
			heads, err := e.db.LaneHeads(ctx, c.name, []string{s.PersonID})
			if err != nil || len(heads) == 0 {
				return false, err
			}
			s = heads[0]
			continue
		}
		rec, err := e.runStep(ctx, c, s, follows, again)
		e.inflight.Delete(s.ID)
		close(mine)
		if errors.Is(err, errTaken) {
			return false, nil // who took it goes on with the lane
		}
		if err != nil || rec.Next == nil {
			return false, err
		}
		s, follows = *rec.Next, true
		if ctx.Err() != nil || e.clock.Now().Sub(started) > chainFor {
			return true, nil
		}
		if err := e.db.LoadRefs(ctx, &s); err != nil {
			return true, err
		}
	}
}

// runStep carries out one step and records what became of it. follows is set for a step
// whose predecessor in the lane this run has just finished, again when somebody else may
// be at it.
func (e *Engine) runStep(ctx context.Context, c *conn, s store.DueStep, follows, again bool) (store.Recorded, error) {
	now := e.clock.Now()
	am, ok := c.manifest.Action(bellhop.Action(s.Kind))
	if !ok {
		return e.record(ctx, c, e.refuse(c, s, fmt.Sprintf("%s cannot do %s", c.manifest.Name, s.Kind)))
	}
	circuit, err := c.state(ctx, e.db, now)
	if err != nil {
		return store.Recorded{}, err
	}
	// While a circuit is not closed, the steps that were let go or retried by a person pass
	// (they belong to an incident), and while it drains what stands behind them in their
	// lanes too; everything else waits for its turn.
	passes := s.IncidentID != "" || (follows && circuit.State == store.CircuitDraining)
	if circuit.State != store.CircuitClosed && !passes {
		return e.record(ctx, c, e.park(c, s, circuit))
	}
	if until := c.pauseEnd(now); !until.IsZero() {
		return e.record(ctx, c, store.Outcome{Step: s.Step, State: waitState(s), DueAt: until, Decided: now,
			Class: s.ErrorClass, Error: s.Error})
	}
	release, err := c.acquire(ctx)
	if err != nil {
		return store.Recorded{}, err // not called; its job, or the sweep, takes it again
	}
	defer release()
	tried := !s.FirstAttemptAt.IsZero()
	// A call that may be repeated needs no mark while nobody else can be at it: in its first
	// try, at once. Otherwise an old call might arrive behind a newer one of the same lane.
	if am.Once != connector.OnceUpsert || tried || again || e.since(s.TakenAt) > freshFor {
		if err := e.mark(ctx, &s); err != nil {
			return store.Recorded{}, err
		}
		if ctx.Err() != nil {
			return store.Recorded{}, e.giveBack(c, s, ctx.Err())
		}
	}
	o, err := e.try(ctx, c, am, &s, tried)
	switch {
	case errors.Is(err, errTaken):
		return store.Recorded{}, err
	case err != nil:
		return store.Recorded{}, e.giveBack(c, s, err)
	}
	return e.record(ctx, c, o)
}

// waitState is the state in which a step waits without having been tried.
func waitState(s store.DueStep) bellhop.StepState {
	if s.State == bellhop.StepUnknown || s.State == bellhop.StepRunning {
		return bellhop.StepUnknown
	}
	return bellhop.StepRetrying
}

// giveBack returns a step that was taken and not called: the process stops, or stood
// still. One that somebody else has by now is left to them.
func (e *Engine) giveBack(c *conn, s store.DueStep, cause error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	state := bellhop.StepReady
	if waitState(s) == bellhop.StepUnknown {
		state = bellhop.StepUnknown
	}
	_, err := e.record(ctx, c, store.Outcome{Step: s.Step, State: state, Class: s.ErrorClass, Error: s.Error})
	return errors.Join(cause, err)
}

// record writes an outcome even when the job's own time is up: the call was made, and
// what came back must not be lost.
func (e *Engine) record(ctx context.Context, c *conn, o store.Outcome) (store.Recorded, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 35*time.Second)
	defer cancel()
	rec, err := e.rec.Record(ctx, o)
	if err == nil && (o.Park || rec.OpenedIncident != "" || rec.CircuitChanged) {
		c.forget()
		if rec.OpenedIncident != "" {
			e.log.WarnContext(ctx, "incident opened", "connection", c.name, "class", string(o.Incident.Class), "incident", rec.OpenedIncident)
		}
		if o.Park && !rec.Stale {
			e.watchCircuit(ctx, c.name, o.ProbeAt)
		}
	}
	return rec, err
}

// try makes the call, looking first when an earlier one may have taken effect. The error
// says that no call was made.
func (e *Engine) try(ctx context.Context, c *conn, am connector.ActionManifest, s *store.DueStep, tried bool) (store.Outcome, error) {
	call := connector.Call{Action: bellhop.Action(s.Kind), Key: CallKey(s.Key), Marker: CallMarker(s.Key), Input: s.Input,
		Refs: s.Refs, CorrelationID: s.CorrelationID}
	if tried {
		call.FirstAttemptAt = s.FirstAttemptAt
	}
	box, cancel := context.WithTimeout(connector.WithTrace(ctx, s.CorrelationID), am.Timeout())
	defer cancel()
	left := 0 // requests that were let go
	box = connector.WithFence(box, func() error {
		err := e.inTime(s)
		if err == nil {
			left++
		}
		return err
	})
	started := e.clock.Now()
	res, err := e.call(box, c, am, s, call)
	var kept *notCalled
	if errors.As(err, &kept) {
		return store.Outcome{}, kept.err
	}
	if errors.Is(err, errLate) {
		if left == 0 {
			return store.Outcome{}, errLate
		}
		err = &connector.Error{Class: bellhop.ClassUnknownOutcome, Message: "the call was broken off half-way", Err: err}
	}
	att := &bellhop.Attempt{StepID: s.ID, Number: s.Attempts + 1, Node: e.o.Node, StartedAt: started,
		Duration: e.clock.Now().Sub(started), VendorRequestID: res.VendorRequestID}
	if err == nil {
		c.succeeded(e.clock.Now())
		return done(*s, att, res), nil
	}
	ce := asError(err)
	att.Class, att.Status, att.VendorRequestID, att.Error = ce.Class, ce.Status, ce.VendorRequestID, ce.Message
	return e.decide(c, am, *s, att, ce), nil
}

// notCalled is why a call was not made.
type notCalled struct{ err error }

// Error returns the cause.
func (n *notCalled) Error() string { return n.err.Error() }

// call does the action or, for an action without a key of its own whose outcome is
// unknown, looks it up and does it only when it certainly did not happen.
func (e *Engine) call(ctx context.Context, c *conn, am connector.ActionManifest, s *store.DueStep,
	call connector.Call) (res connector.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &connector.Error{Class: bellhop.ClassUnknownOutcome, Message: fmt.Sprintf("the connector failed: %v", p)}
		}
	}()
	if (s.State == bellhop.StepUnknown || s.State == bellhop.StepRunning) && !am.Once.Repeatable() {
		l, ok := c.connector.(connector.Looker)
		if am.Once != connector.OnceLookup || !ok {
			return res, errNobodyKnows
		}
		res, found, err := l.Lookup(ctx, call)
		if err != nil {
			return res, lookupFailed(err)
		}
		if found {
			res.Existing = true
			return res, nil
		}
	}
	if err := e.renew(ctx, am, s); err != nil {
		return res, &notCalled{err}
	}
	return c.connector.Do(ctx, call)
}

// lookupFailed is the error of a look-up. Whatever the vendor said to it, the call itself
// is as unknown as before: a look-up that was refused does not mean that the call was.
func lookupFailed(err error) error {
	ce := asError(err)
	if ce.Class != bellhop.ClassRejected {
		return ce
	}
	return &connector.Error{Class: bellhop.ClassUnknownOutcome, Status: ce.Status, VendorRequestID: ce.VendorRequestID,
		Message: "it could not be looked up: " + ce.Message, Err: ce}
}

// errNobodyKnows ends a step whose call may have happened and cannot be looked up.
var errNobodyKnows = &connector.Error{Class: bellhop.ClassUnknownOutcome, Message: "nobody can tell whether the earlier call took effect"}

func asError(err error) *connector.Error {
	var ce *connector.Error
	if errors.As(err, &ce) {
		return ce
	}
	return &connector.Error{Class: bellhop.ClassUnknownOutcome, Message: "the connector failed", Err: err}
}

func done(s store.DueStep, att *bellhop.Attempt, res connector.Result) store.Outcome {
	data, err := json.Marshal(res)
	if err != nil {
		data = []byte("{}")
	}
	return store.Outcome{Step: s.Step, State: bellhop.StepDone, DoneBy: "engine", Result: data, Refs: res.Refs,
		RefsURL: res.URL, Attempt: att}
}

// CallKey is the idempotency key a vendor is sent for a step's key: opaque, so that it
// shows nothing of a person, and short enough for every vendor.
func CallKey(stepKey string) string {
	return "bh-" + encodeKey(stepKey, 40)
}

// CallMarker is the short form for searchable places.
func CallMarker(stepKey string) string {
	return "bh-" + encodeKey(stepKey, 20)
}

func encodeKey(stepKey string, n int) string {
	sum := sha256.Sum256([]byte("bellhop step\x00" + stepKey))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))[:n]
}
