package store_test

// Long file: one fixture of what came in long ago, and every promise of retention about it.

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// ahead is the machine's time, moved ahead: ids are made by the machine's own.
type ahead struct {
	mu sync.Mutex
	by time.Duration
}

func (a *ahead) Now() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Now().UTC().Add(a.by)
}

func (a *ahead) move(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.by += d
}

const day = 24 * time.Hour

// short is a retention under which everything of these tests is old after a jump.
func short() store.Retention {
	return store.Retention{Events: 40 * day, Messages: 40 * day, Attempts: 40 * day, Steps: 40 * day, SupportRequests: 40 * day}
}

// finish does every open step and resolves every open support request.
func (f *fixture) finish(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	rec := store.NewRecorder(f.db, store.IncidentPlans{})
	t.Cleanup(rec.Close)
	for {
		open := 0
		for _, s := range steps(t, f.db, store.StepFilter{}) {
			if s.State != bellhop.StepReady {
				continue
			}
			open++
			_, err := rec.Record(ctx, store.Outcome{Step: s, State: bellhop.StepDone, DoneBy: "engine", Refs: map[string]string{"id": "1"},
				Attempt: &bellhop.Attempt{StepID: s.ID, Number: 1, Node: "n", StartedAt: f.db.Now()}})
			if err != nil {
				t.Fatal(err)
			}
		}
		if open == 0 {
			break
		}
	}
	reqs, err := f.db.SupportRequests(ctx, store.SupportFilter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reqs {
		_, err := f.db.EditSupport(ctx, r.ID, func(bellhop.SupportRequest, bool) (store.SupportEdit, []bellhop.PlannedStep, error) {
			return store.SupportEdit{Status: bellhop.SupportResolved}, nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func rowsOf(t *testing.T, db *store.DB, table string) int {
	t.Helper()
	n := 0
	if db.Kind() == store.Postgres {
		table = "bellhop." + table
	}
	if err := db.Writer().QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func prune(t *testing.T, db *store.DB, r store.Retention) store.Removed {
	t.Helper()
	out, err := db.Prune(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// everything takes in one of each kind; sent again it is the same everything.
func (f *fixture) everything(t *testing.T, conv string) map[string]store.Accepted {
	t.Helper()
	fact := bellhop.PaymentFact{Refs: []string{"pi_1"}, Object: "pi_1", Type: bellhop.FactMoney, Status: bellhop.FactSucceeded,
		Amount: 4900, Currency: "eur", At: time.Unix(1, 0)}
	help := store.Intake{Event: event("api:k:support", "s1", bellhop.KindSupportRequested), Person: bellhop.PersonHint{Email: "ada@example.com"},
		Support: &bellhop.SupportAsk{Reason: bellhop.ReasonRequested, Subject: "Help", Body: "it is broken"}}
	return map[string]store.Accepted{
		"lead":    f.lead(t, "ada@example.com", "k1"),
		"payment": f.accept(t, payment("evt_1", fact, "ada@example.com", "cus_1")),
		"support": f.accept(t, help),
		"chat": f.accept(t, store.Intake{Event: event(store.ChatSource(conv), "m1", bellhop.KindMessage), ConversationID: conv,
			Chat: &store.ChatTurn{ClientID: "m1", Text: "hi", Reply: "hello", Decision: bellhop.Decision{Intent: bellhop.IntentLead,
				Fields: bellhop.LeadFields{Email: "dana@acme.test", Name: "Dana"}}}}),
	}
}

// Promise: whatever retention removed, what was taken in once is a duplicate for ever: a
// webhook, a message, an Idempotency-Key; the same key with another body is still a
// conflict; no step is ever planned a second time; the answer to a repeat still has its
// request.
func TestRetentionKeepsWhatTellsARepeat(t *testing.T) {
	t.Parallel()
	for _, kind := range storetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			clock := &ahead{}
			db := storetest.Open(t, kind, clock)
			f := newFixture(t, db)
			c, err := db.CreateConversation(ctx, bellhop.Owner{VisitorID: "v1"})
			if err != nil {
				t.Fatal(err)
			}
			first := f.everything(t, c.ID)
			f.finish(t)
			keys := rowsOf(t, db, "steps")
			clock.move(100 * day)
			prune(t, db, short())
			for _, table := range []string{"events", "messages", "attempts", "steps", "support_requests"} {
				if n := rowsOf(t, db, table); n != 0 {
					t.Errorf("%d rows of %s are left", n, table)
				}
			}
			if n := rowsOf(t, db, "step_keys"); n != keys {
				t.Errorf("%d step keys are left of %d", n, keys)
			}
			for what, again := range f.everything(t, c.ID) {
				if !again.Duplicate || again.Conflict || again.EventID != first[what].EventID {
					t.Errorf("%s sent again after retention: %+v, first %+v", what, again, first[what])
				}
			}
			if other := f.lead(t, "bob@example.com", "k1"); !other.Conflict {
				t.Errorf("the same key with another body: %+v", other)
			}
			for _, what := range []string{"lead", "support"} {
				reqs, err := db.RequestsByEvent(ctx, first[what].EventID)
				if err != nil || len(reqs) != 1 {
					t.Errorf("the %s's request is gone (%v)", what, err)
				}
			}
			if turn, came, err := db.TurnByClientID(ctx, c.ID, "m1"); err != nil || !came || len(turn) != 0 {
				t.Errorf("a removed message: %d messages, came %v (%v)", len(turn), came, err)
			}
			// The conversation goes on: its one note was written long ago.
			f.accept(t, store.Intake{Event: event(store.ChatSource(c.ID), "m2", bellhop.KindMessage), ConversationID: c.ID,
				Chat: &store.ChatTurn{ClientID: "m2", Text: "my phone is +34600", Reply: "thanks", Decision: bellhop.Decision{
					Intent: bellhop.IntentLead, Fields: bellhop.LeadFields{Phone: "+34600123456"}}}})
			got := steps(t, db, store.StepFilter{})
			if len(got) != 1 || got[0].Kind != string(bellhop.ActionUpsertContact) {
				t.Errorf("after retention a new turn planned %d steps, want the contact's update alone: %+v", len(got), got)
			}
		})
	}
}

// Nothing that is unfinished is removed, however old; a step whose event is gone has all
// that it needs.
func TestRetentionLeavesWhatIsOpen(t *testing.T) {
	t.Parallel()
	for _, kind := range storetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			clock := &ahead{}
			db := storetest.Open(t, kind, clock)
			f := newFixture(t, db)
			c, err := db.CreateConversation(ctx, bellhop.Owner{VisitorID: "v1"})
			if err != nil {
				t.Fatal(err)
			}
			f.everything(t, c.ID)
			fact := bellhop.PaymentFact{Refs: []string{"pi_2"}, Object: "pi_2", Type: bellhop.FactMoney, Status: bellhop.FactSucceeded,
				Amount: 100, Currency: "eur", At: time.Unix(1, 0)}
			f.accept(t, payment("evt_2", fact, "", "cus_2")) // names nobody: nobody was told
			before := steps(t, db, store.StepFilter{})
			clock.move(100 * day)
			prune(t, db, short())
			after := steps(t, db, store.StepFilter{})
			if len(after) != len(before) || rowsOf(t, db, "events") != 0 {
				t.Fatalf("%d of %d open steps are left, %d events", len(after), len(before), rowsOf(t, db, "events"))
			}
			for i := range after {
				if string(after[i].Input) != string(before[i].Input) || after[i].State != before[i].State {
					t.Errorf("step %s changed", after[i].ID)
				}
			}
			if n := rowsOf(t, db, "support_requests"); n != 1 {
				t.Errorf("%d open support requests are left, want 1", n)
			}
			if pays, err := db.UntoldPayments(ctx, db.Now(), 10); err != nil || len(pays) != 1 {
				t.Errorf("%d untold payments are left (%v), want 1", len(pays), err)
			}
			f.finish(t)
			if n := len(steps(t, db, store.StepFilter{})); n != len(before) {
				t.Errorf("%d steps could be carried out, want %d", n, len(before))
			}
		})
	}
}

// A finished step stays as long as the support request that it belongs to is open.
func TestRetentionKeepsTheStepsOfAnOpenRequest(t *testing.T) {
	t.Parallel()
	clock := &ahead{}
	for _, kind := range storetest.Kinds() {
		db := storetest.Open(t, kind, clock)
		f := newFixture(t, db)
		f.accept(t, store.Intake{Event: event("api", "s1", bellhop.KindSupportRequested), Person: bellhop.PersonHint{Email: "ada@example.com"},
			Support: &bellhop.SupportAsk{Reason: bellhop.ReasonRequested, Subject: "Help", Body: "it is broken"}})
		f.lead(t, "ada@example.com", "k1")
		rec := store.NewRecorder(db, store.IncidentPlans{})
		for {
			due := steps(t, db, store.StepFilter{State: bellhop.StepReady})
			if len(due) == 0 {
				break
			}
			for _, s := range due {
				if _, err := rec.Record(context.Background(), store.Outcome{Step: s, State: bellhop.StepDone, DoneBy: "engine"}); err != nil {
					t.Fatal(err)
				}
			}
		}
		rec.Close()
		clock.move(100 * day)
		prune(t, db, short())
		left := steps(t, db, store.StepFilter{})
		if len(left) != 1 || left[0].Kind != string(bellhop.ActionCreateTicket) {
			t.Errorf("%s: %d steps are left, want the open request's ticket", kind, len(left))
		}
	}
}

// A lead without an e-mail, once somebody has seen to it, does not ask for the e-mail
// again because its support request is old.
func TestRetentionKeepsThatALeadWasSeenTo(t *testing.T) {
	t.Parallel()
	clock := &ahead{}
	for _, kind := range storetest.Kinds() {
		db := storetest.Open(t, kind, clock)
		f := newFixture(t, db)
		in := leadIntake("", "k1")
		in.Person = bellhop.PersonHint{CustomerRef: "phone:+34600"}
		in.Lead.Fields = bellhop.LeadFields{Name: "Ada", Phone: "+34600123456"}
		acc := f.accept(t, in)
		f.finish(t)
		clock.move(100 * day)
		prune(t, db, short())
		reqs, err := db.RequestsByEvent(context.Background(), acc.EventID)
		if err != nil || len(reqs) != 1 || reqs[0].Support == nil || reqs[0].Support.Status != bellhop.SupportResolved {
			t.Errorf("%s: %+v %v", kind, reqs, err)
		}
	}
}

func TestZeroRetentionKeepsEverything(t *testing.T) {
	t.Parallel()
	clock := &ahead{}
	for _, kind := range storetest.Kinds() {
		db := storetest.Open(t, kind, clock)
		f := newFixture(t, db)
		f.lead(t, "ada@example.com", "k1")
		f.finish(t)
		clock.move(10000 * day)
		if out := prune(t, db, store.Retention{}); out.Any() || rowsOf(t, db, "events") != 1 || rowsOf(t, db, "steps") != 2 {
			t.Errorf("%s: removed %+v", kind, out)
		}
	}
}

// Whole months go as partitions; a month that has not ended for long enough stays, and so
// does its ledger's guard. What lies in the default partition goes too.
func TestRetentionDropsWholeMonths(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	clock := &ahead{}
	db := storetest.Open(t, store.Postgres, clock)
	f := newFixture(t, db)
	f.lead(t, "ada@example.com", "k1")
	month := time.Now().UTC().Format("2006_01")
	first := time.Date(time.Now().UTC().Year(), time.Now().UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
	// 40 days after the month's first day it is not wholly older than 40 days.
	clock.move(first.AddDate(0, 1, 0).Add(39 * day).Sub(time.Now().UTC()))
	if out := prune(t, db, short()); len(out.Partitions) != 0 || rowsOf(t, db, "events") != 1 {
		t.Fatalf("a month that is not old enough went: %+v", out)
	}
	clock.move(2 * day)
	// A round that dies between detaching and dropping is taken up by the next.
	if _, err := db.Writer().ExecContext(ctx, "ALTER TABLE bellhop.events DETACH PARTITION bellhop.events_"+month); err != nil {
		t.Fatal(err)
	}
	out := prune(t, db, short())
	for _, table := range []string{"events", "messages", "attempts"} {
		if !strings.Contains(fmt.Sprint(out.Partitions), table+"_"+month) {
			t.Errorf("%s_%s was not dropped: %v", table, month, out.Partitions)
		}
	}
	f.lead(t, "bob@example.com", "k2") // its month has no partition any more
	if n := rowsOf(t, db, "events_default"); n != 1 {
		t.Fatalf("%d events in the default partition, want 1", n)
	}
	if _, err := db.Writer().ExecContext(ctx, "UPDATE bellhop.events SET kind = 'x'"); err == nil {
		t.Error("an event of the default partition can be changed")
	}
	if out := prune(t, db, short()); out.Rows["events"] != 1 || rowsOf(t, db, "events") != 0 {
		t.Errorf("the default partition was not emptied: %+v", out)
	}
	if _, err := db.Writer().ExecContext(ctx, "INSERT INTO bellhop.step_keys VALUES ('\\x01')"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Writer().ExecContext(ctx, "DELETE FROM bellhop.step_keys"); err == nil {
		t.Error("step keys can be deleted")
	}
}

// Nobody waits long for a partition that is in use: the round gives up and says so.
func TestRetentionGivesWayToWhoReads(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	clock := &ahead{}
	db := storetest.Open(t, store.Postgres, clock)
	f := newFixture(t, db)
	f.lead(t, "ada@example.com", "k1")
	clock.move(100 * day)
	reader, err := db.Writer().BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Rollback() //nolint:errcheck // it only read
	if _, err := reader.ExecContext(ctx, "SELECT count(*) FROM bellhop.events"); err != nil {
		t.Fatal(err)
	}
	round, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if out, err := db.Prune(round, short()); err == nil && (!out.Busy || len(out.Partitions) > 0) {
		t.Errorf("a partition went under a reader: %+v", out)
	}
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	if out := prune(t, db, short()); len(out.Partitions) == 0 {
		t.Errorf("nothing was dropped when the reader was gone: %+v", out)
	}
}

// Several nodes may start a round at once: what there is goes once, nothing fails.
func TestRetentionOnSeveralNodes(t *testing.T) {
	t.Parallel()
	clock := &ahead{}
	url := storetest.URL(t, store.Postgres)
	nodes := []*store.DB{storetest.OpenURL(t, url, clock), storetest.OpenURL(t, url, clock), storetest.OpenURL(t, url, clock)}
	f := newFixture(t, nodes[0])
	for i := range 50 {
		f.lead(t, fmt.Sprintf("p%d@example.com", i), fmt.Sprint("k", i))
	}
	f.finish(t)
	clock.move(100 * day)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var removed int64
	for _, db := range nodes {
		wg.Add(1)
		go func() {
			defer wg.Done()
			out, err := db.Prune(context.Background(), short())
			mu.Lock()
			defer mu.Unlock()
			removed += out.Rows["steps"]
			if err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	if removed != 100 || rowsOf(t, nodes[0], "step_keys") != 100 {
		t.Errorf("%d steps were removed by three nodes, want 100 once", removed)
	}
}
