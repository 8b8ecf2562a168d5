package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"bellhop"
)

// stepRow is a step on its way into the store.
type stepRow struct {
	id, person, connection, key string
	planned                     bellhop.PlannedStep
	item                        int // -1 when no intake planned it
	eventID, correlationID      string
	taskID                      string
	ready                       bool
}

// laneKey names a lane.
type laneKey struct{ person, connection string }

// plan asks policy what follows from the changes of every item.
func (b *batch) plan(ctx context.Context) error {
	mayExist := map[string]bool{}
	for _, i := range b.fresh {
		if len(b.changes[i]) == 0 {
			continue
		}
		it := &b.items[i]
		ev := it.Event
		ev.PersonID = b.out[i].PersonID
		in := bellhop.PlanInput{Event: ev, Changes: b.changes[i], ConversationID: it.ConversationID,
			LeadRequestID: b.leadReq[i], Now: b.t.now, NewID: NewID}
		if it.Chat != nil {
			in.Text = it.Chat.Text
		}
		if p := b.persons[b.out[i].PersonID]; p != nil {
			in.Person = p.Person
		}
		plan := b.pol.Plan(in)
		firstTold := b.firstTold(i)
		b.support = append(b.support, plan.Support...)
		b.touches = append(b.touches, plan.Touch...)
		for _, p := range plan.Steps {
			// A ticket and what is added to it later stand in one lane, even when the person
			// became known by another name in between.
			person := b.lanes[p.RequestID]
			if p.RequestID == "" || person == "" {
				person = b.out[i].PersonID
			}
			if person == "" {
				person = NoPerson
			}
			s := &stepRow{id: NewID(), person: person, connection: p.Connection, key: p.Key, planned: p, item: i,
				eventID: ev.ID, correlationID: ev.CorrelationID}
			if p.MayExist && !firstTold {
				mayExist[p.Key] = true
			}
			b.steps = append(b.steps, s)
			b.out[i].Steps++
		}
	}
	return b.dropPlanned(ctx, mayExist)
}

// firstTold reports whether the changes of an item are all about payments that this group
// made: nothing can have been planned for them before.
func (b *batch) firstTold(i int) bool {
	for _, c := range b.changes[i] {
		if c.Payment == nil || b.pays[c.Payment.ID] == nil || !b.pays[c.Payment.ID].isNew {
			return false
		}
	}
	return true
}

