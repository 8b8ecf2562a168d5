package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"bellhop"
)

// OutboxRow is what somebody handed over in a transaction of their own.
type OutboxRow struct {
	ID        int64
	Kind      string // "lead", "support_request" or "event"
	Key       string
	Payload   []byte // JSON
	Attempts  int    // how often it was claimed, this time included
	CreatedAt time.Time
}

// ClaimOutbox lends up to limit rows to the caller, oldest first, for as long as the lease:
// until then no other node gets them. A row that is not deleted by then is lent again.
func (db *DB) ClaimOutbox(ctx context.Context, lease time.Duration, limit int) ([]OutboxRow, error) {
	// Looked at without a transaction first: there is nothing nearly always.
	there, err := exists(ctx, db, "SELECT 1 FROM bellhop.outbox WHERE leased_until IS NULL OR leased_until < $1 LIMIT 1", db.Now())
	if err != nil || !there {
		return nil, err
	}
	var out []OutboxRow
	err = db.tx(ctx, func(t *Tx) error {
		out = nil
		rows, err := t.query(ctx, `UPDATE bellhop.outbox SET leased_until = $2, attempts = attempts + 1 WHERE id IN
			(SELECT id FROM bellhop.outbox WHERE leased_until IS NULL OR leased_until < $1 ORDER BY id LIMIT $3`+t.skipLocked()+`)
			RETURNING id, kind, key, payload, attempts, created_at`, t.now, t.now.Add(lease), limit)
		if err != nil {
			return err
		}
		return each(rows, func(r *sql.Rows) error {
			var row OutboxRow
			err := r.Scan(&row.ID, &row.Kind, &row.Key, &row.Payload, &row.Attempts, timeDest{&row.CreatedAt})
			out = append(out, row)
			return err
		})
	})
	slices.SortFunc(out, func(a, b OutboxRow) int { return cmp.Compare(a.ID, b.ID) })
	return out, err
}

// skipLocked is what Postgres needs so that two nodes claim different rows. dialect: one
// process serves a SQLite file.
func (t *Tx) skipLocked() string {
	if t.db.kind == Postgres {
		return " FOR UPDATE SKIP LOCKED"
	}
	return ""
}

// DeleteOutbox deletes rows that were taken in.
func (db *DB) DeleteOutbox(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	return db.tx(ctx, func(t *Tx) error {
		for _, id := range ids {
			if _, err := t.exec(ctx, "DELETE FROM bellhop.outbox WHERE id = $1", id); err != nil {
				return err
			}
		}
		return nil
	})
}

// ReleaseOutbox gives rows back that could not be taken in for a reason that is not theirs:
// the claim does not count.
func (db *DB) ReleaseOutbox(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	return db.tx(ctx, func(t *Tx) error {
		for _, id := range ids {
			if _, err := t.exec(ctx, "UPDATE bellhop.outbox SET leased_until = NULL, attempts = attempts - 1 WHERE id = $1",
				id); err != nil {
				return err
			}
		}
		return nil
	})
}

// RefuseOutbox gives a row that cannot be taken in to a person. The row goes and the task
// comes in one transaction, so there is one task however often this is called.
func (db *DB) RefuseOutbox(ctx context.Context, id int64, task bellhop.SupportRequest) error {
	return db.tx(ctx, func(t *Tx) error {
		n, err := t.exec(ctx, "DELETE FROM bellhop.outbox WHERE id = $1", id)
		if err != nil || n == 0 {
			return err
		}
		task.ID = NewID()
		return insertSupport(ctx, t, []bellhop.SupportRequest{task})
	})
}

// listenAgain is the pause after a listening connection broke.
const listenAgain = 5 * time.Second

// ListenOutbox calls wake whenever something was handed over, until ctx ends; it returns
// at once where nothing can be listened to. A notification can be missed while there is no
// connection, so whoever is woken by it also looks by themselves from time to time.
func (db *DB) ListenOutbox(ctx context.Context, wake func()) {
	for db.pool != nil && ctx.Err() == nil {
		_ = db.listenOnce(ctx, wake) // the next look finds what it missed; an outage is told of elsewhere
		_ = wait(ctx, listenAgain)
	}
}

func (db *DB) listenOnce(ctx context.Context, wake func()) error {
	lent, err := db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	conn := lent.Hijack() // it listens, so it must not go back to the pool
	defer closeConn(conn)
	if _, err := conn.Exec(ctx, "LISTEN bellhop_outbox"); err != nil {
		return err
	}
	for {
		wake() // also once at the beginning: for what came in between
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return err
		}
	}
}

func closeConn(c *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.Close(ctx) // nothing is lost with it
}
