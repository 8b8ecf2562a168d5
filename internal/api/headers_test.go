package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"bellhop/internal/api"
	"bellhop/internal/identity"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// Promise: every answer of the API, good or bad, carries the security headers; over
// https also the one by which browsers stay there.
func TestEveryAnswerOfTheAPICarriesTheSecurityHeaders(t *testing.T) {
	t.Parallel()
	s := newServer(t, storetest.Open(t, store.SQLite, nil), nil, func(o *api.Opts) { o.PublicURL = "https://chat.example.com" })
	_, _, out := s.call("GET", "/openapi.json", "", nil)
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal([]byte(out["_raw"].(string)), &doc); err != nil || len(doc.Paths) < 15 {
		t.Fatalf("%d paths, %v", len(doc.Paths), err)
	}
	check := func(method, path, key string) {
		t.Helper()
		code, h, _ := s.call(method, path, key, nil)
		for name, want := range map[string]string{"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
			"Cross-Origin-Resource-Policy": "same-origin", "Strict-Transport-Security": identity.HSTS} {
			if got := h.Get(name); got != want {
				t.Errorf("%s %s (%d): %s is %q", method, path, code, name, got)
			}
		}
		if h.Get("Permissions-Policy") == "" || h.Get("Server") != "" {
			t.Errorf("%s %s: %v", method, path, h)
		}
	}
	visitor := s.visitor()
	for path, methods := range doc.Paths {
		path = strings.NewReplacer("{id}", store.NewID(), "{action}", "retry", "{connection}", "stripe",
			"{correlation_id}", strings.Repeat("a", 32)).Replace(path)
		for method := range methods {
			for _, key := range []string{"", visitor, operatorKey, "wrong"} {
				check(strings.ToUpper(method), path, key)
			}
		}
	}
	check("GET", "/nothing", "")
	check("DELETE", "/v1/visitors", "")
	plain := newServer(t, storetest.Open(t, store.SQLite, nil), nil)
	if _, h, _ := plain.call("GET", "/healthz", "", nil); h.Get("Strict-Transport-Security") != "" {
		t.Error("over plain http browsers are told to use https, which is not there")
	}
}

// Promise: browsers may call the API from configured origins, and from nothing that only
// looks like one.
func TestLookAlikeOriginsGetNoCORS(t *testing.T) {
	t.Parallel()
	s := newServer(t, storetest.Open(t, store.SQLite, nil), nil, func(o *api.Opts) { o.Origins = append(o.Origins, "null", "*") })
	preflight := []string{"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type"}
	if code, h, _ := s.call("OPTIONS", "/v1/visitors", "", nil, append(preflight, "Origin", "https://app.example.com")...); code != http.StatusNoContent ||
		h.Get("Access-Control-Allow-Origin") != "https://app.example.com" || h.Get("Access-Control-Allow-Credentials") != "" ||
		!strings.Contains(h.Get("Access-Control-Allow-Headers"), "Authorization") || !strings.Contains(h.Get("Vary"), "Origin") {
		t.Errorf("the known origin: %d %v", code, h)
	}
	for _, origin := range []string{"null", "*", "", "http://app.example.com", "https://app.example.com.evil.example", "https://evil-app.example.com",
		"https://app.example.com:8443", "https://app.example.com/", "https://app.example.com@evil.example", "https://APP.example.com.",
		"https://sub.app.example.com", "https://app.example.co", "https://app.example.com, https://evil.example", "https://appXexample.com",
		"file://", "https://app.example.com%00.evil.example"} {
		for method, header := range map[string][]string{"POST": nil, "OPTIONS": preflight} {
			code, h, _ := s.call(method, "/v1/visitors", "", nil, append(header, "Origin", origin)...)
			for name := range h {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s from %q: %d with %s: %s", method, origin, code, name, h.Get(name))
				}
			}
			if method == "OPTIONS" && code < 400 {
				t.Errorf("a preflight from %q: %d", origin, code)
			}
		}
	}
	for _, path := range []string{"/v1/ops/steps", "/v1/ops/security-log"} {
		if _, h, _ := s.call("OPTIONS", path, "", nil, append(preflight, "Origin", "https://app.example.com")...); h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("a page may call %s", path)
		}
	}
}
