package store_test

import (
	"context"
	"database/sql"
	"sync"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// movable is a clock that a test puts forward and back.
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

func heads(t *testing.T, db *store.DB, connection string, s bellhop.Step) []store.DueStep {
	t.Helper()
	out, err := db.LaneHeads(context.Background(), connection, []string{s.PersonID})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAClockThatIsPutBackStallsNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range storetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			ctx, clock := context.Background(), &movable{}
			db := storetest.Open(t, kind, clock)
			f := newFixture(t, db)
			rec := store.NewRecorder(db, store.IncidentPlans{})
			t.Cleanup(rec.Close)
			f.lead(t, "ada@example.com", "k1")
			f.lead(t, "bob@example.com", "k2")
			clock.move(5 * time.Hour)
			now := clock.Now()
			contacts := steps(t, db, store.StepFilter{Kind: string(bellhop.ActionUpsertContact)})
			bob, contact := contacts[0], contacts[1]
			for _, o := range []store.Outcome{
				{Step: contact, State: bellhop.StepRetrying, DueAt: now.Add(30 * time.Second), Class: bellhop.ClassUnavailable},
				{Step: bob, State: bellhop.StepParked, Class: bellhop.ClassUnavailable, Park: true, ProbeAt: now.Add(time.Minute),
					Incident: &store.Cause{Connection: "crm", Class: bellhop.ClassUnavailable}},
			} {
				if _, err := rec.Record(ctx, o); err != nil {
					t.Fatal(err)
				}
			}
			if n, err := db.Realign(ctx, []string{"crm"}); err != nil || n != 0 {
				t.Fatalf("by a clock that goes on there are %d steps to put right (%v)", n, err)
			}
			clock.move(-5 * time.Hour)
			if n, err := db.Realign(ctx, []string{"crm"}); err != nil || n != 1 {
				t.Fatalf("%d steps were put right (%v), want 1", n, err)
			}
			if len(heads(t, db, "crm", contact)) != 0 {
				t.Error("the wait between two tries was cut short")
			}
			clock.move(31 * time.Second)
			if len(heads(t, db, "crm", contact)) != 1 {
				t.Error("the step waits for the old time to come again")
			}
			if c, err := db.Circuit(ctx, "crm"); err != nil || c.State != store.CircuitOpen || c.ProbeAt.After(clock.Now()) {
				t.Errorf("the open circuit is looked at at %s only (%v)", c.ProbeAt, err)
			}
		})
	}
}

// A wait that was worked out before the clock was put back, and written after.
func TestAWaitIsAsLongAsItWasMeantToBe(t *testing.T) {
	t.Parallel()
	for _, kind := range storetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			clock := &movable{off: 5 * time.Hour}
			db := storetest.Open(t, kind, clock)
			newFixture(t, db).lead(t, "ada@example.com", "k1")
			rec := store.NewRecorder(db, store.IncidentPlans{})
			t.Cleanup(rec.Close)
			contact := steps(t, db, store.StepFilter{Kind: string(bellhop.ActionUpsertContact)})[0]
			now := db.Clock().Now()
			clock.move(-5 * time.Hour)
			if _, err := rec.Record(context.Background(), store.Outcome{Step: contact, State: bellhop.StepRetrying, Decided: now,
				DueAt: now.Add(30 * time.Second), Class: bellhop.ClassUnavailable}); err != nil {
				t.Fatal(err)
			}
			after := steps(t, db, store.StepFilter{Kind: string(bellhop.ActionUpsertContact)})[0]
			if wait := after.DueAt.Sub(db.Clock().Now()); wait < 20*time.Second || wait > 31*time.Second {
				t.Errorf("it waits %s, want 30s", wait)
			}
		})
	}
}

