package sandbox

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func ticketBody(subject string) string {
	return fmt.Sprintf(`{"ticket":{"subject":%q,"comment":{"body":"please help"},"requester":{"name":"Ada","email":"ada@example.com"},"priority":"high","tags":["bellhop"],"external_id":"bh-1"}}`, subject)
}

const ticketsPath = "/api/v2/tickets.json"

func TestZendeskCreateTicket(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("ops@example.com/token:"+Token))
	r := f.want(f.vendor(Zendesk, "POST", ticketsPath, ticketBody("Refund"), "Authorization", basic), 201)
	f.contains(r, `"status":"new"`, `"priority":"high"`, `"external_id":"bh-1"`)
	s := f.s.Snapshot()
	if len(s.Tickets) != 1 {
		t.Fatalf("%d tickets", len(s.Tickets))
	}
	tk := s.Tickets[0]
	if tk.Subject != "Refund" || tk.Body != "please help" || tk.RequesterEmail != "ada@example.com" || tk.RequesterName != "Ada" ||
		tk.ExternalID != "bh-1" || len(tk.Tags) != 1 || tk.IdempotencyKey != "" {
		t.Errorf("ticket: %+v", tk)
	}
	if loc := r.header.Get("Location"); loc != fmt.Sprintf("%s/zendesk/api/v2/tickets/%d.json", f.root, tk.ID) {
		t.Errorf("Location %q", loc)
	}
	if h := r.header.Get("X-Idempotency-Lookup"); h != "" {
		t.Errorf("a lookup header without a key: %q", h)
	}
	f.contains(f.want(f.vendor(Zendesk, "GET", fmt.Sprintf("/api/v2/tickets/%d.json", tk.ID), ""), 200), "Refund")
	f.contains(f.want(f.vendor(Zendesk, "GET", fmt.Sprintf("/api/v2/tickets/%d/comments.json", tk.ID), ""), 200), "please help")
}

// TestZendeskIdempotencyKey: miss, hit, another body, and expiry after 2 hours of the
// injected clock.
func TestZendeskIdempotencyKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	post := func(body string) reply {
		return f.vendor(Zendesk, "POST", ticketsPath, body, "Idempotency-Key", "bh-key")
	}
	first := f.want(post(ticketBody("a")), 201)
	if first.header.Get("X-Idempotency-Lookup") != "miss" {
		t.Errorf("first: %v", first.header)
	}
	f.clock.advance(2*time.Hour - time.Second)
	second := f.want(post(" "+ticketBody("a")), 201) // space means nothing
	if second.header.Get("X-Idempotency-Lookup") != "hit" || string(second.body) != string(first.body) ||
		second.header.Get("Location") != first.header.Get("Location") {
		t.Errorf("second: %v %s", second.header, second.body)
	}
	f.contains(f.want(post(ticketBody("b")), 400), `"error":"IdempotentRequestError"`,
		"Request parameters don't match the given idempotency key")
	if n := len(f.s.Snapshot().Tickets); n != 1 {
		t.Fatalf("%d tickets, want 1", n)
	}
	f.clock.advance(time.Second)
	if h := f.want(post(ticketBody("a")), 201).header.Get("X-Idempotency-Lookup"); h != "miss" {
		t.Errorf("after 2 h: %q", h)
	}
	s := f.s.Snapshot()
	if len(s.Tickets) != 2 || s.Tickets[1].IdempotencyKey != "bh-key" {
		t.Errorf("%d tickets, want 2: the key has expired", len(s.Tickets))
	}
	f.contains(f.want(f.vendor(Zendesk, "GET", ticketsPath+"?external_id=bh-1", ""), 200), `"count":2`) // not unique
}

func TestZendeskKeyIsForCreationOnlyAndOfValidTickets(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.want(f.vendor(Zendesk, "POST", ticketsPath, `{"ticket":{"subject":"x"}}`, "Idempotency-Key", "k"), 422)
	f.want(f.vendor(Zendesk, "POST", ticketsPath, ticketBody("a"), "Idempotency-Key", "k"), 201)
	f.want(f.vendor(Zendesk, "POST", ticketsPath, ticketBody("a"), "Idempotency-Key", strings.Repeat("k", 256)), 400)
	f.want(f.vendor(Zendesk, "POST", ticketsPath, ticketBody("a"), "Idempotency-Key", strings.Repeat("k", 255)), 201)
	id := f.s.Snapshot().Tickets[0].ID
	for range 2 {
		f.want(f.vendor(Zendesk, "PUT", fmt.Sprintf("/api/v2/tickets/%d.json", id), `{"ticket":{"comment":{"body":"more"}}}`, "Idempotency-Key", "u"), 200)
	}
	if n := len(f.s.Snapshot().Tickets[0].Comments); n != 3 {
		t.Errorf("%d comments, want 3: updates have no key", n)
	}
}

