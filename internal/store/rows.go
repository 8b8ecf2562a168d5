package store

import (
	"context"
	"database/sql"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Many rows are written and looked up with few statements.
//
// dialect: on Postgres the rows of a statement are arrays, one for each column, so that
// one text, planned once, serves any number of rows; lists of values multiply texts and
// plans. SQLite has no arrays, and a plan costs it little: there the rows are a VALUES
// list, in powers of two, so that the number of texts kept prepared stays small, unless
// nothing is returned: see insertEach.

// maxRows bounds the rows of one statement on SQLite.
const maxRows = 64

// maxArray bounds the rows of one statement on Postgres.
const maxArray = 1024

// insertRows writes rows. into is "INSERT INTO table (column, column::type, …)"; a column
// without a type is text. With a RETURNING suffix scan is called for every returned row.
func (t *Tx) insertRows(ctx context.Context, into, suffix string, rows [][]any, scan func(*sql.Rows) error) error {
	if len(rows) == 0 {
		return nil
	}
	ins := t.db.insertion(into)
	if t.db.kind == SQLite && scan == nil {
		return t.insertEach(ctx, ins, suffix, rows, nil)
	}
	for len(rows) > 0 {
		var text string
		var args []any
		n := t.db.portion(len(rows))
		if t.db.kind == Postgres {
			var err error
			text = ins.arrays + suffix
			if args, err = columns(nil, ins.types, rows[:n]); err != nil {
				return fmt.Errorf("%w [%s]", err, head(into))
			}
		} else {
			text, args = ins.values+placeholders(n, len(ins.types))+" "+suffix, flat(nil, rows[:n])
		}
		rows = rows[n:]
		if scan == nil { // on Postgres
			t.later(text, args)
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

// insertNew writes those rows whose key, their first column, is not in the table yet, and
// reports which they were.
func (t *Tx) insertNew(ctx context.Context, into, key string, rows [][]any) ([]bool, error) {
	fresh := make([]bool, len(rows))
	conflict := "ON CONFLICT (" + key + ") DO NOTHING"
	if t.db.kind == SQLite {
		return fresh, t.insertEach(ctx, t.db.insertion(into), conflict, rows, func(n int, wrote bool) { fresh[n] = wrote })
	}
	place := make(map[string]int, len(rows))
	for n, r := range rows {
		switch k := r[0].(type) {
		case string:
			place[k] = n
		case []byte:
			place[string(k)] = n
		}
	}
	return fresh, t.insertRows(ctx, into, conflict+" RETURNING "+key, rows, func(r *sql.Rows) error {
		var k sql.RawBytes
		err := r.Scan(&k)
		if n, ok := place[string(k)]; ok {
			fresh[n] = true
		}
		return err
	})
}

// updateRows changes rows: "<update> FROM (…) AS v <where>", in which v.column1 and on are
// the values of a row, of the given types. args are the arguments that all rows share: $1
// and on.
func (t *Tx) updateRows(ctx context.Context, update, where string, args []any, types []string, rows [][]any,
	scan func(*sql.Rows) error) error {
	for len(rows) > 0 {
		n := t.db.portion(len(rows))
		var from string
		var all []any
		if t.db.kind == Postgres {
			from = " FROM " + unnest(len(args), types) + " AS v (" + numberedColumns(len(types)) + ") "
			var err error
			if all, err = columns(args, types, rows[:n]); err != nil {
				return fmt.Errorf("%w [%s]", err, head(update))
			}
		} else {
			from = " FROM (VALUES " + numbered(len(args), n, len(types)) + ") AS v "
			all = flat(args, rows[:n])
		}
		rows = rows[n:]
		res, err := t.query(ctx, update+from+where, all...)
		if err != nil {
			return err
		}
		if err := each(res, scan); err != nil {
			return err
		}
	}
	return nil
}

// portion returns how many of n rows the next statement takes.
func (db *DB) portion(n int) int {
	if db.kind == Postgres {
		return min(n, maxArray)
	}
	return min(maxRows, 1<<(bits.Len(uint(n))-1))
}

// insertion is the parsed head of an INSERT.
type insertion struct {
	types  []string
	values string // up to the VALUES of SQLite
	row    string // of SQLite, with one row
	arrays string // up to the arrays of Postgres
}

// insertion returns the parsed form of into.
func (db *DB) insertion(into string) *insertion {
	if ins, ok := db.texts.Load(into); ok {
		return ins.(*insertion)
	}
	ins := parseInsertion(into)
	db.texts.Store(into, ins)
	return ins
}

func parseInsertion(into string) *insertion {
	head, list, _ := strings.Cut(into, "(")
	var names []string
	ins := &insertion{}
	for _, c := range strings.Split(strings.TrimSuffix(strings.TrimSpace(list), ")"), ",") {
		name, typ, ok := strings.Cut(strings.TrimSpace(c), "::")
		if !ok {
			typ = "text"
		}
		names, ins.types = append(names, name), append(ins.types, typ)
	}
	head += "(" + strings.Join(names, ", ") + ") "
	ins.values = head + "VALUES "
	ins.row = ins.values + placeholders(1, len(ins.types)) + " "
	ins.arrays = head + "SELECT * FROM " + unnest(0, ins.types) + " "
	return ins
}

// unnest returns "unnest($1::uuid[], …)" for columns of the types, behind taken arguments.
func unnest(taken int, types []string) string {
	var b strings.Builder
	b.WriteString("unnest(")
	for i, typ := range types {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(taken+i+1) + "::" + typ + "[]")
	}
	b.WriteByte(')')
	return b.String()
}

// numberedColumns returns the names that SQLite gives to the columns of VALUES.
func numberedColumns(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = "column" + strconv.Itoa(i+1)
	}
	return strings.Join(names, ", ")
}

// flat returns args and the rows behind them, value by value.
func flat(args []any, rows [][]any) []any {
	all := append(make([]any, 0, len(args)+len(rows)*len(rows[0])), args...)
	for _, r := range rows {
		all = append(all, r...)
	}
	return all
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
func placeholders(rows, cols int) string { return numbered(0, rows, cols) }

// numbered is placeholders for a text whose first arguments are taken.
func numbered(taken, rows, cols int) string {
	var b strings.Builder
	b.Grow(rows * cols * 5)
	n := taken
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

// queryIn runs a query whose text holds one "IN (?)", in pieces. On SQLite the last value
// is repeated up to a power of two.
func queryIn[V any](ctx context.Context, q queryer, text string, values []V, scan func(*sql.Rows) error) error {
	return queryInWith(ctx, q, text, nil, values, scan)
}

// queryInWith is queryIn for a text with further arguments: $1 and on.
func queryInWith[V any](ctx context.Context, q queryer, text string, first []any, values []V,
	scan func(*sql.Rows) error) error {
	for len(values) > 0 && q.dialect() == Postgres {
		n := min(len(values), maxArray)
		in := "= ANY($" + strconv.Itoa(len(first)+1) + ")"
		args := append(append(make([]any, 0, len(first)+1), first...), values[:n])
		rows, err := q.query(ctx, strings.Replace(text, "IN (?)", in, 1), args...)
		if err != nil {
			return err
		}
		if err := each(rows, scan); err != nil {
			return err
		}
		values = values[n:]
	}
	for len(values) > 0 {
		n := min(len(values), 256)
		padded := 1 << bits.Len(uint(n-1))
		args := append(make([]any, 0, len(first)+padded), first...)
		for i := range padded {
			args = append(args, values[min(i, n-1)])
		}
		in := numbered(len(first), 1, padded)
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
	return f.list(ctx, q, text, " ORDER BY id DESC", limit)
}

// oldest runs the list, oldest first.
func (f *filter) oldest(ctx context.Context, q queryer, text string, limit int) (*sql.Rows, error) {
	return f.list(ctx, q, text, " ORDER BY id", limit)
}

func (f *filter) list(ctx context.Context, q queryer, text, order string, limit int) (*sql.Rows, error) {
	if limit <= 0 {
		limit = 100
	}
	f.args = append(f.args, min(limit, 1000))
	return q.query(ctx, text+f.where.String()+order+" LIMIT $"+strconv.Itoa(len(f.args)), f.args...)
}
