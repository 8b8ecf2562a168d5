package storetest

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"bellhop"
	"bellhop/internal/store"
)

// Kinds lists the databases that every test touching storage runs on.
func Kinds() []store.Kind { return []store.Kind{store.SQLite, store.Postgres} }

// ForEach runs a test on a clean, migrated database of each kind, side by side.
func ForEach(t *testing.T, clock bellhop.Clock, fn func(t *testing.T, db *store.DB)) {
	t.Helper()
	for _, kind := range Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			fn(t, Open(t, kind, clock))
		})
	}
}

// Open returns a clean, migrated database that is closed with the test.
func Open(tb testing.TB, kind store.Kind, clock bellhop.Clock) *store.DB {
	tb.Helper()
	return OpenURL(tb, URL(tb, kind), clock)
}

// OpenURL opens a database again, as a restarted process does.
func OpenURL(tb testing.TB, url string, clock bellhop.Clock) *store.DB {
	tb.Helper()
	ctx := context.Background()
	db, err := store.Open(ctx, store.Opts{URL: url, Clock: clock})
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	tb.Cleanup(func() { db.Close() }) //nolint:errcheck // the test is over
	if err := db.Migrate(ctx); err != nil {
		tb.Fatalf("migrate: %v", err)
	}
	return db
}

// URL returns the address of a clean database; it has been migrated already where that
// saves time.
func URL(tb testing.TB, kind store.Kind) string {
	tb.Helper()
	if kind == store.SQLite {
		return "sqlite:" + filepath.Join(tb.TempDir(), "bellhop.db")
	}
	c := Postgres(tb)
	templates.once.Do(func() { templates.err = makeTemplate(c) })
	if templates.err != nil {
		tb.Fatalf("template database: %v", templates.err)
	}
	name := fmt.Sprintf("t%d", templates.next.Add(1))
	if err := c.CloneDB(context.Background(), templateName, name); err != nil {
		tb.Fatalf("database: %v", err)
	}
	return c.DSN(name)
}

const templateName = "bellhop_template"

// templates is test-only state of the process: migrating once and cloning is what keeps
// a test on Postgres as cheap as one on SQLite.
var templates struct {
	once sync.Once
	err  error
	next atomic.Int64
}

func makeTemplate(c *Cluster) error {
	ctx := context.Background()
	if err := c.CreateDB(ctx, templateName); err != nil {
		return err
	}
	db, err := store.Open(ctx, store.Opts{URL: c.DSN(templateName)})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Migrate(ctx)
}
