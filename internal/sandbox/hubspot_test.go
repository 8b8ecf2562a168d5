package sandbox

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

func upsertBody(emails ...string) string {
	var inputs []string
	for i, e := range emails {
		inputs = append(inputs, fmt.Sprintf(`{"id":%q,"idProperty":"email","objectWriteTraceId":"t%d","properties":{"email":%q,"firstname":"Ada"}}`, e, i, e))
	}
	return `{"inputs":[` + strings.Join(inputs, ",") + `]}`
}

const upsertPath = "/crm/v3/objects/contacts/batch/upsert"

func TestHubSpotUpsertByEmail(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	r := f.want(f.vendor(HubSpot, "POST", upsertPath, upsertBody("Ada@Example.com")), 200)
	f.contains(r, `"status":"COMPLETE"`, `"new":true`, `"email":"ada@example.com"`, `"objectWriteTraceId":"t0"`)
	r = f.want(f.vendor(HubSpot, "POST", upsertPath, upsertBody("ada@example.com")), 200)
	f.contains(r, `"new":false`)
	s := f.s.Snapshot()
	if len(s.Contacts) != 1 || s.Contacts[0].Writes != 2 || s.Contacts[0].Properties["email"] != "ada@example.com" {
		t.Errorf("contacts: %+v", s.Contacts)
	}
}

func TestHubSpotUpsertDatedPath(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.want(f.vendor(HubSpot, "POST", "/crm/objects/2026-03/contacts/batch/upsert", upsertBody("ada@example.com")), 200)
	f.want(f.vendor(HubSpot, "POST", "/crm/objects/nonsense/contacts/batch/upsert", upsertBody("ada@example.com")), 404)
}

func TestHubSpotUpsertMixedOutcomeIs207(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	r := f.want(f.vendor(HubSpot, "POST", upsertPath, upsertBody("ada@example.com", "not-an-email")), 207)
	f.contains(r, `"numErrors":1`, `"objectWriteTraceId":["t1"]`, `"correlationId"`, `"category":"VALIDATION_ERROR"`, "INVALID_EMAIL")
	if n := len(f.s.Snapshot().Contacts); n != 1 {
		t.Errorf("%d contacts", n)
	}
}

func TestHubSpotUpsertRefusals(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{HubSpotProperties: []string{"plan_name"}})
	one := func(props string) string {
		return `{"inputs":[{"id":"ada@example.com","idProperty":"email","properties":` + props + `}]}`
	}
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprintf("u%d@example.com", i)
	}
	cases := map[string]struct {
		body, part string
		status     int
	}{
		"unknown property":  {one(`{"nonsense":"1"}`), "PROPERTY_DOESNT_EXIST", 400},
		"own property":      {one(`{"plan_name":"pro"}`), `"plan_name":"pro"`, 200},
		"invalid email":     {upsertBody("nobody"), "INVALID_EMAIL", 400},
		"invalid stage":     {one(`{"lifecyclestage":"god"}`), "INVALID_OPTION", 400},
		"read only":         {one(`{"createdate":"1"}`), "READ_ONLY_VALUE", 400},
		"no id property":    {`{"inputs":[{"id":"ada@example.com","properties":{}}]}`, "idProperty", 400},
		"twice in a batch":  {upsertBody("a@example.com", "A@example.com"), "Duplicate IDs", 400},
		"too many":          {upsertBody(many...), "exceeds the limit of 100", 400},
		"a hundred":         {upsertBody(many[:100]...), "COMPLETE", 200},
		"none":              {`{"inputs":[]}`, "must not be empty", 400},
		"no JSON":           {`{"inputs":`, "Invalid input JSON", 400},
		"number for string": {one(`{"phone":123}`), `"phone":"123"`, 200},
	}
	for name, c := range cases {
		r := f.vendor(HubSpot, "POST", upsertPath, c.body)
		if r.status != c.status || !strings.Contains(string(r.body), c.part) {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
		if r.status == 400 {
			f.contains(r, `"status":"error"`, `"correlationId"`, `"category":"VALIDATION_ERROR"`)
		}
	}
}

