package desk_test

import (
	"context"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"bellhop"
	"bellhop/internal/desk"
	"bellhop/internal/engine"
	"bellhop/internal/intake"
	"bellhop/internal/payments"
	"bellhop/internal/policy"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// open makes a desk with one support request.
func open(t *testing.T, db *store.DB) (*desk.Desk, string) {
	t.Helper()
	ctx := context.Background()
	eng, err := engine.New(engine.Opts{DB: db, Node: store.NewID()})
	if err != nil {
		t.Fatal(err)
	}
	acc := store.NewAcceptor(db, store.Policies{Plan: policy.New(policy.Opts{}).Plan, Fold: payments.Fold, Merge: payments.Merge})
	t.Cleanup(acc.Close)
	in := intake.New(intake.Opts{Acceptor: acc})
	a, err := in.SupportRequest(ctx, intake.APIRequest{Caller: "server", IdempotencyKey: "k", Body: []byte("{}"), CorrelationID: "c"},
		intake.Support{Subject: "Help", Body: "It is broken", Email: "ada@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	facts, err := db.RequestsByEvent(ctx, a.EventID)
	if err != nil || len(facts) != 1 {
		t.Fatalf("%d requests (%v)", len(facts), err)
	}
	return desk.New(db, eng, ""), facts[0].ID
}

// Only moves that the lifecycle has are made, whatever is asked in whatever order; a
// refused move changes nothing.
func TestLifecycle(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		d, id := open(t, db)
		ctx := context.Background()
		at := bellhop.SupportNew
		rapid.Check(t, func(rt *rapid.T) {
			to := rapid.SampledFrom(bellhop.SupportStatuses()).Draw(rt, "to")
			got, err := d.Edit(ctx, id, desk.Edit{Status: to}, "olivia")
			switch {
			case to == at || at.CanMove(to):
				if err != nil || got.Status != to || (to == bellhop.SupportResolved) == got.ResolvedAt.IsZero() {
					rt.Fatalf("%s to %s: %+v %v", at, to, got, err)
				}
				at = to
			default:
				if bellhop.CodeOf(err) != bellhop.CodeStateConflict {
					rt.Fatalf("%s to %s was not refused: %v", at, to, err)
				}
				if s, err := db.SupportRequest(ctx, id); err != nil || s.Status != at {
					rt.Fatalf("a refused move changed %s to %s (%v)", at, s.Status, err)
				}
			}
		})
	})
}

func TestAnAssigneeAssigns(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		d, id := open(t, db)
		ctx := context.Background()
		name := "olivia"
		s, err := d.Edit(ctx, id, desk.Edit{Assignee: &name, Note: "first"}, "x")
		if err != nil || s.Status != bellhop.SupportAssigned || s.Assignee != name {
			t.Errorf("%+v %v", s, err)
		}
		s, err = d.Edit(ctx, id, desk.Edit{Note: "second", Priority: bellhop.PriorityUrgent}, "x")
		if err != nil || s.Note != "first\nsecond" || s.Priority != bellhop.PriorityUrgent || s.Assignee != name {
			t.Errorf("%+v %v", s, err)
		}
		for _, e := range []desk.Edit{{Status: "gone"}, {Priority: "asap"}, {Note: "a\x00b"}} {
			if _, err := d.Edit(ctx, id, e, "x"); bellhop.CodeOf(err) != bellhop.CodeInvalid {
				t.Errorf("%+v: %v", e, err)
			}
		}
		if _, err := d.Edit(ctx, store.NewID(), desk.Edit{Note: "x"}, "x"); bellhop.CodeOf(err) != bellhop.CodeNotFound {
			t.Errorf("no such request: %v", err)
		}
	})
}

// The customer's state follows from what was done, for every mix of steps.
func TestViewIsDerived(t *testing.T) {
	t.Parallel()
	steps := func(s ...bellhop.StepState) map[bellhop.StepState]int {
		out := map[bellhop.StepState]int{}
		for _, x := range s {
			out[x]++
		}
		return out
	}
	lead := bellhop.Request{Kind: bellhop.RequestLead}
	for name, c := range map[string]struct {
		f    store.RequestFacts
		want bellhop.RequestState
	}{
		"no e-mail yet":        {store.RequestFacts{Request: lead, Steps: steps()}, bellhop.RequestPending},
		"stored, no CRM":       {store.RequestFacts{Request: lead, PersonHasEmail: true, Steps: steps()}, bellhop.RequestDone},
		"on its way":           {store.RequestFacts{Request: lead, Steps: steps(bellhop.StepDone, bellhop.StepReady)}, bellhop.RequestSaved},
		"retrying":             {store.RequestFacts{Request: lead, Steps: steps(bellhop.StepRetrying)}, bellhop.RequestSaved},
		"arrived":              {store.RequestFacts{Request: lead, Steps: steps(bellhop.StepDone, bellhop.StepDropped)}, bellhop.RequestDone},
		"with a person":        {store.RequestFacts{Request: lead, Steps: steps(bellhop.StepDone, bellhop.StepManual)}, bellhop.RequestManual},
		"in an outage":         {store.RequestFacts{Request: lead, Steps: steps(bellhop.StepParked), HeldByTask: true}, bellhop.RequestManual},
		"support":              {store.RequestFacts{Request: bellhop.Request{Kind: bellhop.RequestSupport}, Support: &bellhop.SupportRequest{Status: bellhop.SupportNew}, Steps: steps(bellhop.StepDone)}, bellhop.RequestManual},
		"support, resolved":    {store.RequestFacts{Request: bellhop.Request{Kind: bellhop.RequestSupport}, Support: &bellhop.SupportRequest{Status: bellhop.SupportResolved}}, bellhop.RequestDone},
		"payment on its way":   {store.RequestFacts{Request: bellhop.Request{Kind: bellhop.RequestPayment}, Steps: steps(bellhop.StepReady)}, bellhop.RequestSaved},
		"payment with a human": {store.RequestFacts{Request: bellhop.Request{Kind: bellhop.RequestPayment}, Steps: steps(bellhop.StepManual)}, bellhop.RequestManual},
	} {
		v := desk.View(c.f)
		if v.State != c.want || v.Message == "" || v.NextStep == "" || !slices.Contains(bellhop.RequestStates(), v.State) {
			t.Errorf("%s: %+v, want %s", name, v, c.want)
		}
	}
}
