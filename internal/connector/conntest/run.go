package conntest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/sandbox"
)

// shortBox is the time box of calls that run into silence, in real time.
const shortBox = 250 * time.Millisecond

// Run is the suite.
func Run(t *testing.T, h Harness) {
	if len(h.Cases) != len(h.Vendor.Manifest.Actions) {
		seen := map[bellhop.Action]bool{}
		for _, c := range h.Cases {
			seen[c.Action] = true
		}
		for _, a := range h.Vendor.Manifest.Actions {
			if !seen[a.Action] {
				t.Errorf("no case for action %s", a.Action)
			}
		}
	}
	for _, c := range h.Cases {
		t.Run(c.name(), func(t *testing.T) {
			t.Parallel()
			for _, m := range sandbox.FaultModes() {
				t.Run(string(m), func(t *testing.T) { t.Parallel(); h.testFault(t, c, m) })
				t.Run(string(m)+"_twice", func(t *testing.T) { t.Parallel(); h.testFaultTwice(t, c, m) })
			}
			t.Run("no_fault", func(t *testing.T) { t.Parallel(); h.testPlain(t, c) })
			t.Run("same_key_twice", func(t *testing.T) { t.Parallel(); h.testSameKey(t, c) })
			t.Run("two_keys", func(t *testing.T) { t.Parallel(); h.testTwoKeys(t, c) })
			t.Run("retry_after", func(t *testing.T) { t.Parallel(); h.testRetryAfter(t, c) })
			t.Run("deadline", func(t *testing.T) { t.Parallel(); h.testDeadline(t, c) })
			t.Run("not_sent", func(t *testing.T) { t.Parallel(); h.testNotSent(t, c) })
			t.Run("rejected", func(t *testing.T) { t.Parallel(); h.testRejected(t, c) })
			t.Run("redirect", func(t *testing.T) { t.Parallel(); h.testRedirect(t, c) })
			t.Run("huge_answer", func(t *testing.T) { t.Parallel(); h.testHuge(t, c) })
			t.Run("bad_input", func(t *testing.T) { t.Parallel(); h.testBadInput(t, c) })
		})
	}
	t.Run("unknown_action", func(t *testing.T) {
		t.Parallel()
		r := h.newRig(t)
		_, err := r.conn.Do(context.Background(), Call(t, "nobody.does_this", "k", map[string]any{}, nil))
		wantClass(t, err, bellhop.ClassRejected)
	})
}

func (h Harness) testPlain(t *testing.T, c Case) {
	r := h.newRig(t)
	call := c.prepared(t, r, "plain")
	out := h.driver(t, r, c).Drive(context.Background(), call)
	if out.End != EndDone || out.Sent != 1 {
		t.Fatalf("end %s after %d calls, errors %v", out.End, out.Sent, out.Errors)
	}
	wantCount(t, r, c, 1)
	wantTrace(t, r)
}

// testFault breaks the writing request once and drives the call to its end.
func (h Harness) testFault(t *testing.T, c Case, m sandbox.FaultMode) {
	r := h.newRig(t)
	call := c.prepared(t, r, "fault-"+string(m))
	r.box.SetFaults(h.Fake, sandbox.Fault{Mode: m, Count: 1, Path: c.Write, Delay: time.Minute})
	d := h.driver(t, r, c)
	if m == sandbox.FaultSlow || m == sandbox.FaultTimeoutAfter {
		d.Timeout = shortBox
	}
	if m == sandbox.FaultSlow {
		d.Timeout = shortBox
		// The vendor may answer "in progress" while the first request still hangs.
		t.Cleanup(func() { r.box.ClearFaults(h.Fake) })
	}
	out := d.Drive(context.Background(), call)
	h.checkFault(t, r, c, m, d.Action.Once, out)
}

func (h Harness) checkFault(t *testing.T, r *rig, c Case, m sandbox.FaultMode, once connector.Once, out Outcome) {
	t.Helper()
	wantNoSecrets(t, r, out.Errors)
	if h.AnyAnswerIsDone && (m == sandbox.FaultMalformed || m == sandbox.FaultMalformedBefore) {
		if out.End != EndDone || len(out.Errors) != 0 {
			t.Fatalf("end %s, errors %v; a good status is all this vendor says", out.End, out.Errors)
		}
		return
	}
	if len(out.Errors) == 0 {
		t.Fatalf("the fault was not seen")
	}
	first := out.Errors[0]
	if want := h.classOf(m); first.Class != want {
		t.Errorf("class %s, want %s (%v)", first.Class, want, first)
	}
	if m == sandbox.FaultDailyQuota && first.Quota != h.DailyQuota {
		t.Errorf("quota %v, want %v", first.Quota, h.DailyQuota)
	}
	h.wantEnd(t, r, c, m, once, out)
}

