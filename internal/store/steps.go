package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"bellhop"
)

const stepColumns = `id, person_id, connection, kind, key, input, state, event_id, request_id, task_id, incident_id,
	correlation_id, attempts, version, due_at, first_attempt_at, lease_until, result, error_class, error, done_by,
	created_at, updated_at`

// DueStep is a step as the engine takes it: with what its call needs.
type DueStep struct {
	bellhop.Step
	LeaseUntil time.Time // by the time that processes share
	TakenAt    time.Time // when it was read or marked, by this process's clock
	Refs       map[string]string
}

func scanStep(r interface{ Scan(...any) error }) (DueStep, error) {
	var s DueStep
	var state, class string
	var result []byte
	err := r.Scan(&s.ID, &s.PersonID, &s.Connection, &s.Kind, &s.Key, &s.Input, &state, strDest{&s.EventID},
		strDest{&s.RequestID}, strDest{&s.TaskID}, strDest{&s.IncidentID}, &s.CorrelationID, &s.Attempts, &s.Version,
		timeDest{&s.DueAt}, timeDest{&s.FirstAttemptAt}, timeDest{&s.LeaseUntil}, &result, &class, &s.Error, &s.DoneBy,
		timeDest{&s.CreatedAt}, timeDest{&s.UpdatedAt})
	s.State, s.ErrorClass, s.Result = bellhop.StepState(state), bellhop.ErrorClass(class), result
	return s, err
}

// SQLite uses a partial index only where its own condition is repeated word for word:
// that is what NOT IN ('done', 'dropped') beside a stricter condition is for, here and
// elsewhere.