// dropPlanned takes out the steps whose key was planned before, by an earlier event or
// by an earlier item of this group.
func (b *batch) dropPlanned(ctx context.Context, mayExist map[string]bool) error {
	exists := map[string]bool{}
	keys := make([]string, 0, len(mayExist))
	for k := range mayExist {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	err := queryIn(ctx, b.t, "SELECT key FROM bellhop.steps WHERE key IN (?)", keys, func(r *sql.Rows) error {
		var k string
		err := r.Scan(&k)
		exists[k] = true
		return err
	})
	if err != nil {
		return err
	}
	// After the steps: retention moves a key in one transaction, so that it is found here
	// when it was not found there.
	if err := prunedKeys(ctx, b.t, keys, exists); err != nil {
		return err
	}
	kept := b.steps[:0]
	for _, s := range b.steps {
		if exists[s.key] {
			b.out[s.item].Steps--
			continue
		}
		exists[s.key] = true
		kept = append(kept, s)
	}
	b.steps = kept
	return nil
}

// write stores what was planned, in the order that other transactions lock in.
func (b *batch) write(ctx context.Context) error {
	if err := b.writeConversations(ctx); err != nil {
		return err
	}
	if err := b.writeRequests(ctx); err != nil {
		return err
	}
	if err := insertSupport(ctx, b.t, b.support); err != nil {
		return err
	}
	for _, touch := range b.touches {
		if err := touchSupport(ctx, b.t, touch); err != nil {
			return err
		}
	}
	jobs, err := insertSteps(ctx, b.t, b.steps)
	b.jobs = jobs
	return err
}

func (b *batch) writeConversations(ctx context.Context) error {
	for _, c := range sorted(b.convs) {
		if !c.dirty {
			continue
		}
		fields, err := json.Marshal(c.fields)
		if err != nil {
			return err
		}
		if _, err := b.t.exec(ctx, `UPDATE bellhop.conversations SET person_id = $2, status = $3, fields = $4, is_lead = $5,
			lead_request_id = $6, lead_person_id = $7, lead_email = $8, updated_at = $9 WHERE id = $1`, c.id, nul(c.personID),
			string(c.status), string(fields), c.isLead, nul(c.leadRequestID), nul(c.leadPersonID), c.leadEmail, b.t.now); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) writeRequests(ctx context.Context) error {
	var rows [][]any
	for _, r := range sorted(b.requests) {
		person := r.personID
		if person == "" {
			person = NoPerson
		}
		rows = append(rows, []any{r.id, string(r.kind), person, nul(r.owner.VisitorID), nul(r.owner.UserID),
			nul(r.conversationID), r.eventID, r.correlationID, b.t.now})
	}
	return b.t.insertRows(ctx, `INSERT INTO bellhop.requests (id::uuid, kind, person_id::uuid, visitor_id, user_id, conversation_id::uuid,
		event_id::uuid, correlation_id, created_at::timestamptz)`, "", rows, nil)
}

// insertSteps stores steps behind those that hold their lanes and enqueues jobs for the
// ones that are due at once. Keys must be new.
func insertSteps(ctx context.Context, t *Tx, steps []*stepRow) ([]Job, error) {
	if len(steps) == 0 {
		return nil, nil
	}
	delta := map[laneKey]int{}
	for _, s := range steps {
		delta[laneKey{s.person, s.connection}]++
	}
	open, err := moveLanes(ctx, t, delta)
	if err != nil {
		return nil, err
	}
	if err := orderLanes(ctx, t, steps, open, delta); err != nil {
		return nil, err
	}
	rows := make([][]any, len(steps))
	for n, s := range steps {
		k := laneKey{s.person, s.connection}
		state := bellhop.StepWaiting
		if open[k] == delta[k] { // the lane was free: its first new step is due
			state, s.ready = bellhop.StepReady, true
			open[k] = -1
		}
		input, err := json.Marshal(s.planned.Input)
		if err != nil {
			return nil, fmt.Errorf("step %s: input: %w", s.planned.Action, err)
		}
		rows[n] = []any{s.id, s.person, s.connection, string(s.planned.Action), s.key, string(input), string(state),
			nul(s.eventID), nul(s.planned.RequestID), nul(s.taskID), s.correlationID, t.now, t.now, t.now}
	}
	if err := t.insertRows(ctx, `INSERT INTO bellhop.steps (id::uuid, person_id::uuid, connection, kind, key, input::jsonb, state,
		event_id::uuid, request_id::uuid, task_id::uuid, correlation_id, due_at::timestamptz,
		created_at::timestamptz, updated_at::timestamptz)`, "", rows, nil); err != nil {
		return nil, err
	}
	var due []dueLane
	for _, s := range steps {
		if s.ready {
			due = append(due, dueLane{s.connection, s.person})
		}
	}
	return enqueue(ctx, t, due)
}

// moveLanes adds to the number of steps that hold each lane and returns the new
// numbers. The upsert locks the lane's row on Postgres, so that taking a step in and
// finishing the one before it cannot miss each other.
func moveLanes(ctx context.Context, t *Tx, delta map[laneKey]int) (map[laneKey]int, error) {
	keys := make([]laneKey, 0, len(delta))
	for k := range delta {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b laneKey) int {
		return cmpStrings(a.person, b.person, a.connection, b.connection)
	})
	open := make(map[laneKey]int, len(keys))
	var up, down [][]any
	for _, k := range keys {
		// The inserted value is only used for a lane that is new, and a lane that is
		// left exists; a negative one would break the table's CHECK first.
		if delta[k] >= 0 {
			up = append(up, []any{k.person, k.connection, delta[k]})
		} else {
			down = append(down, []any{k.person, k.connection, -delta[k]})
		}
	}
	scan := func(r *sql.Rows) error {
		var k laneKey
		var n int
		err := r.Scan(&k.person, &k.connection, &n)
		open[k] = n
		return err
	}
	const into = `INSERT INTO bellhop.lanes (person_id::uuid, connection, open::integer)`
	const suffix = "ON CONFLICT (person_id, connection) DO UPDATE SET open = bellhop.lanes.open %s excluded.open " +
		"RETURNING person_id, connection, open"
	if err := t.insertRows(ctx, into, fmt.Sprintf(suffix, "+"), up, scan); err != nil {
		return nil, err
	}
	return open, t.insertRows(ctx, into, fmt.Sprintf(suffix, "-"), down, scan)
}

func cmpStrings(pairs ...string) int {
	for i := 0; i+1 < len(pairs); i += 2 {
		switch {
		case pairs[i] < pairs[i+1]:
			return -1
		case pairs[i] > pairs[i+1]:
			return 1
		}
	}
	return 0
}

// dueLane is a lane that has something due.
type dueLane struct{ connection, person string }

// lanesPerJob bounds the lanes that one job carries: enough to share its transaction,
// few enough that several workers of a queue have something to do.
const lanesPerJob = 32

// enqueue hands due lanes to the job engine, grouped by connection.
func enqueue(ctx context.Context, t *Tx, due []dueLane) ([]Job, error) {
	if len(due) == 0 || t.db.queue == nil {
		return nil, nil
	}
	byConn := map[string][]string{}
	for _, d := range due {
		byConn[d.connection] = append(byConn[d.connection], d.person)
	}
	var jobs []Job
	names := make([]string, 0, len(byConn))
	for c := range byConn {
		names = append(names, c)
	}
	slices.Sort(names)
	for _, c := range names {
		for chunk := range slices.Chunk(byConn[c], lanesPerJob) {
			jobs = append(jobs, Job{Connection: c, Persons: chunk})
		}
	}
	tx, err := t.raw(ctx)
	if err != nil {
		return nil, err
	}
	return jobs, t.db.queue.Enqueue(ctx, tx, jobs)
}