// Two machines whose clocks differ by hours: neither takes the other for dead, nor what
// it carries out at this moment for given up.
func TestAClockThatIsWrongDoesNotMakeOthersLookDead(t *testing.T) {
	t.Parallel()
	ctx, fast := context.Background(), &movable{off: 3 * time.Hour}
	url := storetest.URL(t, store.Postgres)
	one, two := storetest.OpenURL(t, url, nil), storetest.OpenURL(t, url, fast)
	f := newFixture(t, one)
	f.lead(t, "ada@example.com", "k1")
	contact := steps(t, one, store.StepFilter{Kind: string(bellhop.ActionUpsertContact)})[0]
	marker := store.NewMarker(one, "one")
	t.Cleanup(marker.Close)
	if err := one.Heartbeat(ctx, "one"); err != nil {
		t.Fatal(err)
	}
	if s, err := marker.Mark(ctx, store.DueStep{Step: contact}); err != nil || s.ID == "" {
		t.Fatalf("mark: %+v %v", s, err)
	}
	if n, err := two.TakeOver(ctx, "two", 25*time.Second, false); err != nil || n != 0 {
		t.Errorf("took over from %d living nodes (%v)", n, err)
	}
	if len(heads(t, two, "crm", contact)) != 0 {
		t.Error("a step that is being carried out was given to another node")
	}
	if n, err := two.RequeueDue(ctx, "crm", 0, 10); err != nil || n != 0 {
		t.Errorf("%d leases that go on were taken for over (%v)", n, err)
	}
	if _, err := two.FinishStep(ctx, contact.ID, bellhop.StepDone, "olivia"); bellhop.CodeOf(err) != bellhop.CodeStateConflict {
		t.Errorf("a step in flight was settled by hand: %v", err)
	}
}

// jobList is an enqueuer that only remembers.
type jobList struct{ jobs []store.Job }

func (l *jobList) Enqueue(_ context.Context, _ *sql.Tx, jobs []store.Job) error {
	l.jobs = append(l.jobs, jobs...)
	return nil
}

func (l *jobList) Committed([]store.Job) {}

// A step of a dead node is looked up when its lease is over; its job has to come then,
// not before, when it would find nothing to do.
func TestTheJobOfATakenOverStepComesWhenItsLeaseIsOver(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		f := newFixture(t, db)
		f.lead(t, "ada@example.com", "k1")
		contact := steps(t, db, store.StepFilter{Kind: string(bellhop.ActionUpsertContact)})[0]
		marker := store.NewMarker(db, "dead")
		t.Cleanup(marker.Close)
		if err := db.Heartbeat(ctx, "dead"); err != nil {
			t.Fatal(err)
		}
		if s, err := marker.Mark(ctx, store.DueStep{Step: contact}); err != nil || s.ID == "" {
			t.Fatalf("mark: %+v %v", s, err)
		}
		list := &jobList{}
		db.SetEnqueuer(list)
		if n, err := db.TakeOver(ctx, "two", -time.Minute, false); err != nil || n != 1 {
			t.Fatalf("took over from %d nodes (%v), want 1", n, err)
		}
		after := steps(t, db, store.StepFilter{Kind: string(bellhop.ActionUpsertContact)})[0]
		if after.State != bellhop.StepUnknown || time.Until(after.DueAt) < store.Lease/2 {
			t.Errorf("the step is %s and due at %s", after.State, after.DueAt)
		}
		if len(list.jobs) != 1 || list.jobs[0].At.Sub(after.DueAt).Abs() > time.Millisecond {
			t.Errorf("jobs %+v, want one at %s", list.jobs, after.DueAt)
		}
	})
}

// What waits in a lane goes in the order of the commits, also when an earlier step was
// stored by a machine whose clock was ahead.
func TestALaneKeepsItsOrderWhenAClockIsPutBack(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		f := newFixture(t, db)
		ask := func(key, wants string) {
			in := leadIntake("ada@example.com", key)
			in.Lead.Fields.Wants = wants
			f.accept(t, in)
		}
		ask("k1", "a demo")
		note := steps(t, db, store.StepFilter{Kind: string(bellhop.ActionAddNote)})[0]
		const ahead = "0f000000-0000-7000-8000-ffffffffffff" // an id of another century
		table := "steps"
		if db.Kind() == store.Postgres {
			table = "bellhop.steps"
		}
		if _, err := db.Writer().ExecContext(ctx, "UPDATE "+table+" SET id = '"+ahead+"' WHERE id = '"+note.ID+"'"); err != nil {
			t.Fatal(err)
		}
		ask("k2", "a quote")
		var keys []string
		for {
			due := heads(t, db, "crm", note)
			if len(due) == 0 {
				break
			}
			keys = append(keys, due[0].Kind+" "+due[0].EventID)
			if _, err := db.FinishStep(ctx, due[0].ID, bellhop.StepDone, "olivia"); err != nil {
				t.Fatal(err)
			}
		}
		seen := map[string]bool{}
		for i, k := range keys {
			if i > 0 && k[len(k)-36:] == note.EventID && seen["later"] {
				t.Errorf("the first event's step came after one of the second: %q", keys)
			}
			seen["later"] = seen["later"] || k[len(k)-36:] != note.EventID
		}
		if len(keys) < 3 || !seen["later"] {
			t.Errorf("only %q were carried out", keys)
		}
	})
}
