package intake_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/intake"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// emit hands something over, as the founder's own SQL does; on SQLite there is no function.
func emit(t *testing.T, db *store.DB, kind, payload, key string) {
	t.Helper()
	text := "SELECT bellhop.emit($1::text, $2::text::jsonb, $3::text)"
	if db.Kind() == store.SQLite {
		text = "INSERT INTO outbox (kind, payload, key) VALUES (?1, ?2, ?3)"
	}
	if _, err := db.Writer().Exec(text, kind, payload, key); err != nil {
		t.Fatal(err)
	}
}

func left(t *testing.T, db *store.DB) int {
	t.Helper()
	table, n := "bellhop.outbox", 0
	if db.Kind() == store.SQLite {
		table = "outbox"
	}
	if err := db.Writer().QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func drain(t *testing.T, box *intake.Outbox, want int) {
	t.Helper()
	n, err := box.Drain(context.Background())
	if err != nil || n != want {
		t.Errorf("%d rows were drained (%v), want %d", n, err, want)
	}
}

func tasks(t *testing.T, db *store.DB) []bellhop.SupportRequest {
	t.Helper()
	out, err := db.SupportRequests(context.Background(), store.SupportFilter{})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func events(t *testing.T, db *store.DB) int {
	t.Helper()
	n, err := db.Counts(context.Background(), time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return n.Events
}

func TestWhatIsHandedOverIsTakenIn(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		in := door(t, db, &verifier{})
		box := intake.NewOutbox(intake.OutboxOpts{DB: db, Intake: in})
		drain(t, box, 0)
		emit(t, db, "lead", `{"email": "Ada@Example.com", "name": "Ada", "message": "a demo", "extra": {"plan": 1}}`, "signup-1")
		emit(t, db, "support_request", `{"email": "bob@example.com", "message": "It is broken.\nPlease help."}`, "ticket-1")
		emit(t, db, "event", `{"type": "trial.ended", "email": "ada@example.com"}`, "trial-1")
		drain(t, box, 3)
		if n := left(t, db); n != 0 {
			t.Errorf("%d rows are left", n)
		}
		if k := kinds(t, db); k["crm.upsert_contact"] != 1 || k["crm.add_note"] != 1 {
			t.Errorf("planned %v", k)
		}
		got := tasks(t, db)
		if len(got) != 1 || got[0].Subject != "It is broken." || got[0].Reason != bellhop.ReasonRequested {
			t.Errorf("support requests %+v", got)
		}
		if n := events(t, db); n != 3 {
			t.Errorf("%d events, want 3", n)
		}
	})
}

// Promise: what is handed over is taken in exactly once for each key, for ever: handed over
// again, or taken in by a process that died before it could delete the row.
func TestTheOutboxTakesEachKeyOnce(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		in := door(t, db, &verifier{})
		box := intake.NewOutbox(intake.OutboxOpts{DB: db, Intake: in})
		const lead = `{"email": "ada@example.com"}`
		emit(t, db, "lead", lead, "k1")
		// Taken in by one that dies before it deletes the row: a whole round whose deletion is
		// undone is the same.
		rows, err := db.ClaimOutbox(ctx, time.Minute, 10)
		if err != nil || len(rows) != 1 || rows[0].Attempts != 1 {
			t.Fatalf("%+v %v", rows, err)
		}
		drain(t, box, 0) // it is lent to the one that died
		emit(t, db, "lead", lead, "k1")
		drain(t, box, 1)
		if err := db.ReleaseOutbox(ctx, []int64{rows[0].ID}); err != nil { // as when the lease is over
			t.Fatal(err)
		}
		drain(t, box, 1)
		for range 3 {
			emit(t, db, "lead", lead, "k1")
		}
		drain(t, box, 3)
		if n, k := events(t, db), kinds(t, db); n != 1 || k["crm.upsert_contact"] != 1 || left(t, db) != 0 || len(tasks(t, db)) != 0 {
			t.Errorf("%d events, steps %v, %d rows left, %d tasks", n, k, left(t, db), len(tasks(t, db)))
		}
		// The same key with something else is a mistake that somebody has to see.
		emit(t, db, "lead", `{"email": "bob@example.com"}`, "k1")
		drain(t, box, 1)
		if got := tasks(t, db); len(got) != 1 || !strings.Contains(got[0].Body, "used before") || kinds(t, db)["crm.upsert_contact"] != 1 {
			t.Errorf("another lead under the same key: %+v", got)
		}
	})
}

