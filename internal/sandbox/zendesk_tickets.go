package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of Zendesk.
const (
	maxTicketBody = 65_535
	maxIdemKey    = 255
)

type zdTicketInput struct {
	Ticket *zdTicketFields `json:"ticket"`
}

type zdTicketFields struct {
	Subject      *string      `json:"subject"`
	Comment      *zdComment   `json:"comment"`
	Description  string       `json:"description"`
	Requester    *zdRequester `json:"requester"`
	RequesterID  int64        `json:"requester_id"`
	Priority     string       `json:"priority"`
	Status       string       `json:"status"`
	Type         string       `json:"type"`
	Tags         *[]string    `json:"tags"`
	ExternalID   *string      `json:"external_id"`
	CustomFields []struct {
		ID    int64 `json:"id"`
		Value any   `json:"value"`
	} `json:"custom_fields"`
}

type zdComment struct {
	Body     string `json:"body"`
	HTMLBody string `json:"html_body"`
	Public   *bool  `json:"public"`
}

// text is the comment as it is kept.
func (c *zdComment) text() string {
	if c == nil {
		return ""
	}
	if c.HTMLBody != "" {
		return c.HTMLBody
	}
	return c.Body
}

func (c *zdComment) public() bool { return c.Public == nil || *c.Public }

// createTicket honours Idempotency-Key: for 2 hours the same key and body give the
// first answer again, the same key with another body is refused, and a second request
// while the first is in progress gets 409. Only created tickets are remembered.
func (b *zendeskBackend) createTicket(r *request, agent string) answer {
	key := r.header.Get("Idempotency-Key")
	if key == "" {
		return b.newTicket(r, agent)
	}
	if len(key) > maxIdemKey {
		return zdError(http.StatusBadRequest, "IdempotentRequestError", "The idempotency key is longer than 255 characters")
	}
	now, digest := b.opts.Clock.Now(), sha256.Sum256(compactJSON(r.body))
	verdict, kept := b.idem.lookup(key, digest, now)
	switch verdict {
	case idemHit:
		return kept.with("X-Idempotency-Lookup", "hit")
	case idemMismatch:
		return zdError(http.StatusBadRequest, "IdempotentRequestError",
			"Request parameters don't match the given idempotency key")
	case idemBusy:
		return zdError(http.StatusConflict, "IdempotentRequestError",
			"A request with the given idempotency key is in progress")
	}
	a := b.newTicket(r, agent)
	if a.status == http.StatusCreated {
		b.idem.store(key, digest, now, r.busy, a)
	}
	return a.with("X-Idempotency-Lookup", "miss")
}

// compactJSON takes insignificant space away, so that the digest is of parameters.
func compactJSON(body []byte) []byte {
	var out bytes.Buffer
	if err := json.Compact(&out, body); err != nil {
		return body
	}
	return out.Bytes()
}

func (b *zendeskBackend) newTicket(r *request, agent string) answer {
	var in zdTicketInput
	if err := json.Unmarshal(r.body, &in); err != nil {
		return zdBadJSON()
	}
	if in.Ticket == nil {
		return zdError(http.StatusBadRequest, "InvalidValue", "Parameter ticket is required")
	}
	f := in.Ticket
	text := f.Comment.text()
	if text == "" {
		text = f.Description
	}
	if strings.TrimSpace(text) == "" {
		return *zdInvalid("base", "Description: cannot be blank", "BlankValue")
	}
	if bad := f.check(text); bad != nil {
		return *bad
	}
	user, bad := b.requester(f, agent)
	if bad != nil {
		return *bad
	}
	now := b.opts.Clock.Now()
	t := &zdTicket{requesterID: user.ID, updatedAt: now, Ticket: Ticket{ID: b.ids.number(), Body: text,
		Priority: f.Priority, Status: or(f.Status, "new"), Type: f.Type, RequesterEmail: user.Email,
		RequesterName: user.Name, IdempotencyKey: r.header.Get("Idempotency-Key"), CreatedAt: now,
		Comments: []Comment{{Body: text, Public: f.Comment == nil || f.Comment.public()}}}}
	if f.Subject != nil {
		t.Subject = *f.Subject
	}
	if f.ExternalID != nil && *f.ExternalID != "" {
		t.ExternalID = *f.ExternalID
		b.byExternal[t.ExternalID] = append(b.byExternal[t.ExternalID], t)
	}
	if f.Tags != nil {
		t.Tags = cleanTags(*f.Tags)
	}
	b.tickets[t.ID] = t
	b.order = append(b.order, t)
	return jsonAnswer(http.StatusCreated, map[string]any{"ticket": t.view(r), "audit": t.audit(b.ids.number())}).
		with("Location", t.url(r))
}

