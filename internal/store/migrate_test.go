package store_test

import (
	"context"
	"fmt"
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
