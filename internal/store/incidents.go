package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"bellhop"
)

// CircuitState is the state of a connection.
type CircuitState string

// The states of a circuit.
const (
	CircuitClosed   CircuitState = "closed"   // calls go through
	CircuitOpen     CircuitState = "open"     // nothing is sent; steps are parked
	CircuitDraining CircuitState = "draining" // parked steps are let go in growing batches
)

// Circuit is the state of a connection that all nodes share.
type Circuit struct {
	Connection string
	State      CircuitState
	IncidentID string
	Probes     int // failed looks in a row
	Batch      int // how many parked steps the next release lets go
	ProbeAt    time.Time
}

// Circuit returns the state of a connection; one that never failed is closed.
func (db *DB) Circuit(ctx context.Context, connection string) (Circuit, error) {
	c := Circuit{Connection: connection, State: CircuitClosed, Batch: 1}
	err := db.queryRow(ctx, "SELECT state, incident_id, probes, batch, probe_at FROM bellhop.circuits WHERE connection = $1",
		connection).Scan(&c.State, strDest{&c.IncidentID}, &c.Probes, &c.Batch, timeDest{&c.ProbeAt})
	if errIsNoRows(err) {
		err = nil
	}
	return c, err
}

// OpenCircuits returns the circuits that are not closed.
func (db *DB) OpenCircuits(ctx context.Context) ([]Circuit, error) {
	rows, err := db.query(ctx, `SELECT connection, state, incident_id, probes, batch, probe_at FROM bellhop.circuits
		WHERE state <> 'closed' ORDER BY connection`)
	if err != nil {
		return nil, err
	}
	var out []Circuit
	err = each(rows, func(r *sql.Rows) error {
		var c Circuit
		err := r.Scan(&c.Connection, &c.State, strDest{&c.IncidentID}, &c.Probes, &c.Batch, timeDest{&c.ProbeAt})
		out = append(out, c)
		return err
	})
	return out, err
}

// openCircuit opens a circuit or, when a release failed, opens it again.
func openCircuit(ctx context.Context, t *Tx, connection, incident string, probeAt time.Time) error {
	_, err := t.exec(ctx, `INSERT INTO bellhop.circuits (connection, state, incident_id, probes, batch, probe_at, updated_at)
		VALUES ($1, 'open', $2, 0, 1, $3, $4) ON CONFLICT (connection) DO UPDATE SET
		probes = CASE bellhop.circuits.state WHEN 'draining' THEN bellhop.circuits.probes + 1
			WHEN 'open' THEN bellhop.circuits.probes ELSE 0 END,
		probe_at = CASE WHEN bellhop.circuits.state = 'open' AND bellhop.circuits.updated_at <= excluded.updated_at
			THEN bellhop.circuits.probe_at ELSE excluded.probe_at END,
		incident_id = CASE bellhop.circuits.state WHEN 'closed' THEN excluded.incident_id
			ELSE bellhop.circuits.incident_id END,
		state = 'open', batch = 1, updated_at = excluded.updated_at`, connection, incident, probeAt, t.now)
	return err
}

// Release lets the oldest parked steps of a connection go: one at first, then twice as
// many every time. It returns how many it let go and how many are still in flight from
// before; nothing is let go while those are not finished, or before the probe is due.
func (db *DB) Release(ctx context.Context, connection string, maxBatch int) (released, inFlight int, err error) {
	err = db.changeSteps(ctx, func(t *Tx, ch *changed) error {
		released, inFlight = 0, 0
		var c Circuit
		err := t.queryRow(ctx, `SELECT state, incident_id, batch, probe_at FROM bellhop.circuits WHERE connection = $1`+
			t.forUpdate(), connection).Scan(&c.State, strDest{&c.IncidentID}, &c.Batch, timeDest{&c.ProbeAt})
		if errIsNoRows(err) || (err == nil && c.State == CircuitClosed) {
			return nil
		}
		if err != nil || (c.State == CircuitOpen && t.now.Before(c.ProbeAt)) {
			return err
		}
		if c.State == CircuitDraining {
			if err := t.queryRow(ctx, `SELECT count(*) FROM bellhop.steps WHERE connection = $1 AND
				state IN ('ready', 'running', 'unknown', 'retrying') AND state NOT IN ('done', 'dropped', 'waiting') AND
				incident_id IS NOT NULL`, connection).Scan(&inFlight); err != nil || inFlight > 0 {
				return err
			}
		}
		if ch.due, err = releaseParked(ctx, t, connection, c.Batch); err != nil {
			return err
		}
		if released = len(ch.due); released == 0 { // nothing is parked any more
			return db.stopDraining(ctx, t, ch, c.IncidentID, connection)
		}
		_, err = t.exec(ctx, `UPDATE bellhop.circuits SET state = 'draining', batch = $2, updated_at = $3
			WHERE connection = $1`, connection, min(c.Batch*2, maxBatch), t.now)
		return err
	})
	return released, inFlight, err
}

