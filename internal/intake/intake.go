// Package intake is the write door: webhooks, chat turns, leads and support requests
// come in here and nowhere else. It verifies, validates and deduplicates, and answers
// only after the event and everything planned from it are committed.
package intake

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/store"
)

// MaxBody is the size of a body that is taken in, in bytes.
const MaxBody = 1 << 20

// MaxText is the length of a message, in characters.
const MaxText = 8000

// Opts configures an Intake.
type Opts struct {
	Acceptor *store.Acceptor
	Clock    bellhop.Clock
	// Verifiers are the connections that receive webhooks.
	Verifiers map[string]connector.Verifier
}

// Intake takes things in.
type Intake struct {
	acc       *store.Acceptor
	clock     bellhop.Clock
	verifiers map[string]connector.Verifier
}

// New makes the door.
func New(o Opts) *Intake {
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	return &Intake{acc: o.Acceptor, clock: o.Clock, verifiers: o.Verifiers}
}

// Webhook takes in one delivery of a connection. The signature is checked on the raw
// body before anything is parsed. A duplicate is no error.
func (in *Intake) Webhook(ctx context.Context, connection string, h http.Header, body []byte,
	correlationID string) (store.Accepted, error) {
	v := in.verifiers[connection]
	if v == nil {
		return store.Accepted{}, bellhop.Errorf(bellhop.CodeNotFound,
			"Check the webhook's URL at the provider against the connections in bellhop.yaml.",
			"There is no connection of this name that receives webhooks.")
	}
	if len(body) > MaxBody {
		return store.Accepted{}, tooLarge()
	}
	now := in.clock.Now()
	ev, err := v.Verify(connector.Delivery{Header: h, Body: body, ReceivedAt: now})
	if err != nil {
		return store.Accepted{}, err
	}
	return in.accept(ctx, FromInbound(connection, ev, body, correlationID, now))
}

// FromInbound makes the intake of a verified event; the sweep takes in what it listed
// by the same way.
func FromInbound(connection string, ev bellhop.Inbound, body []byte, correlationID string, now time.Time) store.Intake {
	at := ev.OccurredAt
	if at.IsZero() {
		at = now
	}
	return store.Intake{Event: bellhop.Event{ID: store.NewID(), Source: connection, ExternalID: ev.ExternalID, Kind: ev.Kind,
		CorrelationID: correlationID, Body: body, OccurredAt: at, ReceivedAt: now},
		VendorType: ev.VendorType, BodyHash: sha256.Sum256(body), Person: ev.Person, Payment: ev.Payment,
		Subscription: ev.Subscription}
}

// Turn is one message of a customer with what the assistant proposes.
type Turn struct {
	ConversationID string
	Owner          bellhop.Owner
	ClientID       string
	Text           string
	Reply          string
	// The ids of its event and of the reply's message: the event's first, since messages
	// are shown in the order of their ids. Empty ones are made.
	EventID, ReplyID string
	Decision         bellhop.Decision
	// Ask is set when a person is needed.
	Ask           *bellhop.SupportAsk
	CorrelationID string
}

// Messages are the messages of a turn that was taken in just now.
func (t Turn) Messages() []store.StoredMessage {
	d := t.Decision
	d.Confidence = fraction(d.Confidence)
	return []store.StoredMessage{
		{Message: bellhop.Message{ConversationID: t.ConversationID, ClientID: t.ClientID, Role: bellhop.RoleCustomer, Text: t.Text},
			CorrelationID: t.CorrelationID, Decision: &d},
		{Message: bellhop.Message{ID: t.ReplyID, ConversationID: t.ConversationID, Role: bellhop.RoleAssistant, Text: t.Reply},
			CorrelationID: t.CorrelationID},
	}
}

func fraction(x float64) float64 { return min(max(x, 0), 1) }

// Turn takes in a turn. The decision is a proposal: fields that cannot be what they
// claim are dropped, not stored.
func (in *Intake) Turn(ctx context.Context, t Turn) (store.Accepted, error) {
	if err := CheckMessage(t.Text); err != nil {
		return store.Accepted{}, err
	}
	if err := CheckClientID(t.ClientID); err != nil {
		return store.Accepted{}, err
	}
	t.Decision.Fields = cleanFields(t.Decision.Fields)
	t.Decision.Confidence = fraction(t.Decision.Confidence)
	if t.EventID == "" {
		t.EventID, t.ReplyID = store.NewID(), ""
	}
	now := in.clock.Now()
	return in.accept(ctx, store.Intake{
		Event: bellhop.Event{ID: t.EventID, Source: store.ChatSource(t.ConversationID), ExternalID: t.ClientID,
			Kind: bellhop.KindMessage, CorrelationID: t.CorrelationID, Body: []byte(t.Text), OccurredAt: now, ReceivedAt: now},
		ConversationID: t.ConversationID, BodyHash: sha256.Sum256([]byte(t.Text)), Owner: t.Owner,
		Chat: &store.ChatTurn{ClientID: t.ClientID, Text: t.Text, Reply: t.Reply, ReplyID: t.ReplyID,
			Decision: t.Decision, Ask: t.Ask},
	})
}

