package zendesk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/connector/conntest"
	"bellhop/internal/sandbox"
)

func build(base string, extra map[string]any) (*Connector, *conntest.Clock, error) {
	raw := map[string]any{"email": "ops@example.com", "token": sandbox.Token}
	if base != "" {
		raw["base_url"] = base
	}
	for k, v := range extra {
		raw[k] = v
	}
	s, err := connector.ParseSettings(Vendor().Manifest, "helpdesk", raw)
	if err != nil {
		return nil, nil, err
	}
	clock := conntest.NewClock()
	c, err := Vendor().New(s, connector.Env{HTTP: connector.NewClient(connector.ClientOpts{Clock: clock, AllowPrivate: true}), Clock: clock})
	if err != nil {
		return nil, nil, err
	}
	return c.(*Connector), clock, nil
}

func newTest(t *testing.T, handler http.HandlerFunc) *Connector {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	c, _, err := build(srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNewNeedsAnAddress(t *testing.T) {
	t.Parallel()
	none, _, err := build("", nil)
	if err != nil || !strings.Contains(none.Missing(), "subdomain") {
		t.Fatalf("%v", err)
	}
	_, err = none.Do(context.Background(), connector.Call{Action: bellhop.ActionCreateTicket, Input: []byte(`{"subject":"x","body":"y","priority":"high"}`)})
	var ce *connector.Error
	if !errors.As(err, &ce) || ce.Class != bellhop.ClassUnauthorized || !strings.Contains(ce.Message, "subdomain") {
		t.Errorf("without an address: %v", err)
	}
	c, _, err := build("", map[string]any{"subdomain": "acme"})
	if err != nil || c.base != "https://acme.zendesk.com" || c.ticketURL("3") != "https://acme.zendesk.com/agent/tickets/3" {
		t.Errorf("%v", err)
	}
	for _, sub := range []string{"acme.evil.example/", "a/b", "-x", "acme.zendesk.com"} {
		if _, _, err := build("", map[string]any{"subdomain": sub}); err == nil {
			t.Errorf("%q was taken", sub)
		}
	}
}

func TestTicketOf(t *testing.T) {
	t.Parallel()
	in := bellhop.TicketInput{Subject: "Refund\n request", Body: "She wants it back.", RequesterName: "Ada", RequesterEmail: "ada@example.com",
		Priority: bellhop.PriorityUrgent, Tags: []string{"Billing issue", "bellhop", "reason:sync_failed"}, Link: "https://chat.example.com/c/1"}
	got, err := json.Marshal(map[string]any{"ticket": ticketOf(in, "bh-x")})
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/create.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != strings.TrimSpace(string(want)) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	in.RequesterEmail = ""
	if tk := ticketOf(in, "bh-x"); tk.Requester != nil || !strings.HasPrefix(tk.Comment.Body, "Customer: Ada (no e-mail address is known)") {
		t.Errorf("%+v", tk)
	}
	for _, p := range []bellhop.Priority{"", "odd"} {
		if priority(p) != "normal" {
			t.Errorf("priority %q", p)
		}
	}
	in.Body = strings.Repeat("é", 100_000)
	if tk := ticketOf(in, "bh-x"); utf8.RuneCountInString(tk.Comment.Body) > maxBody || !strings.HasSuffix(tk.Comment.Body, "Ref bh-x") || !strings.Contains(tk.Comment.Body, "chat.example.com") {
		t.Errorf("%d characters", utf8.RuneCountInString(tk.Comment.Body))
	}
}

func ticket(t *testing.T, key string) connector.Call {
	t.Helper()
	return conntest.Call(t, bellhop.ActionCreateTicket, key, bellhop.TicketInput{Subject: "Help", Body: "please", RequesterEmail: "ada@example.com", Priority: bellhop.PriorityHigh}, nil)
}

// TestAfterTheKeyIsForgotten: Zendesk keeps a key for two hours; later the ticket is
// looked up by our id before anything is sent.
func TestAfterTheKeyIsForgotten(t *testing.T) {
	t.Parallel()
	for _, wait := range []time.Duration{0, 99 * time.Minute, 101 * time.Minute, 119 * time.Minute, 3 * time.Hour, 48 * time.Hour} {
		clock := conntest.NewClock()
		box := sandbox.New(sandbox.Options{Clock: clock, Seed: 1})
		run, err := box.Start("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		c, _, err := build(sandbox.BaseURL(run.URL, "zendesk"), nil)
		if err != nil {
			t.Fatal(err)
		}
		c.env.Clock = clock
		call := ticket(t, "k")
		began := clock.Now()
		first, err := c.Do(context.Background(), call)
		if err != nil || first.Existing {
			t.Fatalf("%+v, %v", first, err)
		}
		clock.Advance(wait)
		call.FirstAttemptAt = began
		again, err := c.Do(context.Background(), call)
		if err != nil || again.VendorID != first.VendorID || !again.Existing || len(box.Snapshot().Tickets) != 1 {
			t.Errorf("%s: %+v, %v, %d tickets", wait, again, err, len(box.Snapshot().Tickets))
		}
		run.Close()
	}
}

func TestAfterTheKeyIsForgottenAFailedLookupSendsNothing(t *testing.T) {
	t.Parallel()
	posts := 0
	c := newTest(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts++
		}
		w.WriteHeader(http.StatusInternalServerError)
	})
	call := ticket(t, "k")
	call.FirstAttemptAt = c.env.Clock.Now().Add(-3 * time.Hour)
	_, err := c.Do(context.Background(), call)
	if e, ok := err.(*connector.Error); !ok || e.Class != bellhop.ClassUnavailable || posts != 0 {
		t.Errorf("%v after %d posts", err, posts)
	}
}

func TestTheSameKeyWithOtherWords(t *testing.T) {
	t.Parallel()
	found := `{"tickets":[{"id":9,"external_id":"` + conntest.Marker("k") + `"},{"id":4,"external_id":"` + conntest.Marker("k") + `"},{"id":1,"external_id":"bh-other"}]}`
	for list, want := range map[string]bellhop.ErrorClass{found: "", `{"tickets":[]}`: bellhop.ClassRejected} {
		c := newTest(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				_, _ = io.WriteString(w, list)
				return
			}
			if r.Header.Get("Idempotency-Key") != "k" {
				t.Error("no key")
			}
			w.WriteHeader(400)
			_, _ = io.WriteString(w, `{"error":"IdempotentRequestError","description":"Request parameters don't match the given idempotency key"}`)
		})
		res, err := c.Do(context.Background(), ticket(t, "k"))
		if want == "" {
			if err != nil || res.VendorID != "4" || !res.Existing { // of several the oldest
				t.Errorf("%+v, %v", res, err)
			}
			continue
		}
		if e, ok := err.(*connector.Error); !ok || e.Class != want || !strings.Contains(e.Message, "don't match") {
			t.Errorf("%v", err)
		}
	}
}

