package store

import (
	"fmt"
	"time"
)

// columns returns args and behind them one array for each column of the rows, as pgx
// sends them. A column that holds a NULL is an array of pointers. The error names a value
// that is not of its column's type.
func columns(args []any, types []string, rows [][]any) ([]any, error) {
	all := append(make([]any, 0, len(args)+len(types)), args...)
	for c, typ := range types {
		var values any
		var err error
		switch typ {
		case "bytea":
			values, err = column[[]byte](rows, c)
		case "bigint", "integer":
			values, err = integers(rows, c)
		case "boolean":
			values, err = column[bool](rows, c)
		case "timestamptz":
			values = times(rows, c)
		default: // text, uuid and jsonb are written as text
			values, err = column[string](rows, c)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, values)
	}
	return all, nil
}

func wrongType(c int, v any) error { return fmt.Errorf("column %d holds a %T", c+1, v) }

// column returns the values of a column that are all of one type or NULL.
func column[T any](rows [][]any, c int) (any, error) {
	out := make([]T, len(rows))
	for i, r := range rows {
		v, ok := r[c].(T)
		if !ok {
			return pointers[T](rows, c)
		}
		out[i] = v
	}
	return out, nil
}

func pointers[T any](rows [][]any, c int) ([]*T, error) {
	out := make([]*T, len(rows))
	for i, r := range rows {
		switch v := r[c].(type) {
		case nil:
		case T:
			out[i] = &v
		default:
			return nil, wrongType(c, v)
		}
	}
	return out, nil
}

func integers(rows [][]any, c int) ([]int64, error) {
	out := make([]int64, len(rows))
	for i, r := range rows {
		switch v := r[c].(type) {
		case int:
			out[i] = int64(v)
		case int64:
			out[i] = v
		default:
			return nil, wrongType(c, v)
		}
	}
	return out, nil
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
