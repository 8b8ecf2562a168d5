package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// ledger makes a SQLite database with one lead, and returns its path and folder.
func ledger(t *testing.T) (path, dir string) {
	t.Helper()
	url := storetest.URL(t, store.SQLite)
	path = strings.TrimPrefix(url, "sqlite:")
	db := storetest.OpenURL(t, url, nil)
	f := newFixture(t, db)
	f.lead(t, "ada@example.com", "k1")
	f.acc.Close()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path, filepath.Dir(path)
}

func copyOpts(path, file string) store.CopyOpts {
	return store.CopyOpts{Database: path, File: file, Clock: bellhop.SystemClock{}}
}

// What cannot be restored changes nothing and leaves nothing behind.
func TestRestoreRefusesWhatIsNotGood(t *testing.T) {
	t.Parallel()
	path, dir := ledger(t)
	ctx := context.Background()
	good := filepath.Join(dir, "good.db")
	if _, err := store.Backup(ctx, copyOpts(path, good)); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	torn := append([]byte(nil), data...)
	for i := range torn[20000:24096] {
		torn[20000+i] = 0x5a
	}
	newer := write("newer.db", data)
	db, err := store.Open(ctx, store.Opts{URL: "sqlite:" + newer})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Writer().Exec("INSERT INTO schema_migrations (version_id, is_applied) VALUES (9999, true)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dir, "foreign.db")
	if db, err = store.Open(ctx, store.Opts{URL: "sqlite:" + foreign}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Writer().Exec("CREATE TABLE t (a)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		write("torn.db", torn):               "it is damaged",
		write("half.db", data[:len(data)/2]): "it is damaged",
		write("text.db", []byte("hello")):    "it is damaged, or no SQLite file",
		write("empty.db", nil):               "no database of bellhop",
		newer:                                "install the newer bellhop",
		foreign:                              "no database of bellhop",
	} {
		if _, err := store.Restore(ctx, copyOpts(path, file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", filepath.Base(file), err, want)
		}
	}
	after, err := os.ReadFile(path)
	if err != nil || string(after) != string(before) {
		t.Errorf("the database changed (%v)", err)
	}
	left, _ := filepath.Glob(path + ".*")
	if len(left) != 1 { // the lock's file
		t.Errorf("left behind: %v", left)
	}
}

// The database that was there is kept whole: with commits that are only in its log.
func TestRestoreKeepsWhatWasThere(t *testing.T) {
	t.Parallel()
	path, dir := ledger(t)
	ctx := context.Background()
	backup := filepath.Join(dir, "b.db")
	snap, err := store.Backup(ctx, copyOpts(path, backup))
	if err != nil || snap.Events != 1 || snap.OpenSteps != 2 || snap.TakenAt.IsZero() {
		t.Fatalf("%+v %v", snap, err)
	}
	// A server that died: its last commits are in the log, and stay there.
	db := storetest.OpenURL(t, "sqlite:"+path, nil)
	f := newFixture(t, db)
	f.lead(t, "bob@example.com", "k2")
	dead := filepath.Join(dir, "dead.db")
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dead+suffix, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	res, err := store.Restore(ctx, copyOpts(dead, backup))
	if err != nil || res.Events != 1 || res.LookedUp != 2 {
		t.Fatalf("%+v %v", res, err)
	}
	if s, err := store.Inspect(ctx, dead); err != nil || s.Events != 1 {
		t.Errorf("restored: %+v %v", s, err)
	}
	if s, err := store.Inspect(ctx, res.Kept); err != nil || s.Events != 2 {
		t.Errorf("kept aside: %+v %v, want both events", s, err)
	}
	// The three files of a stopped server, copied by hand, are a backup too.
	other := filepath.Join(dir, "other.db")
	for _, suffix := range []string{"", "-wal"} {
		b, _ := os.ReadFile(path + suffix)
		if err := os.WriteFile(other+suffix, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fresh := filepath.Join(dir, "fresh.db")
	if res, err := store.Restore(ctx, copyOpts(fresh, other)); err != nil || res.Events != 2 || res.Kept != "" {
		t.Errorf("a copy with its log: %+v %v", res, err)
	}
}

// An older backup is brought to this program's schema.
func TestRestoreMigratesAnOlderBackup(t *testing.T) {
	t.Parallel()
	path, dir := ledger(t)
	ctx := context.Background()
	db := storetest.OpenURL(t, "sqlite:"+path, nil)
	// As schema 1 had it, for what the test needs.
	for _, q := range []string{"DELETE FROM schema_migrations WHERE version_id > 1", "DROP TABLE retention", "DROP TABLE step_keys",
		"DROP INDEX requests_correlation", "CREATE INDEX payment_refs_payment ON payment_refs (payment_id)",
		"CREATE INDEX requests_person ON requests (person_id)", "DROP INDEX steps_finished",
		"CREATE INDEX steps_updated ON steps (updated_at)"} {
		if _, err := db.Writer().Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{"events", "attempts"} { // they name the table that schema 1 does not have
		if _, err := db.Writer().Exec("DROP TRIGGER " + table + "_no_delete; CREATE TRIGGER " + table + "_no_delete BEFORE DELETE ON " +
			table + " BEGIN SELECT RAISE(ABORT, 'append-only'); END"); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(dir, "old.db")
	snap, err := store.Backup(ctx, copyOpts(path, backup))
	if err != nil || snap.Schema != 1 {
		t.Fatalf("%+v %v", snap, err)
	}
	if _, err := store.Restore(ctx, copyOpts(path, backup)); err != nil {
		t.Fatal(err)
	}
	db = storetest.OpenURL(t, "sqlite:"+path, nil)
	if err := db.SchemaCurrent(ctx); err != nil {
		t.Error(err)
	}
	f := newFixture(t, db)
	if again := f.lead(t, "ada@example.com", "k1"); !again.Duplicate {
		t.Error("after the migration an old event is new")
	}
}

func TestBackupOverwritesNothingAndStops(t *testing.T) {
	t.Parallel()
	path, dir := ledger(t)
	there := filepath.Join(dir, "there.db")
	if err := os.WriteFile(there, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Backup(context.Background(), copyOpts(path, there)); err == nil || !strings.Contains(err.Error(), "not overwritten") {
		t.Errorf("got %v", err)
	}
	if b, _ := os.ReadFile(there); string(b) != "mine" {
		t.Errorf("overwritten with %d bytes", len(b))
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := store.Backup(ctx, copyOpts(path, filepath.Join(dir, "c.db"))); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled backup: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "c.db*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Every open step of a restored database looks before it does anything, whatever state it
// is in; finished ones stay.
func TestAfterARestoreEveryOpenStepLooksFirst(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		f := newFixture(t, db)
		for i := range 3 {
			f.lead(t, fmt.Sprintf("p%d@example.com", i), fmt.Sprint("k", i))
		}
		heads := steps(t, db, store.StepFilter{State: bellhop.StepReady})
		rec := store.NewRecorder(db, store.IncidentPlans{})
		t.Cleanup(rec.Close)
		record := func(o store.Outcome) {
			if _, err := rec.Record(ctx, o); err != nil {
				t.Fatal(err)
			}
		}
		record(store.Outcome{Step: heads[0], State: bellhop.StepDone, DoneBy: "engine"})
		record(store.Outcome{Step: heads[1], State: bellhop.StepRetrying, DueAt: db.Now().Add(time.Hour), Class: bellhop.ClassNotSent, Error: "no route"})
		n, err := db.MarkRestored(ctx)
		if err != nil || n != 5 {
			t.Fatalf("%d steps were marked (%v), want 5", n, err)
		}
		states := map[bellhop.StepState]int{}
		for _, s := range steps(t, db, store.StepFilter{}) {
			states[s.State]++
			if s.State == bellhop.StepDone {
				continue
			}
			if s.ErrorClass != bellhop.ClassUnknownOutcome || s.FirstAttemptAt.IsZero() || !strings.Contains(s.Error, "restored") ||
				s.DueAt.After(db.Now()) {
				t.Errorf("%s is %s: %+v", s.Key, s.State, s)
			}
		}
		if states[bellhop.StepUnknown] != 3 || states[bellhop.StepWaiting] != 2 || states[bellhop.StepDone] != 1 {
			t.Errorf("states %v, want 3 unknown, 2 waiting, 1 done", states)
		}
		// A waiting one looks first when its turn comes.
		unknown := steps(t, db, store.StepFilter{State: bellhop.StepUnknown})
		record(store.Outcome{Step: unknown[len(unknown)-1], State: bellhop.StepDone, DoneBy: "engine"})
		if after := steps(t, db, store.StepFilter{State: bellhop.StepUnknown}); len(after) != 3 {
			t.Errorf("%d unknown steps; the one behind the finished one should be one of 3", len(after))
		}
	})
}

// A database that is served is not marked: its steps are being carried out.
func TestMarkRestoredRefusesAServedDatabase(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := storetest.Open(t, store.Postgres, nil)
	if err := db.Heartbeat(ctx, "web-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.MarkRestored(ctx); err == nil || !strings.Contains(err.Error(), "stop every one") {
		t.Errorf("got %v", err)
	}
}
