package supabase_test

import (
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// signIn lets the visitor sign in: both proofs go through the function, and the conversation
// is the user's from then on.
func (w *world) signIn(chat, conversation, visitor string) {
	w.t.Helper()
	user, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": project + "/auth/v1", "aud": "authenticated",
		"role": "authenticated", "sub": "5b0d6f0a-7a54-4f5d-9a3b-0c2f8a8f0001", "email": "ada@example.com",
		"exp": time.Now().Add(time.Hour).Unix()}).SignedString([]byte(projectSecret))
	if err != nil {
		w.t.Fatal(err)
	}
	path := chat + "/conversations/" + conversation
	pre := w.call("OPTIONS", path, "", "Origin", site, "Access-Control-Request-Method", "GET")
	if !strings.Contains(pre.header.Get("Access-Control-Allow-Headers"), "x-bellhop-visitor") {
		w.t.Errorf("a page may not send the visitor's proof: %v", pre.header)
	}
	if got := w.call("GET", path, "", "Authorization", "Bearer "+user); got.status != http.StatusNotFound {
		w.t.Errorf("before the claim: %d %s", got.status, got.text)
	}
	if got := w.call("GET", path, "", "Authorization", "Bearer "+user, "X-Bellhop-Visitor", visitor); got.status != http.StatusOK {
		w.t.Errorf("the claim: %d %s", got.status, got.text)
	}
	if got := w.call("GET", path, "", "Authorization", "Bearer "+visitor); got.status != http.StatusNotFound {
		w.t.Errorf("the visitor, after the claim: %d %s", got.status, got.text)
	}
}
