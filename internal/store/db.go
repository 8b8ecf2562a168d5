// Package store holds all SQL: one Go implementation and one SQL text for SQLite and
// Postgres, one file per aggregate. Exported methods open the transaction, unexported
// functions take it. No network call happens inside a transaction.
//
// The SQL text is written for Postgres with $n placeholders and tables qualified by
// the schema bellhop. For SQLite the text loses the schema and its placeholders become
// ?n, because SQLite numbers $n by first appearance. Every other difference is a named
// exception with its reason beside it; look for "dialect:".
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/ncruces/go-sqlite3"

	"bellhop"
)

// Kind is the kind of a database.
type Kind string

// The kinds.
const (
	SQLite   Kind = "sqlite"
	Postgres Kind = "postgres"
)

// NoPerson stands where an event concerns no known person: the person is part of the
// key of those tables, so it cannot be NULL.
const NoPerson = "00000000-0000-0000-0000-000000000000"

// Opts configures Open.
type Opts struct {
	// URL is "sqlite:path" or "postgres://…".
	URL string
	// Clock is this node's own; see DB.Clock for the one that counts.
	Clock bellhop.Clock
	// MaxConns bounds the Postgres pool; 0 means 10 (Supabase's smallest plan leaves
	// room for 5 to 8 plus one listener per node, see docs/operating.md).
	MaxConns int
}

// DB is an open database.
type DB struct {
	kind  Kind
	path  string // SQLite's file
	w     *sql.DB
	r     *sql.DB
	pool  *pgxpool.Pool // Postgres only: hands out listener connections
	clock bellhop.Clock
	// common is the clock on Postgres, nil on SQLite
	common *sharedClock
	// pooled is set behind a transaction pooler
	pooled bool
	// serves is set when this process does not own the tables
	serves atomic.Bool
	// actsAsUser is set once it is known that it can take the rights of a signed-in user
	actsAsUser atomic.Bool
	outage     outageNote
	texts      sync.Map // SQL text → the kind's own form, or its insertion
	queue      Enqueuer
	hub        *Hub
	plans      IncidentPlans
	lock       *sql.DB   // SQLite only: holds the lock file of the serving process
	mover      *logMover // SQLite only
}

// Enqueuer hands steps to the job engine inside the transaction that made them due.
type Enqueuer interface {
	// Enqueue inserts the jobs through tx.
	Enqueue(ctx context.Context, tx *sql.Tx, jobs []Job) error
	// Committed is told when the transaction that held the jobs has committed.
	Committed(jobs []Job)
}

// Job says that lanes of one connection have something due at a time. It names the
// persons, not the steps: whoever works it takes what then is at the head of each lane.
type Job struct {
	Connection string
	Persons    []string
	At         time.Time // zero means now
}

// NewID returns a new UUIDv7: ids sort by time.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// Open opens the database and checks that it answers. It does not migrate.
func Open(ctx context.Context, o Opts) (*DB, error) {
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	db := &DB{clock: o.Clock, hub: NewHub()}
	var err error
	switch {
	case strings.HasPrefix(o.URL, "sqlite:"):
		err = db.openSQLite(strings.TrimPrefix(o.URL, "sqlite:"))
	case strings.HasPrefix(o.URL, "postgres://"), strings.HasPrefix(o.URL, "postgresql://"):
		err = db.openPostgres(ctx, o)
	default:
		return nil, errors.New(`the database must be "sqlite:path" or "postgres://…"`)
	}
	if err != nil {
		db.Close()
		return nil, err
	}
	if err := db.w.PingContext(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("the %s database does not answer: %w", db.kind, err)
	}
	return db, nil
}

func (db *DB) openPostgres(ctx context.Context, o Opts) error {
	db.kind = Postgres
	cfg, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		// pgx puts the URL into its error, with the password.
		return errors.New("postgres: the database URL cannot be read")
	}
	if cfg.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeDescribeExec {
		return errors.New("postgres: default_query_exec_mode=describe_exec returns other clients' rows " +
			"behind a transaction pooler; use exec or cache_describe")
	}
	cfg.MaxConns = int32(max(o.MaxConns, 10))
	cfg.MinConns = 0
	cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	way, err := wayTo(ctx, cfg.ConnConfig)
	if err != nil {
		return fmt.Errorf("the postgres database does not answer: %w", err)
	}
	begin := ""
	if db.pooled = way == throughTransactions; db.pooled {
		fitPooler(cfg.ConnConfig, strings.Contains(o.URL, "default_query_exec_mode="))
	} else if cfg.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		begin = keepIndexes(cfg.ConnConfig.RuntimeParams, way)
	}
	if !db.pooled {
		if db.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
			return fmt.Errorf("postgres: %w", err)
		}
	}
	db.common = &sharedClock{own: o.Clock}
	db.clock = db.common
	db.w = stdlib.OpenDB(*cfg.ConnConfig, stdlib.OptionAfterConnect(db.beginSession(begin)),
		stdlib.OptionResetSession(db.dropReadOnly))
	db.w.SetMaxOpenConns(int(cfg.MaxConns))
	db.w.SetMaxIdleConns(int(cfg.MaxConns))
	db.w.SetConnMaxIdleTime(5 * time.Minute)
	db.r = db.w
	return db.readClock(ctx)
}