// stopDraining closes the circuit of a connection that nothing is parked at, and its
// incident unless a person still has some of its steps.
func (db *DB) stopDraining(ctx context.Context, t *Tx, ch *changed, incident, connection string) error {
	if _, err := t.exec(ctx, `UPDATE bellhop.circuits SET state = 'closed', probes = 0, batch = 1, probe_at = NULL,
		updated_at = $2 WHERE connection = $1`, connection, t.now); err != nil {
		return err
	}
	jobs, err := settle(ctx, t, db.plans, map[string]bool{incident: true}, nil)
	ch.jobs = append(ch.jobs, jobs...)
	return err
}

func releaseParked(ctx context.Context, t *Tx, connection string, n int) ([]dueLane, error) {
	rows, err := t.query(ctx, `UPDATE bellhop.steps SET state = `+readyOrUnknown+`, due_at = $3, version = version + 1, updated_at = $3
		WHERE id IN (SELECT id FROM bellhop.steps WHERE connection = $1 AND state = 'parked'
		AND state NOT IN ('done', 'dropped', 'waiting') ORDER BY id LIMIT $2) AND state = 'parked' RETURNING person_id`, connection, n, t.now)
	if err != nil {
		return nil, err
	}
	var due []dueLane
	err = each(rows, func(r *sql.Rows) error {
		var p string
		err := r.Scan(&p)
		due = append(due, dueLane{connection, p})
		return err
	})
	return due, err
}

// settle closes the incidents and resolves the tasks that hold nothing any more.
func settle(ctx context.Context, t *Tx, plans IncidentPlans, incidents, tasks map[string]bool) ([]Job, error) {
	var jobs []Job
	for _, id := range sortedKeys(incidents) {
		held, err := exists(ctx, t, `SELECT 1 FROM bellhop.steps WHERE incident_id = $1 AND
			state NOT IN ('done', 'dropped') LIMIT 1`, id)
		if err != nil {
			return nil, err
		}
		if held {
			continue
		}
		more, err := closeIncident(ctx, t, plans, id)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, more...)
	}
	for _, id := range sortedKeys(tasks) {
		held, err := exists(ctx, t, `SELECT 1 FROM bellhop.steps WHERE task_id = $1 AND
			state NOT IN ('done', 'dropped') LIMIT 1`, id)
		if err != nil {
			return nil, err
		}
		if !held {
			if err := resolveTask(ctx, t, id, "Closed by itself: nothing is held up any more."); err != nil {
				return nil, err
			}
		}
	}
	return jobs, nil
}

