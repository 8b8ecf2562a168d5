package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"

	"bellhop/internal/store/migrations"
)

// schemaLock is the advisory lock under which Postgres migrates, taken per transaction
// so that it also holds behind a pooler.
const schemaLock = 0x62656c6c686f70 // "bellhop"

// Migrate brings the database to this program's schema. It refuses a schema that is
// newer than the program. Several processes may call it at once.
func (db *DB) Migrate(ctx context.Context) error {
	unlock, err := db.migrationLock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if db.kind == Postgres {
		if may, err := db.mayMigrate(ctx); err != nil || !may {
			return errors.Join(err, db.onlyServe(ctx))
		}
		if _, err := db.w.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS bellhop"); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
	}
	p, err := db.provider()
	if err != nil {
		return err
	}
	if err := refuseNewer(ctx, p); err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := db.migrateRiver(ctx); err != nil {
		return err
	}
	if err := db.grantAccess(ctx); err != nil {
		return err
	}
	return db.EnsurePartitions(ctx)
}

// SchemaCurrent returns an error that tells what to do when the database has not been
// migrated to this program's schema.
func (db *DB) SchemaCurrent(ctx context.Context) error {
	p, err := db.provider()
	if err != nil {
		return err
	}
	if err := refuseNewer(ctx, p); err != nil {
		return err
	}
	pending, err := p.HasPending(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if pending {
		return errors.New("the database's schema is older than this program: run bellhop migrate")
	}
	return nil
}

func (db *DB) provider() (*goose.Provider, error) {
	sub, err := fs.Sub(migrations.FS, string(db.kind))
	if err != nil {
		return nil, err
	}
	dialect, table := database.DialectPostgres, "bellhop.schema_migrations"
	if db.kind == SQLite {
		dialect, table = database.DialectSQLite3, "schema_migrations"
	}
	st, err := database.NewStore(dialect, table)
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	p, err := goose.NewProvider("", db.w, sub, goose.WithStore(st), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	return p, nil
}

func refuseNewer(ctx context.Context, p *goose.Provider) error {
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if current > target {
		return fmt.Errorf("the database has schema %d and this program knows only %d: install the newer bellhop; "+
			"nothing was changed", current, target)
	}
	return nil
}

// migrateRiver brings River's tables to the version of the River that is linked in.
func (db *DB) migrateRiver(ctx context.Context) error {
	var err error
	if db.kind == Postgres {
		err = riverUp(ctx, riverdatabasesql.New(db.w), "bellhop")
	} else {
		err = riverUp(ctx, riversqlite.New(db.w), "")
	}
	if err != nil {
		return fmt.Errorf("migrate: job engine: %w", err)
	}
	return db.dropJobIndexes(ctx)
}

// dropJobIndexes drops two of River's indexes on Postgres: they serve searching jobs by
// what is in them, which nothing here does, and cost more than the rest of an insert. River
// itself has neither on SQLite.
func (db *DB) dropJobIndexes(ctx context.Context) error {
	if db.kind == SQLite {
		return nil
	}
	for _, name := range []string{"river_job_args_index", "river_job_metadata_index"} {
		if _, err := db.w.ExecContext(ctx, "DROP INDEX IF EXISTS bellhop."+name); err != nil {
			return fmt.Errorf("migrate: job engine: %w", err)
		}
	}
	return nil
}

func riverUp(ctx context.Context, d riverdriver.Driver[*sql.Tx], schema string) error {
	m, err := rivermigrate.New(d, &rivermigrate.Config{Schema: schema})
	if err != nil {
		return err
	}
	_, err = m.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}

// lockRetry is how long a process waits before it asks again for the lock of another
// one that migrates.
const lockRetry = 200 * time.Millisecond

// migrationLock waits for other migrating processes. On Postgres it holds an advisory
// lock in an open transaction on a connection of its own; on SQLite the writer's
// transactions and goose's own table keep two migrations from mixing, and a server has
// taken the file's lock before.
//
// It asks again and again instead of waiting inside Postgres: a wait is an open
// transaction, which a pooler gives a session of its own. As many waiting nodes as the
// pooler has sessions would leave none for the node that they wait for.
func (db *DB) migrationLock(ctx context.Context) (func(), error) {
	if db.kind == SQLite {
		return func() {}, nil
	}
	for {
		unlock, err := db.tryMigrationLock(ctx)
		if err != nil {
			return nil, fmt.Errorf("migrate: %w", err)
		}
		if unlock != nil {
			return unlock, nil
		}
		if err := wait(ctx, lockRetry); err != nil {
			return nil, fmt.Errorf("migrate: waiting for another process that migrates: %w", err)
		}
	}
}

// tryMigrationLock returns nil when another process has the lock.
func (db *DB) tryMigrationLock(ctx context.Context) (func(), error) {
	tx, err := db.w.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	unlock := func() { tx.Rollback() } //nolint:errcheck // it held only a lock
	var ours bool
	if err := tx.QueryRowContext(ctx, "SELECT pg_try_advisory_xact_lock($1)", int64(schemaLock)).Scan(&ours); err != nil {
		unlock()
		return nil, err
	}
	if !ours {
		unlock()
		return nil, nil
	}
	return unlock, nil
}

// partitioned lists the tables that Postgres keeps by month.
func partitioned() []string { return []string{"events", "messages", "attempts"} }

// EnsurePartitions makes the partitions of this month and the next two. Rows of a month
// without one would land in the default partition, which loses nothing and only costs
// retention its cheap DROP. dialect: SQLite has no partitions.
func (db *DB) EnsurePartitions(ctx context.Context) error {
	if db.kind != Postgres {
		return nil
	}
	month := monthOf(db.clock.Now())
	last := month.AddDate(0, 2, 0).Format("2006_01")
	var have int
	err := db.queryRow(ctx, "SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON "+
		"n.oid = c.relnamespace WHERE n.nspname = 'bellhop' AND c.relname IN ($1, $2, $3)",
		"events_"+last, "messages_"+last, "attempts_"+last).Scan(&have)
	if err != nil {
		return fmt.Errorf("partitions: %w", err)
	}
	if have == len(partitioned()) {
		return nil
	}
	for range 3 {
		for _, table := range partitioned() {
			if _, err := db.w.ExecContext(ctx, "SELECT bellhop.make_month($1::text, $2::text::date)", table, day(month)); err != nil {
				return fmt.Errorf("partitions: %w", err)
			}
		}
		month = month.AddDate(0, 1, 0)
	}
	return nil
}

// day is a date as Postgres reads it in every mode of pgx.
func day(t time.Time) string { return t.Format(time.DateOnly) }

func monthOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// idFloor returns the smallest UUIDv7 of an instant.
func idFloor(t time.Time) string {
	ms := uint64(t.UnixMilli())
	return fmt.Sprintf("%08x-%04x-7000-8000-000000000000", ms>>16, ms&0xffff)
}
