package store

import (
	"fmt"
	"time"
)

// columns returns args and behind them one array for each column of the rows, as pgx
// sends them. A column that holds a NULL is an array of pointers.
func columns(args []any, types []string, rows [][]any) []any {
	all := append(make([]any, 0, len(args)+len(types)), args...)
	for c, typ := range types {
		switch typ {
		case "bytea":
			all = append(all, column[[]byte](rows, c))
		case "bigint", "integer":
			all = append(all, integers(rows, c))
		case "boolean":
			all = append(all, column[bool](rows, c))
		case "timestamptz":
			all = append(all, times(rows, c))
		default: // text, uuid and jsonb are written as text
			all = append(all, column[string](rows, c))
		}
	}
	return all
}

// column returns the values of a column that are all of one type or NULL.
func column[T any](rows [][]any, c int) any {
	out := make([]T, len(rows))
	for i, r := range rows {
		v, ok := r[c].(T)
		if !ok {
			return pointers[T](rows, c)
		}
		out[i] = v
	}
	return out
}

func pointers[T any](rows [][]any, c int) []*T {
	out := make([]*T, len(rows))
	for i, r := range rows {
		switch v := r[c].(type) {
		case nil:
		case T:
			out[i] = &v
		default:
			// A mistake of the program that every test of the statement finds.
			panic(fmt.Sprintf("column %d holds a %T", c+1, v))
		}
	}
	return out
}

func integers(rows [][]any, c int) []int64 {
	out := make([]int64, len(rows))
	for i, r := range rows {
		switch v := r[c].(type) {
		case int:
			out[i] = int64(v)
		case int64:
			out[i] = v
		default:
			panic(fmt.Sprintf("column %d holds a %T", c+1, v))
		}
	}
	return out
}

// times returns a column of times; the zero time is NULL.
func times(rows [][]any, c int) any {
	out := make([]time.Time, len(rows))
	for i, r := range rows {
		t, _ := r[c].(time.Time)
		if t.IsZero() {
			return nullTimes(rows, c)
		}
		out[i] = t.UTC()
	}
	return out
}

func nullTimes(rows [][]any, c int) []*time.Time {
	out := make([]*time.Time, len(rows))
	for i, r := range rows {
		if t, _ := r[c].(time.Time); !t.IsZero() {
			t = t.UTC()
			out[i] = &t
		}
	}
	return out
}
