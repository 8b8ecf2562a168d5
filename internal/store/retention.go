package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Retention says how long each kind of data is kept; 0 keeps it for ever. What tells a
// repeat from something new outlives all of it: the keys of events and of steps, persons,
// requests, payments and the ids that vendors gave.
type Retention struct {
	Events          time.Duration // after it came in
	Messages        time.Duration // after it was written
	Attempts        time.Duration // after the try
	Steps           time.Duration // after it was done or dropped; unfinished ones stay
	SupportRequests time.Duration // after it was resolved; open ones stay. Incidents, after they were over
	SecurityLog     time.Duration // after it was written
}

// Removed is what one round of retention took away.
type Removed struct {
	Rows       map[string]int64 // by table; of partitions none are counted
	Partitions []string         // dropped
	Pages      int64            // of the SQLite file, given back to the file system
	// CannotShrink is set for a SQLite file from before space could be given back: free
	// pages are used again, but the file stays as large as it was. See Compact.
	CannotShrink bool
	// Busy is set when another node was at it, or a partition was in use for so long that
	// it was left for the next round.
	Busy bool
}

// Any reports whether anything was removed.
func (r Removed) Any() bool { return len(r.Rows)+len(r.Partitions) > 0 || r.Pages > 0 }

// The names that the table retention has for what was removed.
const (
	keptEvents   = "events"
	keptMessages = "messages"
	keptAttempts = "attempts"
	keptSecurity = "security_log"
)

// retentionLock is the advisory lock under which one node does a round.
const retentionLock = schemaLock + 1

// Prune does one round of retention. Every node may call it at any time; one does it.
// Nobody waits for it for long: rows go in small transactions with pauses between them,
// a partition goes in one that gives up when it cannot have its lock at once.
func (db *DB) Prune(ctx context.Context, r Retention) (Removed, error) {
	out := Removed{Rows: map[string]int64{}}
	unlock, ok, err := db.tryLock(ctx, retentionLock)
	if err != nil || !ok {
		out.Busy = err == nil
		return out, err
	}
	defer unlock()
	// One that fails does not stop the others.
	var errs []error
	for _, k := range []struct {
		table string
		keep  time.Duration
	}{{keptEvents, r.Events}, {keptMessages, r.Messages}, {keptAttempts, r.Attempts}} {
		if k.keep > 0 {
			errs = append(errs, db.pruneOld(ctx, k.table, k.keep, &out))
		}
	}
	now := db.clock.Now()
	if r.Steps > 0 {
		errs = append(errs, db.pruneRows(ctx, "steps", pruneSteps(now.Add(-r.Steps)), &out))
	}
	if r.SupportRequests > 0 {
		before := now.Add(-r.SupportRequests)
		errs = append(errs, db.pruneRows(ctx, "support_requests", pruneSupport(before), &out),
			db.pruneRows(ctx, "incidents", pruneIncidents(before), &out))
	}
	if r.SecurityLog > 0 {
		errs = append(errs, db.pruneSecurity(ctx, idFloor(now.UTC().Add(-r.SecurityLog).Truncate(24*time.Hour)), &out))
	}
	errs = append(errs, db.pruneRows(ctx, "spend", pruneSpend(now.Add(-spendKept)), &out))
	return out, errors.Join(append(errs, db.giveBack(ctx, &out))...)
}

// KeepAtLeast writes down how old it must be what a role that only serves has taken away,
// 0 for never. It does nothing for such a role, and on SQLite, which has none.
func (db *DB) KeepAtLeast(ctx context.Context, age time.Duration) error {
	if db.kind != Postgres || !db.OwnsSchema() {
		return nil
	}
	if age <= 0 {
		age = 50 * 365 * 24 * time.Hour // ids begin in 1970
	}
	_, err := db.w.ExecContext(ctx, noteAccess, "retention_least", fmt.Sprintf("%d seconds", int64(age.Seconds())))
	return err
}

// tryLock takes an advisory lock without waiting. It is held by an open transaction, so
// that it also holds behind a pooler. dialect: SQLite has one process.
func (db *DB) tryLock(ctx context.Context, id int64) (unlock func(), ok bool, err error) {
	if db.kind == SQLite {
		return func() {}, true, nil
	}
	tx, err := db.w.BeginTx(ctx, nil)
	if err != nil {
		return nil, false, err
	}
	unlock = func() { tx.Rollback() } //nolint:errcheck // it held only a lock
	if err := tx.QueryRowContext(ctx, "SELECT pg_try_advisory_xact_lock($1)", id).Scan(&ok); err != nil || !ok {
		unlock()
		return nil, false, err
	}
	return unlock, true, nil
}

