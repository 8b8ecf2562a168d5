package store

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// text returns the database's own form of an SQL text.
func (db *DB) text(s string) string {
	if db.kind == Postgres {
		return s
	}
	if t, ok := db.texts.Load(s); ok {
		return t.(string)
	}
	t := sqliteText(s)
	db.texts.Store(s, t)
	return t
}

// sqliteText drops the schema and turns $n into ?n. The store's texts hold neither a
// dollar sign nor "bellhop." for any other purpose.
func sqliteText(s string) string {
	s = strings.ReplaceAll(s, "bellhop.", "")
	return strings.ReplaceAll(s, "$", "?")
}

// timeLayout sorts as text in the order of time.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// args turns times into the database's own form: native on Postgres, text that sorts on
// SQLite. A zero time is NULL.
func (db *DB) args(args []any) []any {
	for i, a := range args {
		t, ok := a.(time.Time)
		if !ok {
			continue
		}
		switch {
		case t.IsZero():
			args[i] = nil
		case db.kind == SQLite:
			args[i] = t.UTC().Format(timeLayout)
		default:
			args[i] = t.UTC()
		}
	}
	return args
}

// forUpdate is the row lock that Postgres needs between reading and writing a row.
// dialect: SQLite has one writer, so a transaction that writes has it already.
func (t *Tx) forUpdate() string {
	if t.db.kind == Postgres {
		return " FOR UPDATE"
	}
	return ""
}

// nul returns NULL for "".
func nul(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// timeDest scans a time of either database; NULL is the zero time.
type timeDest struct{ t *time.Time }

func (d timeDest) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*d.t = time.Time{}
	case time.Time:
		*d.t = v.UTC()
	case string:
		t, err := time.Parse(time.RFC3339Nano, v)
		if err != nil {
			return err
		}
		*d.t = t.UTC()
	case []byte:
		return d.Scan(string(v))
	default:
		return fmt.Errorf("a time cannot be read from %T", src)
	}
	return nil
}

// strDest scans text; NULL is "".
type strDest struct{ s *string }

func (d strDest) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*d.s = ""
	case string:
		*d.s = v
	case []byte:
		*d.s = string(v)
	case int64:
		*d.s = strconv.FormatInt(v, 10)
	default:
		return fmt.Errorf("text cannot be read from %T", src)
	}
	return nil
}