// APIRequest is what leads and support requests of the API share.
type APIRequest struct {
	// Caller scopes the idempotency key: two callers may use the same one.
	Caller         string
	IdempotencyKey string
	Owner          bellhop.Owner
	UserID         string // of the person it is about
	// Claimed is set when the e-mail in the body is only what the caller says of
	// themselves: not a server's word, and not in their access token.
	Claimed       bool
	Body          []byte // as received
	CorrelationID string
}

// Lead takes in a lead of the API.
func (in *Intake) Lead(ctx context.Context, r APIRequest, f bellhop.LeadFields) (store.Accepted, error) {
	it, err := in.lead(r, f)
	if err != nil {
		return store.Accepted{}, err
	}
	return in.acceptAPI(ctx, it)
}

func (in *Intake) lead(r APIRequest, f bellhop.LeadFields) (store.Intake, error) {
	if err := checkLead(f); err != nil {
		return store.Intake{}, err
	}
	f = cleanFields(f)
	it := in.fromAPI(r, bellhop.KindLeadCaptured, bellhop.PersonHint{Email: f.Email, Name: f.Name, Phone: f.Phone})
	it.Lead = &store.LeadAsk{Fields: f, Source: "api"}
	if it.Person.Email == "" && it.Person.UserID == "" {
		// A person known by nothing but a phone number still needs a lane.
		it.Person.CustomerRef = "phone:" + f.Phone
	}
	return it, nil
}

// Support is a support request of the API.
type Support struct {
	Subject, Body, Email, Name string
	Priority                   bellhop.Priority
}

// SupportRequest takes in a support request of the API.
func (in *Intake) SupportRequest(ctx context.Context, r APIRequest, s Support) (store.Accepted, error) {
	it, err := in.support(r, s)
	if err != nil {
		return store.Accepted{}, err
	}
	return in.acceptAPI(ctx, it)
}

func (in *Intake) support(r APIRequest, s Support) (store.Intake, error) {
	email, err := checkSupport(s, r.UserID)
	if err != nil {
		return store.Intake{}, err
	}
	it := in.fromAPI(r, bellhop.KindSupportRequested, bellhop.PersonHint{Email: email, Name: strings.TrimSpace(s.Name)})
	it.Support = &bellhop.SupportAsk{Reason: bellhop.ReasonRequested, Subject: strings.TrimSpace(s.Subject),
		Body: s.Body, Priority: s.Priority}
	return it, nil
}

func (in *Intake) fromAPI(r APIRequest, k bellhop.Kind, hint bellhop.PersonHint) store.Intake {
	now := in.clock.Now()
	hint.UserID, hint.Claimed = r.UserID, r.Claimed
	return store.Intake{Event: bellhop.Event{ID: store.NewID(), Source: "api:" + r.Caller + ":" + string(k),
		ExternalID: r.IdempotencyKey, Kind: k, CorrelationID: r.CorrelationID, Body: r.Body, OccurredAt: now, ReceivedAt: now},
		BodyHash: sha256.Sum256(r.Body), Owner: r.Owner, Person: hint}
}

func (in *Intake) acceptAPI(ctx context.Context, it store.Intake) (store.Accepted, error) {
	if err := checkIdempotencyKey(it.Event.ExternalID); err != nil {
		return store.Accepted{}, err
	}
	acc, err := in.accept(ctx, it)
	if err == nil && acc.Conflict {
		return acc, bellhop.Errorf(bellhop.CodeIdempotencyConflict,
			"Use a new Idempotency-Key for a new request, or send the same body again.",
			"This Idempotency-Key was used before with another body; nothing was stored.")
	}
	return acc, err
}

// accept commits; what cannot be stored is told as such, so that the sender tries again.
func (in *Intake) accept(ctx context.Context, it store.Intake) (store.Accepted, error) {
	acc, err := in.acc.Accept(ctx, it)
	if err != nil {
		why := strings.TrimSpace("It could not be stored just now. " + store.Outage(err))
		return acc, &bellhop.Error{Code: bellhop.CodeUnavailable, Message: why,
			NextStep: "Send the same request again in a few seconds; it will not be doubled.", Err: err}
	}
	return acc, nil
}

func tooLarge() error {
	return bellhop.Errorf(bellhop.CodeTooLarge, "Send at most 1 MiB.", "The body is larger than 1 MiB.")
}

// CheckMessage checks the text of a message.
func CheckMessage(text string) error { return checkText("text", text, MaxText, true) }

// CheckClientID checks a client's message id.
func CheckClientID(id string) error {
	if id == "" || len(id) > 200 || !printable(id) {
		return bellhop.Errorf(bellhop.CodeInvalid, "Send an id of your own, 1 to 200 printable characters; a UUID is good.",
			"The message's id is missing or cannot be used.")
	}
	return nil
}

func checkIdempotencyKey(k string) error {
	if k == "" || len(k) > 255 || !printable(k) {
		return bellhop.Errorf(bellhop.CodeInvalid,
			"Send the header Idempotency-Key with 1 to 255 printable characters; a UUID is good.",
			"The Idempotency-Key is missing or cannot be used.")
	}
	return nil
}

func printable(s string) bool {
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return false
		}
	}
	return true
}
