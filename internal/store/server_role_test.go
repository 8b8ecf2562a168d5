package store_test

import (
	"context"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// A role that serves and has not become bellhop_server has no rights at all, and none that
// are more than those.
func TestTheServersRoleFailsClosed(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	base := storetest.URL(t, store.Postgres)
	db := storetest.OpenURL(t, base, nil)
	bare, err := store.Open(ctx, store.Opts{URL: login(t, db, base, false)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bare.Close() }) //nolint:errcheck // the test is over
	for _, q := range []string{"SELECT 1 FROM bellhop.conversations", "SELECT 1 FROM bellhop.events", "SET ROLE service_role",
		"SELECT bellhop.make_month('events', '2020-01-01')"} {
		if _, err := bare.Writer().Exec(q); sqlState(err) != "42501" {
			t.Errorf("%s: %v, want 42501", q, err)
		}
	}
	if err := bare.Migrate(ctx); sqlState(err) != "42501" {
		t.Errorf("starting without a role: %v, want 42501", err)
	}
}

// A server with the least rights does everything that the owner of the tables does: takes
// in, carries out, gives up, takes over, makes months and forgets them.
func TestTheServersRoleIsEnough(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	base := storetest.URL(t, store.Postgres)
	owner := storetest.OpenURL(t, base, nil)
	clock := &ahead{}
	db := storetest.OpenURL(t, login(t, owner, base, true), clock)
	if db.OwnsSchema() {
		t.Fatal("the server's role owns the tables")
	}
	if what, err := db.RowSecurity(ctx); err != nil || what != "" {
		t.Errorf("row level security: %q, %v", what, err)
	}
	f := newFixture(t, db)
	c, err := db.CreateConversation(ctx, bellhop.Owner{VisitorID: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.SigningSecret(ctx); err != nil {
		t.Error(err)
	}
	first := f.everything(t, c.ID)
	for _, err := range []error{db.Heartbeat(ctx, "n1"), db.Leave(ctx, "n1"), db.Heartbeat(ctx, "n1")} {
		if err != nil {
			t.Error(err)
		}
	}
	if _, err := db.TakeOver(ctx, "n2", time.Nanosecond, true); err != nil {
		t.Error(err)
	}
	f.finish(t)
	clock.move(100 * day) // whatever it says: this month's is not its to take away
	before := rowsOf(t, owner, "events")
	if _, err := db.Prune(ctx, short()); sqlState(err) != "42501" || rowsOf(t, owner, "events") != before {
		t.Errorf("the server's role takes away what is new: %v", err)
	}
	clock.move(-100 * day)
	longAgo(t, owner, db, before)
	var floor string // of 300 days ago
	if err := owner.Writer().QueryRow("SELECT bellhop.month_floor((now() - interval '300 days')::date)").Scan(&floor); err != nil {
		t.Fatal(err)
	}
	for age, may := range map[time.Duration]bool{0: false, 1000 * day: false, 40 * day: true} { // the owner's word, once of each
		if err := db.KeepAtLeast(ctx, time.Hour); err != nil { // the server's own changes nothing
			t.Error(err)
		}
		if err := owner.KeepAtLeast(ctx, age); err != nil {
			t.Error(err)
		}
		_, err := db.Writer().Exec("SELECT bellhop.prune_security_log($1::text::uuid, now(), 1)", floor)
		if (err == nil) != may {
			t.Errorf("kept for %v at least: %v", age, err)
		}
	}
	if err := owner.KeepAtLeast(ctx, 30*day); err != nil {
		t.Error(err)
	}
	if out := prune(t, db, short()); len(out.Partitions) != 3 || out.Rows["events"] != 1 || rowsOf(t, owner, "events") != before {
		t.Errorf("retention dropped %v and deleted %v", out.Partitions, out.Rows)
	}
	for what, again := range f.everything(t, c.ID) {
		if !again.Duplicate || again.EventID != first[what].EventID {
			t.Errorf("%s, sent again: %+v", what, again)
		}
	}
	if err := db.EnsurePartitions(ctx); err != nil {
		t.Error(err)
	}
	for _, q := range []string{"DELETE FROM bellhop.events", "UPDATE bellhop.event_keys SET event_id = event_id",
		"DELETE FROM bellhop.step_keys", "INSERT INTO bellhop.retention VALUES ('events', gen_random_uuid(), now())",
		"TRUNCATE bellhop.attempts", "DROP TABLE bellhop.events", "UPDATE bellhop.settings SET value = 'mine'",
		"SELECT bellhop.emit('event', '{}', 'k')"} {
		if _, err := db.Writer().Exec(q); sqlState(err) != "42501" {
			t.Errorf("%s: %v, want 42501", q, err)
		}
	}
	if _, err := db.Writer().Exec("SELECT bellhop.drop_month('settings', '2020-01-01')"); sqlState(err) != "22023" {
		t.Errorf("a table that is not kept by month: %v", err)
	}
	if _, err := db.Writer().Exec("SELECT bellhop.drop_month('events', date_trunc('month', $1::text::date)::date)",
		db.Now().Format(time.DateOnly)); sqlState(err) != "55006" {
		t.Errorf("a month that was not taken off: %v", err)
	}
}

// longAgo makes a month's partitions as the server's role does, and puts an event into it
// and one into a month that has none.
func longAgo(t *testing.T, owner, db *store.DB, had int) {
	t.Helper()
	now := time.Now().UTC()
	month := time.Date(now.Year(), now.Month()-3, 1, 0, 0, 0, 0, time.UTC)
	for _, table := range []string{"events", "messages", "attempts"} {
		if _, err := db.Writer().Exec("SELECT bellhop.make_month($1::text, $2::text::date)", table, month.Format(time.DateOnly)); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range []time.Time{month, month.AddDate(0, -1, 0)} {
		if _, err := owner.Writer().Exec(`INSERT INTO bellhop.events SELECT (jsonb_populate_record(e,
			jsonb_build_object('id', bellhop.month_floor($1::text::date)))).* FROM bellhop.events e LIMIT 1`, m.Format(time.DateOnly)); err != nil {
			t.Fatal(err)
		}
	}
	if n := rowsOf(t, owner, "events"); n != had+2 {
		t.Fatalf("%d events, want %d", n, had+2)
	}
}