// wantEnd checks how the call ended, and that it took effect exactly once, or, where
// nothing can tell, never twice.
func (h Harness) wantEnd(t *testing.T, r *rig, c Case, m sandbox.FaultMode, once connector.Once, out Outcome) {
	t.Helper()
	n := c.Count(r.box.Snapshot())
	class := h.classOf(m)
	unknown := class == bellhop.ClassUnknownOutcome || class == bellhop.ClassMalformed
	switch {
	case class == bellhop.ClassUnauthorized, m == sandbox.FaultDailyQuota && h.DailyQuota:
		if out.End != EndParked || n != 0 {
			t.Errorf("end %s with %d records, want parked with none", out.End, n)
		}
	case unknown && once == connector.OnceNone:
		if out.End != EndPerson || out.Sent != 1 || n > 1 {
			t.Errorf("end %s after %d calls with %d records, want a person after 1", out.End, out.Sent, n)
		}
	default:
		if out.End != EndDone || n != 1 {
			t.Errorf("end %s with %d records, want done with exactly one; errors %v", out.End, n, out.Errors)
		}
	}
}

// testFaultTwice breaks two requests of any kind, so that the look-up, or the second
// try, fails as well.
func (h Harness) testFaultTwice(t *testing.T, c Case, m sandbox.FaultMode) {
	if h.AnyAnswerIsDone && m == sandbox.FaultMalformedBefore {
		return // it is done for the vendor's caller, and that is all that can be known
	}
	r := h.newRig(t)
	call := c.prepared(t, r, "twice-"+string(m))
	r.box.SetFaults(h.Fake, sandbox.Fault{Mode: m, Count: 2, Delay: time.Minute})
	d := h.driver(t, r, c)
	if m == sandbox.FaultSlow || m == sandbox.FaultTimeoutAfter {
		d.Timeout = shortBox
	}
	t.Cleanup(func() { r.box.ClearFaults(h.Fake) })
	out := d.Drive(context.Background(), call)
	wantNoSecrets(t, r, out.Errors)
	n := c.Count(r.box.Snapshot())
	if n > 1 {
		t.Fatalf("%d records, never may there be two; errors %v", n, out.Errors)
	}
	if out.End == EndDone && n != 1 {
		t.Errorf("done with %d records", n)
	}
	if d.Action.Once != connector.OnceNone && out.End == EndPerson {
		t.Errorf("a person got what could be found out; errors %v", out.Errors)
	}
}

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

func wantCount(t *testing.T, r *rig, c Case, want int) {
	t.Helper()
	if n := c.Count(r.box.Snapshot()); n != want {
		t.Errorf("%d records at the vendor, want %d", n, want)
	}
}

func wantClass(t *testing.T, err error, want bellhop.ErrorClass) *connector.Error {
	t.Helper()
	var e *connector.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no *connector.Error, want class %s", err, want)
	}
	if e.Class != want {
		t.Fatalf("class %s, want %s (%v)", e.Class, want, e)
	}
	return e
}

func wantTrace(t *testing.T, r *rig) {
	t.Helper()
	calls := r.box.Calls()
	if len(calls) == 0 {
		t.Fatal("the vendor saw no call")
	}
	if tp := calls[len(calls)-1].Traceparent; !strings.HasPrefix(tp, "00-0af7651916cd43dd8448eb211c80319c-") {
		t.Errorf("traceparent %q does not carry the correlation id", tp)
	}
}

// wantNoSecrets searches every form in which an error is shown.
func wantNoSecrets(t *testing.T, r *rig, errs []*connector.Error) {
	t.Helper()
	for _, e := range errs {
		for _, text := range []string{e.Error(), e.Message, fmt.Sprintf("%+v %#v", e, e)} {
			for _, s := range r.secrets {
				if strings.Contains(text, s) {
					t.Errorf("an error shows a secret of the connection")
				}
			}
		}
	}
}
