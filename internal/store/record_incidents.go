package store

import (
	"context"
	"errors"

	"bellhop"
)

// ErrNoIncident is returned when an incident is not open.
var ErrNoIncident = errors.New("the incident is not open")

// joinIncident adds the outcome's step to the open incident of its cause, opening it
// with its task and alerts when there is none.
func (b *recording) joinIncident(ctx context.Context, i int) (incident, task string, err error) {
	o := &b.items[i]
	c := o.Incident
	if o.JoinIncident != "" {
		err = b.t.queryRow(ctx, `UPDATE bellhop.incidents SET steps = steps + 1, updated_at = $2
			WHERE id = $1 AND closed_at IS NULL RETURNING id, task_id`, o.JoinIncident, b.t.now).
			Scan(&incident, strDest{&task})
		if !errIsNoRows(err) {
			return incident, task, err
		}
	}
	add := 1
	if o.Step.IncidentID != "" {
		add = 0 // the step was counted when it joined first
	}
	id := NewID()
	err = b.t.queryRow(ctx, `INSERT INTO bellhop.incidents (id, connection, class, detail, steps, opened_at, updated_at)
		VALUES ($1, $2, $3, $4, 1, $5, $5) ON CONFLICT (connection, class) WHERE closed_at IS NULL
		DO UPDATE SET steps = bellhop.incidents.steps + $6, updated_at = excluded.updated_at RETURNING id, task_id`,
		id, c.Connection, string(c.Class), c.Detail, b.t.now, add).Scan(&incident, strDest{&task})
	if err != nil {
		return "", "", err
	}
	if incident == id {
		b.out[i].OpenedIncident = id
		inc := bellhop.Incident{ID: id, Connection: c.Connection, Class: c.Class, Detail: c.Detail, Steps: 1,
			OpenedAt: b.t.now, UpdatedAt: b.t.now}
		if task, err = b.openIncident(ctx, inc, o.Step); err != nil {
			return "", "", err
		}
	}
	if o.Park {
		err = openCircuit(ctx, b.t, c.Connection, incident, o.ProbeAt)
	}
	return incident, task, err
}

func (b *recording) openIncident(ctx context.Context, inc bellhop.Incident, first bellhop.Step) (string, error) {
	if b.plans.Opened == nil {
		return "", nil
	}
	op := b.plans.Opened(inc, first)
	task := ""
	if op.Task != nil {
		op.Task.IncidentID = inc.ID
		if op.Task.ID == "" {
			op.Task.ID = NewID()
		}
		task = op.Task.ID
		if err := insertSupport(ctx, b.t, []bellhop.SupportRequest{*op.Task}); err != nil {
			return "", err
		}
		if _, err := b.t.exec(ctx, "UPDATE bellhop.incidents SET task_id = $2 WHERE id = $1", inc.ID, task); err != nil {
			return "", err
		}
	}
	jobs, err := insertPlanned(ctx, b.t, op.Steps, first.CorrelationID)
	b.jobs = append(b.jobs, jobs...)
	return task, err
}

// insertPlanned stores steps that no event planned: alerts of an incident.
func insertPlanned(ctx context.Context, t *Tx, planned []bellhop.PlannedStep, correlationID string) ([]Job, error) {
	steps := make([]*stepRow, 0, len(planned))
	for _, p := range planned {
		steps = append(steps, &stepRow{id: NewID(), person: NoPerson, connection: p.Connection, key: p.Key, planned: p,
			item: -1, correlationID: correlationID})
	}
	return insertSteps(ctx, t, steps)
}
