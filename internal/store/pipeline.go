package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// dialect: on Postgres a statement whose answer nobody needs waits for the next one that
// is needed, or for the commit, and all that wait go in one round trip. On SQLite there is
// no way to save.

// queued is a statement that waits.
type queued struct {
	text string
	args []any
}

// later runs a statement before the next one that is not later, at the end of the
// transaction at last. Its error is that of what sends it.
func (t *Tx) later(text string, args []any) {
	t.waiting = append(t.waiting, queued{t.db.text(text), t.db.args(args)})
}

// flush sends what waits. After a failure the transaction is lost: every later call, and
// the transaction itself, return the first error.
func (t *Tx) flush(ctx context.Context) error {
	if len(t.waiting) == 0 || t.failed != nil {
		return t.failed
	}
	var b pgx.Batch
	for _, q := range t.waiting {
		b.Queue(q.text, q.args...)
	}
	waiting := t.waiting
	t.waiting = nil
	t.failed = t.conn.Raw(func(dc any) error {
		c, ok := dc.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("a Postgres connection is a %T", dc)
		}
		res := c.Conn().SendBatch(ctx, &b)
		for _, q := range waiting {
			if _, err := res.Exec(); err != nil {
				_ = res.Close() // says the same
				return fmt.Errorf("%w [%s]", err, head(q.text))
			}
		}
		return res.Close()
	})
	return t.failed
}

// raw returns the transaction for statements that are not the store's own.
func (t *Tx) raw(ctx context.Context) (*sql.Tx, error) { return t.tx, t.flush(ctx) }