func sortedKeys(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		if k != "" {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

func exists(ctx context.Context, q queryer, text string, args ...any) (bool, error) {
	var one int
	err := q.queryRow(ctx, text, args...).Scan(&one)
	if errIsNoRows(err) {
		return false, nil
	}
	return err == nil, err
}

// closeIncident ends an incident that holds no step any more: its task is resolved with
// a note, its circuit closes, and what the plan says follows (the founder is told).
func closeIncident(ctx context.Context, t *Tx, plans IncidentPlans, id string) ([]Job, error) {
	inc, err := scanIncident(t.queryRow(ctx, `UPDATE bellhop.incidents SET closed_at = $2, updated_at = $2
		WHERE id = $1 AND closed_at IS NULL RETURNING `+incidentColumns, id, t.now))
	if errIsNoRows(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := leaveCircuit(ctx, t, inc); err != nil {
		return nil, err
	}
	if inc.TaskID != "" {
		note := fmt.Sprintf("Closed by itself: %s works again, all %d steps that waited were carried out or settled.",
			inc.Connection, inc.Steps)
		if err := resolveTask(ctx, t, inc.TaskID, note); err != nil {
			return nil, err
		}
	}
	if plans.Closed == nil {
		return nil, nil
	}
	return insertPlanned(ctx, t, plans.Closed(inc).Steps, NoCorrelation)
}

// leaveCircuit takes a closed incident away from its connection's circuit. The circuit
// closes with it, unless another incident still has steps parked there: then it goes on
// for that one.
func leaveCircuit(ctx context.Context, t *Tx, inc bellhop.Incident) error {
	other, err := parkedIncident(ctx, t, inc.Connection)
	if err != nil {
		return err
	}
	if other != "" {
		_, err = t.exec(ctx, `UPDATE bellhop.circuits SET incident_id = $2, probe_at = $3, updated_at = $3
			WHERE incident_id = $1`, inc.ID, other, t.now)
		return err
	}
	_, err = t.exec(ctx, `UPDATE bellhop.circuits SET state = 'closed', incident_id = NULL, probes = 0, batch = 1,
		probe_at = NULL, updated_at = $2 WHERE incident_id = $1`, inc.ID, t.now)
	return err
}

// parkedIncident returns the incident of the oldest parked step of a connection, "" when
// nothing is parked there.
func parkedIncident(ctx context.Context, t *Tx, connection string) (string, error) {
	var id string
	err := t.queryRow(ctx, `SELECT incident_id FROM bellhop.steps WHERE connection = $1 AND state = 'parked' AND
		state NOT IN ('done', 'dropped', 'waiting') ORDER BY id LIMIT 1`, connection).Scan(&id)
	if errIsNoRows(err) {
		return "", nil
	}
	return id, err
}

// WatchParked makes sure that every connection with parked steps has a circuit that is
// looked after.
func (db *DB) WatchParked(ctx context.Context, connections []string) error {
	return db.tx(ctx, func(t *Tx) error {
		for _, c := range connections {
			incident, err := parkedIncident(ctx, t, c)
			if err != nil {
				return err
			}
			if incident == "" {
				continue
			}
			if _, err := t.exec(ctx, `INSERT INTO bellhop.circuits (connection, state, incident_id, probes, batch, probe_at,
				updated_at) VALUES ($1, 'open', $2, 0, 1, $3, $3) ON CONFLICT (connection) DO UPDATE SET state = 'open',
				incident_id = excluded.incident_id, probes = 0, batch = 1, probe_at = excluded.probe_at,
				updated_at = excluded.updated_at WHERE bellhop.circuits.state = 'closed'`, c, incident, t.now); err != nil {
				return err
			}
		}
		return nil
	})
}

// NoCorrelation stands where nothing a customer did began it.
const NoCorrelation = "00000000000000000000000000000000"

const incidentColumns = "id, connection, class, detail, task_id, steps, opened_at, updated_at, closed_at"

func scanIncident(r interface{ Scan(...any) error }) (bellhop.Incident, error) {
	var i bellhop.Incident
	var class string
	err := r.Scan(&i.ID, &i.Connection, &class, &i.Detail, strDest{&i.TaskID}, &i.Steps, timeDest{&i.OpenedAt},
		timeDest{&i.UpdatedAt}, timeDest{&i.ClosedAt})
	i.Class = bellhop.ErrorClass(class)
	return i, err
}

// Incidents lists incidents, open ones first, newest first.
func (db *DB) Incidents(ctx context.Context, openOnly bool, limit int) ([]bellhop.Incident, error) {
	where := ""
	if openOnly {
		where = "WHERE closed_at IS NULL "
	}
	rows, err := db.query(ctx, "SELECT "+incidentColumns+" FROM bellhop.incidents "+where+
		"ORDER BY CASE WHEN closed_at IS NULL THEN 0 ELSE 1 END, opened_at DESC LIMIT $1", min(max(limit, 1), 1000))
	if err != nil {
		return nil, err
	}
	var out []bellhop.Incident
	err = each(rows, func(r *sql.Rows) error {
		i, err := scanIncident(r)
		out = append(out, i)
		return err
	})
	return out, err
}

// ProbeNow makes every open circuit due to be looked at: a restart may have brought the
// credentials that were missing.
func (db *DB) ProbeNow(ctx context.Context) error {
	return db.tx(ctx, func(t *Tx) error {
		_, err := t.exec(ctx, "UPDATE bellhop.circuits SET probe_at = $1, probes = 0 WHERE state = 'open'", t.now)
		return err
	})
}