// pruneOld removes what came in before now-keep from a table that ids order by time:
// whole days on SQLite; on Postgres whole months, each a partition. dialect: there the
// server's role may delete nothing of these tables, and asks functions of their owner.
func (db *DB) pruneOld(ctx context.Context, table string, keep time.Duration, out *Removed) error {
	cut := db.clock.Now().UTC().Add(-keep)
	if db.kind == SQLite {
		return db.pruneIDs(ctx, table, idFloor(cut.Truncate(24*time.Hour)), out)
	}
	month := monthOf(cut)
	if err := db.dropMonths(ctx, table, month, out); err != nil {
		return err
	}
	// What came in while its month had no partition lies in the default one.
	return db.pruneRows(ctx, table, func(ctx context.Context, t *Tx, n int) (did int64, err error) {
		err = t.queryRow(ctx, "SELECT bellhop.prune_default($1::text, $2::text::date, $3::timestamptz, $4::integer)",
			table, day(month), t.now, n).Scan(&did)
		return did, err
	}, out)
}

// pruneIDs deletes the rows of a table whose ids are smaller than floor. The floor is
// written down first: it is what the append-only triggers let go.
func (db *DB) pruneIDs(ctx context.Context, table, floor string, out *Removed) error {
	there, err := exists(ctx, db, "SELECT 1 FROM bellhop."+table+" WHERE id < $1 LIMIT 1", floor)
	if err != nil || !there {
		return err
	}
	if err := db.tx(ctx, func(t *Tx) error { return noteFloor(ctx, t, table, floor) }); err != nil {
		return err
	}
	return db.pruneRows(ctx, table, func(ctx context.Context, t *Tx, n int) (int64, error) {
		return t.exec(ctx, "DELETE FROM bellhop."+table+" WHERE id IN (SELECT id FROM bellhop."+table+
			" WHERE id < $1 ORDER BY id LIMIT $2)", floor, n)
	}, out)
}

// pruneSecurity deletes the security log's rows whose ids are smaller than floor. dialect:
// as in pruneOld.
func (db *DB) pruneSecurity(ctx context.Context, floor string, out *Removed) error {
	if db.kind == SQLite {
		return db.pruneIDs(ctx, keptSecurity, floor, out)
	}
	return db.pruneRows(ctx, keptSecurity, func(ctx context.Context, t *Tx, n int) (did int64, err error) {
		err = t.queryRow(ctx, "SELECT bellhop.prune_security_log($1::uuid, $2::timestamptz, $3::integer)", floor, t.now, n).Scan(&did)
		return did, err
	}, out)
}

// noteFloor writes down that everything with a smaller id is removed.
func noteFloor(ctx context.Context, t *Tx, name, floor string) error {
	_, err := t.exec(ctx, `INSERT INTO bellhop.retention (name, floor, removed_at) VALUES ($1, $2, $3)
		ON CONFLICT (name, floor) DO NOTHING`, name, floor, t.now)
	return err
}

// pruneSteps removes finished steps and keeps their keys. The steps of an open support
// request stay with it.
func pruneSteps(before time.Time) bite {
	return func(ctx context.Context, t *Tx, n int) (int64, error) {
		rows, err := t.query(ctx, `DELETE FROM bellhop.steps WHERE state IN ('done', 'dropped') AND id IN
			(SELECT s.id FROM bellhop.steps s WHERE s.updated_at < $1 AND s.state IN ('done', 'dropped') AND
			NOT EXISTS (SELECT 1 FROM bellhop.support_requests r WHERE r.id IN (s.request_id, s.task_id) AND
			r.status <> 'resolved') ORDER BY s.updated_at LIMIT $2) RETURNING key`, before, n)
		if err != nil {
			return 0, err
		}
		var keys [][]any
		if err := each(rows, func(r *sql.Rows) error {
			var key string
			err := r.Scan(&key)
			keys = append(keys, []any{stepDigest(key)})
			return err
		}); err != nil {
			return 0, err
		}
		return int64(len(keys)), t.insertRows(ctx, "INSERT INTO bellhop.step_keys (digest::bytea)",
			"ON CONFLICT (digest) DO NOTHING", keys, nil)
	}
}

// stepDigest is what is left of a step's key when its row is gone.
func stepDigest(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:keySize]
}

// prunedKeys marks the keys whose steps retention has removed.
func prunedKeys(ctx context.Context, t *Tx, keys []string, into map[string]bool) error {
	named := map[string]string{} // digest → key
	var digests [][]byte
	for _, key := range keys {
		if !into[key] {
			d := stepDigest(key)
			named[string(d)] = key
			digests = append(digests, d)
		}
	}
	return queryIn(ctx, t, "SELECT digest FROM bellhop.step_keys WHERE digest IN (?)", digests, func(r *sql.Rows) error {
		var d []byte
		err := r.Scan(&d)
		into[named[string(d)]] = true
		return err
	})
}

