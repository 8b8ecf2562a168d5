package hubspot

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/connector/conntest"
)

// recorder keeps what was asked and answers by "METHOD /path".
type recorder struct {
	mu      sync.Mutex
	answers map[string]answer
	asked   []string
	bodies  []string
	header  http.Header
}

type answer struct {
	status int
	body   string
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	key := req.Method + " " + req.URL.Path
	r.mu.Lock()
	r.asked, r.bodies, r.header = append(r.asked, req.Method+" "+req.URL.RequestURI()), append(r.bodies, string(body)), req.Header
	a, ok := r.answers[key]
	r.mu.Unlock()
	if !ok {
		a = answer{404, `{"status":"error","category":"OBJECT_NOT_FOUND","message":"resource not found"}`}
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

func newTest(t *testing.T, answers map[string]answer, extra map[string]any) (*Connector, *recorder) {
	t.Helper()
	rec := &recorder{answers: answers}
	srv := httptest.NewServer(rec)
	t.Cleanup(srv.Close)
	raw := map[string]any{"token": "pat-test", "base_url": srv.URL}
	for k, v := range extra {
		raw[k] = v
	}
	s, err := connector.ParseSettings(Vendor().Manifest, "crm", raw)
	if err != nil {
		t.Fatal(err)
	}
	clock := conntest.NewClock()
	client := connector.NewClient(connector.ClientOpts{Clock: clock, AllowPrivate: true})
	t.Cleanup(client.CloseIdle)
	c, err := Vendor().New(s, connector.Env{HTTP: client, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return c.(*Connector), rec
}

const upsertPath = "POST /crm/v3/objects/contacts/batch/upsert"

func file(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func upsert(t *testing.T, c *Connector, in bellhop.ContactInput) (connector.Result, *connector.Error) {
	t.Helper()
	res, err := c.Do(context.Background(), conntest.Call(t, bellhop.ActionUpsertContact, "k", in, nil))
	if err == nil {
		return res, nil
	}
	e, ok := err.(*connector.Error)
	if !ok {
		t.Fatalf("%T: %v", err, err)
	}
	return res, e
}

func TestUpsertSendsOnlyWhatIsKnown(t *testing.T) {
	t.Parallel()
	c, rec := newTest(t, map[string]answer{upsertPath: {200, file(t, "upsert_new.json")}},
		map[string]any{"portal_id": "42", "field_map": map[string]any{"company": "brand_name", "lifecycle_stage": ""}})
	res, e := upsert(t, c, bellhop.ContactInput{Email: "ada@example.com", FirstName: "Ada", Company: "Engines", LifecycleStage: "lead",
		Extra: map[string]string{"wants": "a demo", "empty": ""}})
	if e != nil {
		t.Fatal(e)
	}
	if res.VendorID != "551" || res.Refs["contact"] != "551" || res.Existing || res.URL != "https://app.hubspot.com/contacts/42/record/0-1/551" {
		t.Errorf("%+v", res)
	}
	want := `{"inputs":[{"id":"ada@example.com","idProperty":"email","objectWriteTraceId":"` + conntest.Marker("k") +
		`","properties":{"brand_name":"Engines","email":"ada@example.com","firstname":"Ada","wants":"a demo"}}]}`
	if rec.bodies[0] != want {
		t.Errorf("sent\n%s\nwant\n%s", rec.bodies[0], want)
	}
	if rec.header.Get("Authorization") != "Bearer pat-test" {
		t.Error("no token")
	}
}

func TestUpsertReadsMixedOutcomes(t *testing.T) {
	t.Parallel()
	marker := conntest.Marker("k")
	for name, tt := range map[string]struct {
		body  string
		class bellhop.ErrorClass
		says  string
	}{
		"validation":  {strings.ReplaceAll(file(t, "upsert_mixed.json"), "MARKER", marker), bellhop.ClassRejected, "Email address nobody is invalid"},
		"rate":        {`{"status":"COMPLETE","results":[],"numErrors":1,"errors":[{"category":"RATE_LIMITS","message":"slow down"}]}`, bellhop.ClassRateLimited, "slow down"},
		"no reason":   {`{"status":"COMPLETE","results":[],"numErrors":1}`, bellhop.ClassMalformed, "did not say which"},
		"nothing":     {`{"status":"COMPLETE","results":[]}`, bellhop.ClassMalformed, "names no contact"},
		"wrong shape": {`{"results":{"id":"1"}}`, bellhop.ClassMalformed, "not the JSON"},
	} {
		c, _ := newTest(t, map[string]answer{upsertPath: {207, tt.body}}, nil)
		_, e := upsert(t, c, bellhop.ContactInput{Email: "ada@example.com"})
		if e == nil || e.Class != tt.class || !strings.Contains(e.Message, tt.says) {
			t.Errorf("%s: %v", name, e)
		}
	}
}

func TestConflictUpdatesTheContactOfTheAddress(t *testing.T) {
	t.Parallel()
	conflict := answer{409, `{"status":"error","category":"CONFLICT","message":"Contact already exists. Existing ID: 999"}`}
	c, rec := newTest(t, map[string]answer{
		upsertPath: conflict,
		"GET /crm/v3/objects/contacts/ada+x@example.com": {200, `{"id":"551"}`},
		"PATCH /crm/v3/objects/contacts/551":             {200, `{"id":"551"}`},
	}, nil)
	res, e := upsert(t, c, bellhop.ContactInput{Email: "ada+x@example.com", FirstName: "Ada"})
	if e != nil || res.VendorID != "551" || !res.Existing {
		t.Fatalf("%+v, %v", res, e)
	}
	// The address may be a second one of that contact: its main one stays.
	if last := rec.bodies[len(rec.bodies)-1]; last != `{"properties":{"firstname":"Ada"}}` {
		t.Errorf("patched with %s", last)
	}
	// Another unique property clashes: that is a person's matter.
	c, _ = newTest(t, map[string]answer{upsertPath: conflict}, nil)
	if _, e := upsert(t, c, bellhop.ContactInput{Email: "ada@example.com"}); e == nil || e.Class != bellhop.ClassRejected || !strings.Contains(e.Message, "already exists") {
		t.Errorf("%v", e)
	}
}

func TestErrorClasses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer
		class bellhop.ErrorClass
		quota bool
	}{
		"daily":     {answer{429, `{"policyName":"DAILY","message":"daily limit"}`}, bellhop.ClassRateLimited, true},
		"rolling":   {answer{429, `{"policyName":"TEN_SECONDLY_ROLLING","message":"limit"}`}, bellhop.ClassRateLimited, false},
		"scope":     {answer{403, `{"category":"MISSING_SCOPES","message":"required scopes"}`}, bellhop.ClassUnauthorized, false},
		"locked":    {answer{423, `{}`}, bellhop.ClassUnavailable, false},
		"migration": {answer{477, ``}, bellhop.ClassUnavailable, false},
		"gateway":   {answer{502, `<html>`}, bellhop.ClassUnknownOutcome, false},
	} {
		c, _ := newTest(t, map[string]answer{upsertPath: tt.answer}, nil)
		_, e := upsert(t, c, bellhop.ContactInput{Email: "ada@example.com"})
		if e == nil || e.Class != tt.class || e.Quota != tt.quota {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestNoteHTML(t *testing.T) {
	t.Parallel()
	got := noteHTML(bellhop.NoteInput{Text: "<script>alert(1)</script>\n& \"hi\"", Link: `https://chat.example.com/c?a=1&b="2"`, LinkText: "<see>"}, "bh-x")
	want := `<p>&lt;script&gt;alert(1)&lt;/script&gt;<br>&amp; &#34;hi&#34;</p><p><a href="https://chat.example.com/c?a=1&amp;b=&#34;2&#34;">&lt;see&gt;</a></p><p><small>Ref bh-x</small></p>`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if h := noteHTML(bellhop.NoteInput{Text: "a", Link: "javascript:alert(1)"}, "bh-x"); strings.Contains(h, "javascript") {
		t.Errorf("a script link: %s", h)
	}
	for _, text := range []string{strings.Repeat("x", 200_000), strings.Repeat("&\n", 100_000), strings.Repeat("é<", 70_000)} {
		h := noteHTML(bellhop.NoteInput{Text: text, Link: "https://chat.example.com/c"}, "bh-x")
		if n := utf8.RuneCountInString(h); n > maxNoteHTML || n < maxNoteHTML/4 || !strings.Contains(h, "Ref bh-x") || !strings.Contains(h, "chat.example.com") {
			t.Errorf("%d characters", n)
		}
	}
}

func note(t *testing.T, refs map[string]string) connector.Call {
	t.Helper()
	return conntest.Call(t, bellhop.ActionAddNote, "n", bellhop.NoteInput{ContactEmail: "ada@example.com", Text: "hi", At: "nonsense"}, refs)
}

func TestAddNote(t *testing.T) {
	t.Parallel()
	c, rec := newTest(t, map[string]answer{"POST /crm/v3/objects/notes": {201, `{"id":"9"}`}}, nil)
	res, err := c.Do(context.Background(), note(t, map[string]string{"contact": "551"}))
	if err != nil || res.VendorID != "9" {
		t.Fatalf("%+v, %v", res, err)
	}
	var sent struct {
		Properties   map[string]string
		Associations []struct {
			To    struct{ ID string }
			Types []struct{ AssociationTypeID int }
		}
	}
	if err := json.Unmarshal([]byte(rec.bodies[0]), &sent); err != nil {
		t.Fatal(err)
	}
	if sent.Properties["hs_timestamp"] != "2026-03-01T12:00:00.000Z" || sent.Associations[0].To.ID != "551" || sent.Associations[0].Types[0].AssociationTypeID != 202 {
		t.Errorf("%+v", sent)
	}
	// Nobody there to note it on.
	c, _ = newTest(t, nil, nil)
	if _, err := c.Do(context.Background(), note(t, nil)); err == nil || err.(*connector.Error).Class != bellhop.ClassRejected {
		t.Errorf("%v", err)
	}
	// The read before the write fails: nothing was written, so nothing is unknown.
	c, _ = newTest(t, map[string]answer{"GET /crm/v3/objects/contacts/ada@example.com": {500, `{}`}}, nil)
	if _, err := c.Do(context.Background(), note(t, nil)); err == nil || err.(*connector.Error).Class != bellhop.ClassUnavailable {
		t.Errorf("%v", err)
	}
}

func TestLookupReadsEveryPageAndTheExactMarker(t *testing.T) {
	t.Parallel()
	marker := conntest.Marker("n")
	page := func(after string, ids ...string) string {
		var b strings.Builder
		b.WriteString(`{"results":[`)
		for i, id := range ids {
			if i > 0 {
				b.WriteString(",")
			}
			b.WriteString(`{"id":"` + id + `","type":"contact_to_note"}`)
		}
		b.WriteString(`]`)
		if after != "" {
			b.WriteString(`,"paging":{"next":{"after":"` + after + `"}}`)
		}
		return b.String() + `}`
	}
	notes := func(body string) answer {
		return answer{200, `{"results":[{"id":"1","properties":{"hs_note_body":null}},{"id":"2","properties":{"hs_note_body":"` + body + `"}}]}`}
	}
	const list, read = "GET /crm/v3/objects/contacts/551/associations/notes", "POST /crm/v3/objects/notes/batch/read"
	for name, tt := range map[string]struct {
		body  string
		found bool
	}{"ours": {"Ref " + marker, true}, "longer": {"Ref " + marker + "a", false}, "other": {"Ref bh-other", false}} {
		c, _ := newTest(t, map[string]answer{list: {200, page("", "1", "2", "2")}, read: notes(tt.body)}, nil)
		res, found, err := c.Lookup(context.Background(), note(t, map[string]string{"contact": "551"}))
		if err != nil || found != tt.found || (found && (res.VendorID != "2" || !res.Existing)) {
			t.Errorf("%s: %+v, %v, %v", name, res, found, err)
		}
	}
	// A cursor that does not move must not be followed for ever.
	c, rec := newTest(t, map[string]answer{list: {200, page("7", "1")}, read: notes("x")}, nil)
	if _, found, err := c.Lookup(context.Background(), note(t, map[string]string{"contact": "551"})); found || err != nil || len(rec.asked) != 3 {
		t.Errorf("%v, %v, asked %v", found, err, rec.asked)
	}
	// A note that could not be read may be ours.
	c, _ = newTest(t, map[string]answer{list: {200, page("", "1")}, read: {207, `{"results":[],"numErrors":1,"errors":[{"category":"INTERNAL_ERROR","message":"no"}]}`}}, nil)
	if _, _, err := c.Lookup(context.Background(), note(t, map[string]string{"contact": "551"})); err == nil {
		t.Error("what was not read counts as absent")
	}
}

func TestNewChecksTheFieldMap(t *testing.T) {
	t.Parallel()
	s, err := connector.ParseSettings(Vendor().Manifest, "crm", map[string]any{"token": "x", "field_map": map[string]any{"company": "Brand Name"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Vendor().New(s, connector.Env{}); err == nil || !strings.Contains(err.Error(), "field_map: company") {
		t.Errorf("%v", err)
	}
}

func FuzzParseError(f *testing.F) {
	for _, s := range []string{`{}`, `{"message":1}`, `{"message":"x","category":"Y","errors":[{"message":"z"}]}`, `{"errors":"x","message":"m"}`, `[]`, `<html>`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(_ *testing.T, body []byte) {
		_ = parseError(body).text()
		var ans batchAnswer
		if json.Unmarshal(body, &ans) == nil {
			for _, raw := range ans.Errors {
				_ = parseError(raw).text()
			}
		}
	})
}

func TestParseErrorKeepsTheMessage(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"message":"no","errors":[{"message":"why"}]}`: "no; why", `{"message":"no: why","errors":[{"message":"why"}]}`: "no: why",
		`{"message":"no","context":"odd"}`: "no", `<html>`: "", `{"message":7}`: "", `null`: "",
	} {
		if got := parseError([]byte(body)).text(); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}
