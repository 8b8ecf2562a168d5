package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"bellhop"
)

const supportColumns = `id, person_id, conversation_id, event_id, incident_id, correlation_id, status, priority, reason,
	subject, body, assignee, transcript_url, note, due_at, created_at, updated_at, resolved_at`

func scanSupport(r interface{ Scan(...any) error }) (bellhop.SupportRequest, error) {
	var s bellhop.SupportRequest
	err := r.Scan(&s.ID, strDest{&s.PersonID}, strDest{&s.ConversationID}, strDest{&s.EventID}, strDest{&s.IncidentID},
		&s.CorrelationID, &s.Status, &s.Priority, &s.Reason, &s.Subject, &s.Body, &s.Assignee, &s.TranscriptURL, &s.Note,
		timeDest{&s.DueAt}, timeDest{&s.CreatedAt}, timeDest{&s.UpdatedAt}, timeDest{&s.ResolvedAt})
	return s, err
}

// insertSupport stores new support requests.
func insertSupport(ctx context.Context, t *Tx, reqs []bellhop.SupportRequest) error {
	rows := make([][]any, len(reqs))
	for n, s := range reqs {
		rows[n] = supportRow(t, s, "")
	}
	return t.insertRows(ctx, insertSupportInto, "", rows, nil)
}

const insertSupportInto = `INSERT INTO bellhop.support_requests (id::uuid, person_id::uuid, conversation_id::uuid, event_id::uuid,
		incident_id::uuid, correlation_id, status, priority, reason, dedup_key, subject, body, transcript_url,
		due_at::timestamptz, created_at::timestamptz, updated_at::timestamptz)`

func supportRow(t *Tx, s bellhop.SupportRequest, dedup string) []any {
	due := s.DueAt
	if due.IsZero() {
		due = t.now.Add(24 * time.Hour)
	}
	return []any{s.ID, nul(s.PersonID), nul(s.ConversationID), nul(s.EventID), nul(s.IncidentID), s.CorrelationID,
		string(bellhop.SupportNew), string(s.Priority), string(s.Reason), nul(dedup), s.Subject, s.Body, s.TranscriptURL,
		due, t.now, t.now}
}

// joinTask returns the open task of a matter, making it when there is none. A second
// failure of the same matter adds its lines to the task.
func joinTask(ctx context.Context, t *Tx, s bellhop.SupportRequest, dedup string) (string, error) {
	if s.ID == "" {
		s.ID = NewID()
	}
	id := ""
	err := t.insertRows(ctx, insertSupportInto, `ON CONFLICT (dedup_key) WHERE status <> 'resolved'
		DO UPDATE SET body = bellhop.support_requests.body || '

' || excluded.body, updated_at = excluded.updated_at, version = bellhop.support_requests.version + 1 RETURNING id`,
		[][]any{supportRow(t, s, dedup)}, func(r *sql.Rows) error { return r.Scan(&id) })
	return id, err
}

// touchSupport adds a line to an open request and raises its priority.
func touchSupport(ctx context.Context, t *Tx, touch bellhop.SupportTouch) error {
	s, err := scanSupport(t.queryRow(ctx, "SELECT "+supportColumns+" FROM bellhop.support_requests WHERE id = $1"+
		t.forUpdate(), touch.ID))
	if err != nil {
		return err
	}
	p := s.Priority
	if touch.Priority != "" && priorityRank(touch.Priority) < priorityRank(p) {
		p = touch.Priority
	}
	body := s.Body
	if touch.Line != "" {
		body += "\n\n" + touch.Line
	}
	if len(body) > 60_000 {
		body = strings.ToValidUTF8(body[:60_000], "") + "…"
	}
	_, err = t.exec(ctx, `UPDATE bellhop.support_requests SET priority = $2, body = $3, updated_at = $4,
		version = version + 1 WHERE id = $1`, touch.ID, string(p), body, t.now)
	return err
}

func priorityRank(p bellhop.Priority) int {
	for i, x := range bellhop.Priorities() {
		if x == p {
			return i
		}
	}
	return len(bellhop.Priorities())
}

// resolveTask closes a task that has nothing left to do; one that a person resolved
// before is left as it is.
func resolveTask(ctx context.Context, t *Tx, id, note string) error {
	_, err := t.exec(ctx, `UPDATE bellhop.support_requests SET status = 'resolved', resolved_at = $2, updated_at = $2,
		version = version + 1, note = CASE note WHEN '' THEN $3 ELSE note || '
' || $3 END WHERE id = $1 AND status <> 'resolved' AND reason IN ('sync_failed', 'outage')`, id, t.now, note)
	return err
}

// SupportFilter selects support requests.
type SupportFilter struct {
	Status        bellhop.SupportStatus
	Reason        bellhop.Reason
	Priority      bellhop.Priority
	CorrelationID string
	PersonID      string
	Before        string // an id: only older ones
	Limit         int    // 0 means 100, at most 1,000
}

