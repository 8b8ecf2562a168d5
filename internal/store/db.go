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
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"

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
	URL   string
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
	texts sync.Map // SQL text → the kind's own form
	queue Enqueuer
	hub   *Hub
	plans IncidentPlans
	lock  *sql.DB // SQLite only: holds the lock file of the serving process
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
		return nil, err
	}
	if err := db.w.PingContext(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("the %s database does not answer: %w", db.kind, err)
	}
	return db, nil
}

// openSQLite opens one writer, because SQLite has one, and a pool of readers. WAL lets
// them go on during a write; synchronous=FULL makes a commit survive a power cut, and
// costs nothing once commits are grouped. busy_timeout comes first, so that the other
// pragmas wait as well.
func (db *DB) openSQLite(path string) error {
	if path == "" {
		return errors.New("sqlite: the path of the file is missing")
	}
	db.kind, db.path = SQLite, path
	dsn := func(q string) string { return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q }
	common := "_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)" +
		"&_pragma=foreign_keys(on)&_pragma=temp_store(memory)&_pragma=cache_size(-8000)"
	w, err := driver.Open(dsn(common + "&_txlock=immediate"))
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	w.SetMaxOpenConns(1)
	w.SetConnMaxLifetime(0)
	w.SetMaxIdleConns(1)
	if err := w.Ping(); err != nil { // makes the file before a reader opens it
		w.Close()
		return fmt.Errorf("sqlite: cannot open %s: %w", path, err)
	}
	r, err := driver.Open(dsn(common + "&_pragma=query_only(on)"))
	if err != nil {
		w.Close()
		return fmt.Errorf("sqlite: %w", err)
	}
	r.SetMaxOpenConns(4)
	r.SetMaxIdleConns(2)
	r.SetConnMaxIdleTime(time.Minute)
	db.w, db.r = w, r
	return nil
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
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	db.pool = pool
	db.w = stdlib.OpenDB(*cfg.ConnConfig)
	db.w.SetMaxOpenConns(int(cfg.MaxConns))
	db.w.SetMaxIdleConns(int(cfg.MaxConns))
	db.w.SetConnMaxIdleTime(5 * time.Minute)
	db.r = db.w
	return nil
}

// Close closes every connection.
func (db *DB) Close() error {
	var errs []error
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

// ListenerPool returns the pool that listener connections come from; nil on SQLite.
func (db *DB) ListenerPool() *pgxpool.Pool { return db.pool }

// Hub tells what changed to those who wait for it in this process.
func (db *DB) Hub() *Hub { return db.hub }

// SetEnqueuer sets who carries due steps to the workers; before it is set, steps are
// stored and wait for the sweep of the next start.
func (db *DB) SetEnqueuer(q Enqueuer) { db.queue = q }

// Lock takes the SQLite file for this process, so that two servers cannot run their
// engines on one file. On Postgres any number of nodes may serve. The lock is an open
// transaction on a file beside the database: the operating system lets go of it when
// the process dies.
func (db *DB) Lock(ctx context.Context) error {
	if db.kind != SQLite {
		return nil
	}
	path := db.path + ".lock"
	l, err := driver.Open("file:" + (&url.URL{Path: path}).EscapedPath() + "?_txlock=exclusive&_pragma=busy_timeout(50)")
	if err != nil {
		return fmt.Errorf("sqlite: lock: %w", err)
	}
	l.SetMaxOpenConns(1)
	if _, err := l.ExecContext(ctx, "BEGIN EXCLUSIVE"); err != nil {
		l.Close()
		if errors.Is(err, sqlite3.BUSY) {
			return fmt.Errorf("another bellhop is serving %s; stop it first, or give this one a database of its own", db.path)
		}
		return fmt.Errorf("sqlite: lock: %w", err)
	}
	db.lock = l
	return nil
}

// Tx is a transaction: it turns the SQL text and the arguments into the database's own
// form, and carries the time that everything in it is stamped with.
type Tx struct {
	tx  *sql.Tx
	db  *DB
	now time.Time
}

// queryer is what both a transaction and a reader can do.
type queryer interface {
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
	tx, err := db.w.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	if err := fn(&Tx{tx: tx, db: db, now: db.clock.Now()}); err != nil {
		return err
	}
	return tx.Commit()
}

func (t *Tx) exec(ctx context.Context, text string, args ...any) (int64, error) {
	res, err := t.tx.ExecContext(ctx, t.db.text(text), t.db.args(args)...)
	if err != nil {
		return 0, fmt.Errorf("%w [%s]", err, head(text))
	}
	return res.RowsAffected()
}

func (t *Tx) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	rows, err := t.tx.QueryContext(ctx, t.db.text(text), t.db.args(args)...)
	if err != nil {
		return nil, fmt.Errorf("%w [%s]", err, head(text))
	}
	return rows, nil
}

func (t *Tx) queryRow(ctx context.Context, text string, args ...any) *sql.Row {
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

// text returns the database's own form of an SQL text.
func (db *DB) text(s string) string {
	if db.kind == Postgres {
		return s
	}
	if t, ok := db.texts.Load(s); ok {
		return t.(string)
	}
	t := sqliteText(s)
	db.texts.Store(s, t)
	return t
}

// sqliteText drops the schema and turns $n into ?n. The store's texts hold neither a
// dollar sign nor "bellhop." for any other purpose.
func sqliteText(s string) string {
	s = strings.ReplaceAll(s, "bellhop.", "")
	return strings.ReplaceAll(s, "$", "?")
}

// timeLayout sorts as text in the order of time.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// args turns times into the database's own form: native on Postgres, text that sorts on
// SQLite. A zero time is NULL.
func (db *DB) args(args []any) []any {
	for i, a := range args {
		t, ok := a.(time.Time)
		if !ok {
			continue
		}
		switch {
		case t.IsZero():
			args[i] = nil
		case db.kind == SQLite:
			args[i] = t.UTC().Format(timeLayout)
		default:
			args[i] = t.UTC()
		}
	}
	return args
}

// forUpdate is the row lock that Postgres needs between reading and writing a row.
// dialect: SQLite has one writer, so a transaction that writes has it already.
func (t *Tx) forUpdate() string {
	if t.db.kind == Postgres {
		return " FOR UPDATE"
	}
	return ""
}

// nul returns NULL for "".
func nul(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// timeDest scans a time of either database; NULL is the zero time.
type timeDest struct{ t *time.Time }

func (d timeDest) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*d.t = time.Time{}
	case time.Time:
		*d.t = v.UTC()
	case string:
		t, err := time.Parse(time.RFC3339Nano, v)
		if err != nil {
			return err
		}
		*d.t = t.UTC()
	case []byte:
		return d.Scan(string(v))
	default:
		return fmt.Errorf("a time cannot be read from %T", src)
	}
	return nil
}

// strDest scans text; NULL is "".
type strDest struct{ s *string }

func (d strDest) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*d.s = ""
	case string:
		*d.s = v
	case []byte:
		*d.s = string(v)
	case int64:
		*d.s = strconv.FormatInt(v, 10)
	default:
		return fmt.Errorf("text cannot be read from %T", src)
	}
	return nil
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

// fileSize returns the size of the SQLite file in bytes, 0 elsewhere.
func (db *DB) fileSize() int64 {
	if db.kind != SQLite {
		return 0
	}
	fi, err := os.Stat(db.path)
	if err != nil {
		return 0
	}
	return fi.Size()
}
