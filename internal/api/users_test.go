package api_test

import (
	"fmt"
	"testing"

	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// A signed-in user has a conversation and requests, and another user has none of them: on
// Postgres everything is read with the user's own rights.
func TestSignedInUsersHaveTheirOwn(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		s := newServer(t, db, nil)
		a := s.user("0b5f4f9e-8a54-4a6c-9a39-6a0a6b6f000a", map[string]any{"email": "a@example.com"})
		b := s.user("0B5F4F9E-8A54-4A6C-9A39-6A0A6B6F000B", map[string]any{"email": "b@example.com"})
		conv := s.conversation(a)
		path := "/v1/conversations/" + conv
		_, _, first := s.call("POST", path+"/messages", a, `{"id":"m1","text":"where is my refund"}`)
		_, _, again := s.call("POST", path+"/messages", a, `{"id":"m1","text":"where is my refund"}`)
		if first["_raw"] != again["_raw"] {
			t.Errorf("first %v\nagain %v", first["_raw"], again["_raw"])
		}
		if reqs, ok := first["requests"].([]any); !ok || len(reqs) != 1 {
			t.Errorf("requests of the turn: %v", first["_raw"])
		}
		code, _, lead := s.call("POST", "/v1/leads", a, `{"message":"a demo","phone":"+34600123456"}`, "Idempotency-Key", "k1")
		if code != 202 {
			t.Fatalf("lead: %d %v", code, lead["_raw"])
		}
		request := fmt.Sprint("/v1/requests/", lead["id"])
		for _, tt := range []struct {
			who, method, path string
			body              any
			want              int
		}{
			{a, "GET", path, nil, 200}, {a, "GET", request, nil, 200}, {serverKey, "GET", request, nil, 200},
			{b, "GET", path, nil, 404}, {b, "GET", request, nil, 404}, {s.visitor(), "GET", path, nil, 404},
			{b, "POST", path + "/messages", `{"id":"m2","text":"hi"}`, 404}, {b, "GET", path + "/stream", nil, 404},
		} {
			if code, _, out := s.call(tt.method, tt.path, tt.who, tt.body); code != tt.want {
				t.Errorf("%s %s: %d, want %d: %v", tt.method, tt.path, code, tt.want, out["_raw"])
			}
		}
		_, _, tr := s.call("GET", path, a, nil)
		if msgs, ok := tr["messages"].([]any); !ok || len(msgs) != 2 {
			t.Errorf("the transcript: %v", tr["_raw"])
		}
	})
}
