package conntest

import (
	"context"
	"slices"
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
	h.wantEveryAction(t)
	for _, c := range h.Cases {
		t.Run(c.name(), func(t *testing.T) {
			t.Parallel()
			for _, m := range sandbox.FaultModes() {
				t.Run(string(m), func(t *testing.T) { t.Parallel(); h.testFault(t, c, m) })
				t.Run(string(m)+"_twice", func(t *testing.T) { t.Parallel(); h.testFaultTwice(t, c, m) })
			}
			t.Run("no_fault", func(t *testing.T) { t.Parallel(); h.testPlain(t, c) })
			t.Run("same_key_twice", func(t *testing.T) { t.Parallel(); h.testSameKey(t, c) })
			t.Run("same_key_at_once", func(t *testing.T) { t.Parallel(); h.testAtOnce(t, c) })
			t.Run("crash_after_the_call", func(t *testing.T) { t.Parallel(); h.testCrash(t, c, true) })
			t.Run("crash_before_the_call", func(t *testing.T) { t.Parallel(); h.testCrash(t, c, false) })
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

func (h Harness) wantEveryAction(t *testing.T) {
	t.Helper()
	for _, a := range h.Vendor.Manifest.Actions {
		if !slices.ContainsFunc(h.Cases, func(c Case) bool { return c.Action == a.Action }) {
			t.Errorf("no case for action %s", a.Action)
		}
	}
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
