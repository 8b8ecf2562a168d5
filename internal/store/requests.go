package store

import (
	"context"
	"database/sql"
	"time"

	"bellhop"
)

// RequestFacts is a customer's request with everything that its state is derived from.
type RequestFacts struct {
	bellhop.Request
	PersonHasEmail bool
	// Steps counts the request's steps by state.
	Steps map[bellhop.StepState]int
	// HeldByTask is set when one of its parked steps belongs to an incident whose task a
	// person has.
	HeldByTask bool
	// Support is set for a support request.
	Support *bellhop.SupportRequest
}

const requestColumns = `r.id, r.kind, r.person_id, r.visitor_id, r.user_id, r.conversation_id, r.correlation_id,
	r.created_at, p.has_email`

const requestFrom = ` FROM bellhop.requests r LEFT JOIN bellhop.persons p ON p.id = r.person_id `

// Request returns one request of its owner with its facts; CodeNotFound for everybody
// else's. A zero owner sees every request: only operators and server keys pass it.
func (db *DB) Request(ctx context.Context, id string, owner bellhop.Owner, anyOwner bool) (RequestFacts, error) {
	out, err := requests(ctx, db, "WHERE r.id = $1", id)
	if err != nil {
		return RequestFacts{}, err
	}
	if len(out) == 0 || (!anyOwner && (owner.IsZero() || out[0].Owner != owner)) {
		return RequestFacts{}, notFound("request")
	}
	return out[0], nil
}

// RequestsByEvent returns the requests that one event made.
func (db *DB) RequestsByEvent(ctx context.Context, eventID string) ([]RequestFacts, error) {
	return requests(ctx, db, "WHERE r.event_id = $1 ORDER BY r.id", eventID)
}

// RequestsByConversation returns the requests of a conversation, oldest first.
func (db *DB) RequestsByConversation(ctx context.Context, conversationID string) ([]RequestFacts, error) {
	return requests(ctx, db, "WHERE r.conversation_id = $1 ORDER BY r.id", conversationID)
}

func requests(ctx context.Context, q queryer, where string, args ...any) ([]RequestFacts, error) {
	out, index, ids, err := requestRows(ctx, q, where, args)
	if err != nil || len(out) == 0 {
		return out, err
	}
	return out, requestFacts(ctx, q, out, index, ids)
}

func requestRows(ctx context.Context, q queryer, where string, args []any) ([]RequestFacts, map[string]int, []string, error) {
	rows, err := q.query(ctx, "SELECT "+requestColumns+requestFrom+where, args...)
	if err != nil {
		return nil, nil, nil, err
	}
	var out []RequestFacts
	index := map[string]int{}
	var ids []string
	err = each(rows, func(r *sql.Rows) error {
		f := RequestFacts{Steps: map[bellhop.StepState]int{}}
		var has sql.NullBool
		err := r.Scan(&f.ID, &f.Kind, &f.PersonID, strDest{&f.Owner.VisitorID}, strDest{&f.Owner.UserID},
			strDest{&f.ConversationID}, &f.CorrelationID, timeDest{&f.CreatedAt}, &has)
		f.PersonHasEmail = !has.Valid || has.Bool // a person who is somebody else is not shown, and has one
		f.UpdatedAt = f.CreatedAt
		index[f.ID] = len(out)
		ids = append(ids, f.ID)
		out = append(out, f)
		return err
	})
	return out, index, ids, err
}

// stepFacts adds what is known from the steps of requests.
func stepFacts(ctx context.Context, q queryer, out []RequestFacts, index map[string]int, ids []string) error {
	return queryIn(ctx, q, `SELECT s.request_id, s.state, s.updated_at, i.task_id FROM bellhop.steps s
		LEFT JOIN bellhop.incidents i ON i.id = s.incident_id WHERE s.request_id IN (?)`, ids, func(r *sql.Rows) error {
		var req, state, task string
		var at time.Time
		if err := r.Scan(&req, &state, timeDest{&at}, strDest{&task}); err != nil {
			return err
		}
		f := &out[index[req]]
		f.Steps[bellhop.StepState(state)]++
		f.HeldByTask = f.HeldByTask || (bellhop.StepState(state) == bellhop.StepParked && task != "")
		if at.After(f.UpdatedAt) {
			f.UpdatedAt = at
		}
		return nil
	})
}

func requestFacts(ctx context.Context, q queryer, out []RequestFacts, index map[string]int, ids []string) error {
	err := stepFacts(ctx, q, out, index, ids)
	if err != nil {
		return err
	}
	// A lead that somebody has to complete is a support request too.
	return queryIn(ctx, q, "SELECT "+supportColumns+" FROM bellhop.support_requests WHERE id IN (?)", ids, func(r *sql.Rows) error {
		s, err := scanSupport(r)
		if err != nil {
			return err
		}
		f := &out[index[s.ID]]
		f.Support = &s
		if s.UpdatedAt.After(f.UpdatedAt) {
			f.UpdatedAt = s.UpdatedAt
		}
		return nil
	})
}
