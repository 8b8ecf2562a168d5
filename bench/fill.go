package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"bellhop"
	"bellhop/internal/store"
)

// A grown database holds a year of events with what followed from them. It is written
// with SQL, in the form in which the product would have left it: intake would take hours
// for ten million events. Ids, times and correlation ids are functions of the row's
// number, so that the measurement can ask for any of them.

const (
	fillDays     = 360
	attemptDays  = 80 // attempts are kept for 90 days
	personsEach  = 10 // events of one person
	requestsEach = 10 // one event in so many made a customer's request
	fillChunk    = 250_000
)

// grown is a filled database.
type grown struct {
	events  int
	beganMS int64 // of the first event
	stepMS  int64 // between two events, in milliseconds
}

// The kinds of ids, which stand in the UUID.
const (
	tagPerson, tagEvent, tagStep, tagRequest, tagAttempt = 1, 2, 3, 4, 5
)

func (g grown) id(tag int, n int64) string {
	ms := g.beganMS + n*g.stepMS
	if tag == tagPerson {
		ms = g.beganMS
	}
	return fmt.Sprintf("%08x-%04x-7%03x-8000-%012x", ms>>16, ms&0xffff, tag, n)
}

func (grown) correlation(n int64) string {
	var b strings.Builder
	for _, f := range correlationFactors() {
		fmt.Fprintf(&b, "%08x", uint32(uint64(n)*f))
	}
	return b.String()
}

// correlationFactors spread neighbouring numbers over the whole space of ids.
func correlationFactors() []uint64 {
	return []uint64{2654435761, 2246822519, 3266489917, 668265263}
}

// fillSQL are the expressions of one kind of database.
type fillSQL struct {
	kind store.Kind
	g    grown
}

func (f fillSQL) hex(expr string, digits int) string {
	if f.kind == store.Postgres {
		return fmt.Sprintf("lpad(to_hex((%s)::bigint), %d, '0')", expr, digits)
	}
	return fmt.Sprintf("printf('%%0%dx', %s)", digits, expr)
}

func (f fillSQL) ms(n string) string {
	return fmt.Sprintf("(%d + (%s) * %d)", f.g.beganMS, n, f.g.stepMS)
}

func (f fillSQL) id(tag int, n string) string {
	ms := f.ms(n)
	if tag == tagPerson {
		ms = fmt.Sprint(f.g.beganMS)
	}
	text := f.hex(ms+" >> 16", 8) + " || '-' || " + f.hex(ms+" & 65535", 4) + fmt.Sprintf(" || '-7%03x-8000-' || ", tag) + f.hex(n, 12)
	if f.kind == store.Postgres {
		return "(" + text + ")::uuid"
	}
	return text
}

func (f fillSQL) at(n string) string {
	if f.kind == store.Postgres {
		return "to_timestamp(" + f.ms(n) + " / 1000.0)"
	}
	return "strftime('%Y-%m-%dT%H:%M:%f000Z', " + f.ms(n) + " / 1000.0, 'unixepoch')"
}

func (f fillSQL) correlation(n string) string {
	var parts []string
	for _, x := range correlationFactors() {
		parts = append(parts, f.hex(fmt.Sprintf("((%s) * %d) %% 4294967296", n, x), 8))
	}
	return strings.Join(parts, " || ")
}

func (f fillSQL) bytes(hex string) string {
	if f.kind == store.Postgres {
		return "decode(" + hex + ", 'hex')"
	}
	return "unhex(" + hex + ")"
}

func (f fillSQL) text(s string) string {
	if f.kind == store.Postgres {
		return s
	}
	return strings.ReplaceAll(s, "bellhop.", "")
}

// rows returns the FROM that counts from a to b.
func (f fillSQL) rows(a, b int64) string {
	if f.kind == store.Postgres {
		return fmt.Sprintf("FROM generate_series(%d::bigint, %d) AS g(i)", a, b)
	}
	return fmt.Sprintf("FROM (WITH RECURSIVE s(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM s WHERE i < %d) SELECT i FROM s) AS g", a, b)
}

// piece is what is written into one table; from and to are numbers.
type piece struct {
	into   string
	values string
	from   int64
	to     int64
}

