package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"bellhop"
)

// stepWrite is an outcome on its way into its step's row.
type stepWrite struct {
	item           int
	incident, task string
	due            time.Time
}

// recordSteps writes the group's outcomes into their steps: those that concern nothing
// but the step with one statement, the others one after the other, because what holds a
// step up is looked at, opened and joined in order.
func (b *recording) recordSteps(ctx context.Context) error {
	order := make([]int, len(b.items))
	for i := range order {
		order[i] = i
	}
	// One order for all nodes: two groups that touch the same steps cannot deadlock.
	slices.SortFunc(order, func(x, y int) int { return strings.Compare(b.items[x].Step.ID, b.items[y].Step.ID) })
	var plain []stepWrite
	var held []int
	last := ""
	for _, i := range order {
		o := &b.items[i]
		o.rebase(b.t.now)
		switch {
		case o.Step.ID == last, o.Incident != nil, o.Task != nil, o.JoinIncident != "":
			held = append(held, i) // also the second outcome of one step: it will be stale
		default:
			plain = append(plain, stepWrite{i, o.Step.IncidentID, o.Step.TaskID, b.dueAt(o)})
		}
		last = o.Step.ID
	}
	if err := b.writeSteps(ctx, plain); err != nil {
		return err
	}
	for _, i := range held {
		if err := b.recordHeld(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

func (b *recording) dueAt(o *Outcome) time.Time {
	if o.DueAt.IsZero() {
		return b.t.now
	}
	return o.DueAt
}

// recordHeld records an outcome that joins or opens an incident or gives a task.
func (b *recording) recordHeld(ctx context.Context, i int) error {
	o := &b.items[i]
	// The step's row first: a stale outcome must not open an incident.
	var version int64
	err := b.t.queryRow(ctx, `SELECT version FROM bellhop.steps WHERE id = $1 AND person_id = $2 AND version = $3 AND
		state NOT IN ('done', 'dropped')`+b.t.forUpdate(), o.Step.ID, o.Step.PersonID, o.Step.Version).Scan(&version)
	if errIsNoRows(err) {
		b.out[i].Stale = true
		return nil
	}
	if err != nil {
		return err
	}
	if err := b.checkJoin(ctx, i); err != nil {
		return err
	}
	incident, task, err := b.holders(ctx, i)
	if err != nil {
		return err
	}
	return b.writeSteps(ctx, []stepWrite{{i, incident, task, b.dueAt(o)}})
}

// stepTypes are the types of the columns of writeSteps.
func stepTypes() []string {
	return []string{"uuid", "uuid", "bigint", "text", "timestamptz", "text", "text", "jsonb", "text", "uuid", "uuid",
		"integer", "timestamptz"}
}

// writeSteps writes outcomes into steps that nobody has changed since they were taken;
// the others are stale.
func (b *recording) writeSteps(ctx context.Context, writes []stepWrite) error {
	rows := make([][]any, len(writes))
	for n, w := range writes {
		o := &b.items[w.item]
		attempts, first := o.Step.Attempts, o.Step.FirstAttemptAt
		if o.Attempt != nil {
			attempts++
			if first.IsZero() {
				first = o.Attempt.StartedAt
			}
		}
		rows[n] = []any{o.Step.ID, o.Step.PersonID, o.Step.Version, string(o.State), w.due, string(o.Class), o.Error,
			nulBytes(o.Result), o.DoneBy, nul(w.incident), nul(w.task), attempts, first}
	}
	written := make(map[string]bool, len(writes))
	err := b.t.updateRows(ctx, `UPDATE bellhop.steps SET state = v.column4, due_at = v.column5, error_class = v.column6,
		error = v.column7, result = v.column8, done_by = v.column9, incident_id = v.column10, task_id = v.column11,
		attempts = v.column12, first_attempt_at = v.column13, lease_until = NULL, version = version + 1, updated_at = $1`,
		`WHERE steps.id = v.column1 AND steps.person_id = v.column2 AND version = v.column3 AND
		state NOT IN ('done', 'dropped') RETURNING id`, []any{b.t.now}, stepTypes(), rows, func(r *sql.Rows) error {
			var id string
			err := r.Scan(&id)
			written[id] = true
			return err
		})
	if err != nil {
		return err
	}
	for _, w := range writes {
		if !written[b.items[w.item].Step.ID] {
			b.out[w.item].Stale = true
			continue
		}
		b.follow(w)
	}
	return nil
}

// follow notes what a written outcome does to the lane, the incident and the task.
func (b *recording) follow(w stepWrite) {
	o := &b.items[w.item]
	b.touched = append(b.touched, o.Step)
	if o.State.Final() || o.Step.IncidentID != w.incident {
		b.held[o.Step.IncidentID], b.held[w.incident] = true, true
	}
	if o.State.Final() || o.Step.TaskID != w.task {
		b.tasks[o.Step.TaskID], b.tasks[w.task] = true, true
	}
	if !o.State.HoldsLane() {
		b.left[laneKey{o.Step.PersonID, o.Step.Connection}]--
	}
	if o.State == bellhop.StepRetrying || o.State == bellhop.StepUnknown || o.State == bellhop.StepReady {
		k := laterKey{o.Step.Connection, w.due.Add(laterGrain - 1).Truncate(laterGrain)}
		b.later[k] = append(b.later[k], o.Step.PersonID)
	}
}