func TestZendeskConcurrentKeyIs409(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.s.SetFaults(Zendesk, Fault{Mode: FaultSlow, Count: 1, Delay: time.Hour})
	first := make(chan reply, 1)
	go func() { first <- f.vendor(Zendesk, "POST", ticketsPath, ticketBody("a"), "Idempotency-Key", "k") }()
	if err := f.s.Wait(t.Context(), func(s Snapshot) bool { return len(s.Tickets) == 1 }); err != nil {
		t.Fatal(err)
	}
	f.want(f.vendor(Zendesk, "POST", ticketsPath, ticketBody("a"), "Idempotency-Key", "k"), 409)
	f.s.ClearFaults(Zendesk)
	f.want(<-first, 201)
	r := f.want(f.vendor(Zendesk, "POST", ticketsPath, ticketBody("a"), "Idempotency-Key", "k"), 201)
	if r.header.Get("X-Idempotency-Lookup") != "hit" {
		t.Errorf("after the first was answered: %v", r.header)
	}
}

func TestZendeskResetAfterThenSameKeyIsOneTicket(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.s.SetFaults(Zendesk, Fault{Mode: FaultResetAfter, Count: 1})
	if r := f.vendor(Zendesk, "POST", ticketsPath, ticketBody("a"), "Idempotency-Key", "k"); r.err == nil {
		t.Fatalf("answered %d", r.status)
	}
	f.want(f.vendor(Zendesk, "POST", ticketsPath, ticketBody("a"), "Idempotency-Key", "k"), 201)
	if n := len(f.s.Snapshot().Tickets); n != 1 {
		t.Errorf("%d tickets", n)
	}
}

func TestZendeskRefusals(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	for name, c := range map[string]struct {
		body, part string
		status     int
	}{
		"blank":         {`{"ticket":{"subject":"x","comment":{"body":" "}}}`, `"error":"BlankValue"`, 422},
		"priority":      {`{"ticket":{"comment":{"body":"x"},"priority":"asap"}}`, `"priority":[`, 422},
		"status":        {`{"ticket":{"comment":{"body":"x"},"status":"gone"}}`, `"status":[`, 422},
		"type":          {`{"ticket":{"comment":{"body":"x"},"type":"poem"}}`, `"type":[`, 422},
		"email":         {`{"ticket":{"comment":{"body":"x"},"requester":{"name":"A","email":"nope"}}}`, "not properly formatted", 422},
		"no name":       {`{"ticket":{"comment":{"body":"x"},"requester":{"email":"new@example.com"}}}`, "Requester Name", 422},
		"too long":      {`{"ticket":{"comment":{"body":"` + strings.Repeat("x", maxTicketBody+1) + `"}}}`, "too long", 422},
		"requester id":  {`{"ticket":{"comment":{"body":"x"},"requester_id":5}}`, "Requester", 422},
		"no ticket":     {`{}`, "ticket is required", 400},
		"no JSON":       {`{"ticket":`, "parse JSON", 422},
		"no requester":  {`{"ticket":{"comment":{"body":"x"}}}`, `"ticket"`, 201},
		"no email":      {`{"ticket":{"comment":{"body":"x"},"requester":{"name":"Anon"}}}`, `"ticket"`, 201},
		"html":          {`{"ticket":{"comment":{"html_body":"<b>x</b>"}}}`, `"ticket"`, 201},
		"custom fields": {`{"ticket":{"comment":{"body":"x"},"custom_fields":[{"id":1,"value":"v"}]}}`, `"ticket"`, 201},
	} {
		r := f.vendor(Zendesk, "POST", ticketsPath, c.body)
		if r.status != c.status || !strings.Contains(string(r.body), c.part) {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
		if r.status == 422 && name != "no JSON" {
			f.contains(r, `"error":"RecordInvalid"`, `"details":{`, `"description":"Record validation errors"`)
		}
	}
	f.contains(f.want(f.vendor(Zendesk, "GET", "/api/v2/tickets/1.json", ""), 404), `"error":"RecordNotFound"`)
	f.want(f.vendor(Zendesk, "GET", "/api/v2/nonsense.json", ""), 404)
	f.want(f.vendor(Zendesk, "GET", "/nonsense", ""), 404)
}

func TestZendeskUpdateAndTags(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{ZendeskUpdateRate: 2})
	f.want(f.vendor(Zendesk, "POST", ticketsPath, ticketBody("a")), 201)
	path := fmt.Sprintf("/api/v2/tickets/%d", f.s.Snapshot().Tickets[0].ID)
	f.want(f.vendor(Zendesk, "PUT", path+"/tags.json", `{"tags":["VIP","bellhop"]}`), 200)
	f.contains(f.want(f.vendor(Zendesk, "GET", path+"/tags.json", ""), 200), `["bellhop","vip"]`)
	f.want(f.vendor(Zendesk, "POST", path+"/tags.json", `{"tags":["only"]}`), 201)
	f.want(f.vendor(Zendesk, "PUT", path+".json", `{"ticket":{"status":"solved","comment":{"body":"Done","public":false}}}`), 200)
	tk := f.s.Snapshot().Tickets[0]
	if tk.Status != "solved" || len(tk.Comments) != 2 || tk.Comments[1].Public || tk.Updates != 1 || strings.Join(tk.Tags, ",") != "only" {
		t.Errorf("ticket: %+v", tk)
	}
	f.want(f.vendor(Zendesk, "PUT", path+".json", `{"ticket":{"tags":["x"],"external_id":"bh-2"}}`), 200)
	r := f.want(f.vendor(Zendesk, "PUT", path+".json", `{"ticket":{"status":"closed"}}`), 429)
	if r.header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	f.clock.advance(10 * time.Minute)
	f.want(f.vendor(Zendesk, "PUT", path+".json", `{"ticket":{"status":"closed"}}`), 200)
	f.contains(f.want(f.vendor(Zendesk, "PUT", path+".json", `{"ticket":{"status":"open"}}`), 422), "closed prevents")
	f.contains(f.want(f.vendor(Zendesk, "GET", ticketsPath+"?external_id=bh-1", ""), 200), `"count":0`)
	f.contains(f.want(f.vendor(Zendesk, "GET", ticketsPath+"?external_id=bh-2", ""), 200), `"count":1`)
}