// A lease that has run out is taken over.
func TestARowOfADeadNodeIsTakenOver(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		box := intake.NewOutbox(intake.OutboxOpts{DB: db, Intake: door(t, db, &verifier{})})
		emit(t, db, "lead", `{"email": "ada@example.com"}`, "k1")
		if rows, err := db.ClaimOutbox(context.Background(), -time.Second, 10); err != nil || len(rows) != 1 {
			t.Fatalf("%+v %v", rows, err)
		}
		drain(t, box, 1)
		if left(t, db) != 0 || events(t, db) != 1 {
			t.Errorf("%d rows, %d events", left(t, db), events(t, db))
		}
	})
}

// A row that cannot be used goes to a person, with what is wrong and what was handed over,
// and does not hold up the others. Its key is free for the one that is put right.
func TestABadRowGoesToAPerson(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		box := intake.NewOutbox(intake.OutboxOpts{DB: db, Intake: door(t, db, &verifier{})})
		bad := []struct{ kind, payload, why string }{
			{"lead", `{"email": "not an address"}`, "email is not an e-mail address"},
			{"lead", `{"name": "nobody"}`, "email or phone"},
			{"lead", `{"email": 5}`, "email is not text"},
			{"support_request", `{"message": "help"}`, "Nobody could be answered"},
			{"support_request", `{"email": "a@b.example", "message": "help", "priority": "now"}`, "no such priority"},
			{"event", `{"email": "ada@example.com"}`, "type is empty"},
		}
		for i, b := range bad {
			emit(t, db, b.kind, b.payload, fmt.Sprint("k", i))
		}
		emit(t, db, "lead", `{"email": "ada@example.com"}`, "good")
		drain(t, box, len(bad)+1)
		got := tasks(t, db)
		if len(got) != len(bad) || left(t, db) != 0 || kinds(t, db)["crm.upsert_contact"] != 1 {
			t.Fatalf("%d tasks, %d rows left, steps %v", len(got), left(t, db), kinds(t, db))
		}
		for i, b := range bad {
			task := got[len(got)-1-i] // newest first
			if !strings.Contains(task.Body, b.why) || !strings.Contains(task.Body, fmt.Sprintf("%q", fmt.Sprint("k", i))) ||
				task.Priority != bellhop.PriorityHigh || task.EventID == "" {
				t.Errorf("%s %s: %+v", b.kind, b.payload, task)
			}
		}
		if !strings.Contains(got[len(got)-1].Body, "not an address") {
			t.Error("the task does not show what was handed over")
		}
		emit(t, db, "lead", `{"email": "nobody@example.com"}`, "k1")
		drain(t, box, 1)
		if len(tasks(t, db)) != len(bad) || kinds(t, db)["crm.upsert_contact"] != 2 {
			t.Errorf("put right, under the same key: %v", kinds(t, db))
		}
	})
}

// When the database cannot store it the row stays, and the try does not count.
func TestARowWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		pol := store.Policies{Plan: func(bellhop.PlanInput) bellhop.Plan { return bellhop.Plan{} }}
		acc := store.NewAcceptor(db, pol)
		acc.Close() // nothing is taken in any more, as at a shutdown
		shut := intake.NewOutbox(intake.OutboxOpts{DB: db, Intake: intake.New(intake.Opts{Acceptor: acc})})
		emit(t, db, "lead", `{"email": "ada@example.com"}`, "k1")
		emit(t, db, "lead", `{"email": "bob@example.com"}`, "k2")
		for range 7 {
			if _, err := shut.Drain(context.Background()); err == nil {
				t.Fatal("taken in by nobody")
			}
		}
		if left(t, db) != 2 || len(tasks(t, db)) != 0 {
			t.Fatalf("%d rows are left, %d tasks", left(t, db), len(tasks(t, db)))
		}
		drain(t, intake.NewOutbox(intake.OutboxOpts{DB: db, Intake: door(t, db, &verifier{})}), 2)
	})
}

