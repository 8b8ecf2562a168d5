package engine_test

import (
	"context"
	"strings"
	"testing"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

func TestLanesAreInOrderAndSideBySide(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		h := start(t, db)
		for n := range 20 {
			h.lead(n)
		}
		h.wait("all steps done", all(bellhop.StepDone, 40))
		if keys, most := h.crm.counts(); keys != 40 || most != 1 {
			t.Errorf("%d effects, at most %d of one key; want 40, 1", keys, most)
		}
		h.crm.mu.Lock()
		defer h.crm.mu.Unlock()
		if h.crm.overlap {
			t.Error("two steps of one person ran at the same time")
		}
		seen := map[string]bool{}
		for _, o := range h.crm.order {
			p, action, _ := strings.Cut(o, " ")
			if action == "crm.add_note" && !seen[p] {
				t.Errorf("the note of %s was written before its contact", p)
			}
			seen[p] = true
		}
	})
}

func TestRetriesThenSucceeds(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		h := start(t, db)
		h.crm.script(func(call connector.Call, nth int) (bool, error) {
			if nth < 3 {
				return false, fail(bellhop.ClassNotSent, 0)
			}
			return true, nil
		})
		h.lead(1)
		steps := h.wait("done after retries", all(bellhop.StepDone, 2))
		for _, s := range steps {
			att, err := db.Attempts(context.Background(), s.ID)
			if err != nil || len(att) != 3 || att[2].Class != "" || att[0].Class != bellhop.ClassNotSent {
				t.Errorf("%s: attempts %+v (%v)", s.Kind, att, err)
			}
		}
	})
}

// 200 leads during one outage make one incident, one task and one alert; when the vendor
// is back all arrive once, and the task closes itself.
func TestOutageIsOneIncidentAndDrains(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		h := start(t, db)
		h.crm.script(func(connector.Call, int) (bool, error) { return false, fail(bellhop.ClassUnavailable, 503) })
		for n := range 200 {
			h.lead(n)
		}
		steps := h.wait("all contacts parked and the founder told", func(s []bellhop.Step) bool {
			return count(s, bellhop.StepParked, "crm") == 200 && count(s, bellhop.StepDone, "founder") == 1
		})
		if n := count(steps, bellhop.StepWaiting, "crm"); n != 200 {
			t.Errorf("%d notes wait behind their contact, want 200", n)
		}
		tasks := h.tasks(bellhop.SupportNew)
		if len(tasks) != 1 || tasks[0].Reason != bellhop.ReasonOutage {
			t.Fatalf("%d tasks, want one for the outage: %+v", len(tasks), tasks)
		}
		if inc := h.incidents(); len(inc) != 1 || inc[0].Steps != 200 {
			t.Fatalf("incidents %+v, want one that holds 200", inc)
		}
		h.crm.script(nil)
		h.wait("all carried out", func(s []bellhop.Step) bool {
			return count(s, bellhop.StepDone, "crm") == 400 && count(s, bellhop.StepDone, "founder") == 2
		})
		if keys, most := h.crm.counts(); keys != 400 || most != 1 {
			t.Errorf("%d effects, at most %d of one; want 400, 1", keys, most)
		}
		if left := h.tasks(bellhop.SupportResolved); len(left) != 1 || !strings.Contains(left[0].Note, "Closed by itself") {
			t.Errorf("the task did not close itself: %+v", left)
		}
		if inc := h.incidents(); len(inc) != 1 || inc[0].ClosedAt.IsZero() {
			t.Errorf("the incident is not closed: %+v", inc)
		}
		if n := h.alerts.callsOf(bellhop.ActionSendAlert); n != 2 {
			t.Errorf("%d alerts, want one at the start and one at the end", n)
		}
	})
}

func TestUnknownOutcomeIsLookedUp(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		h := start(t, db)
		// The vendor does the work and no answer comes, for the first try of everything.
		h.crm.script(func(call connector.Call, nth int) (bool, error) {
			if nth == 1 {
				return true, fail(bellhop.ClassUnknownOutcome, 0)
			}
			return call.Action == bellhop.ActionAddNote, nil // an upsert repeated changes nothing
		})
		h.lead(1)
		h.lead(2)
		h.wait("done", all(bellhop.StepDone, 4))
		if keys, most := h.crm.counts(); keys != 4 || most != 1 {
			t.Errorf("%d effects, at most %d of one; want 4, 1", keys, most)
		}
		if n := h.crm.callsOf(bellhop.ActionAddNote); n != 2 {
			t.Errorf("the notes were sent %d times, want 2: they are looked up, not repeated", n)
		}
	})
}

