package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// Restored is what a restore did.
type Restored struct {
	Snapshot
	Database string `json:"database"`
	Kept     string `json:"kept,omitempty"` // where the database that was there is now
	// LookedUp is how many open steps will be looked up before anything is sent for them.
	LookedUp int64 `json:"looked_up"`
}

// Restore puts a backup in the place of a SQLite database that nobody serves. The backup
// is copied, checked, and brought to this program's schema before anything is touched;
// the database that was there stays beside it under another name. Whatever was open in
// the backup may have been done since, so it is marked to be looked up.
func Restore(ctx context.Context, o CopyOpts) (Restored, error) {
	out := Restored{}
	target, err := filepath.EvalSymlinks(o.Database)
	if errors.Is(err, fs.ErrNotExist) {
		target, err = o.Database, nil
	}
	if err != nil {
		return out, err
	}
	out.Database = target
	lock, err := lockFile(ctx, target)
	if err != nil {
		return out, err
	}
	defer lock.Close()
	temp, err := newFile(target + ".restoring-")
	if err != nil {
		return out, fmt.Errorf("the database cannot be written: %w", err)
	}
	defer removeAll(temp)
	o.tell("copying", 0)
	if err := copyBackup(o.File, temp); err != nil {
		return out, err
	}
	o.tell("checking", 0)
	if out.Snapshot, err = Inspect(ctx, temp); err != nil {
		return out, fmt.Errorf("%s cannot be restored: %w; nothing was changed", o.File, err)
	}
	if out.LookedUp, err = prepare(ctx, o, temp); err != nil {
		return out, fmt.Errorf("%s cannot be restored: %w", o.File, err)
	}
	if err := syncFile(temp); err != nil {
		return out, err
	}
	foldLog(target)
	out.Kept, err = swap(target, temp, o.Clock.Now())
	return out, err
}

// copyBackup copies a backup, with the write-ahead log beside it that a copy of a stopped
// server's files may have.
func copyBackup(from, to string) error {
	if err := copyFile(from, to); err != nil {
		return fmt.Errorf("%s cannot be read: %w", from, withoutPath(err))
	}
	err := copyFile(from+"-wal", to+"-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(dst, src); err != nil {
		return errors.Join(err, dst.Close())
	}
	return dst.Close()
}

// prepare migrates a copy, marks its open steps and leaves it as one file.
func prepare(ctx context.Context, o CopyOpts, path string) (int64, error) {
	db, err := Open(ctx, Opts{URL: "sqlite:" + path, Clock: o.Clock})
	if err != nil {
		return 0, err
	}
	n, err := func() (int64, error) {
		if err := db.Migrate(ctx); err != nil {
			return 0, err
		}
		n, err := db.MarkRestored(ctx)
		if err != nil {
			return 0, err
		}
		return n, db.cutLog(ctx)
	}()
	if err := errors.Join(err, db.Close()); err != nil {
		return n, err
	}
	if _, err := os.Lstat(path + "-wal"); err == nil {
		return n, errors.New("its write-ahead log could not be moved into it")
	}
	return n, nil
}

// MarkRestored marks the open steps of a database that was put back to an earlier time:
// what they stand for may have been done since, so it is looked up before anything is
// sent; what cannot be looked up goes to a person. It returns how many there are. No
// process may serve the database meanwhile.
func (db *DB) MarkRestored(ctx context.Context) (int64, error) {
	if err := db.refuseServed(ctx); err != nil {
		return 0, err
	}
	var n int64
	err := db.tx(ctx, func(t *Tx) error {
		// Waiting, parked and manual steps keep their places; the error class is what makes
		// them look first when their turn comes. Since when a step may have been tried is
		// not known, so it is taken to be since it was made: vendors forget keys.
		var err error
		n, err = t.exec(ctx, `UPDATE bellhop.steps SET
			state = CASE WHEN state IN ('ready', 'running', 'retrying') THEN 'unknown' ELSE state END,
			due_at = CASE WHEN state IN ('ready', 'running', 'retrying', 'unknown') THEN $1 ELSE due_at END,
			attempts = CASE WHEN state = 'manual' THEN attempts ELSE 0 END,
			error = CASE WHEN error = '' THEN $2 ELSE $2 || '; before: ' || error END,
			error_class = 'unknown_outcome', first_attempt_at = coalesce(first_attempt_at, created_at),
			lease_until = NULL, version = version + 1, updated_at = $1
			WHERE state NOT IN ('done', 'dropped')`, t.now, restoredNote)
		if err != nil {
			return err
		}
		_, err = t.exec(ctx, `INSERT INTO bellhop.settings (name, value, created_at) VALUES ('restored_at', $1, $2)
			ON CONFLICT (name) DO UPDATE SET value = excluded.value, created_at = excluded.created_at`,
			t.now.Format(timeLayout), t.now)
		return err
	})
	return n, err
}

const restoredNote = "the database was restored from a backup, and this may have been done since"

// refuseServed returns an error when a node has lived within the last half minute.
func (db *DB) refuseServed(ctx context.Context) error {
	if db.kind == SQLite {
		return nil // the file's lock says so
	}
	served, err := exists(ctx, db, "SELECT 1 FROM bellhop.nodes WHERE heartbeat_at > $1 LIMIT 1", db.clock.Now().Add(-30*time.Second))
	if err == nil && served {
		err = errors.New("a bellhop is serving this database, or did half a minute ago; stop every one and try again")
	}
	return err
}

// foldLog moves the log of the database that was there into its file, so that a restore
// that dies half-way leaves it whole. A database that is too damaged for that is kept as
// it is, with its log.
func foldLog(path string) {
	if _, err := os.Lstat(path + "-wal"); err != nil {
		return
	}
	c, err := sqlite3.OpenFlags(fileURI(path), sqlite3.OPEN_READWRITE|sqlite3.OPEN_URI)
	if err != nil {
		return
	}
	_ = c.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
	_ = c.Close()
}

// swap puts the new file in the place of the old one and returns where the old one is
// now. At no moment is there no database under the name, and never a log of another one
// beside it.
func swap(target, fresh string, now time.Time) (string, error) {
	kept := ""
	if _, err := os.Lstat(target); err == nil {
		kept = target + ".before-restore-" + now.UTC().Format("20060102-150405.000")
		if err := os.Link(target, kept); errors.Is(err, fs.ErrExist) {
			return "", fmt.Errorf("%s is there already; try again", kept)
		} else if err != nil {
			if err := os.Rename(target, kept); err != nil { // a file system without links
				return "", err
			}
		}
		// The log belongs to the old file: there may be commits in it that are nowhere else.
		if err := os.Rename(target+"-wal", kept+"-wal"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return kept, err
		}
	}
	for _, stale := range []string{target + "-wal", target + "-shm"} {
		if err := os.Remove(stale); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return kept, err
		}
	}
	if err := os.Rename(fresh, target); err != nil {
		return kept, err
	}
	return kept, syncFile(filepath.Dir(target))
}

// removeAll removes a copy that was not put in place, with what SQLite made beside it.
func removeAll(path string) {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		_ = os.Remove(path + suffix) // it is gone when all went well
	}
}