// pruneSupport removes support requests that were resolved and hold no step any more. A
// lead without an e-mail keeps its own: it is what tells that somebody has seen to it.
func pruneSupport(before time.Time) bite {
	return func(ctx context.Context, t *Tx, n int) (int64, error) {
		return t.exec(ctx, `DELETE FROM bellhop.support_requests WHERE status = 'resolved' AND resolved_at < $1 AND id IN
			(SELECT r.id FROM bellhop.support_requests r WHERE r.status = 'resolved' AND r.created_at < $1 AND r.resolved_at < $1
			AND r.reason <> 'lead_incomplete' AND NOT EXISTS
			(SELECT 1 FROM bellhop.steps s WHERE s.task_id = r.id AND s.state NOT IN ('done', 'dropped'))
			ORDER BY r.created_at LIMIT $2)`, before, n)
	}
}

// pruneIncidents removes incidents that are over and hold no step any more.
func pruneIncidents(before time.Time) bite {
	return func(ctx context.Context, t *Tx, n int) (int64, error) {
		return t.exec(ctx, `DELETE FROM bellhop.incidents WHERE closed_at < $1 AND id IN
			(SELECT i.id FROM bellhop.incidents i WHERE i.closed_at < $1 AND NOT EXISTS (SELECT 1 FROM bellhop.steps s
			WHERE s.incident_id = i.id AND s.state NOT IN ('done', 'dropped')) LIMIT $2)`, before, n)
	}
}

// dropMonths drops the partitions of months that end before a time, and what an earlier
// round detached and did not come to drop.
func (db *DB) dropMonths(ctx context.Context, table string, before time.Time, out *Removed) error {
	rows, err := db.query(ctx, `SELECT c.relname, c.relispartition FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n
		ON n.oid = c.relnamespace WHERE n.nspname = 'bellhop' AND c.relkind = 'r' AND c.relname LIKE $1 ORDER BY c.relname`,
		table+"_%")
	if err != nil {
		return err
	}
	attached := map[string]bool{}
	if err := each(rows, func(r *sql.Rows) error {
		var name string
		var part bool
		err := r.Scan(&name, &part)
		attached[name] = part
		return err
	}); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(attached)) {
		month, err := time.Parse("2006_01", strings.TrimPrefix(name, table+"_"))
		if err != nil || month.AddDate(0, 1, 0).After(before) {
			continue
		}
		if attached[name] {
			ok, err := db.detach(ctx, table, month)
			if err != nil {
				return err
			}
			if !ok {
				out.Busy = true
				return nil
			}
		}
		if _, err := db.w.ExecContext(ctx, "SELECT bellhop.drop_month($1::text, $2::text::date)", table, day(month)); err != nil {
			return err
		}
		out.Partitions = append(out.Partitions, name)
	}
	return nil
}

const (
	// detachWait is how long everybody who comes after may have to wait for the lock that
	// taking a partition off needs.
	detachWait  = 100 * time.Millisecond
	detachTries = 10
	detachPause = time.Second
)

// detach takes a partition off its table and writes down what is gone by it. It reports
// false when the table was in use each time it was tried. Dropping comes after, without
// a lock on the table: deleting a large file takes time. (DETACH … CONCURRENTLY does not
// go with a default partition.)
func (db *DB) detach(ctx context.Context, table string, month time.Time) (bool, error) {
	for try := range detachTries {
		if err := wait(ctx, time.Duration(min(try, 1))*detachPause); err != nil {
			return false, err
		}
		err := db.tx(ctx, func(t *Tx) error {
			if _, err := t.exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = '%dms'", detachWait.Milliseconds())); err != nil {
				return err
			}
			_, err := t.exec(ctx, "SELECT bellhop.detach_month($1::text, $2::text::date, $3::timestamptz)", table, day(month), t.now)
			return err
		})
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "55P03" { // lock_not_available
			return err == nil, err
		}
	}
	return false, nil
}

// RemovedAt returns when retention removed the events, messages or attempts that an
// instant falls among; zero when it did not.
func (db *DB) RemovedAt(ctx context.Context, what string, at time.Time) (time.Time, error) {
	var removed time.Time
	err := db.queryRow(ctx, `SELECT removed_at FROM bellhop.retention WHERE name = $1 AND floor > $2
		ORDER BY floor LIMIT 1`, what, idFloor(at)).Scan(timeDest{&removed})
	if errIsNoRows(err) {
		err = nil
	}
	return removed, err
}