// SupportRequests lists support requests, newest first.
func (db *DB) SupportRequests(ctx context.Context, f SupportFilter) ([]bellhop.SupportRequest, error) {
	var q filter
	q.equal("status", string(f.Status))
	q.equal("reason", string(f.Reason))
	q.equal("priority", string(f.Priority))
	q.equal("correlation_id", f.CorrelationID)
	q.equal("person_id", f.PersonID)
	rows, err := q.newest(ctx, db, "SELECT "+supportColumns+" FROM bellhop.support_requests", f.Before, f.Limit)
	if err != nil {
		return nil, err
	}
	var out []bellhop.SupportRequest
	err = each(rows, func(r *sql.Rows) error {
		s, err := scanSupport(r)
		out = append(out, s)
		return err
	})
	return out, err
}

// SupportRequest returns one; CodeNotFound when there is none.
func (db *DB) SupportRequest(ctx context.Context, id string) (bellhop.SupportRequest, error) {
	s, err := scanSupport(db.queryRow(ctx, "SELECT "+supportColumns+" FROM bellhop.support_requests WHERE id = $1", id))
	if errIsNoRows(err) {
		return s, notFound("support request")
	}
	return s, err
}

// SupportEdit is a change that an operator makes; empty fields are left.
type SupportEdit struct {
	Status   bellhop.SupportStatus
	Assignee *string
	Priority bellhop.Priority
	Note     string // added to the notes
	By       string
}

// EditSupport changes a support request by fn, which sees it as it is, and whether it
// holds steps, and says what to write or why not. Two edits at the same time do not overwrite each other: the second
// sees the first. Steps that fn plans are committed with the edit.
func (db *DB) EditSupport(ctx context.Context, id string,
	fn func(s bellhop.SupportRequest, holds bool) (SupportEdit, []bellhop.PlannedStep, error)) (bellhop.SupportRequest, error) {
	var out bellhop.SupportRequest
	err := db.changeSteps(ctx, func(t *Tx, ch *changed) error {
		s, err := scanSupport(t.queryRow(ctx, "SELECT "+supportColumns+" FROM bellhop.support_requests WHERE id = $1"+
			t.forUpdate(), id))
		if errIsNoRows(err) {
			return notFound("support request")
		}
		if err != nil {
			return err
		}
		holds, err := holdsSteps(ctx, t, s)
		if err != nil {
			return err
		}
		edit, planned, err := fn(s, holds)
		if err != nil {
			return err
		}
		out = applyEdit(t, s, edit)
		_, err = t.exec(ctx, `UPDATE bellhop.support_requests SET status = $2, priority = $3, assignee = $4, note = $5,
			updated_at = $6, resolved_at = $7, version = version + 1 WHERE id = $1`, id, string(out.Status),
			string(out.Priority), out.Assignee, out.Note, out.UpdatedAt, out.ResolvedAt)
		if err != nil {
			return err
		}
		person := s.PersonID
		if person == "" {
			person = NoPerson
		}
		steps := make([]*stepRow, 0, len(planned))
		for _, p := range planned {
			steps = append(steps, &stepRow{id: NewID(), person: person, connection: p.Connection, key: p.Key, planned: p,
				item: -1, eventID: s.EventID, correlationID: s.CorrelationID})
		}
		ch.jobs, err = insertSteps(ctx, t, steps)
		return err
	})
	if err == nil {
		db.hub.Wake(RequestTopic(id), AnyStep)
		if out.ConversationID != "" {
			db.hub.Wake(ConversationTopic(out.ConversationID))
		}
	}
	return out, err
}

// holdsSteps reports whether a task still holds steps that nobody has settled.
func holdsSteps(ctx context.Context, t *Tx, s bellhop.SupportRequest) (bool, error) {
	held, err := exists(ctx, t, `SELECT 1 FROM bellhop.steps WHERE task_id = $1 AND state NOT IN ('done', 'dropped')
		LIMIT 1`, s.ID)
	if err != nil || held || s.IncidentID == "" {
		return held, err
	}
	return exists(ctx, t, "SELECT 1 FROM bellhop.steps WHERE incident_id = $1 AND state NOT IN ('done', 'dropped') LIMIT 1",
		s.IncidentID)
}

func applyEdit(t *Tx, s bellhop.SupportRequest, e SupportEdit) bellhop.SupportRequest {
	if e.Status != "" && e.Status != s.Status {
		s.Status = e.Status
		s.ResolvedAt = time.Time{}
		if e.Status == bellhop.SupportResolved {
			s.ResolvedAt = t.now
		}
	}
	if e.Priority != "" {
		s.Priority = e.Priority
	}
	if e.Assignee != nil {
		s.Assignee = *e.Assignee
	}
	if e.Note != "" {
		if s.Note != "" {
			s.Note += "\n"
		}
		s.Note += e.Note
	}
	s.UpdatedAt = t.now
	return s
}