// The real HubSpot ignores a stage that lies before the contact's own, without a word.
func TestHubSpotStageMovesForwardOnly(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	for _, c := range []struct{ sent, want string }{{"lead", "lead"}, {"customer", "customer"}, {"lead", "customer"}, {"", ""},
		{"lead", "lead"}} {
		f.want(f.vendor(HubSpot, "POST", upsertPath, `{"inputs":[{"id":"ada@example.com","idProperty":"email",`+
			`"properties":{"phone":"1","lifecyclestage":"`+c.sent+`"}}]}`), 200)
		if got := f.s.Snapshot().Contacts[0].Properties["lifecyclestage"]; got != c.want {
			t.Errorf("sent %q: it is %q, want %q", c.sent, got, c.want)
		}
	}
}

func TestHubSpotCreateConflict(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	id := f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/contacts", `{"properties":{"email":"ada@example.com"}}`), 201).json(t)["id"].(string)
	r := f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/contacts", `{"properties":{"email":"ADA@example.com"}}`), 409)
	f.contains(r, `"category":"CONFLICT"`)
	m := regexp.MustCompile(`Contact already exists. Existing ID:\s*(\d+)`).FindSubmatch(r.body)
	if m == nil || string(m[1]) != id {
		t.Errorf("existing id %q, want %s: %s", m, id, r.body)
	}
}

func TestHubSpotGetAndPatch(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.want(f.vendor(HubSpot, "GET", "/crm/v3/objects/contacts/ada@example.com?idProperty=email", ""), 404)
	id := f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/contacts", `{"properties":{"email":"ada@example.com"}}`), 201).json(t)["id"].(string)
	r := f.want(f.vendor(HubSpot, "GET", "/crm/v3/objects/contacts/ADA%40example.com?idProperty=email&properties=email,phone", ""), 200)
	f.contains(r, `"id":"`+id+`"`, `"phone":null`)
	f.want(f.vendor(HubSpot, "PATCH", "/crm/v3/objects/contacts/"+id, `{"properties":{"phone":"123","email":"new@example.com"}}`), 200)
	f.want(f.vendor(HubSpot, "PATCH", "/crm/v3/objects/contacts/"+id, `{"properties":{"nope":"123"}}`), 400)
	f.want(f.vendor(HubSpot, "GET", "/crm/v3/objects/contacts/ada@example.com?idProperty=email", ""), 404)
	f.want(f.vendor(HubSpot, "GET", "/crm/v3/objects/contacts/new@example.com?idProperty=email", ""), 200)
	f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/contacts", `{"properties":{"email":"bob@example.com"}}`), 201)
	f.want(f.vendor(HubSpot, "PATCH", "/crm/v3/objects/contacts/"+id, `{"properties":{"email":"bob@example.com"}}`), 409)
}

func noteBody(contact, text string) string {
	return fmt.Sprintf(`{"properties":{"hs_timestamp":"2026-01-01T00:00:00Z","hs_note_body":%q},"associations":[{"to":{"id":%q},"types":[{"associationCategory":"HUBSPOT_DEFINED","associationTypeId":202}]}]}`, text, contact)
}

func (f *fixture) contact(email string) string {
	f.t.Helper()
	r := f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/contacts", `{"properties":{"email":"`+email+`"}}`), 201)
	return r.json(f.t)["id"].(string)
}

