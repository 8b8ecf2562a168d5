package engine_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/engine"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// movable is a clock that a test puts forward.
type movable struct {
	mu  sync.Mutex
	off time.Duration
}

func (c *movable) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().UTC().Round(0).Add(c.off)
}

func (c *movable) move(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += by
}

// A look-up that the vendor refuses (the note's contact does not exist) is one step's
// trouble: a person gets it, and nothing else is held up.
func TestARefusedLookupGoesToAPersonAndStopsNothingElse(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		h := &harness{crm: newVendor(), desk: newVendor(), alerts: newVendor()}
		h.crm.refuse = fail(bellhop.ClassRejected, 404)
		h.crm.script(func(call connector.Call, _ int) (bool, error) {
			if call.Action == bellhop.ActionAddNote && who(call) == "p1@example.com" {
				return false, fail(bellhop.ClassUnknownOutcome, 0)
			}
			return true, nil
		})
		startWith(t, db, h)
		h.lead(1)
		h.wait("the note with a person", func(s []bellhop.Step) bool { return count(s, bellhop.StepManual, "crm") == 1 })
		h.lead(2)
		h.wait("the next lead", func(s []bellhop.Step) bool { return count(s, bellhop.StepDone, "crm") == 3 })
		if c, err := db.Circuit(context.Background(), "crm"); err != nil || c.State != store.CircuitClosed {
			t.Errorf("the circuit is %s (%v)", c.State, err)
		}
	})
}

// A step waits for its connection's turn, a person does it by hand meanwhile: it is not
// sent any more, and its lane goes on.
func TestAStepDoneByHandWhileItWaitsForItsTurnIsNotSent(t *testing.T) {
	t.Parallel()
	for _, kind := range storetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			clock := &movable{}
			h := &harness{crm: newVendor(), desk: newVendor(), alerts: newVendor()}
			h.crm.hold, h.crm.started = make(chan struct{}), make(chan connector.Call, 100)
			startWith(t, storetest.Open(t, kind, clock), h, func(o *engine.Opts) {
				o.Clock, o.Connections[0].Manifest.Limits.Concurrency = clock, 1
			})
			h.lead(1)
			if p := who(<-h.crm.started); p != "p1@example.com" {
				t.Fatalf("the first call is for %s", p)
			}
			h.lead(2)
			var second bellhop.Step
			h.wait("the second lead", func(steps []bellhop.Step) bool {
				for _, s := range steps {
					if s.Kind == string(bellhop.ActionUpsertContact) && s.State == bellhop.StepReady && s.ID > second.ID {
						second = s
					}
				}
				return len(steps) == 4
			})
			// Its worker reads it in a moment; it is behind the first then.
			wait := time.NewTimer(200 * time.Millisecond)
			<-wait.C
			if _, err := h.eng.Finish(context.Background(), second.ID, bellhop.StepDone, "olivia"); err != nil {
				t.Fatal(err)
			}
			clock.move(time.Second)
			close(h.crm.hold)
			h.wait("the rest", all(bellhop.StepDone, 4))
			h.crm.mu.Lock()
			defer h.crm.mu.Unlock()
			for _, call := range h.crm.order {
				if call == "p2@example.com "+string(bellhop.ActionUpsertContact) {
					t.Error("a step done by hand was sent")
				}
			}
		})
	}
}
