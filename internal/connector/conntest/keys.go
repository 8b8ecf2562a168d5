package conntest

import (
	"context"
	"sync"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/sandbox"
)

func (h Harness) testSameKey(t *testing.T, c Case) {
	r := h.newRig(t)
	d := h.driver(t, r, c)
	if !d.Action.Once.Repeatable() {
		return
	}
	call := c.prepared(t, r, "same")
	first := d.Drive(context.Background(), call)
	call.FirstAttemptAt = r.clock.Now()
	for _, wait := range []time.Duration{time.Minute, 99 * time.Minute, 24 * time.Hour} {
		r.clock.Advance(wait)
		again := d.Drive(context.Background(), call)
		if first.End != EndDone || again.End != EndDone {
			t.Fatalf("ends %s, %s after %s; errors %v", first.End, again.End, wait, again.Errors)
		}
		if again.Result.VendorID != first.Result.VendorID {
			t.Errorf("another id after %s: %q, first %q", wait, again.Result.VendorID, first.Result.VendorID)
		}
		wantCount(t, r, c, 1)
	}
}

// testTwoKeys makes sure that exactly one is not one for all: two calls are two.
func (h Harness) testTwoKeys(t *testing.T, c Case) {
	r := h.newRig(t)
	d := h.driver(t, r, c)
	if d.Action.Once == connector.OnceUpsert {
		return // there the record's own identity is the key
	}
	call := c.prepared(t, r, "one")
	d.Drive(context.Background(), call)
	other := Call(t, c.Action, "two", c.Input, call.Refs)
	// The second is in doubt: the look-up must not take the first for it.
	r.box.SetFaults(h.Fake, sandbox.Fault{Mode: sandbox.FaultRateLimited, Count: 1, Path: c.Write})
	if l, ok := r.conn.(connector.Looker); ok && d.Action.Once == connector.OnceLookup {
		if _, found, err := l.Lookup(context.Background(), other); err != nil || found {
			t.Fatalf("look-up of a call that never was: found %v, err %v", found, err)
		}
	}
	if out := d.Drive(context.Background(), other); out.End != EndDone {
		t.Fatalf("end %s, errors %v", out.End, out.Errors)
	}
	wantCount(t, r, c, 2)
}

func (h Harness) testRetryAfter(t *testing.T, c Case) {
	for value, want := range map[string]time.Duration{"7": 7 * time.Second, "httpdate:9s": 9 * time.Second, "": 0, "soon": 0} {
		r := h.newRig(t)
		call := c.prepared(t, r, "after")
		r.box.SetFaults(h.Fake, sandbox.Fault{Mode: sandbox.FaultRateLimited, Count: 1, Path: c.Write, RetryAfter: value})
		_, err := r.conn.Do(context.Background(), call)
		if e := wantClass(t, err, bellhop.ClassRateLimited); e.RetryAfter != want {
			t.Errorf("Retry-After %q: %s, want %s", value, e.RetryAfter, want)
		}
		wantCount(t, r, c, 0)
	}
}

func (h Harness) testDeadline(t *testing.T, c Case) {
	r := h.newRig(t)
	call := c.prepared(t, r, "deadline")
	r.box.SetFaults(h.Fake, sandbox.Fault{Mode: sandbox.FaultTimeoutAfter, Path: c.Write})
	ctx, cancel := context.WithTimeout(context.Background(), shortBox)
	defer cancel()
	began := time.Now()
	_, err := r.conn.Do(ctx, call)
	if took := time.Since(began); took > shortBox+2*time.Second {
		t.Errorf("took %s with a time box of %s", took, shortBox)
	}
	wantClass(t, err, bellhop.ClassUnknownOutcome)
	r.box.ClearFaults(h.Fake)
}

// testAtOnce sends a repeatable call from two places at the same moment, as two nodes
// do when one rescues the other's work too early.
func (h Harness) testAtOnce(t *testing.T, c Case) {
	r := h.newRig(t)
	d := h.driver(t, r, c)
	if !d.Action.Once.Repeatable() {
		return
	}
	call := c.prepared(t, r, "at-once")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if out := d.Drive(context.Background(), call); out.End != EndDone {
				t.Errorf("end %s, errors %v", out.End, out.Errors)
			}
		})
	}
	wg.Wait()
	wantCount(t, r, c, 1)
}

// testCrash loses the outcome of a call: the engine stopped after it, or right before.
func (h Harness) testCrash(t *testing.T, c Case, called bool) {
	r := h.newRig(t)
	d := h.driver(t, r, c)
	call := c.prepared(t, r, "crash")
	if called {
		if _, err := d.do(context.Background(), call); err != nil {
			t.Fatal(err)
		}
	}
	out := d.Resume(context.Background(), call)
	n := c.Count(r.box.Snapshot())
	if d.Action.Once == connector.OnceNone {
		if out.End != EndPerson || out.Sent != 0 {
			t.Errorf("end %s after %d calls, want a person and no call", out.End, out.Sent)
		}
		return
	}
	if out.End != EndDone || n != 1 {
		t.Errorf("end %s with %d records, errors %v", out.End, n, out.Errors)
	}
}
