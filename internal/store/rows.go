package store

import (
	"context"
	"database/sql"
	"math/bits"
	"strconv"
	"strings"
)

// maxRows bounds the rows of one statement. Row counts are powers of two, so that the
// number of different texts, and of statements a server keeps prepared, stays small.
const maxRows = 64

// insertRows writes rows with few statements. The text is
// "<into> VALUES (…),(…) <suffix>"; with a RETURNING suffix scan is called for every
// returned row.
func (t *Tx) insertRows(ctx context.Context, into, suffix string, rows [][]any, scan func(*sql.Rows) error) error {
	for len(rows) > 0 {
		n := min(maxRows, 1<<(bits.Len(uint(len(rows)))-1))
		text := into + " VALUES " + placeholders(n, len(rows[0])) + " " + suffix
		args := make([]any, 0, n*len(rows[0]))
		for _, r := range rows[:n] {
			args = append(args, r...)
		}
		rows = rows[n:]
		if scan == nil {
			if _, err := t.exec(ctx, text, args...); err != nil {
				return err
			}
			continue
		}
		res, err := t.query(ctx, text, args...)
		if err != nil {
			return err
		}
		if err := each(res, scan); err != nil {
			return err
		}
	}
	return nil
}

// each scans every row and closes the result.
func each(rows *sql.Rows, scan func(*sql.Rows) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// placeholders returns "($1,$2),($3,$4)" for rows of cols.
func placeholders(rows, cols int) string {
	var b strings.Builder
	b.Grow(rows * cols * 5)
	n := 0
	for r := range rows {
		if r > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('(')
		for c := range cols {
			if c > 0 {
				b.WriteByte(',')
			}
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
		}
		b.WriteByte(')')
	}
	return b.String()
}

// queryIn runs a query whose text holds one "IN (?)" for every value, in pieces. The
// last value is repeated up to a power of two, for the same reason as in insertRows.
func queryIn[V any](ctx context.Context, q queryer, text string, values []V, scan func(*sql.Rows) error) error {
	for len(values) > 0 {
		n := min(len(values), 256)
		padded := 1 << bits.Len(uint(n-1))
		args := make([]any, padded)
		for i := range args {
			args[i] = values[min(i, n-1)]
		}
		in := placeholders(1, padded)
		rows, err := q.query(ctx, strings.Replace(text, "(?)", in, 1), args...)
		if err != nil {
			return err
		}
		if err := each(rows, scan); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}

// filter gathers the conditions of a list. Columns are the program's own words; values
// are arguments.
type filter struct {
	where strings.Builder
	args  []any
}

// equal adds a condition, unless the value is "": that selects everything.
func (f *filter) equal(column, value string) {
	if value != "" {
		f.add(column+" =", value)
	}
}

func (f *filter) add(condition string, value any) {
	if f.where.Len() == 0 {
		f.where.WriteString(" WHERE ")
	} else {
		f.where.WriteString(" AND ")
	}
	f.args = append(f.args, value)
	f.where.WriteString(condition + " $" + strconv.Itoa(len(f.args)))
}

// newest runs the list, newest first, in pages: before is the last id of the page before,
// limit 0 means 100 and at most 1,000.
func (f *filter) newest(ctx context.Context, q queryer, text, before string, limit int) (*sql.Rows, error) {
	if before != "" {
		f.add("id <", before)
	}
	if limit <= 0 {
		limit = 100
	}
	f.args = append(f.args, min(limit, 1000))
	return q.query(ctx, text+f.where.String()+" ORDER BY id DESC LIMIT $"+strconv.Itoa(len(f.args)), f.args...)
}
