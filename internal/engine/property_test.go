package engine_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// fates are what can become of a call: whether the vendor did the work, and what it said.
func fates() []struct {
	did bool
	err error
} {
	type fate = struct {
		did bool
		err error
	}
	good := fate{true, nil}
	return []fate{
		good, good, good, good, good, good, good, good, good, good, good, good,
		{false, fail(bellhop.ClassNotSent, 0)},
		{false, fail(bellhop.ClassUnavailable, 503)},
		{true, fail(bellhop.ClassUnknownOutcome, 0)},
		{false, fail(bellhop.ClassUnknownOutcome, 500)},
		{true, fail(bellhop.ClassMalformed, 200)},
		{false, &connector.Error{Class: bellhop.ClassRateLimited, Status: 429, RetryAfter: 1}},
		{false, fail(bellhop.ClassRejected, 422)},
	}
}

// Whatever the vendors do, in whatever order: no effect happens twice, a lane is in
// order, every step ends done or with a person who has a task, and a step that says it
// was done has its effect. Each seed is a run of its own.
func TestRandomFaultsNeverRepeatOrLose(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
			h := start(t, db)
			rng := rand.New(rand.NewPCG(seed, 7))
			script := func(v *vendor) {
				// The vendor's own memory: a key it folds has one effect however often it is
				// sent, as an upsert and a native idempotency key do.
				seen := map[string]bool{}
				v.script(func(call connector.Call, nth int) (bool, error) {
					v.mu.Lock()
					defer v.mu.Unlock()
					f := fates()[rng.IntN(len(fates()))]
					if nth > 8 {
						f.did, f.err = true, nil
					}
					if call.Action != bellhop.ActionAddNote && f.did {
						f.did, seen[call.Key] = !seen[call.Key], true
					}
					return f.did, f.err
				})
			}
			script(h.crm)
			script(h.desk)
			for n := range 25 {
				h.lead(n)
			}
			steps := h.wait("every step to end or reach a person", func(s []bellhop.Step) bool {
				mine := 0
				for _, x := range s {
					if x.Connection == "crm" {
						mine++
						if !x.State.Final() && x.State != bellhop.StepManual {
							return false
						}
					}
				}
				return mine == 50
			})
			if _, most := h.crm.counts(); most > 1 {
				t.Errorf("seed %d: an effect happened %d times", seed, most)
			}
			h.crm.mu.Lock()
			overlap := h.crm.overlap
			records := h.crm.records
			h.crm.mu.Unlock()
			if overlap {
				t.Errorf("seed %d: two steps of one person ran at the same time", seed)
			}
			for _, s := range steps {
				if s.State == bellhop.StepManual {
					if task, err := db.SupportRequest(context.Background(), s.TaskID); err != nil || task.Status == bellhop.SupportResolved {
						t.Errorf("seed %d: step %s is with a person without an open task: %v", seed, s.ID, err)
					}
				}
			}
			done := count(steps, bellhop.StepDone, "crm")
			if len(records) < done {
				t.Errorf("seed %d: %d steps say done and only %d effects happened", seed, done, len(records))
			}
		})
	}
}
