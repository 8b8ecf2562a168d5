package store

import (
	"context"
	"fmt"
)

// pagesKept is how many free pages of a SQLite file stay for what comes in next (4 MB):
// giving back and growing again would be work for nothing.
const pagesKept = 1000

// incremental is the auto_vacuum mode in which free pages can be given back in bites.
const incremental = 2

// giveBack returns free pages of the SQLite file to the file system, in bites, and cuts
// the write-ahead log. dialect: on Postgres dropped partitions have
// given their space back, and autovacuum makes what deleted rows took usable again.
func (db *DB) giveBack(ctx context.Context, out *Removed) error {
	if db.kind != SQLite {
		return nil
	}
	var mode int
	if err := db.queryRow(ctx, "PRAGMA auto_vacuum").Scan(&mode); err != nil || mode != incremental {
		out.CannotShrink = err == nil
		return err
	}
	var free int64
	if err := db.queryRow(ctx, "PRAGMA freelist_count").Scan(&free); err != nil || free <= pagesKept {
		return err
	}
	left := free - pagesKept
	var err error
	out.Pages, err = db.inBites(ctx, func(n int) (int64, error) {
		n = int(min(int64(n), left))
		if n == 0 {
			return 0, nil
		}
		_, err := db.w.ExecContext(ctx, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", n))
		left -= int64(n)
		return int64(n), err
	})
	if err != nil {
		return err
	}
	return db.cutLog(ctx)
}

// cutLog moves the write-ahead log into the file and cuts it, unless a reader needs it for
// longer than a moment: the writer must not wait for readers.
func (db *DB) cutLog(ctx context.Context) error {
	c, err := db.w.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.ExecContext(ctx, "PRAGMA busy_timeout(20)"); err != nil {
		return err
	}
	db.mover.busy.Lock()
	defer db.mover.busy.Unlock()
	var busy, log, moved int
	err = c.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &moved)
	if _, back := c.ExecContext(context.WithoutCancel(ctx), fmt.Sprintf("PRAGMA busy_timeout(%d)", busyTimeout)); back != nil {
		return back
	}
	return err
}

// Compact makes the SQLite file one that can give space back in bites, and packs it. It
// rewrites the whole file under one lock and needs as much free space again; files that
// this program made need it never. It reports whether there was anything to do.
func (db *DB) Compact(ctx context.Context) (bool, error) {
	if db.kind != SQLite {
		return false, nil
	}
	c, err := db.w.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer c.Close()
	var mode int // a connection that was open before keeps the old one
	if err := c.QueryRowContext(ctx, "PRAGMA auto_vacuum").Scan(&mode); err != nil || mode == incremental {
		return false, err
	}
	if _, err := c.ExecContext(ctx, "PRAGMA auto_vacuum(incremental)"); err != nil {
		return false, err
	}
	if _, err := c.ExecContext(ctx, "VACUUM"); err != nil {
		return false, fmt.Errorf("packing the file: %w", err)
	}
	return true, nil
}
