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
func queryIn(ctx context.Context, q queryer, text string, values []string, scan func(*sql.Rows) error) error {
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
