package sandbox

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzVendors: no body, path or query makes a vendor panic or answer without a status.
func FuzzVendors(f *testing.F) {
	f.Add("POST", "/hubspot"+upsertPath, upsertBody("ada@example.com"), "k")
	f.Add("POST", "/hubspot/crm/v3/objects/notes", noteBody("1", "x"), "")
	f.Add("POST", "/hubspot/crm/v3/objects/notes/search", searchBody("hs_note_body", "CONTAINS_TOKEN", "*a*"), "")
	f.Add("POST", "/hubspot/crm/v3/objects/contacts/batch/read", `{"inputs":[{"id":"1"}],"idProperty":"email"}`, "")
	f.Add("POST", "/zendesk"+ticketsPath, ticketBody("x"), "k")
	f.Add("PUT", "/zendesk/api/v2/tickets/1/tags.json", `{"tags":null}`, "")
	f.Add("POST", "/zendesk/api/v2/users/create_or_update.json", `{"user":{"email":"a@b.c"}}`, "")
	f.Add("POST", "/stripe/v1/customers", "email=a&metadata[b]=c&metadata[=d", "k")
	f.Add("POST", "/stripe/v1/webhook_endpoints", "url=http://x&enabled_events[]=a", "")
	f.Add("GET", "/stripe/v1/events?limit=3&types[]=a&created[gte]=1&starting_after=evt", "", "")
	f.Add("POST", "/slack"+slackPath, `{"blocks":[{"type":"section","fields":[{}]}]}`, "")
	f.Add("POST", "/webhook", `{"type":1}`, "")
	f.Fuzz(func(t *testing.T, method, path, body, key string) {
		h := New(Options{Clock: newTestClock()}).Handler()
		r, err := http.NewRequest(method, "http://127.0.0.1", strings.NewReader(body))
		if err != nil {
			return // not a method
		}
		u, err := r.URL.Parse("/" + strings.TrimLeft(path, "/"))
		if err != nil || strings.HasPrefix(u.Path, "/_control") { // which waits and delivers when told to
			return // not a path
		}
		r.URL, r.RemoteAddr = u, "127.0.0.1:1"
		auth := "Bearer " + Token
		if strings.HasPrefix(path, "/stripe") {
			auth = "Bearer " + StripeKey
		}
		r.Header.Set("Authorization", auth)
		r.Header["Idempotency-Key"] = []string{key}
		r.Header.Set("Webhook-Id", "msg_1")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code < 200 || w.Code > 599 {
			t.Errorf("status %d", w.Code)
		}
	})
}

// FuzzFault: whatever is read as a fault passes its own check and reads back the same.
func FuzzFault(f *testing.F) {
	f.Add([]byte(`{"mode":"slow","delay":"1.5s","count":2,"probability":0.5}`))
	f.Add([]byte(`{"mode":"rate_limited","retry_after":"httpdate:5s","status":429}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var in, out Fault
		if err := json.Unmarshal(data, &in); err != nil {
			return
		}
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &out); err != nil || in != out {
			t.Errorf("%s gave %s, %v", data, b, err)
		}
	})
}
