package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/ncruces/go-sqlite3"
)

// Outage says in a sentence why the database cannot be used at this moment; it is "" for
// nil and for every error that trying again later would not heal.
func Outage(err error) string {
	switch {
	case err == nil:
		return ""
	case noSpace(err):
		return "The disk of the database is full."
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return outageOf(pg)
	}
	var op net.Error
	var dial *pgconn.ConnectError
	switch {
	case errors.Is(err, sqlite3.BUSY), errors.Is(err, sqlite3.LOCKED):
		return "The database is busy."
	case errors.Is(err, sqlite3.IOERR), errors.Is(err, sqlite3.CANTOPEN), errors.Is(err, sqlite3.READONLY):
		return "The database file cannot be written."
	case errors.Is(err, errGroupClosed):
		return "The server is shutting down."
	case errors.As(err, &dial), errors.As(err, &op), errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone),
		pgconn.SafeToRetry(err), brokenConn(err):
		return "The database does not answer."
	default:
		return ""
	}
}

// outageOf reads the classes of SQLSTATE, and the words of poolers, which have no code
// of their own for what they cannot do.
func outageOf(pg *pgconn.PgError) string {
	switch {
	case pg.Code == "53300", strings.Contains(pg.Message, "EMAXCONN"):
		return "The database takes no more connections."
	case pg.Code == "25006":
		return "The database is read-only."
	case strings.HasPrefix(pg.Code, "08"), strings.HasPrefix(pg.Code, "53"), strings.HasPrefix(pg.Code, "57"),
		strings.HasPrefix(pg.Code, "58"), strings.Contains(pg.Message, "ECHECKOUTTIMEOUT"),
		strings.Contains(pg.Message, "EDBHANDLEREXITED"):
		return "The database does not answer."
	default:
		return ""
	}
}

// brokenConn reports a connection that ended in the middle of something. pgx has no type
// for it.
func brokenConn(err error) bool {
	text := err.Error()
	return strings.Contains(text, "conn closed") || strings.Contains(text, "unexpected EOF") ||
		strings.Contains(text, "broken pipe") || strings.Contains(text, "connection reset")
}

func noSpace(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "53100" || strings.Contains(pg.Message, "No space left")) ||
		errors.Is(err, sqlite3.FULL) || errors.Is(err, errDiskFull)
}

// fullFor is how long a full disk is told of after the last write that met it. Small
// writes may go on finding room while larger ones do not, so one that succeeds proves
// little.
const fullFor = 15 * time.Second

// outageNote remembers what the last writes met.
type outageNote struct {
	full     atomic.Pointer[time.Time] // when a write last found the disk full
	readOnly atomic.Int64              // counts the times that the database was read-only
}

// noteOutage remembers what a transaction met, and returns it with what can be found out
// about it.
func (db *DB) noteOutage(err error) error {
	var pg *pgconn.PgError
	switch {
	case err == nil:
	case errors.Is(err, sqlite3.IOERR) && !db.roomForMore():
		err = errors.Join(errDiskFull, err)
		fallthrough
	case noSpace(err):
		now := db.clock.Now()
		db.outage.full.Store(&now)
	case errors.As(err, &pg) && pg.Code == "25006":
		db.outage.readOnly.Add(1)
	}
	return err
}

// roomForMore tells whether the disk of a SQLite file has room. SQLite says of a full
// disk only that it could not write.
func (db *DB) roomForMore() bool {
	f, err := os.CreateTemp(filepath.Dir(db.path), ".bellhop-room-")
	if err != nil {
		return false
	}
	defer os.Remove(f.Name())
	_, err = f.Write(make([]byte, 1<<20))
	return errors.Join(err, f.Close()) == nil
}

// errDiskFull says that writes find no room.
var errDiskFull = errors.New("the disk of the database is full")

// Ready checks that the database answers and that the last writes found room.
func (db *DB) Ready(ctx context.Context) error {
	if err := db.r.PingContext(ctx); err != nil {
		return err
	}
	if at := db.outage.full.Load(); at != nil && db.clock.Now().Sub(*at).Abs() < fullFor {
		return errDiskFull
	}
	return nil
}

// written notes that something large found room again.
func (db *DB) written() { db.outage.full.Store(nil) }

// bornKey is where a connection keeps how often the database had been read-only when it
// was made.
const bornKey = "bellhop.born"

// beginSession prepares a new connection.
func (db *DB) beginSession(text string) func(context.Context, *pgx.Conn) error {
	return func(ctx context.Context, c *pgx.Conn) error {
		c.PgConn().CustomData()[bornKey] = db.outage.readOnly.Load()
		if text == "" {
			return nil
		}
		_, err := c.Exec(ctx, text, pgx.QueryExecModeSimpleProtocol)
		return err
	}
}

// dropReadOnly gives up connections that are older than the last refusal to write: after
// a switchover they lead to a server that is a standby now. The next one asks for the
// primary again.
func (db *DB) dropReadOnly(_ context.Context, c *pgx.Conn) error {
	if c.PgConn().CustomData()[bornKey] != db.outage.readOnly.Load() {
		return driver.ErrBadConn
	}
	return nil
}
