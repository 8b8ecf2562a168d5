package store

import (
	"context"
	"database/sql"
	"errors"

	"bellhop"
)

// Customer reads what belongs to one customer, a visitor or a signed-in user. Every query
// asks for the owner, on both databases. On Postgres what is read for a signed-in user is
// also read with that user's rights and no others: should a query forget to ask, row level
// security still does not show it what belongs to somebody else.
type Customer struct {
	db     *DB
	owner  bellhop.Owner
	claims []byte
}

// For returns who reads what is an owner's. claims are the verified claims of a signed-in
// user as JSON, see identity.Principal; a visitor has none.
func (db *DB) For(owner bellhop.Owner, claims []byte) Customer {
	return Customer{db: db, owner: owner, claims: claims}
}

// errNoClaims says that a user is to be read for and nothing proves who it is.
var errNoClaims = errors.New("a signed-in user's records are read with their verified claims only, and there are none")

// read runs fn with the rights of the customer.
func (c Customer) read(ctx context.Context, fn func(queryer) error) error {
	if c.owner.IsZero() {
		return notFound("record")
	}
	// dialect: SQLite has no roles; a visitor is nobody whom Postgres knows.
	if c.db.kind == SQLite || c.owner.UserID == "" {
		return fn(c.db)
	}
	if len(c.claims) == 0 {
		return errNoClaims
	}
	acts, err := c.db.actsForUsers(ctx)
	if err != nil {
		return err
	}
	if !acts {
		return fn(c.db)
	}
	return c.db.asUser(ctx, c.claims, fn)
}

// asUser runs fn in a read-only transaction that has the rights of a signed-in user and no
// more. It is the only place where a role is taken. Only local settings are made, because
// what is set for a session goes on to the next client behind a pooler; the role brings no
// timeouts of its own along, so they are set as well.
func (db *DB) asUser(ctx context.Context, claims []byte, fn func(queryer) error) error {
	tx, err := db.w.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	if _, err := tx.ExecContext(ctx, `SELECT set_config('role', 'authenticated', true),
		set_config('request.jwt.claims', $1::text, true), set_config('statement_timeout', '5s', true),
		set_config('lock_timeout', '2s', true), set_config('idle_in_transaction_session_timeout', '10s', true)`,
		string(claims)); err != nil {
		return err
	}
	if err := fn(&Tx{db: db, tx: tx, now: db.clock.Now()}); err != nil {
		return err
	}
	return tx.Commit()
}

// ownerColumn is the column that names the owner, with who it is.
func (c Customer) ownerColumn() (column, id string) {
	if c.owner.UserID != "" {
		return "user_id", c.owner.UserID
	}
	return "visitor_id", c.owner.VisitorID
}

// Conversation returns the customer's conversation; CodeNotFound for everybody else's.
func (c Customer) Conversation(ctx context.Context, id string) (out ConversationState, err error) {
	err = c.read(ctx, func(q queryer) error {
		out, err = c.conversation(ctx, q, id)
		return err
	})
	return out, err
}

func (c Customer) conversation(ctx context.Context, q queryer, id string) (ConversationState, error) {
	out, err := conversation(ctx, q, id)
	if err == nil && out.Owner != c.owner {
		return ConversationState{}, notFound("conversation")
	}
	return out, err
}

// Transcript returns the customer's conversation with its newest messages, oldest first,
// and its requests; CodeNotFound for everybody else's.
func (c Customer) Transcript(ctx context.Context, id string, limit int) (conv ConversationState, msgs []StoredMessage,
	reqs []RequestFacts, err error) {
	err = c.read(ctx, func(q queryer) error {
		if conv, err = c.conversation(ctx, q, id); err != nil {
			return err
		}
		if msgs, err = c.messages(ctx, q, id, limit); err != nil {
			return err
		}
		reqs, err = c.requestsOf(ctx, q, id)
		return err
	})
	return conv, msgs, reqs, err
}

// Messages returns the newest messages of the customer's conversation, oldest first.
func (c Customer) Messages(ctx context.Context, conversationID string, limit int) (out []StoredMessage, err error) {
	err = c.read(ctx, func(q queryer) error {
		out, err = c.messages(ctx, q, conversationID, limit)
		return err
	})
	return out, err
}

func (c Customer) messages(ctx context.Context, q queryer, conversationID string, limit int) ([]StoredMessage, error) {
	column, id := c.ownerColumn()
	return messages(ctx, q, "WHERE m.conversation_id = $1 AND "+ownConversation("m.conversation_id", column)+
		" ORDER BY m.id DESC LIMIT $3", conversationID, id, min(max(limit, 1), 1000))
}

