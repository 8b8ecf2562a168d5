package policy_test

import (
	"strings"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/policy"
)

func TestErasureAsksWhoCanDeleteAndTellsAPersonOfTheRest(t *testing.T) {
	t.Parallel()
	targets := []bellhop.Target{{Connection: "crm", Vendor: "hubspot", Actions: []bellhop.Action{bellhop.ActionDeletePerson}},
		{Connection: "stripe", Vendor: "stripe"}}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	plan := policy.Erasure(targets)(bellhop.ErasureInput{ErasureID: "e1", PersonID: "p1", Now: now, NewID: func() string { return "new" },
		HeldAt: []bellhop.HeldAt{
			{Connection: "crm", Refs: map[string]string{"contact": "551"}},
			{Connection: "old-crm", Refs: map[string]string{"contact": "7"}, URLs: []string{"https://old.example.com/7"}},
			{Connection: "stripe", Customers: []string{"cus_1"}},
		}})
	if len(plan.Steps) != 1 || plan.Steps[0].Connection != "crm" || plan.Steps[0].Key != "erase:crm:e1" {
		t.Errorf("steps %+v", plan.Steps)
	}
	if len(plan.Support) != 2 {
		t.Fatalf("%d requests, want one for each that cannot be asked", len(plan.Support))
	}
	for i, want := range []string{"contact: 7\nhttps://old.example.com/7", "customer: cus_1"} {
		r := plan.Support[i]
		if !strings.Contains(r.Body, want) || r.Reason != bellhop.ReasonErasure || r.PersonID != "p1" || !r.DueAt.After(now) {
			t.Errorf("request %+v, want %q in it", r, want)
		}
	}
	// A vendor that can delete and gave no id has nothing to be named to it.
	plan = policy.Erasure(targets)(bellhop.ErasureInput{NewID: func() string { return "new" }, HeldAt: []bellhop.HeldAt{{Connection: "crm"}}})
	if len(plan.Steps) != 0 || len(plan.Support) != 1 || !strings.Contains(plan.Support[0].Body, "search it for the person") {
		t.Errorf("plan %+v", plan)
	}
}