func TestZendeskUsers(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	const path = "/api/v2/users/create_or_update.json"
	f.want(f.vendor(Zendesk, "POST", path, `{"user":{"name":"Ada","email":"Ada@example.com","skip_verify_email":true}}`), 201)
	f.want(f.vendor(Zendesk, "POST", path, `{"user":{"name":"Ada L.","email":"ada@example.com","external_id":"u1"}}`), 200)
	f.want(f.vendor(Zendesk, "POST", path, `{"user":{"external_id":"u1","email":"ada2@example.com"}}`), 200)
	f.want(f.vendor(Zendesk, "POST", path, `{"user":{"email":"new@example.com"}}`), 422)
	f.want(f.vendor(Zendesk, "POST", path, `{"user":{"name":"x","email":"nope"}}`), 422)
	f.want(f.vendor(Zendesk, "POST", path, `{}`), 400)
	u := f.s.Snapshot().Users
	if len(u) != 1 || u[0].Name != "Ada L." || u[0].Writes != 3 || u[0].Email != "ada2@example.com" {
		t.Errorf("users: %+v", u)
	}
	f.want(f.vendor(Zendesk, "POST", ticketsPath, strings.Replace(ticketBody("a"), "ada@", "ADA2@", 1)), 201)
	if n := len(f.s.Snapshot().Users); n != 1 {
		t.Errorf("%d users: the requester was not reused", n)
	}
	f.contains(f.want(f.vendor(Zendesk, "GET", "/api/v2/users/me.json", ""), 200), "agent@sandbox.example")
	f.want(f.vendor(Zendesk, "GET", fmt.Sprintf("/api/v2/users/%d.json", u[0].ID), ""), 200)
	f.want(f.vendor(Zendesk, "DELETE", "/api/v2/users/5.json", ""), http.StatusNotFound)
}

func TestZendeskListPages(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	for range 101 {
		f.want(f.vendor(Zendesk, "POST", ticketsPath, ticketBody("a")), 201)
	}
	first := f.vendor(Zendesk, "GET", ticketsPath+"?external_id=bh-1", "").json(t)
	if len(first["tickets"].([]any)) != 100 || first["next_page"] == nil {
		t.Errorf("first page: %v, next %v", len(first["tickets"].([]any)), first["next_page"])
	}
	second := f.vendor(Zendesk, "GET", ticketsPath+"?external_id=bh-1&page=2", "").json(t)
	if len(second["tickets"].([]any)) != 1 || second["next_page"] != nil {
		t.Errorf("second page: %v", second["next_page"])
	}
}
