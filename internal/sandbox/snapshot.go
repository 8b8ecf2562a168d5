package sandbox

import (
	"context"
	"encoding/json"
	"sync"
	"time"
)

// Snapshot is what the vendors really hold, in the order in which it came to be. It
// is a deep copy; each vendor's part is consistent in itself.
type Snapshot struct {
	// Version grows with every change; see Client.Wait.
	Version  uint64    `json:"version"`
	Contacts []Contact `json:"contacts"`
	Notes    []Note    `json:"notes"`
	// ErasedContacts are the ids of the contacts that HubSpot deleted for good.
	ErasedContacts []string         `json:"erased_contacts"`
	Tickets        []Ticket         `json:"tickets"`
	Users          []User           `json:"users"`
	Messages       []SlackMessage   `json:"messages"`
	Webhooks       []WebhookMessage `json:"webhooks"`
	Stripe         StripeSnapshot   `json:"stripe"`
	Requests       map[Vendor]int   `json:"requests"`
}

// Contact is a contact at HubSpot.
type Contact struct {
	ID         string            `json:"id"`
	Properties map[string]string `json:"properties"`
	CreatedAt  time.Time         `json:"created_at"`
	Writes     int               `json:"writes"` // creations and updates, repeated ones included
}

// Note is a note at HubSpot.
type Note struct {
	ID         string            `json:"id"`
	ContactID  string            `json:"contact_id"` // the first associated contact, "" for none
	Body       string            `json:"body"`
	Properties map[string]string `json:"properties"`
	CreatedAt  time.Time         `json:"created_at"`
}

// Ticket is a ticket at Zendesk.
type Ticket struct {
	ID             int64     `json:"id"`
	Subject        string    `json:"subject"`
	Body           string    `json:"body"` // the first comment
	Priority       string    `json:"priority"`
	Status         string    `json:"status"`
	Type           string    `json:"type"`
	Tags           []string  `json:"tags"`
	ExternalID     string    `json:"external_id"`
	RequesterEmail string    `json:"requester_email"`
	RequesterName  string    `json:"requester_name"`
	IdempotencyKey string    `json:"idempotency_key"`
	Comments       []Comment `json:"comments"` // all, the first one included
	Updates        int       `json:"updates"`
	CreatedAt      time.Time `json:"created_at"`
}

// Comment is a comment on a Zendesk ticket.
type Comment struct {
	Body   string `json:"body"`
	Public bool   `json:"public"`
}

// User is a user at Zendesk.
type User struct {
	ID         int64  `json:"id"`
	Name       string `json:"name"`
	Email      string `json:"email"`
	ExternalID string `json:"external_id"`
	Writes     int    `json:"writes"`
}

// SlackMessage is a message that was posted to the Slack webhook.
type SlackMessage struct {
	Text   string          `json:"text"`
	Blocks json.RawMessage `json:"blocks,omitempty"`
}

// WebhookMessage is an event at the generic receiver, one per webhook-id.
type WebhookMessage struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Body     []byte `json:"body"` // of the first delivery; base64 in JSON
	Verified bool   `json:"verified"`
	// Deliveries counts how often the id came, 1 for once.
	Deliveries int `json:"deliveries"`
	// Conflicts counts later deliveries of the id with another body.
	Conflicts int `json:"conflicts"`
}

// StripeSnapshot is what the Stripe fake holds.
type StripeSnapshot struct {
	Customers     int         `json:"customers"`
	Charges       int         `json:"charges"`
	Refunds       int         `json:"refunds"`
	Subscriptions int         `json:"subscriptions"`
	Events        []EventInfo `json:"events"` // oldest first
}

// EventInfo says how a Stripe event fared.
type EventInfo struct {
	ID         string    `json:"id"`
	Type       string    `json:"type"`
	Object     string    `json:"object"`
	Created    time.Time `json:"created"`
	Deliveries int       `json:"deliveries"` // tries
	Delivered  bool      `json:"delivered"`  // one of them was answered 2xx
}

// Snapshot returns a deep copy of what each vendor really holds.
func (s *Server) Snapshot() Snapshot {
	snap := Snapshot{Version: s.changes.current(), Requests: s.calls.requests()}
	for _, b := range s.backends {
		b.snapshot(&snap)
	}
	return snap
}

// Counts is how much the vendors hold. It is cheap, however much that is: wait on it
// rather than on a Snapshot under load.
type Counts struct {
	Version   uint64         `json:"version"` // as in Snapshot
	Contacts  int            `json:"contacts"`
	Notes     int            `json:"notes"`
	Tickets   int            `json:"tickets"`
	Users     int            `json:"users"`
	Messages  int            `json:"messages"`
	Webhooks  int            `json:"webhooks"`
	Customers int            `json:"customers"` // at Stripe, as the next two
	Charges   int            `json:"charges"`
	Events    int            `json:"events"`
	Requests  map[Vendor]int `json:"requests"`
}

// Counts returns how much each vendor holds.
func (s *Server) Counts() Counts {
	c := Counts{Version: s.changes.current(), Requests: s.calls.requests()}
	for _, b := range s.backends {
		b.count(&c)
	}
	return c
}

// Wait returns when cond holds for the vendors' state. It wakes on every change.
func (s *Server) Wait(ctx context.Context, cond func(Snapshot) bool) error {
	return s.wait(ctx, func() bool { return cond(s.Snapshot()) })
}

// WaitCounts is Wait for counts alone.
func (s *Server) WaitCounts(ctx context.Context, cond func(Counts) bool) error {
	return s.wait(ctx, func() bool { return cond(s.Counts()) })
}

func (s *Server) wait(ctx context.Context, cond func() bool) error {
	for {
		_, changed := s.changes.watch() // before cond, so that no change falls between
		if cond() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// changes counts changes and wakes whoever watches.
type changes struct {
	mu      sync.Mutex
	version uint64
	ch      chan struct{} // nil while nobody watches
}

func (c *changes) bump() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version++
	if c.ch != nil {
		close(c.ch)
		c.ch = nil
	}
}

func (c *changes) current() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version
}

// watch returns the current version and a channel that is closed at the next change.
func (c *changes) watch() (uint64, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ch == nil {
		c.ch = make(chan struct{})
	}
	return c.version, c.ch
}
