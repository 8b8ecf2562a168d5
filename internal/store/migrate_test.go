package store_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

func TestMigrateIsRepeatableAndSafeAtOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range storetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			url := storetest.URL(t, kind)
			db := storetest.OpenURL(t, url, nil)
			var wg sync.WaitGroup
			errs := make([]error, 4)
			for i := range errs {
				wg.Add(1)
				go func() {
					defer wg.Done()
					errs[i] = db.Migrate(ctx)
				}()
			}
			wg.Wait()
			for _, err := range errs {
				if err != nil {
					t.Error(err)
				}
			}
			if err := db.SchemaCurrent(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMigrateRefusesANewerSchema(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		table := "schema_migrations"
		if db.Kind() == store.Postgres {
			table = "bellhop." + table
		}
		q := fmt.Sprintf("INSERT INTO %s (version_id, is_applied) VALUES (9999, true)", table)
		if _, err := db.Writer().ExecContext(ctx, q); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{db.Migrate(ctx), db.SchemaCurrent(ctx)} {
			if err == nil || !strings.Contains(err.Error(), "install the newer bellhop") {
				t.Errorf("a newer schema was not refused: %v", err)
			}
		}
	})
}

func TestLedgerIsAppendOnly(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		f := newFixture(t, db)
		f.lead(t, "ada@example.com", "k1")
		prefix := ""
		if db.Kind() == store.Postgres {
			prefix = "bellhop."
		}
		for _, q := range []string{"UPDATE %sevents SET kind = 'x'", "DELETE FROM %sevents", "UPDATE %sevent_keys SET event_id = event_id",
			"DELETE FROM %sevent_keys"} {
			if _, err := db.Writer().ExecContext(ctx, fmt.Sprintf(q, prefix)); err == nil ||
				!strings.Contains(err.Error(), "append-only") {
				t.Errorf("%s was not refused: %v", q, err)
			}
		}
	})
}

// The tables and columns of both databases have the same names: one SQL text depends on it.
func TestBothDatabasesHaveTheSameTables(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	columns := map[store.Kind][]string{}
	for kind, query := range map[store.Kind]string{
		store.SQLite: `SELECT m.name || '.' || p.name FROM sqlite_master m JOIN pragma_table_xinfo(m.name) p
			WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE 'river_%' AND m.name <> 'schema_migrations'`,
		store.Postgres: `SELECT c.table_name || '.' || c.column_name FROM information_schema.columns c
			JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
			WHERE t.table_type = 'BASE TABLE' AND c.table_schema = 'bellhop' AND c.table_name NOT LIKE 'river_%' AND c.table_name <> 'schema_migrations'
			AND c.table_name !~ '_(default|[0-9]{4}_[0-9]{2})$'`,
	} {
		rows, err := storetest.Open(t, kind, nil).Writer().QueryContext(ctx, query)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var c string
			if err := rows.Scan(&c); err != nil {
				t.Fatal(err)
			}
			columns[kind] = append(columns[kind], c)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
		slices.Sort(columns[kind])
	}
	if len(columns[store.SQLite]) < 100 || !slices.Equal(columns[store.SQLite], columns[store.Postgres]) {
		t.Errorf("SQLite has %d columns, Postgres %d:\n%v\n%v", len(columns[store.SQLite]), len(columns[store.Postgres]),
			columns[store.SQLite], columns[store.Postgres])
	}
}

// A file that one process serves is refused to a second, and free again when the first
// is gone.
func TestOneProcessServesAFile(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	url := storetest.URL(t, store.SQLite)
	first := storetest.OpenURL(t, url, nil)
	if err := first.Lock(ctx); err != nil {
		t.Fatal(err)
	}
	second := storetest.OpenURL(t, url, nil)
	if err := second.Lock(ctx); err == nil || !strings.Contains(err.Error(), "another bellhop is serving") {
		t.Errorf("a second server was let in: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := second.Lock(ctx); err != nil {
		t.Errorf("the file is not free again: %v", err)
	}
}

// What schema 1 has taken in is still a duplicate after its keys were made smaller, and
// what it holds is all there.
func TestMigrationKeepsOldKeys(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, kind := range storetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			url := "sqlite:" + t.TempDir() + "/old.db"
			if kind == store.Postgres {
				c := storetest.Postgres(t)
				if err := c.CreateDB(ctx, "old_keys"); err != nil {
					t.Fatal(err)
				}
				url = c.DSN("old_keys")
			}
			db, err := store.Open(ctx, store.Opts{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() }) //nolint:errcheck // the test is over
			if err := db.MigrateTo(ctx, 1); err != nil {
				t.Fatal(err)
			}
			in := leadIntake("ada@example.com", "k1")
			key := sha256.Sum256([]byte(in.Event.Source + "\x00" + in.Event.ExternalID))
			person := store.NewID()
			prefix, blob := "", "x'%x'"
			if kind == store.Postgres {
				prefix, blob = "bellhop.", "'\\x%x'"
			}
			for _, q := range []string{
				fmt.Sprintf("event_keys (digest, event_id, body_hash) VALUES ("+blob+", '%s', "+blob+")", key, in.Event.ID, in.BodyHash),
				fmt.Sprintf("person_keys (key, person_id) VALUES ('email:ada@example.com', '%s')", person),
				fmt.Sprintf("payment_refs (ref, payment_id) VALUES ('stripe:pi_1', '%s')", person),
				fmt.Sprintf("lanes (person_id, connection, open) VALUES ('%s', 'crm', 2)", person),
			} {
				if _, err := db.Writer().ExecContext(ctx, "INSERT INTO "+prefix+q); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.Migrate(ctx); err != nil {
				t.Fatal(err)
			}
			f := newFixture(t, db)
			if again := f.accept(t, in); !again.Duplicate || again.Conflict || again.EventID != in.Event.ID {
				t.Errorf("an event of schema 1, sent again: %+v", again)
			}
			if other := f.lead(t, "bob@example.com", "k1"); !other.Conflict {
				t.Errorf("its key with another body: %+v", other)
			}
			for _, table := range []string{"event_keys", "person_keys", "payment_refs", "lanes"} {
				if n := rowsOf(t, db, table); n != 1 {
					t.Errorf("%d rows in %s, want the one of schema 1", n, table)
				}
			}
		})
	}
}
