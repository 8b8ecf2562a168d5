package api_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"bellhop"
	"bellhop/internal/identity"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// row is one line of the table "Who may call what".
type row struct {
	route string
	drop  bool // the line is about dropping in bulk
	// anonymous, visitor, user, server key, operator
	cells [5]string
}

// rolesTable reads docs/security.md, without the console's lines.
func rolesTable(t *testing.T) []row {
	t.Helper()
	data, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []row
	line := regexp.MustCompile("(?m)^\\| `([^`]+)`( drop)? \\| (\\S+) \\| (\\S+) \\| (\\S+) \\| (\\S+) \\| (\\S+) \\|$")
	for _, m := range line.FindAllStringSubmatch(string(data), -1) {
		if strings.Contains(m[1], "/console") || strings.Contains(m[1], "/t/") {
			continue
		}
		out = append(out, row{route: m[1], drop: m[2] != "", cells: [5]string(m[3:])})
	}
	return out
}

// caller is somebody who asks, and what the table has to say about them.
type caller struct {
	name, token string
	// column of the table, -1 for whoever proves nothing
	column int
	scopes []bellhop.Scope
	role   bellhop.OperatorRole
	others bool // everything that is asked for belongs to somebody else
}

// may reports what the table says: 0 for allowed, else the status of the refusal.
func (c caller) may(r row) int {
	hidden := 0
	if c.others && strings.Contains(r.route, "{id}") {
		hidden = http.StatusNotFound
	}
	if r.cells[0] == "anyone" {
		if c.column < 0 && !strings.Contains(r.route, "/webhooks/") {
			return http.StatusUnauthorized
		}
		return 0
	}
	if c.column < 0 || c.column == 0 {
		return http.StatusUnauthorized
	}
	if c.role.Covers(bellhop.OperatorRole(r.cells[4])) {
		return 0
	}
	switch cell := r.cells[c.column]; {
	case cell == "own":
		return hidden
	case c.column == 3 && slices.Contains(c.scopes, bellhop.Scope(cell)):
		return 0
	default:
		return http.StatusForbidden
	}
}

// token makes the access token of a user; changes replace claims.
func (s *server) user(id string, changes map[string]any) string {
	s.t.Helper()
	c := jwt.MapClaims{"iss": projectURL + "/auth/v1", "aud": "authenticated", "role": "authenticated", "sub": id,
		"exp": time.Now().Add(time.Hour).Unix(), "email": "u" + id[:4] + "@example.com"}
	for k, v := range changes {
		c[k] = v
	}
	return must(jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString([]byte(jwtSecret)))(s.t)
}

func operatorClaims(role bellhop.OperatorRole) map[string]any {
	return map[string]any{"app_metadata": map[string]any{"bellhop_role": role}}
}

func (s *server) key(name string, scopes ...bellhop.Scope) string {
	s.t.Helper()
	key, digest := identity.NewServerKey()
	must(s.db.AddServerKey(context.Background(), bellhop.ServerKey{Name: name, Digest: digest, Scopes: scopes}))(s.t)
	return key.Reveal()
}

const (
	userA = "0198c0de-0000-7000-8000-00000000000a"
	userB = "0198c0de-0000-7000-8000-00000000000b"
)

// everybody returns every kind of caller. What visitorA and userA own is asked for.
func (s *server) everybody(visitorA string) []caller {
	expired, _ := s.tokens.Issue("v-old", -time.Second)
	revoked := s.key("revoked", bellhop.Scopes()...)
	if err := s.db.RevokeServerKey(context.Background(), "revoked"); err != nil {
		s.t.Fatal(err)
	}
	forged, _ := identity.NewServerKey()
	strange := must(identity.NewTokens([][]byte{[]byte("another secret, long enough")}, nil))(s.t)
	forgedVisitor, _ := strange.Issue("v-x", time.Hour)
	out := []caller{
		{name: "anonymous", column: 0},
		{name: "visitor A", token: visitorA, column: 1},
		{name: "visitor B", token: s.visitor(), column: 1, others: true},
		{name: "user A", token: s.user(userA, nil), column: 2},
		{name: "user B", token: s.user(userB, nil), column: 2, others: true},
		{name: "user who calls themselves owner", token: s.user(userB, map[string]any{"user_metadata": map[string]any{"bellhop_role": "owner"}}), column: 2, others: true},
		{name: "server key of the environment", token: serverKey, column: 3, scopes: bellhop.Scopes()},
		{name: "server key without scopes", token: s.key("none"), column: 3},
		{name: "operator key", token: operatorKey, column: 4, role: bellhop.OperatorOwner},
		{name: "expired visitor", token: expired, column: -1},
		{name: "expired user", token: s.user(userA, map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}), column: -1},
		{name: "user of another project", token: s.user(userA, map[string]any{"iss": "https://evil.supabase.co/auth/v1"}), column: -1},
		{name: "revoked key", token: revoked, column: -1},
		{name: "forged key", token: forged.Reveal(), column: -1},
		{name: "forged visitor", token: forgedVisitor, column: -1},
		{name: "forged user", token: s.user(userA, nil) + "x", column: -1},
		{name: "forged owner", token: s.user(userA, operatorClaims(bellhop.OperatorOwner))[:40] + ".e30.AAAA", column: -1},
	}
	for _, scope := range bellhop.Scopes() {
		out = append(out, caller{name: "server key " + string(scope), token: s.key(strings.ReplaceAll(string(scope), ":", "-"), scope), column: 3, scopes: []bellhop.Scope{scope}})
	}
	for _, role := range bellhop.OperatorRoles() {
		out = append(out, caller{name: "user and " + string(role), token: s.user(userB, operatorClaims(role)), column: 2, role: role, others: true})
	}
	return out
}