func TestHubSpotNotes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	c := f.contact("ada@example.com")
	var ids []string
	for range 2 { // the same note twice is two notes: no protection at the vendor
		r := f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/notes", noteBody(c, "<p>Lead bh-abc</p>")), 201)
		ids = append(ids, r.json(t)["id"].(string))
	}
	s := f.s.Snapshot()
	if len(s.Notes) != 2 || s.Notes[0].ContactID != c || s.Notes[0].Body != "<p>Lead bh-abc</p>" || s.Notes[0].ID != ids[0] {
		t.Errorf("notes: %+v", s.Notes)
	}
	r := f.want(f.vendor(HubSpot, "GET", "/crm/v3/objects/contacts/"+c+"/associations/notes", ""), 200)
	f.contains(r, ids[0], ids[1], `"type":"contact_to_note"`)
	r = f.want(f.vendor(HubSpot, "GET", "/crm/v3/objects/contacts/"+c+"/associations/notes?limit=1", ""), 200)
	f.contains(r, ids[0], `"paging":{"next":{"after":"1"}}`)
	r = f.want(f.vendor(HubSpot, "GET", "/crm/v3/objects/contacts/"+c+"/associations/notes?limit=1&after=1", ""), 200)
	if f.contains(r, ids[1]); strings.Contains(string(r.body), "paging") {
		t.Errorf("the last page has a next one: %s", r.body)
	}
	r = f.want(f.vendor(HubSpot, "GET", "/crm/v3/objects/notes/"+ids[0]+"?properties=hs_note_body", ""), 200)
	f.contains(r, "Lead bh-abc")
	r = f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/notes/batch/read", `{"properties":["hs_note_body"],"inputs":[{"id":"`+ids[0]+`"}]}`), 200)
	f.contains(r, "Lead bh-abc")
	r = f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/notes/batch/read", `{"inputs":[{"id":"`+ids[0]+`"},{"id":"9"}]}`), 207)
	f.contains(r, `"numErrors":1`, "OBJECT_NOT_FOUND")
}

func TestHubSpotNoteRefusals(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	c := f.contact("ada@example.com")
	r := f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/notes", `{"properties":{"hs_note_body":"x"}}`), 400)
	f.contains(r, "hs_timestamp", "required properties")
	f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/notes", `{"properties":{"hs_timestamp":"1767225600000"}}`), 201)
	f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/notes", `{"properties":{"hs_timestamp":"yesterday"}}`), 400)
	f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/notes", noteBody("999", "x")), 404)
	f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/notes", strings.Replace(noteBody(c, "x"), "TypeId\":202", "TypeId\":190", 1)), 400)
	f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/notes", noteBody(c, strings.Repeat("x", maxNoteBody+1))), 400)
	if n := len(f.s.Snapshot().Notes); n != 1 {
		t.Errorf("%d notes", n)
	}
}

func searchBody(property, op, value string) string {
	return fmt.Sprintf(`{"filterGroups":[{"filters":[{"propertyName":%q,"operator":%q,"value":%q}]}],"properties":["hs_note_body","email"],"limit":5}`, property, op, value)
}

func (f *fixture) total(objects, body string) float64 {
	f.t.Helper()
	return f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/"+objects+"/search", body), 200).json(f.t)["total"].(float64)
}

// TestHubSpotSearchLags: neither a new object nor a new value is found before the lag
// is over, by the injected clock.
func TestHubSpotSearchLags(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	c := f.contact("ada@example.com")
	f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/notes", noteBody(c, "<p>Lead <b>bh-abc234</b></p>")), 201)
	byToken, byEmail := searchBody("hs_note_body", "CONTAINS_TOKEN", "bh-abc234"), searchBody("email", "EQ", "ada@example.com")
	f.clock.advance(DefaultSearchLag - time.Millisecond)
	if f.total("notes", byToken) != 0 || f.total("contacts", byEmail) != 0 {
		t.Error("search sees a write before the lag is over")
	}
	f.clock.advance(time.Millisecond)
	if f.total("notes", byToken) != 1 || f.total("contacts", byEmail) != 1 {
		t.Error("search does not see a write after the lag")
	}
	f.want(f.vendor(HubSpot, "PATCH", "/crm/v3/objects/contacts/"+c, `{"properties":{"email":"new@example.com"}}`), 200)
	if f.total("contacts", byEmail) != 1 || f.total("contacts", searchBody("email", "EQ", "new@example.com")) != 0 {
		t.Error("search sees a new value at once")
	}
	f.clock.advance(DefaultSearchLag)
	if f.total("contacts", byEmail) != 0 || f.total("contacts", searchBody("email", "EQ", "new@example.com")) != 1 {
		t.Error("search keeps the old value")
	}
}

