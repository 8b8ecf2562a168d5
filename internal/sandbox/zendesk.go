package sandbox

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"bellhop"
)

// zendeskKeyLife is how long Zendesk keeps an idempotency key.
const zendeskKeyLife = 2 * time.Hour

// zendeskUpdateWindow is the window of Options.ZendeskUpdateRate.
const zendeskUpdateWindow = 10 * time.Minute

// zendeskBackend is Zendesk's Support API as far as tickets and users go
// (vendors.md, section 5.1).
type zendeskBackend struct {
	opts Options
	ids  *ids

	mu         sync.Mutex
	tickets    map[int64]*zdTicket
	order      []*zdTicket
	byExternal map[string][]*zdTicket // not unique
	users      []*User
	byUserID   map[int64]*User
	byEmail    map[string]*User
	byUserExt  map[string]*User
	idem       *idemStore
}

type zdTicket struct {
	Ticket
	requesterID int64
	updatedAt   time.Time
	updateTimes []time.Time // within the update window
}

func newZendesk(opts Options, ids *ids) *zendeskBackend {
	b := &zendeskBackend{opts: opts, ids: ids}
	b.reset()
	return b
}

func (b *zendeskBackend) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tickets, b.byExternal, b.order = map[int64]*zdTicket{}, map[string][]*zdTicket{}, nil
	b.users, b.byUserID, b.byEmail, b.byUserExt = nil, map[int64]*User{}, map[string]*User{}, map[string]*User{}
	b.idem = newIdemStore(zendeskKeyLife)
}

func (b *zendeskBackend) snapshot(s *Snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.Tickets, s.Users = make([]Ticket, 0, len(b.order)), make([]User, 0, len(b.users))
	for _, t := range b.order {
		c := t.Ticket
		c.Tags, c.Comments = append([]string{}, t.Tags...), append([]Comment{}, t.Comments...)
		s.Tickets = append(s.Tickets, c)
	}
	for _, u := range b.users {
		s.Users = append(s.Users, *u)
	}
}

func (b *zendeskBackend) count(c *Counts) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.Tickets, c.Users = len(b.order), len(b.users)
}

// zdDetail is one reason in the details of a RecordInvalid.
type zdDetail struct {
	Description string `json:"description"`
	Error       string `json:"error"`
}

// zdInvalid is a 422 that names the field.
func zdInvalid(field, description, code string) *answer {
	a := jsonAnswer(http.StatusUnprocessableEntity, map[string]any{"error": "RecordInvalid",
		"description": "Record validation errors",
		"details":     map[string][]zdDetail{field: {{Description: description, Error: code}}}})
	return &a
}

func zdError(status int, code, description string) answer {
	return jsonAnswer(status, map[string]string{"error": code, "description": description})
}

func zdNotFound() answer { return zdError(http.StatusNotFound, "RecordNotFound", "Not found") }

func zdBadJSON() answer {
	return zdError(http.StatusUnprocessableEntity, "Unprocessable Entity", "Server could not parse JSON")
}

func (b *zendeskBackend) failure(kind failureKind, status int) answer {
	switch kind {
	case failRateLimited, failDailyQuota:
		return zdError(http.StatusTooManyRequests, "APIRateLimitExceeded",
			"Number of allowed API requests per minute exceeded")
	case failUnauthorized:
		return jsonAnswer(http.StatusUnauthorized, map[string]string{"error": "Couldn't authenticate you"})
	case failLiveKey:
		return jsonAnswer(http.StatusUnauthorized, map[string]string{"error": "Couldn't authenticate you",
			"description": liveKeyMessage})
	case failTooLarge:
		return zdError(status, "RequestEntityTooLarge", "The request is too large")
	case failServer:
		if status == http.StatusServiceUnavailable {
			return zdError(status, "ServiceUnavailable", "Service temporarily unavailable")
		}
	}
	return zdError(status, "InternalError", "Internal error")
}

// zendeskAgent returns the e-mail of whoever asks; ok is false for any credential but
// the sandbox's own: "Bearer <Token>" or Basic "{email}/token:<Token>".
func zendeskAgent(r *request) (email string, ok bool) {
	auth := r.header.Get("Authorization")
	if auth == "Bearer "+Token {
		return "agent@sandbox.example", true
	}
	rest, ok := strings.CutPrefix(auth, "Basic ")
	if !ok {
		return "", false
	}
	raw, err := base64.StdEncoding.DecodeString(rest)
	if err != nil {
		return "", false
	}
	email, ok = strings.CutSuffix(string(raw), "/token:"+Token)
	if !ok {
		return "", false
	}
	return bellhop.NormalizeEmail(email)
}

func (b *zendeskBackend) serve(r *request) answer {
	agent, ok := zendeskAgent(r)
	if !ok {
		return b.failure(failUnauthorized, 0)
	}
	if len(r.segs) < 3 || r.segs[0] != "api" || r.segs[1] != "v2" {
		return jsonAnswer(http.StatusNotFound, map[string]any{"error": map[string]string{"title": "Invalid endpoint",
			"message": "Not found"}})
	}
	segs := append([]string{}, r.segs[2:]...)
	segs[len(segs)-1] = strings.TrimSuffix(segs[len(segs)-1], ".json")
	b.mu.Lock()
	defer b.mu.Unlock()
	var a answer
	switch segs[0] {
	case "tickets":
		a = b.routeTickets(r, segs[1:], agent)
	case "users":
		a = b.routeUsers(r, segs[1:], agent)
	default:
		a = zdNotFound()
	}
	return a.with("X-Zendesk-Request-Id", b.ids.uuid())
}

func (b *zendeskBackend) routeTickets(r *request, segs []string, agent string) answer {
	if len(segs) == 0 {
		switch r.method {
		case http.MethodPost:
			return b.createTicket(r, agent)
		case http.MethodGet:
			return b.listTickets(r)
		}
		return zdNotFound()
	}
	id, err := strconv.ParseInt(segs[0], 10, 64)
	t, ok := b.tickets[id]
	if err != nil || !ok {
		return zdNotFound()
	}
	switch {
	case len(segs) == 1 && r.method == http.MethodGet:
		return jsonAnswer(http.StatusOK, map[string]any{"ticket": t.view(r)})
	case len(segs) == 1 && r.method == http.MethodPut:
		return b.updateTicket(r, t)
	case len(segs) == 2 && segs[1] == "tags":
		return b.changeTags(r, t)
	case len(segs) == 2 && segs[1] == "comments" && r.method == http.MethodGet:
		return jsonAnswer(http.StatusOK, map[string]any{"comments": t.commentViews(), "count": len(t.Comments),
			"next_page": nil, "previous_page": nil})
	default:
		return zdNotFound()
	}
}