// Close closes every connection.
func (db *DB) Close() error {
	var errs []error
	if db.mover != nil {
		errs = append(errs, db.mover.close())
	}
	if db.r != nil && db.r != db.w {
		errs = append(errs, db.r.Close())
	}
	if db.w != nil {
		errs = append(errs, db.w.Close())
	}
	if db.pool != nil {
		db.pool.Close()
	}
	if db.lock != nil {
		errs = append(errs, db.lock.Close())
	}
	return errors.Join(errs...)
}

// Ping checks that the database answers.
func (db *DB) Ping(ctx context.Context) error { return db.r.PingContext(ctx) }

// Now returns the time of the store's clock.
func (db *DB) Now() time.Time { return db.clock.Now() }

// Kind returns the kind of the database.
func (db *DB) Kind() Kind { return db.kind }

// Writer returns the pool that writes, for the job engine.
func (db *DB) Writer() *sql.DB { return db.w }

// ListenerPool returns the pool that listener connections come from; nil on SQLite and
// behind a transaction pooler, where a LISTEN succeeds and nothing ever arrives.
func (db *DB) ListenerPool() *pgxpool.Pool { return db.pool }

// Hub tells what changed to those who wait for it in this process.
func (db *DB) Hub() *Hub { return db.hub }

// SetEnqueuer sets who carries due steps to the workers; before it is set, steps are
// stored and wait for the sweep of the next start.
func (db *DB) SetEnqueuer(q Enqueuer) { db.queue = q }

// Tx is a transaction: it turns the SQL text and the arguments into the database's own
// form, and carries the time that everything in it is stamped with.
type Tx struct {
	tx      *sql.Tx
	conn    *sql.Conn // of the transaction
	db      *DB
	now     time.Time
	waiting []queued // see later
	failed  error    // of what waited
}

// queryer is what both a transaction and a reader can do.
type queryer interface {
	dialect() Kind
	query(ctx context.Context, text string, args ...any) (*sql.Rows, error)
	queryRow(ctx context.Context, text string, args ...any) *sql.Row
}

// tx runs fn in one transaction. A deadlock or serialisation failure runs it again,
// so fn must not keep anything from a failed run.
func (db *DB) tx(ctx context.Context, fn func(*Tx) error) error {
	var err error
	for try := 0; try < 4; try++ {
		err = db.txOnce(ctx, fn)
		if !isConflict(err) {
			return err
		}
	}
	return err
}

func (db *DB) txOnce(ctx context.Context, fn func(*Tx) error) error {
	t := &Tx{db: db}
	var err error
	if t.conn, err = db.w.Conn(ctx); err != nil {
		return db.noteOutage(err)
	}
	defer t.conn.Close()
	if t.tx, err = t.conn.BeginTx(ctx, nil); err != nil {
		return db.noteOutage(err)
	}
	defer t.tx.Rollback() //nolint:errcheck // after Commit it does nothing
	t.now = db.clock.Now()
	if err = fn(t); err == nil {
		err = t.flush(ctx)
	}
	switch {
	case t.failed != nil:
		err = t.failed // what fn met after it says only that the transaction is lost
	case err == nil:
		err = t.tx.Commit()
	}
	return db.noteOutage(err)
}

func (t *Tx) dialect() Kind { return t.db.kind }

func (db *DB) dialect() Kind { return db.kind }

func (t *Tx) exec(ctx context.Context, text string, args ...any) (int64, error) {
	if err := t.flush(ctx); err != nil {
		return 0, err
	}
	res, err := t.tx.ExecContext(ctx, t.db.text(text), t.db.args(args)...)
	if err != nil {
		return 0, fmt.Errorf("%w [%s]", err, head(text))
	}
	return res.RowsAffected()
}

func (t *Tx) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	if err := t.flush(ctx); err != nil {
		return nil, err
	}
	rows, err := t.tx.QueryContext(ctx, t.db.text(text), t.db.args(args)...)
	if err != nil {
		return nil, fmt.Errorf("%w [%s]", err, head(text))
	}
	return rows, nil
}

func (t *Tx) queryRow(ctx context.Context, text string, args ...any) *sql.Row {
	_ = t.flush(ctx) // the row then says that the transaction is lost, and txOnce why
	return t.tx.QueryRowContext(ctx, t.db.text(text), t.db.args(args)...)
}

func (db *DB) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	rows, err := db.r.QueryContext(ctx, db.text(text), db.args(args)...)
	if err != nil {
		return nil, fmt.Errorf("%w [%s]", err, head(text))
	}
	return rows, nil
}

func (db *DB) queryRow(ctx context.Context, text string, args ...any) *sql.Row {
	return db.r.QueryRowContext(ctx, db.text(text), db.args(args)...)
}

// head names a statement in an error without its values.
func head(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 60 {
		text = text[:60] + "…"
	}
	return text
}

// isConflict reports a failure that running the same transaction again can heal.
func isConflict(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}

// isUnique reports a violated unique constraint.
func isUnique(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23505"
	}
	return errors.Is(err, sqlite3.CONSTRAINT_UNIQUE) || errors.Is(err, sqlite3.CONSTRAINT_PRIMARYKEY)
}
