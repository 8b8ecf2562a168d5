package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"

	"bellhop"
)

// CreateConversation stores a new conversation.
func (db *DB) CreateConversation(ctx context.Context, owner bellhop.Owner) (bellhop.Conversation, error) {
	c := bellhop.Conversation{ID: NewID(), Owner: owner, Status: bellhop.ConversationOpen}
	err := db.tx(ctx, func(t *Tx) error {
		c.CreatedAt = t.now
		_, err := t.exec(ctx, `INSERT INTO bellhop.conversations (id, visitor_id, user_id, status, created_at, updated_at)
			VALUES ($1, $2, $3, 'open', $4, $4)`, c.ID, nul(owner.VisitorID), nul(owner.UserID), t.now)
		return err
	})
	return c, err
}

// ConversationState is a conversation with what it has told so far.
type ConversationState struct {
	bellhop.Conversation
	Fields bellhop.LeadFields
	IsLead bool
}

// Conversation returns a conversation of its owner; CodeNotFound for everybody else's.
func (db *DB) Conversation(ctx context.Context, id string, owner bellhop.Owner) (ConversationState, error) {
	c, err := conversation(ctx, db, id)
	if err == nil && (owner.IsZero() || c.Owner != owner) {
		return ConversationState{}, notFound("conversation")
	}
	return c, err
}

// ClaimVisitor gives the conversations and requests of a visitor to a user, and returns how
// many conversations there were. Each passes once: it has a visitor or a user, and what has
// a user is never looked at. The caller has checked that both are the asker.
func (db *DB) ClaimVisitor(ctx context.Context, visitorID, userID string) (int64, error) {
	if visitorID == "" || userID == "" {
		return 0, nil
	}
	// Most calls find nothing any more: they cost a look, not a transaction that writes.
	has, err := exists(ctx, db, `SELECT 1 FROM bellhop.conversations WHERE visitor_id = $1
		UNION ALL SELECT 1 FROM bellhop.requests WHERE visitor_id = $1 LIMIT 1`, visitorID)
	if err != nil || !has {
		return 0, err
	}
	var n int64
	err = db.tx(ctx, func(t *Tx) error {
		n, err = t.exec(ctx, "UPDATE bellhop.conversations SET user_id = $2, visitor_id = NULL WHERE visitor_id = $1", visitorID, userID)
		if err != nil {
			return err
		}
		_, err = t.exec(ctx, "UPDATE bellhop.requests SET user_id = $2, visitor_id = NULL WHERE visitor_id = $1", visitorID, userID)
		return err
	})
	return n, err
}

// ConversationForOperator returns any conversation.
func (db *DB) ConversationForOperator(ctx context.Context, id string) (ConversationState, error) {
	return conversation(ctx, db, id)
}

func conversation(ctx context.Context, q queryer, id string) (ConversationState, error) {
	var c ConversationState
	var fields []byte
	err := q.queryRow(ctx, `SELECT id, visitor_id, user_id, person_id, status, fields, is_lead, created_at
		FROM bellhop.conversations WHERE id = $1`, id).Scan(&c.ID, strDest{&c.Owner.VisitorID}, strDest{&c.Owner.UserID},
		strDest{&c.PersonID}, &c.Status, &fields, &c.IsLead, timeDest{&c.CreatedAt})
	if errIsNoRows(err) {
		return c, notFound("conversation")
	}
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(fields, &c.Fields)
}

// StoredMessage is a message with the event that brought it and, for a customer's, the
// decision.
type StoredMessage struct {
	bellhop.Message
	EventID       string
	CorrelationID string
	Decision      *bellhop.Decision
}

// Messages returns the newest messages of a conversation, oldest first.
func (db *DB) Messages(ctx context.Context, conversationID string, limit int) ([]StoredMessage, error) {
	return messages(ctx, db, `WHERE m.conversation_id = $1 ORDER BY m.id DESC LIMIT $2`, conversationID, min(max(limit, 1), 1000))
}

// Turn returns the messages that one event brought: the customer's and the reply.
func (db *DB) Turn(ctx context.Context, conversationID, eventID string) ([]StoredMessage, error) {
	return messages(ctx, db, "WHERE m.conversation_id = $1 AND m.event_id = $2 ORDER BY m.id DESC", conversationID, eventID)
}

// TurnByClientID returns the turn of a client's message id. came is false when it never
// came; a turn that came and is empty was removed by retention.
func (db *DB) TurnByClientID(ctx context.Context, conversationID, clientID string) (turn []StoredMessage, came bool, err error) {
	event, err := db.turnEvent(ctx, conversationID, clientID)
	if err != nil || event == "" {
		return nil, false, err
	}
	turn, err = db.Turn(ctx, conversationID, event)
	return turn, true, err
}

// turnEvent returns the event of a client's message id, "" when it never came.
func (db *DB) turnEvent(ctx context.Context, conversationID, clientID string) (event string, err error) {
	d := digest(ChatSource(conversationID), clientID)
	err = db.queryRow(ctx, "SELECT event_id FROM bellhop.event_keys WHERE digest = $1", d[:]).Scan(&event)
	if errIsNoRows(err) {
		err = nil
	}
	return event, err
}

// ChatSource is the source of a conversation's events: a client's message id is unique
// within its conversation.
func ChatSource(conversationID string) string { return "chat:" + conversationID }

func messages(ctx context.Context, q queryer, where string, args ...any) ([]StoredMessage, error) {
	rows, err := q.query(ctx, `SELECT m.id, m.conversation_id, m.event_id, m.client_id, m.role, m.text, m.decision,
		m.created_at, e.correlation_id FROM bellhop.messages m LEFT JOIN bellhop.events e ON e.id = m.event_id `+where, args...)
	if err != nil {
		return nil, err
	}
	var out []StoredMessage
	err = each(rows, func(r *sql.Rows) error {
		var m StoredMessage
		var decision []byte
		if err := r.Scan(&m.ID, &m.ConversationID, strDest{&m.EventID}, &m.ClientID, &m.Role, &m.Text, &decision,
			timeDest{&m.CreatedAt}, strDest{&m.CorrelationID}); err != nil {
			return err
		}
		if len(decision) > 0 {
			m.Decision = &bellhop.Decision{}
			if err := json.Unmarshal(decision, m.Decision); err != nil {
				return err
			}
		}
		out = append(out, m)
		return nil
	})
	slices.Reverse(out)
	return out, err
}

// history returns what was said, of the newest first that where finds, in the order of time.
func history(ctx context.Context, q queryer, where string, args ...any) ([]bellhop.Message, error) {
	rows, err := q.query(ctx, "SELECT id, conversation_id, client_id, role, text, created_at FROM bellhop.messages WHERE "+where, args...)
	if err != nil {
		return nil, err
	}
	var out []bellhop.Message
	err = each(rows, func(r *sql.Rows) error {
		var m bellhop.Message
		err := r.Scan(&m.ID, &m.ConversationID, &m.ClientID, &m.Role, &m.Text, timeDest{&m.CreatedAt})
		out = append(out, m)
		return err
	})
	slices.Reverse(out)
	return out, err
}