// status sends a request and returns the status without waiting for the end of a stream.
func (s *server) status(method, path, key, body string) int {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	req := must(http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body)))(s.t)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", store.NewID())
	if strings.HasPrefix(path, "/webhooks/") {
		req.Header.Set("Stripe-Signature", sign(body, time.Now()))
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res := must(http.DefaultClient.Do(req))(s.t)
	res.Body.Close()
	return res.StatusCode
}

// owned is what visitor A and user A have.
type owned struct{ conversation, request string }

func (s *server) owned(token string) owned {
	s.t.Helper()
	conv := s.conversation(token)
	_, _, out := s.call("POST", "/v1/conversations/"+conv+"/messages", token, `{"id":"m1","text":"where is my refund"}`)
	reqs, _ := out["requests"].([]any)
	if len(reqs) != 1 {
		s.t.Fatalf("no request: %v", out["_raw"])
	}
	return owned{conv, reqs[0].(map[string]any)["id"].(string)}
}

// request makes a path and body for a route that would be accepted if the caller may.
func (r row) request(mine owned) (method, path, body string) {
	method, path, _ = strings.Cut(r.route, " ")
	id := store.NewID()
	switch {
	case strings.Contains(path, "/conversations/"):
		id = mine.conversation
	case strings.Contains(path, "/v1/requests/"):
		id = mine.request
	}
	path = strings.NewReplacer("{id}", id, "{action}", "retry", "{connection}", "stripe", "{correlation_id}", strings.Repeat("1", 32)).Replace(path)
	if method == http.MethodGet {
		return method, path, ""
	}
	switch {
	case strings.HasSuffix(path, "/messages"):
		body = `{"id":"` + store.NewID() + `","text":"hello"}`
	case strings.HasPrefix(path, "/webhooks/"):
		body = `{"id":"evt_` + store.NewID() + `","object":"event","type":"plan.created","created":1760000000,"livemode":true,"data":{"object":{"id":"x","object":"plan"}}}`
	case path == "/v1/client-errors":
		body = `{"kind":"request_failed"}`
	case strings.HasSuffix(path, "/bulk"):
		body = `{"action":"retry","ids":["` + store.NewID() + `"]}`
		if r.drop {
			body = strings.Replace(body, "retry", "drop", 1)
		}
	case method == http.MethodPatch:
		body = `{"note":"x"}`
	case path == "/v1/leads" || path == "/v1/support-requests":
		body = `{"email":"ada@example.com","message":"please"}`
	}
	return method, path, body
}

// Promise: every route is open to exactly those whom docs/security.md names.
func TestEveryRouteIsOpenToExactlyWhomTheTableNames(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		s := newServer(t, db, nil)
		table := rolesTable(t)
		var rows []string
		for _, r := range table {
			rows = append(rows, r.route)
		}
		slices.Sort(rows)
		if have := s.api.Routes(); !slices.Equal(slices.Compact(rows), have) {
			t.Fatalf("the table has\n%s\nthe API has\n%s", strings.Join(rows, "\n"), strings.Join(have, "\n"))
		}
		visitorA := s.visitor()
		ofVisitor, ofUser := s.owned(visitorA), s.owned(s.user(userA, nil))
		asked := 0
		for _, c := range s.everybody(visitorA) {
			mine := ofVisitor
			if c.column == 2 {
				mine = ofUser
			}
			for _, r := range table {
				method, path, body := r.request(mine)
				got, want := s.status(method, path, c.token, body), c.may(r)
				asked++
				switch refused := got == http.StatusUnauthorized || got == http.StatusForbidden; {
				case want != 0 && got != want, want == 0 && refused, got >= 500:
					t.Errorf("%s calls %s (drop %v): %d, the table says %d", c.name, r.route, r.drop, got, want)
				case want == 0 && got == http.StatusNotFound && strings.Contains(fmt.Sprint(r.cells), "own"):
					t.Errorf("%s does not find what is theirs at %s", c.name, r.route)
				}
			}
		}
		if asked < 500 {
			t.Errorf("only %d calls were made", asked)
		}
	})
}