func TestRejectedGoesToAPersonAndDoesNotBlockItsLane(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		h := start(t, db)
		h.crm.script(func(call connector.Call, _ int) (bool, error) {
			if call.Action == bellhop.ActionUpsertContact {
				return false, &connector.Error{Class: bellhop.ClassRejected, Status: 400, Message: "Property phone is bad"}
			}
			return true, nil
		})
		h.lead(1)
		steps := h.wait("contact with a person, note done", func(s []bellhop.Step) bool {
			return count(s, bellhop.StepManual, "crm") == 1 && count(s, bellhop.StepDone, "crm") == 1 &&
				count(s, bellhop.StepDone, "founder") == 1
		})
		tasks := h.tasks(bellhop.SupportNew)
		if len(tasks) != 1 || !strings.Contains(tasks[0].Body, "Property phone is bad") ||
			!strings.Contains(tasks[0].Body, "p1@example.com") || !strings.Contains(tasks[0].Body, "Done by hand") {
			t.Fatalf("tasks %+v", tasks)
		}
		var manual bellhop.Step
		for _, s := range steps {
			if s.State == bellhop.StepManual {
				manual = s
			}
		}
		if manual.TaskID != tasks[0].ID {
			t.Errorf("the step is held by task %q, want %q", manual.TaskID, tasks[0].ID)
		}
		done, err := h.eng.Finish(ctx, manual.ID, bellhop.StepDone, "olivia")
		if err != nil || done.State != bellhop.StepDone || done.DoneBy != "olivia" {
			t.Fatalf("done by hand: %+v %v", done, err)
		}
		if _, err := h.eng.Retry(ctx, manual.ID); bellhop.CodeOf(err) != bellhop.CodeStateConflict {
			t.Errorf("a step done by hand could be retried: %v", err)
		}
		if n := h.crm.callsOf(bellhop.ActionUpsertContact); n != 1 {
			t.Errorf("a rejected step was tried %d times", n)
		}
		if left := h.tasks(bellhop.SupportResolved); len(left) != 1 {
			t.Error("the task did not close itself")
		}
	})
}

func TestRetryByAPersonGetsFreshTries(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		h := start(t, db)
		h.crm.script(func(call connector.Call, nth int) (bool, error) {
			if call.Action == bellhop.ActionUpsertContact && nth == 1 {
				return false, fail(bellhop.ClassRejected, 400)
			}
			return true, nil
		})
		h.lead(1)
		steps := h.wait("with a person", func(s []bellhop.Step) bool { return count(s, bellhop.StepManual, "crm") == 1 })
		for _, s := range steps {
			if s.State == bellhop.StepManual {
				if _, err := h.eng.Retry(context.Background(), s.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		h.wait("done", func(s []bellhop.Step) bool { return count(s, bellhop.StepDone, "crm") == 2 })
		if left := h.tasks(bellhop.SupportResolved); len(left) != 1 {
			t.Error("the task did not close itself")
		}
	})
}

func TestAlertOfUnknownOutcomeIsNotRepeated(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		h := start(t, db)
		h.alerts.script(func(connector.Call, int) (bool, error) { return true, fail(bellhop.ClassUnknownOutcome, 500) })
		h.crm.script(func(call connector.Call, _ int) (bool, error) { return false, fail(bellhop.ClassRejected, 400) })
		h.lead(1)
		h.wait("the alert with a person", func(s []bellhop.Step) bool { return count(s, bellhop.StepManual, "founder") == 1 })
		if n := h.alerts.callsOf(bellhop.ActionSendAlert); n != 1 {
			t.Errorf("the alert was sent %d times, want once", n)
		}
	})
}

func TestBadCredentialsParkTheConnectionAtOnce(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		h := start(t, db)
		h.crm.script(func(connector.Call, int) (bool, error) { return false, fail(bellhop.ClassUnauthorized, 401) })
		h.lead(1)
		h.wait("parked", func(s []bellhop.Step) bool { return count(s, bellhop.StepParked, "crm") == 1 })
		if inc := h.incidents(); len(inc) != 1 || inc[0].Class != bellhop.ClassUnauthorized {
			t.Errorf("incidents %+v", inc)
		}
	})
}

func TestRateLimitWaitsWithoutUsingUpTries(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		h := start(t, db)
		h.crm.script(func(_ connector.Call, nth int) (bool, error) {
			if nth <= 5 {
				return false, &connector.Error{Class: bellhop.ClassRateLimited, Status: 429, RetryAfter: 1}
			}
			return true, nil
		})
		h.lead(1)
		h.wait("done", all(bellhop.StepDone, 2))
		if inc := h.incidents(); len(inc) != 0 {
			t.Errorf("five times 429 made an incident: %+v", inc)
		}
	})
}
