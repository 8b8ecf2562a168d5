package store_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// TestRowsInEveryMode takes a payment in and its step out in the default mode of pgx and
// in those that a transaction pooler allows: each sends arrays in its own way.
func TestRowsInEveryMode(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"cache_statement", "cache_describe", "exec"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			url := storetest.URL(t, store.Postgres)
			sep := "?"
			if strings.Contains(url, "?") {
				sep = "&"
			}
			db := storetest.OpenURL(t, url+sep+"default_query_exec_mode="+mode, nil)
			f := newFixture(t, db)
			in := payment("evt_1", bellhop.PaymentFact{Type: bellhop.FactMoney, Object: "ch_1", Refs: []string{"ch_1", "pi_1"},
				Amount: 100, Currency: "eur", CustomerRef: "cus_1", Status: bellhop.FactSucceeded, At: time.Now().UTC()},
				"ada@example.com", "cus_1")
			if acc := f.accept(t, in); acc.Duplicate || acc.PersonID == "" || acc.Steps != 1 {
				t.Fatalf("accepted %+v", acc)
			}
			if again := f.accept(t, in); !again.Duplicate {
				t.Fatalf("again: %+v", again)
			}
			s := steps(t, db, store.StepFilter{})[0]
			ctx := context.Background()
			heads, err := db.LaneHeads(ctx, s.Connection, []string{s.PersonID})
			if err != nil || len(heads) != 1 {
				t.Fatalf("heads: %v, %v", heads, err)
			}
			marks := store.NewMarker(db, "n1")
			defer marks.Close()
			marked, err := marks.Mark(ctx, heads[0])
			if err != nil || marked.ID != s.ID {
				t.Fatalf("marked %+v, %v", marked, err)
			}
			rec := store.NewRecorder(db, store.IncidentPlans{})
			defer rec.Close()
			out, err := rec.Record(ctx, store.Outcome{Step: marked.Step, State: bellhop.StepDone, DoneBy: "engine",
				Result: []byte(`{"a":1}`), Refs: map[string]string{"contact": "1"},
				Attempt: &bellhop.Attempt{StepID: s.ID, Number: 1, Node: "n1", StartedAt: time.Now()}})
			if err != nil || out.Stale {
				t.Fatalf("recorded %+v, %v", out, err)
			}
			if s, err = db.Step(ctx, s.ID); err != nil || s.State != bellhop.StepDone || s.Attempts != 1 {
				t.Fatalf("step %+v, %v", s, err)
			}
		})
	}
}
