package engine_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/desk"
	"bellhop/internal/engine"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// settled reports that no incident and no task is open.
func (h *harness) settled() bool {
	for _, i := range h.incidents() {
		if i.ClosedAt.IsZero() {
			return false
		}
	}
	return len(h.tasks(bellhop.SupportNew)) == 0
}

// Traffic that goes on while an outage ends does not make a second one.
func TestTheEndOfAnOutageDoesNotFlap(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		h := start(t, db)
		h.crm.script(func(connector.Call, int) (bool, error) { return false, fail(bellhop.ClassUnavailable, 503) })
		for n := range 6 {
			h.lead(n)
		}
		h.wait("parked", func(s []bellhop.Step) bool {
			return count(s, bellhop.StepParked, "crm") == 6 && count(s, bellhop.StepDone, "founder") == 1
		})
		h.crm.script(nil)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 10; n < 90; n++ {
			h.lead(n)
			<-tick.C
		}
		h.wait("all done", func(s []bellhop.Step) bool { return count(s, bellhop.StepDone, "crm") == 172 && h.settled() })
		if inc := h.incidents(); len(inc) != 1 {
			t.Errorf("one outage made %d incidents", len(inc))
		}
	})
}

// The kind of failure changes while a connection is down: both incidents end with it.
func TestAnIncidentThatLosesItsStepsEnds(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		h := start(t, db)
		h.crm.script(func(connector.Call, int) (bool, error) { return false, fail(bellhop.ClassUnavailable, 503) })
		h.lead(1)
		h.wait("parked", func(s []bellhop.Step) bool { return count(s, bellhop.StepParked, "crm") == 1 })
		var once atomic.Bool
		h.crm.script(func(connector.Call, int) (bool, error) {
			if once.CompareAndSwap(false, true) {
				return false, fail(bellhop.ClassUnauthorized, 401)
			}
			return true, nil
		})
		h.wait("everything to end", func(s []bellhop.Step) bool { return count(s, bellhop.StepDone, "crm") == 2 && h.settled() })
	})
}

// Two incidents of one connection: the end of the first leaves nothing of the second
// behind.
func TestTwoIncidentsOfOneConnection(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		h := start(t, db)
		h.crm.mu.Lock()
		h.crm.started, h.crm.hold = make(chan connector.Call, 100), make(chan struct{})
		h.crm.mu.Unlock()
		h.lead(1)
		h.lead(2)
		<-h.crm.started
		<-h.crm.started // both calls are in flight
		h.crm.script(func(c connector.Call, nth int) (bool, error) {
			switch {
			case nth > 1:
				return true, nil
			case who(c) == "p1@example.com":
				return false, fail(bellhop.ClassUnauthorized, 401)
			default:
				return false, &connector.Error{Class: bellhop.ClassRateLimited, Status: 429, Quota: true, RetryAfter: time.Millisecond}
			}
		})
		close(h.crm.hold)
		steps := h.wait("both parked", func(s []bellhop.Step) bool { return count(s, bellhop.StepParked, "crm") == 2 })
		for _, s := range steps {
			if s.State == bellhop.StepParked && s.ErrorClass == bellhop.ClassUnauthorized {
				if _, err := h.eng.Finish(context.Background(), s.ID, bellhop.StepDone, "olivia"); err != nil && bellhop.CodeOf(err) != bellhop.CodeStateConflict {
					t.Fatal(err)
				}
			}
		}
		// The quota's own probe is a minute away; an operator does not wait for it.
		if err := db.ProbeNow(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := h.eng.Maintain(context.Background()); err != nil {
			t.Fatal(err)
		}
		h.wait("everything to end", func(s []bellhop.Step) bool { return count(s, bellhop.StepDone, "crm") == 4 && h.settled() })
	})
}

// The steps of a connection that the configuration lost are all with a person.
func TestARemovedConnectionGoesToAPerson(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		h := start(t, db)
		h.crm.script(func(connector.Call, int) (bool, error) { return false, fail(bellhop.ClassUnavailable, 503) })
		h.lead(1)
		h.lead(2)
		h.wait("parked", func(s []bellhop.Step) bool { return count(s, bellhop.StepParked, "crm") == 2 })
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := h.eng.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		eng, err := engine.New(engine.Opts{DB: db, Node: store.NewID()})
		if err != nil {
			t.Fatal(err)
		}
		if err := eng.Start(ctx); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = eng.Stop(context.Background()) })
		steps := h.wait("all with a person", func(s []bellhop.Step) bool { return count(s, bellhop.StepManual, "crm") == 4 })
		for _, s := range steps {
			if s.State == bellhop.StepManual && s.TaskID == "" {
				t.Errorf("%s has no task", s.Kind)
			}
		}
	})
}

// A task cannot be resolved over the head of the steps it holds.
func TestATaskWithOpenStepsCannotBeResolved(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		h := start(t, db)
		h.crm.script(func(connector.Call, int) (bool, error) { return false, fail(bellhop.ClassRejected, 400) })
		h.lead(1)
		steps := h.wait("with a person", func(s []bellhop.Step) bool { return count(s, bellhop.StepManual, "crm") == 2 })
		d := desk.New(db, h.eng, "")
		task := h.tasks(bellhop.SupportNew)[0]
		if _, err := d.Edit(ctx, task.ID, desk.Edit{Status: bellhop.SupportResolved}, "olivia"); bellhop.CodeOf(err) != bellhop.CodeStateConflict {
			t.Errorf("got %v", err)
		}
		for _, s := range steps {
			if s.State == bellhop.StepManual {
				if _, err := d.Settle(ctx, s.ID, desk.ActionDrop, "olivia"); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !h.settled() {
			t.Error("with all steps settled something is still open")
		}
	})
}

// Two nodes on one database, a vendor that takes one call at a time, and marks whose
// leases would end while their steps queue: nothing happens twice.
func TestTwoNodesDoNothingTwice(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t, store.Postgres)
	narrow := func(o *engine.Opts) {
		o.Overdue = 50 * time.Millisecond
		for i := range o.Connections {
			o.Connections[i].Manifest.Limits.Concurrency = 1
		}
	}
	crm, helpdesk, alerts := newVendor(), newVendor(), newVendor()
	h := startWith(t, storetest.OpenURL(t, url, nil), &harness{crm: crm, desk: helpdesk, alerts: alerts}, narrow)
	h2 := startWith(t, storetest.OpenURL(t, url, nil), &harness{crm: crm, desk: helpdesk, alerts: alerts}, narrow)
	crm.script(func(connector.Call, int) (bool, error) {
		pause := time.NewTimer(10 * time.Millisecond)
		<-pause.C
		return true, nil
	})
	for n := range 30 {
		[]*harness{h, h2}[n%2].lead(n)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	h.wait("all done", func(s []bellhop.Step) bool {
		<-tick.C
		if err := h2.eng.Maintain(context.Background()); err != nil {
			t.Error(err)
		}
		return count(s, bellhop.StepDone, "crm") == 60
	})
	crm.mu.Lock()
	defer crm.mu.Unlock()
	for key, n := range crm.records {
		if n > 1 && crm.calls[key] > 1 {
			t.Logf("%d effects of %s", n, key)
		}
	}
	notes := 0
	for _, o := range crm.order {
		if len(o) > 12 && o[len(o)-12:] == "crm.add_note" {
			notes++
		}
	}
	if notes != 30 {
		t.Errorf("%d notes were sent, want 30", notes)
	}
}
