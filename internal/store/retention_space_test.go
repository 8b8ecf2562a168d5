package store_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// On SQLite rows go in bites and the file becomes smaller.
func TestRetentionGivesSQLiteSpaceBack(t *testing.T) {
	t.Parallel()
	clock := &ahead{}
	url := storetest.URL(t, store.SQLite)
	path := strings.TrimPrefix(url, "sqlite:")
	db := storetest.OpenURL(t, url, clock)
	f := newFixture(t, db)
	var wg sync.WaitGroup
	for i := range 2000 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			in := leadIntake(fmt.Sprintf("p%d@example.com", i), fmt.Sprint("k", i))
			in.Event.Body = []byte(strings.Repeat("0123456789", 500))
			if _, err := f.acc.Accept(context.Background(), in); err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	for busy := 1; busy != 0; { // by the one who moves the log beside the writer
		var log, moved int
		if err := db.Writer().QueryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &moved); err != nil {
			t.Fatal(err)
		}
	}
	size := func(p string) int64 {
		fi, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		return fi.Size()
	}
	full := size(path)
	clock.move(100 * day)
	out := prune(t, db, short())
	if left := size(path); out.Rows["events"] != 2000 || out.Pages == 0 || left > full-6<<20 || size(path+"-wal") > 4<<20 {
		t.Errorf("%d events and %d pages went; the file had %d bytes and has %d, its log %d", out.Rows["events"], out.Pages, full, left,
			size(path+"-wal"))
	}
	for _, q := range []string{"DELETE FROM event_keys", "INSERT INTO step_keys VALUES (x'01'); DELETE FROM step_keys"} {
		if _, err := db.Writer().Exec(q); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s was not refused: %v", q, err)
		}
	}
	f.lead(t, "new@example.com", "new") // made by the machine's time, which is below the floor
	if n := rowsOf(t, db, "events"); n != 1 {
		t.Errorf("%d events", n)
	}
}

// fileOf returns the path of a SQLite database.
func fileOf(t *testing.T, db *store.DB) string {
	t.Helper()
	var path string
	if err := db.Writer().QueryRow("SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&path); err != nil {
		t.Fatal(err)
	}
	return path
}

// A file made before space could be given back is converted once.
func TestCompactConvertsAnOldFile(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, store.SQLite, nil)
	for _, q := range []string{"PRAGMA auto_vacuum(none)", "VACUUM"} {
		if _, err := db.Writer().Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	db = storetest.OpenURL(t, "sqlite:"+fileOf(t, db), nil) // opening it changes nothing
	if out := prune(t, db, short()); !out.CannotShrink {
		t.Errorf("it is not told that the file cannot become smaller: %+v", out)
	}
	for _, want := range []bool{true, false} {
		if did, err := db.Compact(context.Background()); err != nil || did != want {
			t.Errorf("converted %v (%v), want %v", did, err, want)
		}
	}
	var mode int
	if err := db.Writer().QueryRow("PRAGMA auto_vacuum").Scan(&mode); err != nil || mode != 2 {
		t.Errorf("auto_vacuum is %d (%v), want incremental", mode, err)
	}
}

// Large bodies are compressed by lz4 where the server can, also in months to come.
func TestBodiesAreCompressed(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, store.Postgres, nil)
	f := newFixture(t, db)
	in := leadIntake("ada@example.com", "k1")
	in.Event.Body = []byte(strings.Repeat(`{"object":"event","livemode":true},`, 100))
	f.accept(t, in)
	var how string
	var size int
	if err := db.Writer().QueryRow("SELECT pg_column_compression(body), pg_column_size(body) FROM bellhop.events").Scan(&how, &size); err != nil {
		t.Fatal(err)
	}
	if how != "lz4" || size > len(in.Event.Body)/2 {
		t.Errorf("a body of %d bytes takes %d by %s", len(in.Event.Body), size, how)
	}
}