func TestHubSpotSearchOperatorsAndPaging(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{SearchLag: -1})
	c := f.contact("ada@example.com")
	for i := range 7 {
		f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/notes", noteBody(c, fmt.Sprintf("note bh-tok%d end", i))), 201)
	}
	for _, tc := range []struct {
		property, op, value string
		want                float64
	}{
		{"hs_note_body", "CONTAINS_TOKEN", "bh-tok3", 1}, {"hs_note_body", "CONTAINS_TOKEN", "bh-tok", 0},
		{"hs_note_body", "CONTAINS_TOKEN", "bh-tok*", 7}, {"hs_note_body", "CONTAINS_TOKEN", "tok3 end", 1},
		{"hs_note_body", "NOT_CONTAINS_TOKEN", "bh-tok3", 6}, {"associations.contact", "EQ", c, 7},
		{"hs_note_body", "HAS_PROPERTY", "", 7}, {"hs_note_body", "EQ", "note bh-tok1 end", 1},
		{"hs_timestamp", "GTE", "1767225600000", 7}, {"hs_timestamp", "GT", "1767225600000", 0},
	} {
		if got := f.total("notes", searchBody(tc.property, tc.op, tc.value)); got != tc.want {
			t.Errorf("%s %s %q: %v, want %v", tc.property, tc.op, tc.value, got, tc.want)
		}
	}
	first := f.vendor(HubSpot, "POST", "/crm/v3/objects/notes/search", searchBody("associations.contact", "EQ", c)).json(t)
	if n := len(first["results"].([]any)); n != 5 {
		t.Errorf("page of %d", n)
	}
	second := strings.Replace(searchBody("associations.contact", "EQ", c), `"limit":5`, `"limit":5,"after":"5"`, 1)
	r := f.vendor(HubSpot, "POST", "/crm/v3/objects/notes/search", second).json(t)
	if n := len(r["results"].([]any)); n != 2 || r["paging"] != nil {
		t.Errorf("second page: %v", r)
	}
	f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/notes/search", searchBody("x", "MAGIC", "y")), 400)
	f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/contacts/search", searchBody("x", "EQ", "y")), 400)
	f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/notes/search", `{"limit":201}`), 400)
	f.want(f.vendor(HubSpot, "POST", "/crm/v3/objects/notes/search", `{"query":"`+strings.Repeat("q", 3001)+`"}`), 400)
}

func TestHubSpotRate(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{HubSpotRate: 3})
	for range 3 {
		f.vendor(HubSpot, "GET", "/crm/v3/objects/contacts/1", "")
	}
	f.contains(f.want(f.vendor(HubSpot, "GET", "/crm/v3/objects/contacts/1", ""), 429), "TEN_SECONDLY_ROLLING", "RATE_LIMITS")
	f.clock.advance(10 * time.Second)
	r := f.want(f.vendor(HubSpot, "GET", "/crm/v3/objects/contacts/1", ""), 404)
	if r.header.Get("X-Hubspot-Ratelimit-Remaining") != "2" {
		t.Errorf("headers: %v", r.header)
	}
}

func TestHubSpotUnknownRoutes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	for _, path := range []string{"/", "/crm/v3/objects", "/crm/v3/objects/notes/1/2", "/crm/v4/objects/contacts"} {
		f.want(f.vendor(HubSpot, "GET", path, ""), http.StatusNotFound)
	}
	f.want(f.vendor(HubSpot, "GET", "/crm/v3/objects/unicorns/1", ""), http.StatusBadRequest)
}