func (f fillSQL) pieces() []piece {
	n := int64(f.g.events)
	person := fmt.Sprintf("(i / %d)", personsEach)
	body := f.bytes("'" + strings.Repeat("7b", 1) + strings.Repeat("20", 298) + "7d'")
	request := fmt.Sprintf("CASE WHEN i %% %d = 0 THEN %s END", requestsEach, f.id(tagRequest, "i"))
	key := "'paid:crm:' || " + f.hex("i", 16)
	return []piece{
		{"persons (id, email, name, created_at, updated_at)",
			f.id(tagPerson, "i") + ", 'old' || i || '@example.com', 'Old Customer', " + f.at("0") + ", " + f.at("0"), 0, n/personsEach - 1},
		{"person_keys (key, person_id)", "'email:old' || i || '@example.com', " + f.id(tagPerson, "i"), 0, n/personsEach - 1},
		{"event_keys (digest, event_id, body_hash)",
			f.bytes(f.hex(fmt.Sprintf("i * %d", (int64(1)<<62)/n), 16)+" || '"+strings.Repeat("00", 8)+"'") + ", " + f.id(tagEvent, "i") + ", " +
				f.bytes("'"+strings.Repeat("ab", 16)+"'"), 0, n - 1},
		{"events (id, person_id, source, external_id, kind, vendor_type, correlation_id, body, occurred_at, received_at)",
			f.id(tagEvent, "i") + ", " + f.id(tagPerson, person) + ", 'stripe', 'evt_old_' || i, 'payment.succeeded', 'charge.succeeded', " +
				f.correlation("i") + ", " + body + ", " + f.at("i") + ", " + f.at("i"), 0, n - 1},
		{"steps (id, person_id, connection, kind, key, input, state, event_id, request_id, correlation_id, attempts, version, due_at, " +
			"first_attempt_at, result, done_by, created_at, updated_at)",
			f.id(tagStep, "i") + ", " + f.id(tagPerson, person) + ", 'crm', 'crm.upsert_contact', " + key +
				", '{\"email\":\"old@example.com\",\"first_name\":\"Old\",\"last_name\":\"Customer\",\"lifecycle_stage\":\"customer\"}', 'done', " +
				f.id(tagEvent, "i") + ", " + request + ", " + f.correlation("i") + ", 1, 2, " + f.at("i") + ", " + f.at("i") +
				", '{\"url\":\"\"}', 'engine', " + f.at("i") + ", " + f.at("i"), 0, n - 1},
		{"requests (id, kind, person_id, event_id, correlation_id, created_at)",
			f.id(tagRequest, fmt.Sprintf("(i * %d)", requestsEach)) + ", 'payment', " + f.id(tagPerson, fmt.Sprintf("(i * %d / %d)", requestsEach, personsEach)) +
				", " + f.id(tagEvent, fmt.Sprintf("(i * %d)", requestsEach)) + ", " + f.correlation(fmt.Sprintf("(i * %d)", requestsEach)) + ", " +
				f.at(fmt.Sprintf("(i * %d)", requestsEach)), 0, n/requestsEach - 1},
		{"attempts (id, step_id, person_id, number, node, started_at, duration_us)",
			f.id(tagAttempt, "i") + ", " + f.id(tagStep, "i") + ", " + f.id(tagPerson, person) + ", 1, 'old-node', " + f.at("i") + ", 120000",
			n - n*attemptDays/fillDays, n - 1},
	}
}

// fillEvents makes a grown database at url.
func fillEvents(ctx context.Context, url string, events int, progress func(string)) (grown, error) {
	g := grown{events: events, beganMS: time.Now().AddDate(0, 0, -fillDays).UnixMilli()}
	g.stepMS = int64(fillDays) * 24 * 3600 * 1000 / int64(events)
	db, err := store.Open(ctx, store.Opts{URL: url})
	if err != nil {
		return g, err
	}
	defer db.Close()
	if err := db.Migrate(ctx); err != nil {
		return g, err
	}
	if err := pastPartitions(ctx, url, time.UnixMilli(g.beganMS)); err != nil {
		return g, err
	}
	f := fillSQL{kind: db.Kind(), g: g}
	indexes, err := dropIndexes(ctx, db)
	if err != nil {
		return g, err
	}
	for _, p := range f.pieces() {
		began := time.Now()
		for a := p.from; a <= p.to; a += fillChunk {
			b := min(a+fillChunk-1, p.to)
			if _, err := db.Writer().ExecContext(ctx, f.text("INSERT INTO bellhop."+p.into+" SELECT "+p.values+" "+f.rows(a, b))); err != nil {
				return g, fmt.Errorf("%s: %w", p.into, err)
			}
		}
		table, _, _ := strings.Cut(p.into, " ")
		progress(fmt.Sprintf("%s: %d rows in %s", table, p.to-p.from+1, time.Since(began).Round(time.Second)))
	}
	began := time.Now()
	for _, text := range indexes {
		if _, err := db.Writer().ExecContext(ctx, text); err != nil {
			return g, fmt.Errorf("%s: %w", text, err)
		}
	}
	if db.Kind() == store.Postgres {
		if _, err := db.Writer().ExecContext(ctx, "VACUUM ANALYZE"); err != nil {
			return g, err
		}
	}
	progress(fmt.Sprintf("%d indexes in %s", len(indexes), time.Since(began).Round(time.Second)))
	return g, nil
}

// fixedClock stands still.
type fixedClock time.Time

// Now returns the clock's time.
func (c fixedClock) Now() time.Time { return time.Time(c) }

var _ bellhop.Clock = fixedClock{}

// pastPartitions makes the partitions that a year of running would have made.
func pastPartitions(ctx context.Context, url string, from time.Time) error {
	for at := from; at.Before(time.Now()); at = at.AddDate(0, 1, 0) {
		db, err := store.Open(ctx, store.Opts{URL: url, Clock: fixedClock(at)})
		if err != nil {
			return err
		}
		err = db.EnsurePartitions(ctx)
		if e := db.Close(); err == nil {
			err = e
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// dropIndexes drops the indexes that are no constraints and returns the statements that
// make them again: built at the end they take a tenth of the time.
func dropIndexes(ctx context.Context, db *store.DB) ([]string, error) {
	query := `SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND
		tbl_name IN ('events', 'steps', 'attempts', 'requests', 'person_keys')`
	if db.Kind() == store.Postgres {
		query = `SELECT 'bellhop.' || indexname, indexdef FROM pg_indexes WHERE schemaname = 'bellhop' AND
			tablename IN ('events', 'steps', 'attempts', 'requests', 'person_keys') AND indexdef NOT LIKE 'CREATE UNIQUE%'`
	}
	rows, err := db.Writer().QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	names, texts, err := readPairs(rows)
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		if _, err := db.Writer().ExecContext(ctx, "DROP INDEX "+name); err != nil {
			return nil, err
		}
		texts[i] = strings.Replace(texts[i], " ON ONLY ", " ON ", 1)
	}
	return texts, nil
}

func readPairs(rows *sql.Rows) (a, b []string, err error) {
	defer rows.Close()
	for rows.Next() {
		var x, y string
		if err := rows.Scan(&x, &y); err != nil {
			return nil, nil, err
		}
		a, b = append(a, x), append(b, y)
	}
	return a, b, rows.Err()
}