// Several nodes share the rows; each is taken in once.
func TestNodesShareTheOutbox(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t, store.Postgres)
	nodes := []*store.DB{storetest.OpenURL(t, url, nil), storetest.OpenURL(t, url, nil)}
	for i := range 150 {
		emit(t, nodes[0], "lead", fmt.Sprintf(`{"email": "p%d@example.com"}`, i), fmt.Sprint("k", i))
	}
	var wg sync.WaitGroup
	for _, db := range nodes {
		box := intake.NewOutbox(intake.OutboxOpts{DB: db, Intake: door(t, db, &verifier{})})
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := 1; n > 0; {
				var err error
				if n, err = box.Drain(context.Background()); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	wg.Wait()
	if k := kinds(t, nodes[0]); k["crm.upsert_contact"] != 150 || left(t, nodes[0]) != 0 {
		t.Errorf("planned %v, %d rows left", k, left(t, nodes[0]))
	}
}

// The founder's transaction decides: what it takes back was never handed over, what it
// commits is taken in at once.
func TestEmitIsPartOfTheFoundersTransaction(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	db := storetest.Open(t, store.Postgres, nil)
	box := intake.NewOutbox(intake.OutboxOpts{DB: db, Intake: door(t, db, &verifier{})})
	done := make(chan struct{})
	go func() {
		defer close(done)
		box.Run(ctx)
	}()
	defer func() {
		cancel()
		<-done
	}()
	if _, err := db.Writer().Exec("CREATE TABLE public.signups (id int PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	signup := func(id int, commit bool) {
		t.Helper()
		tx, err := db.Writer().BeginTx(ctx, &sql.TxOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
		if _, err := tx.Exec("INSERT INTO public.signups VALUES ($1)", id); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec("SELECT bellhop.emit('lead', jsonb_build_object('email', $1::text), 'signup-' || $2::text)",
			fmt.Sprintf("p%d@example.com", id), fmt.Sprint(id)); err != nil {
			t.Fatal(err)
		}
		if commit {
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
		}
	}
	signup(1, false)
	signup(2, true)
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for left(t, db) > 0 || events(t, db) == 0 {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("what was committed was not taken in")
		}
	}
	steps, err := db.Steps(ctx, store.StepFilter{Limit: 10})
	if err != nil || len(steps) != 1 || !strings.Contains(string(steps[0].Input), "p2@example.com") {
		t.Errorf("%d steps (%v)", len(steps), err)
	}
}

// What cannot be meant is refused where it is written, so that the founder sees it.
func TestEmitRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, store.Postgres, nil)
	for _, call := range []string{
		"bellhop.emit('payment', '{}', 'k')", "bellhop.emit(NULL, '{}', 'k')", "bellhop.emit('lead', '[]', 'k')",
		"bellhop.emit('lead', NULL, 'k')", "bellhop.emit('lead', '{}', '')", "bellhop.emit('lead', '{}', NULL)",
		"bellhop.emit('lead', '{}', E'a\\nb')", "bellhop.emit('lead', '{}', repeat('x', 201))",
		"bellhop.emit('lead', jsonb_build_object('message', repeat('x', 1100000)), 'k')",
	} {
		if _, err := db.Writer().Exec("SELECT " + call); err == nil || !strings.Contains(err.Error(), "22023") {
			t.Errorf("%s: %v", call, err)
		}
	}
	for _, kind := range intake.OutboxKinds() {
		if _, err := db.Writer().Exec("SELECT bellhop.emit($1::text, '{}', 'k')", kind); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
