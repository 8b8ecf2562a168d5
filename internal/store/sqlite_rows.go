package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// insertEach writes rows one by one with one compiled statement, past database/sql, whose
// way costs more for each row than SQLite does. dialect: on Postgres every statement is a
// round trip, so there the rows go in one.
// wrote is told of each row whether it was written.
func (t *Tx) insertEach(ctx context.Context, ins *insertion, suffix string, rows [][]any, wrote func(int, bool)) error {
	err := t.conn.Raw(func(dc any) error {
		c, ok := dc.(*sqliteConn)
		if !ok {
			return fmt.Errorf("a SQLite connection is a %T", dc)
		}
		return c.insertEach(ctx, t.db.text(ins.row+suffix), rows, wrote)
	})
	if err != nil {
		return fmt.Errorf("%w [%s]", err, head(ins.row))
	}
	return nil
}

func (c *sqliteConn) insertEach(ctx context.Context, text string, rows [][]any, wrote func(int, bool)) error {
	s := c.inserts[text]
	if s == nil {
		var err error
		if s, _, err = c.Raw().Prepare(text); err != nil {
			return err
		}
		c.inserts[text] = s
	}
	if old := c.Raw().SetInterrupt(ctx); old != ctx {
		defer c.Raw().SetInterrupt(old)
	}
	for n, row := range rows {
		for i, v := range row {
			if err := bind(s, i+1, v); err != nil {
				return errors.Join(err, s.Reset(), s.ClearBindings())
			}
		}
		if err := s.Exec(); err != nil {
			return errors.Join(err, s.ClearBindings())
		}
		if wrote != nil {
			wrote(n, c.Raw().Changes() > 0)
		}
	}
	return s.ClearBindings() // large values are given back
}

// bind gives a statement one of the types that the store writes.
func bind(s *sqlite3.Stmt, n int, v any) error {
	switch v := v.(type) {
	case nil:
		return s.BindNull(n)
	case string:
		return s.BindText(n, v)
	case []byte:
		return s.BindBlob(n, v)
	case int:
		return s.BindInt(n, v)
	case int64:
		return s.BindInt64(n, v)
	case bool:
		return s.BindBool(n, v)
	case time.Time:
		if v.IsZero() {
			return s.BindNull(n)
		}
		return s.BindText(n, v.UTC().Format(timeLayout))
	default:
		return fmt.Errorf("value %d is a %T", n, v)
	}
}
