package engine_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/engine"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// ahead is the machine's time, moved ahead for the store alone.
type ahead struct{ by atomic.Int64 }

func (a *ahead) Now() time.Time { return time.Now().UTC().Add(time.Duration(a.by.Load())) }

// The engine removes what is old, once an hour, and goes on working.
func TestTheEngineRemovesWhatIsOld(t *testing.T) {
	t.Parallel()
	for _, kind := range storetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			clock := &ahead{}
			db := storetest.Open(t, kind, clock)
			keep := 40 * 24 * time.Hour
			h := start(t, db, func(o *engine.Opts) {
				o.Retention = store.Retention{Events: keep, Messages: keep, Attempts: keep, Steps: keep, SupportRequests: keep}
			})
			h.lead(1)
			h.wait("done", all(bellhop.StepDone, 2))
			left := func(what string, steps, events int) {
				t.Helper()
				got, err := db.Steps(ctx, store.StepFilter{})
				if err != nil {
					t.Fatal(err)
				}
				n, err := db.Counts(ctx, time.Unix(0, 0))
				if err != nil || len(got) != steps || n.Events != events {
					t.Errorf("%s: %d steps and %d events are left (%v), want %d and %d", what, len(got), n.Events, err, steps, events)
				}
			}
			// On Postgres the database's clock counts, and undoes the move when it is read the
			// next time: then the clock is moved once more.
			for range 50 {
				clock.by.Add(int64(100 * 24 * time.Hour))
				if err := h.eng.Retain(ctx); err != nil {
					t.Fatal(err)
				}
				if got, err := db.Steps(ctx, store.StepFilter{}); err != nil || len(got) == 0 {
					break
				}
			}
			left("after a round", 0, 0)
			h.lead(2) // its id is of the machine's time, so it is as old
			h.wait("the next lead", all(bellhop.StepDone, 2))
			if err := h.eng.Retain(ctx); err != nil {
				t.Fatal(err)
			}
			left("within the hour", 2, 1)
		})
	}
}