// Promise: nobody reads or writes what is another's, whichever way they ask.
func TestAcrossUsersNothingIsReadAndNothingWritten(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		s := newServer(t, db, nil)
		tokens := map[string]string{"visitor A": s.visitor(), "visitor B": s.visitor(), "user A": s.user(userA, nil), "user B": s.user(userB, nil)}
		for who, token := range tokens {
			mine := s.owned(token)
			messages := func() int {
				_, _, out := s.call("GET", "/v1/conversations/"+mine.conversation, token, nil)
				list, _ := out["messages"].([]any)
				return len(list)
			}
			before := messages()
			for other, theirs := range tokens {
				if other == who {
					continue
				}
				for path, body := range map[string]string{"/v1/conversations/" + mine.conversation: "", "/v1/conversations/" + mine.conversation + "/stream": "",
					"/v1/requests/" + mine.request: "", "/v1/conversations/" + mine.conversation + "/messages": `{"id":"evil","text":"hello"}`} {
					method := http.MethodGet
					if body != "" {
						method = http.MethodPost
					}
					if got := s.status(method, path, theirs, body); got != http.StatusNotFound {
						t.Errorf("%s asks for what is %s's: %s %s answers %d", other, who, method, path, got)
					}
				}
			}
			if after := messages(); before != 2 || after != before {
				t.Errorf("%s has %d messages, then %d", who, before, after)
			}
		}
		for _, path := range []string{"/v1/leads", "/v1/support-requests"} {
			if got := s.status("POST", path, tokens["user A"], `{"email":"a@example.com","message":"x","user_id":"`+userB+`"}`); got != http.StatusForbidden {
				t.Errorf("a user speaks for another at %s: %d", path, got)
			}
		}
	})
}

// Promise: a visitor who signs in keeps their conversation, and the visitor token no
// longer opens it.
func TestAVisitorWhoSignsInKeepsTheirConversation(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		s := newServer(t, db, nil)
		visitor, ada, eve := s.visitor(), s.user(userA, nil), s.user(userB, nil)
		mine := s.owned(visitor)
		path := "/v1/conversations/" + mine.conversation
		get := func(path, token string, header ...string) int {
			code, _, _ := s.call("GET", path, token, nil, header...)
			return code
		}
		for name, codes := range map[string][2]int{ // got, want
			"without the visitor token":   {get(path, ada), http.StatusNotFound},
			"with somebody else's":        {get(path, ada, "X-Bellhop-Visitor", s.visitor()), http.StatusNotFound},
			"as a visitor, with another":  {get(path, s.visitor(), "X-Bellhop-Visitor", visitor), http.StatusNotFound},
			"with a server's key":         {get(path, s.key("all", bellhop.Scopes()...), "X-Bellhop-Visitor", visitor), http.StatusForbidden},
			"as nobody":                   {get(path, "", "X-Bellhop-Visitor", visitor), http.StatusUnauthorized},
			"with a forged visitor token": {get(path, ada, "X-Bellhop-Visitor", visitor[:len(visitor)-4]+"AAAA"), http.StatusUnauthorized},
		} {
			if codes[0] != codes[1] {
				t.Errorf("%s: %d, want %d", name, codes[0], codes[1])
			}
		}
		if got := get(path, visitor); got != http.StatusOK {
			t.Fatalf("the visitor lost it: %d", got)
		}
		for range 2 { // sent again it changes nothing
			if got := get(path, ada, "X-Bellhop-Visitor", visitor); got != http.StatusOK {
				t.Errorf("the user with both proofs: %d", got)
			}
		}
		if got := get("/v1/requests/"+mine.request, ada); got != http.StatusOK {
			t.Errorf("the request of before: %d", got)
		}
		if got := s.status("POST", path+"/messages", ada, `{"id":"m2","text":"it is me"}`); got != http.StatusOK {
			t.Errorf("going on as a user: %d", got)
		}
		for _, p := range []string{path, "/v1/requests/" + mine.request} {
			if got := get(p, visitor); got != http.StatusNotFound {
				t.Errorf("the visitor token afterwards at %s: %d", p, got)
			}
			if got := get(p, eve, "X-Bellhop-Visitor", visitor); got != http.StatusNotFound {
				t.Errorf("a second user with the same visitor token at %s: %d", p, got)
			}
		}
	})
}

func TestAVisitorIsRenewed(t *testing.T) {
	t.Parallel()
	s := newServer(t, storetest.Open(t, store.SQLite, nil), nil)
	_, _, first := s.call("POST", "/v1/visitors", "", nil)
	_, _, again := s.call("POST", "/v1/visitors", first["token"].(string), nil)
	_, _, other := s.call("POST", "/v1/visitors", "", nil)
	if again["visitor_id"] != first["visitor_id"] || other["visitor_id"] == first["visitor_id"] {
		t.Errorf("first %v, renewed %v, another %v", first["visitor_id"], again["visitor_id"], other["visitor_id"])
	}
	at := must(time.Parse(time.RFC3339, fmt.Sprint(first["expires_at"])))(t)
	if left := time.Until(at); left <= 0 || left > 48*time.Hour {
		t.Errorf("it lives for %s", left)
	}
	expired, _ := s.tokens.Issue(fmt.Sprint(first["visitor_id"]), -time.Second)
	if code, _, _ := s.call("POST", "/v1/visitors", expired, nil); code != http.StatusUnauthorized {
		t.Errorf("an expired token is renewed: %d", code)
	}
}
