package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/ncruces/go-sqlite3"

	"bellhop"
)

// CopyOpts says what Backup and Restore copy.
type CopyOpts struct {
	Database string // path of the SQLite file that is or was served
	File     string // path of the backup
	Clock    bellhop.Clock
	// Progress, when set, is told what is being done and how much of it, in percent.
	Progress func(what string, percent int)
}

// Snapshot is what a backup holds.
type Snapshot struct {
	Bytes     int64     `json:"bytes"`
	Schema    int64     `json:"schema"`
	TakenAt   time.Time `json:"taken_at"` // everything accepted before is in it
	Events    int64     `json:"events"`
	Steps     int64     `json:"steps"`
	OpenSteps int64     `json:"open_steps"`
}

// pagesPerStep is how much of a file is copied between two looks at the context (8 MB).
const pagesPerStep = 2000

// Backup copies a SQLite database while it is served: the state of one instant, checked,
// in one file that only its owner may read. The file appears under its name when it is
// complete; what a killed backup leaves is called FILE.partial-…. An existing file is
// never overwritten.
func Backup(ctx context.Context, o CopyOpts) (Snapshot, error) {
	var snap Snapshot
	if _, err := os.Stat(o.Database); err != nil {
		return snap, fmt.Errorf("there is no database at %s: %w", o.Database, withoutPath(err))
	}
	if _, err := os.Lstat(o.File); err == nil {
		return snap, alreadyThere(o.File)
	}
	temp, err := newFile(o.File + ".partial-")
	if err != nil {
		return snap, fmt.Errorf("the backup cannot be written: %w", err)
	}
	defer os.Remove(temp)
	at := o.Clock.Now().UTC().Truncate(time.Second)
	if err := copyPages(ctx, o, temp); err != nil {
		return snap, fmt.Errorf("copying: %w", err)
	}
	o.tell("checking", 0)
	if err := stamp(temp, at); err != nil {
		return snap, err
	}
	if snap, err = Inspect(ctx, temp); err != nil {
		return snap, fmt.Errorf("the copy is not good, so it was thrown away: %w", err)
	}
	if err := syncFile(temp); err != nil {
		return snap, err
	}
	// A link fails where something is by now; a rename would overwrite it.
	if err := os.Link(temp, o.File); errors.Is(err, fs.ErrExist) {
		return snap, alreadyThere(o.File)
	} else if err != nil {
		if err := os.Rename(temp, o.File); err != nil { // a file system without links
			return snap, err
		}
	}
	return snap, syncFile(filepath.Dir(o.File))
}

func alreadyThere(file string) error {
	return fmt.Errorf("%s is there already and is not overwritten; give the backup another name", file)
}

func (o CopyOpts) tell(what string, percent int) {
	if o.Progress != nil {
		o.Progress(what, percent)
	}
}

// copyPages copies the database as it is at one instant. The open read transaction holds
// that instant, so that writers go on and the copy need not begin anew for them.
func copyPages(ctx context.Context, o CopyOpts, to string) error {
	src, err := sqlite3.OpenFlags(fileURI(o.Database), sqlite3.OPEN_READWRITE|sqlite3.OPEN_URI)
	if err != nil {
		return err
	}
	defer src.Close()
	if err := src.BusyTimeout(busyTimeout * time.Millisecond); err != nil {
		return err
	}
	if err := src.Exec("BEGIN; SELECT count(*) FROM sqlite_master"); err != nil {
		return err
	}
	b, err := src.BackupInit("main", fileURI(to))
	if err != nil {
		return err
	}
	for {
		if err := ctx.Err(); err != nil {
			return errors.Join(err, b.Close())
		}
		done, err := b.Step(pagesPerStep)
		if err != nil {
			return errors.Join(err, b.Close())
		}
		if all := b.PageCount(); all > 0 {
			o.tell("copying", 100*(all-b.Remaining())/all)
		}
		if done {
			return b.Close()
		}
	}
}

// stamp makes a copy one file without a write-ahead log, and writes down of when it is.
func stamp(path string, at time.Time) error {
	c, err := sqlite3.OpenFlags(fileURI(path), sqlite3.OPEN_READWRITE|sqlite3.OPEN_URI)
	if err != nil {
		return err
	}
	defer c.Close()
	text := at.Format(timeLayout)
	for _, q := range []string{"PRAGMA journal_mode=delete", "PRAGMA synchronous=full",
		`INSERT INTO settings (name, value, created_at) VALUES ('backup_taken_at', '` + text + `', '` + text + `')
			ON CONFLICT (name) DO UPDATE SET value = excluded.value, created_at = excluded.created_at`} {
		if err := c.Exec(q); err != nil {
			return fmt.Errorf("this is no database of bellhop: %w", err)
		}
	}
	return nil
}

// Inspect checks a SQLite file from end to end and tells what it holds. An error means
// that it cannot be used.
func Inspect(ctx context.Context, path string) (Snapshot, error) {
	var s Snapshot
	c, err := sqlite3.OpenFlags(fileURI(path), sqlite3.OPEN_READWRITE|sqlite3.OPEN_URI)
	if err != nil {
		return s, err
	}
	defer c.Close()
	c.SetInterrupt(ctx)
	verdict, err := one(c, "PRAGMA integrity_check(1)")
	if err != nil {
		return s, fmt.Errorf("it is damaged, or no SQLite file: %w", err)
	}
	if verdict != "ok" {
		return s, fmt.Errorf("it is damaged: %s", verdict)
	}
	for _, q := range []struct {
		text string
		into *int64
	}{
		{"SELECT max(version_id) FROM schema_migrations WHERE is_applied", &s.Schema},
		{"SELECT count(*) FROM event_keys", &s.Events},
		{"SELECT count(*) FROM steps", &s.Steps},
		{"SELECT count(*) FROM steps WHERE state NOT IN ('done', 'dropped')", &s.OpenSteps},
	} {
		text, err := one(c, q.text)
		if err == nil {
			_, err = fmt.Sscan(text, q.into)
		}
		if err != nil {
			return s, fmt.Errorf("it is no database of bellhop: %w", err)
		}
	}
	if text, err := one(c, "SELECT value FROM settings WHERE name = 'backup_taken_at'"); err == nil {
		s.TakenAt, _ = time.Parse(timeLayout, text) // a copy made by other means has none
	}
	fi, err := os.Stat(path)
	if err == nil {
		s.Bytes = fi.Size()
	}
	return s, err
}

// one returns the first column of a query's first row as text, "" when there is none.
func one(c *sqlite3.Conn, text string) (string, error) {
	st, _, err := c.Prepare(text)
	if err != nil {
		return "", err
	}
	defer st.Close()
	out := ""
	if st.Step() {
		out = st.ColumnText(0)
	}
	return out, st.Err()
}

func fileURI(path string) string { return "file:" + (&url.URL{Path: path}).EscapedPath() }

// newFile makes a new file that only its owner may read and returns its name.
func newFile(prefix string) (string, error) {
	var tail [4]byte
	_, _ = rand.Read(tail[:]) // never fails
	name := prefix + hex.EncodeToString(tail[:])
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	return name, f.Close()
}

// syncFile makes a file or a folder's names durable. Some systems cannot sync a folder;
// there it is none of our doing.
func syncFile(path string) error {
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	if fi.IsDir() {
		if f, err := os.Open(path); err == nil {
			_ = f.Sync()
			return f.Close()
		}
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0) // Windows syncs only what it may write
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// withoutPath takes the path, which the sentence around it has, out of an error.
func withoutPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