// check refuses values that Zendesk's lists do not have.
func (f *zdTicketFields) check(text string) *answer {
	switch {
	case len([]rune(text)) > maxTicketBody:
		return zdInvalid("base", "Description: is too long (maximum is 65535 characters)", "TooLong")
	case !oneOf(f.Priority, "urgent", "high", "normal", "low"):
		return zdInvalid("priority", "Priority: is not valid", "InvalidValue")
	case !oneOf(f.Status, "new", "open", "pending", "hold", "solved", "closed"):
		return zdInvalid("status", "Status: is not valid", "InvalidValue")
	case !oneOf(f.Type, "problem", "incident", "question", "task"):
		return zdInvalid("type", "Type: is not valid", "InvalidValue")
	}
	return nil
}

// oneOf: the empty value means that the field was not sent.
func oneOf(v string, list ...string) bool { return v == "" || slices.Contains(list, v) }

func or(v, def string) string {
	if v == "" {
		return def
	}
	return v
}

// cleanTags: lower case, a tag has no spaces, each tag once, sorted.
func cleanTags(tags []string) []string {
	out := []string{}
	for _, t := range tags {
		out = append(out, strings.Fields(strings.ToLower(t))...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// listTickets lists by external_id, immediately, or all; 100 a page.
func (b *zendeskBackend) listTickets(r *request) answer {
	list := b.order
	if ext, ok := r.query["external_id"]; ok {
		list = b.byExternal[ext[0]]
	}
	page := 1
	if p, err := strconv.Atoi(r.query.Get("page")); err == nil && p > 0 && p < 1<<20 {
		page = p
	}
	const perPage = 100
	from, to := min((page-1)*perPage, len(list)), min(page*perPage, len(list))
	views := make([]map[string]any, 0, to-from)
	for _, t := range list[from:to] {
		views = append(views, t.view(r))
	}
	body := map[string]any{"tickets": views, "count": len(list), "next_page": nil, "previous_page": nil}
	if to < len(list) {
		q := r.query
		q.Set("page", strconv.Itoa(page+1))
		body["next_page"] = r.root + "/api/v2/tickets.json?" + q.Encode()
	}
	return jsonAnswer(http.StatusOK, body)
}

func (b *zendeskBackend) updateTicket(r *request, t *zdTicket) answer {
	var in zdTicketInput
	if err := json.Unmarshal(r.body, &in); err != nil {
		return zdBadJSON()
	}
	if in.Ticket == nil {
		return zdError(http.StatusBadRequest, "InvalidValue", "Parameter ticket is required")
	}
	f := in.Ticket
	if t.Status == "closed" {
		return *zdInvalid("status", "Status: closed prevents ticket update", "InvalidValue")
	}
	if bad := f.check(f.Comment.text()); bad != nil {
		return *bad
	}
	now := b.opts.Clock.Now()
	if !t.takeUpdate(now, b.opts.ZendeskUpdateRate) {
		return b.failure(failRateLimited, 0).with("Retry-After", "60")
	}
	if f.Subject != nil {
		t.Subject = *f.Subject
	}
	t.Priority, t.Status, t.Type = or(f.Priority, t.Priority), or(f.Status, t.Status), or(f.Type, t.Type)
	if f.Tags != nil {
		t.Tags = cleanTags(*f.Tags)
	}
	if text := f.Comment.text(); text != "" {
		t.Comments = append(t.Comments, Comment{Body: text, Public: f.Comment.public()})
	}
	if f.ExternalID != nil && *f.ExternalID != t.ExternalID {
		b.moveExternal(t, *f.ExternalID)
	}
	t.Updates++
	t.updatedAt = now
	return jsonAnswer(http.StatusOK, map[string]any{"ticket": t.view(r), "audit": t.audit(b.ids.number())})
}

func (b *zendeskBackend) moveExternal(t *zdTicket, to string) {
	b.byExternal[t.ExternalID] = slices.DeleteFunc(b.byExternal[t.ExternalID], func(x *zdTicket) bool { return x == t })
	t.ExternalID = to
	if to != "" {
		b.byExternal[to] = append(b.byExternal[to], t)
	}
}

// takeUpdate counts an update against the limit per ticket; 0 means no limit.
func (t *zdTicket) takeUpdate(now time.Time, limit int) bool {
	if limit <= 0 {
		return true
	}
	t.updateTimes = slices.DeleteFunc(t.updateTimes, func(at time.Time) bool { return now.Sub(at) >= zendeskUpdateWindow })
	if len(t.updateTimes) >= limit {
		return false
	}
	t.updateTimes = append(t.updateTimes, now)
	return true
}

// changeTags: PUT adds, POST sets, DELETE removes, GET shows.
func (b *zendeskBackend) changeTags(r *request, t *zdTicket) answer {
	var in struct {
		Tags []string `json:"tags"`
	}
	if r.method != http.MethodGet {
		if err := json.Unmarshal(r.body, &in); err != nil {
			return zdBadJSON()
		}
		t.updatedAt = b.opts.Clock.Now()
	}
	status := http.StatusOK
	switch r.method {
	case http.MethodGet:
	case http.MethodPut:
		t.Tags = cleanTags(slices.Concat(t.Tags, in.Tags))
	case http.MethodPost:
		t.Tags, status = cleanTags(in.Tags), http.StatusCreated
	case http.MethodDelete:
		gone := cleanTags(in.Tags)
		t.Tags = slices.DeleteFunc(t.Tags, func(x string) bool { return slices.Contains(gone, x) })
	default:
		return zdNotFound()
	}
	return jsonAnswer(status, map[string]any{"tags": append([]string{}, t.Tags...)})
}

func (t *zdTicket) url(r *request) string {
	return r.root + "/api/v2/tickets/" + strconv.FormatInt(t.ID, 10) + ".json"
}

// view is a ticket as the API shows it.
func (t *zdTicket) view(r *request) map[string]any {
	return map[string]any{"id": t.ID, "url": t.url(r), "external_id": null(t.ExternalID), "subject": t.Subject,
		"raw_subject": t.Subject, "description": t.Body, "priority": null(t.Priority), "status": t.Status,
		"type": null(t.Type), "tags": append([]string{}, t.Tags...), "requester_id": t.requesterID,
		"submitter_id": t.requesterID, "assignee_id": nil, "created_at": zdTime(t.CreatedAt),
		"updated_at": zdTime(t.updatedAt), "is_public": len(t.Comments) > 0 && t.Comments[0].Public,
		"custom_fields": []any{}, "via": map[string]any{"channel": "api"}}
}

func (t *zdTicket) audit(id int64) map[string]any {
	return map[string]any{"id": id, "ticket_id": t.ID, "created_at": zdTime(t.updatedAt), "events": []any{}}
}

func (t *zdTicket) commentViews() []map[string]any {
	out := make([]map[string]any, 0, len(t.Comments))
	for i, c := range t.Comments {
		out = append(out, map[string]any{"id": t.ID*1000 + int64(i), "type": "Comment", "body": c.Body,
			"plain_body": c.Body, "public": c.Public, "author_id": t.requesterID})
	}
	return out
}

func zdTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// null makes JSON's null of an empty string.
func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}