func TestCreatedAnswers(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"ticket":{"id":3}}`: "3", `{"ticket":{"id":35436000000000001}}`: "35436000000000001",
		`{"suspended_ticket":{"id":8}}`: "8 suspended", `{"ticket":{}}`: "malformed", `{"ticket":{"id":0}}`: "malformed", `{}`: "malformed", `x`: "malformed",
	} {
		c := newTest(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, body)
		})
		res, err := c.Do(context.Background(), ticket(t, "k"))
		got := res.VendorID
		if res.Note != "" {
			got += " suspended"
			if res.Refs["ticket"] != "" {
				t.Error("a suspended ticket is no ticket to update")
			}
		}
		if err != nil {
			got = string(err.(*connector.Error).Class)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}

func TestErrorClasses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status      int
		retry, body string
		want        bellhop.ErrorClass
	}{
		{409, "", `{"error":"Conflict"}`, bellhop.ClassUnavailable}, {503, "9", `{}`, bellhop.ClassUnavailable}, {503, "", `{}`, bellhop.ClassUnknownOutcome},
		{422, "", `{"error":"RecordInvalid"}`, bellhop.ClassRejected}, {404, "", `{"error":{"title":"Invalid endpoint","message":"Not found"}}`, bellhop.ClassRejected},
		{401, "", `{"error":"Couldn't authenticate you"}`, bellhop.ClassUnauthorized}, {429, "9", ``, bellhop.ClassRateLimited},
	} {
		c := newTest(t, func(w http.ResponseWriter, _ *http.Request) {
			if tt.retry != "" {
				w.Header().Set("Retry-After", tt.retry)
			}
			w.WriteHeader(tt.status)
			_, _ = io.WriteString(w, tt.body)
		})
		_, err := c.Do(context.Background(), ticket(t, "k"))
		if e, ok := err.(*connector.Error); !ok || e.Class != tt.want || (tt.retry != "" && e.RetryAfter != 9*time.Second) {
			t.Errorf("%d: %v", tt.status, err)
		}
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	var asked []string
	c := newTest(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, r.Method+" "+r.URL.Path+" "+string(body))
		_, _ = io.WriteString(w, `{"ticket":{"id":3},"tags":[]}`)
	})
	refs := map[string]string{"ticket": "3"}
	do := func(in bellhop.TicketUpdateInput, refs map[string]string) error {
		asked = nil
		_, err := c.Do(context.Background(), conntest.Call(t, bellhop.ActionUpdateTicket, "u", in, refs))
		return err
	}
	if err := do(bellhop.TicketUpdateInput{Status: bellhop.SupportResolved, AddTags: []string{"Done by hand"}, Comment: "Fixed.", Public: true}, refs); err != nil {
		t.Fatal(err)
	}
	want := []string{`PUT /api/v2/tickets/3/tags.json {"tags":["done_by_hand"]}`,
		`PUT /api/v2/tickets/3.json {"ticket":{"status":"solved","comment":{"body":"Fixed.\n\nRef ` + conntest.Marker("u") + `","public":true}}}`}
	if fmt.Sprint(asked) != fmt.Sprint(want) {
		t.Errorf("asked %q", asked)
	}
	if err := do(bellhop.TicketUpdateInput{AddTags: []string{"x"}}, refs); err != nil || len(asked) != 1 {
		t.Errorf("%v, %q", err, asked)
	}
	for status, word := range map[bellhop.SupportStatus]string{bellhop.SupportNew: "new", bellhop.SupportTriaged: "open", bellhop.SupportAssigned: "open"} {
		if err := do(bellhop.TicketUpdateInput{Status: status}, refs); err != nil || !strings.Contains(asked[0], `"status":"`+word+`"`) {
			t.Errorf("%s: %v, %q", status, err, asked)
		}
	}
	for name, try := range map[string]error{
		"no ticket": do(bellhop.TicketUpdateInput{Status: bellhop.SupportNew}, nil), "odd ticket": do(bellhop.TicketUpdateInput{Status: bellhop.SupportNew}, map[string]string{"ticket": "3/../../users"}),
		"nothing": do(bellhop.TicketUpdateInput{}, refs), "odd status": do(bellhop.TicketUpdateInput{Status: "lost"}, refs),
	} {
		if e, ok := try.(*connector.Error); !ok || e.Class != bellhop.ClassRejected || len(asked) != 0 {
			t.Errorf("%s: %v, asked %q", name, try, asked)
		}
	}
}

func TestFindUpdatePages(t *testing.T) {
	t.Parallel()
	pages := 0
	more := true
	c := newTest(t, func(w http.ResponseWriter, r *http.Request) {
		pages++
		next := "null"
		if more {
			next = `"https://evil.example/next"`
		}
		body := "other"
		if r.URL.Query().Get("page") == "3" {
			body = "Fixed. Ref " + conntest.Marker("u")
		}
		fmt.Fprintf(w, `{"comments":[{"body":%q}],"next_page":%s}`, body, next)
	})
	look := func(key string) (bool, error) {
		pages = 0
		_, found, err := c.Lookup(context.Background(), conntest.Call(t, bellhop.ActionUpdateTicket, key, bellhop.TicketUpdateInput{Comment: "Fixed."}, map[string]string{"ticket": "3"}))
		return found, err
	}
	if found, err := look("u"); !found || err != nil || pages != 3 {
		t.Errorf("%v, %v, %d pages", found, err, pages)
	}
	if found, err := look("other"); found || err == nil || pages != maxCommentPages {
		t.Errorf("%v, %v, %d pages: not looked through must not count as absent", found, err, pages)
	}
	more = false
	if found, err := look("other"); found || err != nil || pages != 1 {
		t.Errorf("%v, %v, %d pages", found, err, pages)
	}
}

func TestParseError(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"error":"RecordInvalid","description":"Record validation errors","details":{"base":[{"description":"Subject: cannot be blank","error":"BlankValue"}]}}`: "RecordInvalid; Record validation errors; base: Subject: cannot be blank",
		`{"error":{"title":"No help desk","message":"gone"}}`: "No help desk; gone", `{"errors":[{"title":"Bad","detail":"thing"}]}`: "Bad; thing",
		`{"error":"x","details":"odd"}`: "x", `{"error":7}`: "", `<html>`: "", `null`: "", `[]`: "",
	} {
		if got := parseError([]byte(body)).Text; got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

func FuzzParseError(f *testing.F) {
	for _, s := range []string{`{}`, `{"error":"x","description":"y","details":{"a":[{"description":"z"}]}}`, `{"error":{"title":"t"}}`, `{"errors":[{}]}`, `<html>`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(_ *testing.T, body []byte) { _ = parseError(body) })
}
