package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
)

const (
	// busyTimeout is how long a connection waits for another process's lock, in
	// milliseconds.
	busyTimeout = 10000
	// The caches in KiB: the writer's holds the hot pages of every index.
	writerCache = 24000
	readerCache = 6000
)

// openSQLite opens one writer, because SQLite has one, and a pool of readers. WAL lets
// them go on during a write; synchronous=FULL makes a commit survive a power cut, and
// costs nothing once commits are grouped. busy_timeout comes first, so that the other
// pragmas wait as well; auto_vacuum before anything is written, because it is only
// heeded by an empty file.
func (db *DB) openSQLite(path string) error {
	if path == "" {
		return errors.New("sqlite: the path of the file is missing")
	}
	db.kind, db.path = SQLite, path
	dsn := func(q string) string { return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q }
	common := fmt.Sprintf("_pragma=busy_timeout(%d)&_pragma=auto_vacuum(incremental)&_pragma=journal_mode(wal)"+
		"&_pragma=journal_size_limit(%d)&_pragma=synchronous(full)&_pragma=foreign_keys(on)&_pragma=temp_store(memory)"+
		"&_pragma=wal_autocheckpoint(0)", busyTimeout, logLimit)
	w, err := openKeeping(dsn(common + fmt.Sprintf("&_pragma=cache_size(-%d)&_txlock=immediate", writerCache)))
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	w.SetMaxOpenConns(1)
	w.SetConnMaxLifetime(0)
	w.SetMaxIdleConns(1)
	db.w = w
	if err := w.Ping(); err != nil { // makes the file before a reader opens it
		return fmt.Errorf("sqlite: cannot open %s: %w", path, err)
	}
	if err := db.moveLog(dsn(common + "&_pragma=cache_size(-200)")); err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	r, err := openKeeping(dsn(common + fmt.Sprintf("&_pragma=cache_size(-%d)&_pragma=query_only(on)", readerCache)))
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	r.SetMaxOpenConns(4)
	r.SetMaxIdleConns(2)
	r.SetConnMaxIdleTime(time.Minute)
	db.r = r
	return nil
}

// moveLog begins to move the write-ahead log into the file, beside the writer.
func (db *DB) moveLog(dsn string) error {
	l, err := openKeeping(dsn)
	if err != nil {
		return err
	}
	l.SetMaxOpenConns(1)
	db.mover = newLogMover(l)
	c, err := db.w.Conn(context.Background())
	if err != nil {
		return err
	}
	defer c.Close()
	return db.mover.watch(c)
}

func openKeeping(dsn string) (*sql.DB, error) {
	c, err := (&driver.SQLite{}).OpenConnector(dsn)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(keepStatements{c}), nil
}

// Lock takes the SQLite file for this process, so that two servers cannot run their
// engines on one file. On Postgres any number of nodes may serve. The lock is an open
// transaction on a file beside the database: the operating system lets go of it when
// the process dies.
func (db *DB) Lock(ctx context.Context) error {
	if db.kind != SQLite {
		return nil
	}
	l, err := lockFile(ctx, db.path)
	db.lock = l
	return err
}

// lockFile takes the lock of a SQLite file; closing what it returns lets go of it.
func lockFile(ctx context.Context, file string) (*sql.DB, error) {
	path := file + ".lock"
	l, err := driver.Open("file:" + (&url.URL{Path: path}).EscapedPath() + "?_txlock=exclusive&_pragma=busy_timeout(50)")
	if err != nil {
		return nil, fmt.Errorf("sqlite: lock: %w", err)
	}
	l.SetMaxOpenConns(1)
	if _, err := l.ExecContext(ctx, "BEGIN EXCLUSIVE"); err != nil {
		l.Close()
		if errors.Is(err, sqlite3.BUSY) {
			return nil, fmt.Errorf("another bellhop is serving %s; stop it first, or give this one a database of its own", file)
		}
		return nil, fmt.Errorf("sqlite: lock: %w", err)
	}
	return l, nil
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