// LaneHeads returns the step at the head of each person's lane at a connection, when it
// is due, with the vendor ids that its call builds on. A head that is running elsewhere,
// parked or not due yet is not returned.
func (db *DB) LaneHeads(ctx context.Context, connection string, persons []string) ([]DueStep, error) {
	now := db.clock.Now()
	heads := map[string]DueStep{}
	// Put in order here: with ORDER BY, Postgres may read all steps in order instead of these.
	err := queryIn(ctx, db, `SELECT `+stepColumns+` FROM bellhop.steps WHERE person_id IN (?) AND
		state IN ('ready', 'running', 'retrying', 'unknown', 'parked') AND state NOT IN ('done', 'dropped')`, persons, func(r *sql.Rows) error {
		s, err := scanStep(r)
		if err != nil {
			return err
		}
		if h, ok := heads[s.PersonID]; s.Connection == connection && (!ok || s.ID < h.ID) {
			heads[s.PersonID] = s
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	lease := time.Time{} // read only where it matters: most heads are not running
	var due []DueStep
	for _, s := range sorted(heads) {
		if s.State == bellhop.StepRunning && lease.IsZero() {
			if lease, err = db.shared(ctx, db); err != nil {
				return nil, err
			}
		}
		s.TakenAt = now
		switch {
		case s.State == bellhop.StepParked,
			s.State == bellhop.StepRunning && s.LeaseUntil.After(lease),
			(s.State == bellhop.StepRetrying || s.State == bellhop.StepUnknown) && s.DueAt.After(now):
			continue
		}
		due = append(due, s)
	}
	return due, db.loadRefs(ctx, connection, due)
}

// LoadRefs fills in the vendor ids that a step's call builds on.
func (db *DB) LoadRefs(ctx context.Context, s *DueStep) error {
	one := []DueStep{*s}
	err := db.loadRefs(ctx, s.Connection, one)
	s.Refs = one[0].Refs
	return err
}

// loadRefs fills in the vendor ids of the steps' persons and requests.
func (db *DB) loadRefs(ctx context.Context, connection string, steps []DueStep) error {
	byPerson := map[string][]int{}
	var persons []string
	for i := range steps {
		steps[i].Refs = map[string]string{}
		byPerson[steps[i].PersonID] = append(byPerson[steps[i].PersonID], i)
		persons = append(persons, steps[i].PersonID)
	}
	return queryIn(ctx, db, `SELECT person_id, connection, subject_id, name, value FROM bellhop.external_refs
		WHERE person_id IN (?)`, persons, func(r *sql.Rows) error {
		var person, conn, subject, name, value string
		if err := r.Scan(&person, &conn, &subject, &name, &value); err != nil {
			return err
		}
		for _, i := range byPerson[person] {
			if conn == connection && (subject == person || subject == steps[i].RequestID) {
				steps[i].Refs[name] = value
			}
		}
		return nil
	})
}

// Marker notes, in grouped commits, that calls which cannot be repeated safely are about
// to be made: their steps become running under a lease.
type Marker struct {
	db   *DB
	node string
	g    *group[DueStep, DueStep]
}

// Lease is how long a marked step belongs to its node: longer than any call's time box.
const Lease = 25 * time.Second

// NewMarker starts the committer; Close stops it.
func NewMarker(db *DB, node string) *Marker {
	m := &Marker{db: db, node: node}
	m.g = newGroup(1, 128, m.commit)
	return m
}

// Mark returns the step as it is marked. Its ID is "" when somebody else changed it in
// between: then it must not be carried out.
func (m *Marker) Mark(ctx context.Context, s DueStep) (DueStep, error) { return m.g.do(ctx, s) }

// Close waits for what is being committed.
func (m *Marker) Close() { m.g.close() }

func (m *Marker) commit(ctx context.Context, steps []DueStep) ([]DueStep, error) {
	out := make([]DueStep, len(steps))
	err := m.db.tx(ctx, func(t *Tx) error {
		clear(out)
		lease, err := m.db.shared(ctx, t)
		if err != nil {
			return err
		}
		rows := make([][]any, len(steps))
		byID := make(map[string]int, len(steps))
		for i, s := range steps {
			rows[i] = []any{s.ID, s.PersonID, s.Version}
			if _, twice := byID[s.ID]; !twice { // the second taker of one step gets nothing
				byID[s.ID] = i
			}
		}
		return t.updateRows(ctx, `UPDATE bellhop.steps SET state = 'running', node = $1, lease_until = $2,
			first_attempt_at = coalesce(first_attempt_at, $3), version = version + 1, updated_at = $3`,
			`WHERE steps.id = v.column1 AND steps.person_id = v.column2 AND version = v.column3 AND
			state IN ('ready', 'retrying', 'unknown', 'running') RETURNING id`,
			[]any{m.node, lease.Add(Lease), t.now}, []string{"uuid", "uuid", "bigint"}, rows, func(r *sql.Rows) error {
				var id string
				if err := r.Scan(&id); err != nil {
					return err
				}
				i := byID[id]
				out[i] = steps[i]
				out[i].Version++
				out[i].LeaseUntil, out[i].TakenAt = lease.Add(Lease), t.now
				return nil
			})
	})
	return out, err
}

// Step returns one step. ErrNotFound when there is none.
func (db *DB) Step(ctx context.Context, id string) (bellhop.Step, error) {
	s, err := scanStep(db.queryRow(ctx, "SELECT "+stepColumns+" FROM bellhop.steps WHERE id = $1", id))
	if errors.Is(err, sql.ErrNoRows) {
		return bellhop.Step{}, notFound("step")
	}
	return s.Step, err
}

// notFound is the error of a thing that does not exist or is not the asker's.
func notFound(what string) error {
	return bellhop.Errorf(bellhop.CodeNotFound, "Check the id.", "There is no such %s.", what)
}

// OpenConnections returns the names of the connections that have steps which are not
// finished and that no person has.
func (db *DB) OpenConnections(ctx context.Context) ([]string, error) {
	rows, err := db.query(ctx, `SELECT DISTINCT connection FROM bellhop.steps
		WHERE state NOT IN ('done', 'dropped', 'waiting') AND state <> 'manual' ORDER BY connection`)
	if err != nil {
		return nil, err
	}
	var out []string
	err = each(rows, func(r *sql.Rows) error {
		var name string
		err := r.Scan(&name)
		out = append(out, name)
		return err
	})
	return out, err
}

// OpenSteps returns the steps at the heads of a connection's lanes that are not finished
// and that no person has, oldest first.
func (db *DB) OpenSteps(ctx context.Context, connection string, limit int) ([]DueStep, error) {
	rows, err := db.query(ctx, "SELECT "+stepColumns+` FROM bellhop.steps WHERE connection = $1 AND
		state NOT IN ('done', 'dropped', 'waiting') AND state <> 'manual' ORDER BY id LIMIT $2`, connection, limit)
	if err != nil {
		return nil, err
	}
	var out []DueStep
	err = each(rows, func(r *sql.Rows) error {
		s, err := scanStep(r)
		out = append(out, s)
		return err
	})
	return out, err
}

// StepFilter selects steps; empty fields select everything.
type StepFilter struct {
	State         bellhop.StepState
	Kind          string
	Connection    string
	CorrelationID string
	IncidentID    string
	TaskID        string
	RequestID     string
	Before        string // a step id: only older ones, for paging
	Limit         int    // 0 means 100, at most 1,000
}

// Steps lists steps, newest first.
func (db *DB) Steps(ctx context.Context, f StepFilter) ([]bellhop.Step, error) {
	var q filter
	q.equal("state", string(f.State))
	q.equal("kind", f.Kind)
	q.equal("connection", f.Connection)
	q.equal("correlation_id", f.CorrelationID)
	q.equal("incident_id", f.IncidentID)
	q.equal("task_id", f.TaskID)
	q.equal("request_id", f.RequestID)
	rows, err := q.newest(ctx, db, "SELECT "+stepColumns+" FROM bellhop.steps", f.Before, f.Limit)
	if err != nil {
		return nil, err
	}
	var out []bellhop.Step
	err = each(rows, func(r *sql.Rows) error {
		s, err := scanStep(r)
		out = append(out, s.Step)
		return err
	})
	return out, err
}

// Attempts returns the tries of a step, oldest first.
func (db *DB) Attempts(ctx context.Context, stepID string) ([]bellhop.Attempt, error) {
	rows, err := db.query(ctx, `SELECT step_id, number, node, started_at, duration_us, class, status, vendor_request_id,
		error FROM bellhop.attempts WHERE step_id = $1 ORDER BY id`, stepID)
	if err != nil {
		return nil, err
	}
	var out []bellhop.Attempt
	err = each(rows, func(r *sql.Rows) error {
		a, err := scanAttempt(r)
		out = append(out, a)
		return err
	})
	return out, err
}

func scanAttempt(r interface{ Scan(...any) error }) (bellhop.Attempt, error) {
	var a bellhop.Attempt
	var us int64
	var class string
	err := r.Scan(&a.StepID, &a.Number, &a.Node, timeDest{&a.StartedAt}, &us, &class, &a.Status, &a.VendorRequestID, &a.Error)
	a.Duration, a.Class = time.Duration(us)*time.Microsecond, bellhop.ErrorClass(class)
	return a, err
}

// readyOrUnknown is the state of a step that is let go: one whose last call may have
// taken effect is looked up first.
const readyOrUnknown = `CASE error_class WHEN 'unknown_outcome' THEN 'unknown' WHEN 'malformed' THEN 'unknown'
	ELSE 'ready' END`

// promote makes the oldest waiting step of each lane due and returns those steps; lanes
// without one are left.
func promote(ctx context.Context, t *Tx, lanes []laneKey) ([]DueStep, error) {
	slices.SortFunc(lanes, func(a, b laneKey) int { return cmpStrings(a.person, b.person, a.connection, b.connection) })
	var due []DueStep
	for _, l := range slices.Compact(lanes) {
		s, err := scanStep(t.queryRow(ctx, `UPDATE bellhop.steps SET state = `+readyOrUnknown+`, due_at = $3, updated_at = $3,
			version = version + 1 WHERE person_id = $1 AND id = (SELECT id FROM bellhop.steps WHERE person_id = $1 AND
			connection = $2 AND state = 'waiting' AND state NOT IN ('done', 'dropped') ORDER BY id LIMIT 1)
			AND NOT EXISTS (SELECT 1 FROM bellhop.steps WHERE person_id = $1 AND connection = $2 AND
			state IN ('ready', 'running', 'retrying', 'unknown', 'parked') AND state NOT IN ('done', 'dropped'))
			RETURNING `+stepColumns,
			l.person, l.connection, t.now))
		if errIsNoRows(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		s.TakenAt = t.now
		due = append(due, s)
	}
	return due, nil
}