// History returns what was said last in the customer's conversation, oldest first.
func (c Customer) History(ctx context.Context, conversationID string, limit int) (out []bellhop.Message, err error) {
	column, id := c.ownerColumn()
	err = c.read(ctx, func(q queryer) error {
		out, err = history(ctx, q, "conversation_id = $1 AND "+ownConversation("conversation_id", column)+
			" ORDER BY id DESC LIMIT $3", conversationID, id, limit)
		return err
	})
	return out, err
}

// ownConversation is the condition that a conversation, $1, is of the owner, $2.
func ownConversation(of, column string) string {
	return of + " IN (SELECT c.id FROM bellhop.conversations c WHERE c.id = $1 AND c." + column + " = $2)"
}

// Turn returns the messages that one event brought: the customer's and the reply.
func (c Customer) Turn(ctx context.Context, conversationID, eventID string) (out []StoredMessage, err error) {
	column, id := c.ownerColumn()
	err = c.read(ctx, func(q queryer) error {
		out, err = messages(ctx, q, "WHERE m.conversation_id = $1 AND "+ownConversation("m.conversation_id", column)+
			" AND m.event_id = $3 ORDER BY m.id DESC", conversationID, id, eventID)
		return err
	})
	return out, err
}

// TurnByClientID returns the turn of the customer's own message id. came is false when it
// never came; a turn that came and is empty was removed by retention.
func (c Customer) TurnByClientID(ctx context.Context, conversationID, clientID string) (turn []StoredMessage, came bool, err error) {
	event, err := c.db.turnEvent(ctx, conversationID, clientID)
	if err != nil || event == "" {
		return nil, false, err
	}
	turn, err = c.Turn(ctx, conversationID, event)
	return turn, true, err
}

// Request returns one request of the customer; CodeNotFound for everybody else's.
func (c Customer) Request(ctx context.Context, id string) (RequestFacts, error) {
	column, owner := c.ownerColumn()
	out, err := c.requests(ctx, "WHERE r.id = $1 AND r."+column+" = $2", id, owner)
	if err == nil && len(out) == 0 {
		err = notFound("request")
	}
	if err != nil {
		return RequestFacts{}, err
	}
	return out[0], nil
}

// Requests returns the customer's newest requests, newest first.
func (c Customer) Requests(ctx context.Context, limit int) ([]RequestFacts, error) {
	if c.owner.IsZero() {
		return nil, nil
	}
	column, owner := c.ownerColumn()
	return c.requests(ctx, "WHERE r."+column+" = $1 ORDER BY r.id DESC LIMIT $2", owner, limit)
}

// RequestsByConversation returns the requests of the customer's conversation, oldest first.
func (c Customer) RequestsByConversation(ctx context.Context, conversationID string) (out []RequestFacts, err error) {
	err = c.read(ctx, func(q queryer) error {
		out, err = c.requestsOf(ctx, q, conversationID)
		return err
	})
	return out, err
}

func (c Customer) requestsOf(ctx context.Context, q queryer, conversationID string) ([]RequestFacts, error) {
	column, id := c.ownerColumn()
	return customerRequests(ctx, q, "WHERE r.conversation_id = $1 AND "+ownConversation("r.conversation_id", column)+
		" ORDER BY r.id", conversationID, id)
}

// RequestsByEvent returns the customer's requests that one event made.
func (c Customer) RequestsByEvent(ctx context.Context, eventID string) ([]RequestFacts, error) {
	column, owner := c.ownerColumn()
	return c.requests(ctx, "WHERE r.event_id = $1 AND r."+column+" = $2 ORDER BY r.id", eventID, owner)
}

func (c Customer) requests(ctx context.Context, where string, args ...any) (out []RequestFacts, err error) {
	err = c.read(ctx, func(q queryer) error {
		out, err = customerRequests(ctx, q, where, args...)
		return err
	})
	return out, err
}

// customerRequests reads requests with what their state for the customer is derived from:
// of a support request its status, never what people write for each other.
func customerRequests(ctx context.Context, q queryer, where string, args ...any) ([]RequestFacts, error) {
	out, index, ids, err := requestRows(ctx, q, where, args)
	if err != nil || len(out) == 0 {
		return out, err
	}
	if err := stepFacts(ctx, q, out, index, ids); err != nil {
		return nil, err
	}
	return out, queryIn(ctx, q, "SELECT id, status, updated_at FROM bellhop.support_requests WHERE id IN (?)", ids,
		func(r *sql.Rows) error {
			s := &bellhop.SupportRequest{}
			if err := r.Scan(&s.ID, &s.Status, timeDest{&s.UpdatedAt}); err != nil {
				return err
			}
			f := &out[index[s.ID]]
			f.Support = s
			if s.UpdatedAt.After(f.UpdatedAt) {
				f.UpdatedAt = s.UpdatedAt
			}
			return nil
		})
}
