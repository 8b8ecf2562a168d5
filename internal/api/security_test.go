package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/api"
	"bellhop/internal/identity"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// securityLog returns the records of one kind as the API tells them, newest first.
func (s *server) securityLog(kind string) []map[string]any {
	s.t.Helper()
	code, _, out := s.call("GET", "/v1/ops/security-log?kind="+kind, operatorKey, nil)
	if code != http.StatusOK {
		s.t.Fatalf("security log: %d %v", code, out)
	}
	var recs []map[string]any
	for _, r := range out["records"].([]any) {
		recs = append(recs, r.(map[string]any))
	}
	return recs
}

// Promise: what is refused and what operators do is in the security log, with who, where
// from and how often, and without any secret, e-mail or text.
func TestTheSecurityLogHasRefusalsAndActions(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		trusted := must(identity.NewProxies([]string{"127.0.0.0/8", "::1"}))(t)
		s := newServer(t, db, nil, func(o *api.Opts) { o.Proxies = trusted })
		from := []string{"X-Forwarded-For", "198.51.100.77"}
		mine := s.visitor()
		for range 5 {
			s.call("POST", "/webhooks/stripe", "", `{"secret":"body-hush"}`, append(from, "Stripe-Signature", "t="+fmt.Sprint(time.Now().Unix())+",v1=00")...)
		}
		s.call("GET", "/v1/ops/steps", "token-hush", nil, from...)
		s.call("GET", "/v1/ops/steps", mine, nil, from...)
		s.call("POST", "/v1/support-requests", serverKey, `{"email":"ada@example.com","message":"text-hush"}`, "Idempotency-Key", "k1")
		_, _, list := s.call("GET", "/v1/ops/support-requests", operatorKey, nil)
		id := list["support_requests"].([]any)[0].(map[string]any)["id"].(string)
		if code, _, out := s.call("PATCH", "/v1/ops/support-requests/"+id, operatorKey,
			`{"status":"triaged","assignee":"anna@example.com","note":"note-hush"}`, from...); code != http.StatusOK {
			t.Fatalf("%d %v", code, out)
		}
		s.call("POST", "/v1/ops/steps/bulk", operatorKey, map[string]any{"action": "drop", "ids": []string{store.NewID()}})
		refused := s.securityLog("signature_refused")
		if n := 0.0; len(refused) == 0 || refused[0]["address"] != "198.51.100.0/24" || refused[0]["route"] != "POST /webhooks/stripe" {
			t.Errorf("refused signatures: %v", refused)
		} else {
			for _, r := range refused {
				n += r["count"].(float64)
			}
			if n != 5 {
				t.Errorf("%v refused signatures, want 5", n)
			}
		}
		if got := s.securityLog("unauthenticated"); len(got) != 1 || got[0]["role"] != "anonymous" || got[0]["route"] != "GET /v1/ops/steps" ||
			len(got[0]["correlation_id"].(string)) != 32 {
			t.Errorf("unauthenticated: %v", got)
		}
		if got := s.securityLog("forbidden"); len(got) != 1 || got[0]["role"] != "visitor" || got[0]["actor"] == "" {
			t.Errorf("forbidden: %v", got)
		}
		acts := s.securityLog("operator_action")
		if len(acts) != 2 || acts[1]["detail"] != "support request "+id+": status triaged, another assignee, a note" ||
			acts[0]["detail"] != "drop of 0 of 1 steps" || acts[1]["role"] != "operator" {
			t.Errorf("operator actions: %v", acts)
		}
		_, _, all := s.call("GET", "/v1/ops/security-log", operatorKey, nil)
		for _, secret := range []string{"hush", "@", operatorKey, serverKey, mine, webhookSecret, "198.51.100.77"} {
			if strings.Contains(all["_raw"].(string), secret) {
				t.Errorf("the log holds %q: %s", secret, all["_raw"])
			}
		}
	})
}

func TestTheSecurityLogIsExportedAsJSONLines(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		s := newServer(t, db, nil)
		for i := range 2345 { // several pages
			record := store.SecurityRecord{Kind: store.SecurityOperator, Detail: fmt.Sprint(i)}
			s.sec.Note(record)
		}
		code, header, out := s.call("GET", "/v1/ops/security-log?kind=operator_action&since=2020-01-01T00:00:00Z", operatorKey, nil, "Accept", "application/x-ndjson")
		lines := strings.Split(strings.TrimSpace(out["_raw"].(string)), "\n")
		if code != http.StatusOK || header.Get("Content-Type") != "application/x-ndjson" || len(lines) != 2345 {
			t.Fatalf("%d %v, %d lines", code, header, len(lines))
		}
		for i, line := range lines {
			var l api.SecurityLine
			if err := json.Unmarshal([]byte(line), &l); err != nil || l.Detail != fmt.Sprint(i) || l.ID == "" || l.At.IsZero() {
				t.Fatalf("line %d is %s (%v)", i, line, err)
			}
		}
		if got := s.securityLog("log_exported"); len(got) != 1 {
			t.Errorf("the export is in the log %d times", len(got))
		}
		code, _, page := s.call("GET", "/v1/ops/security-log?limit=2&kind=operator_action", operatorKey, nil)
		next, _ := page["next"].(string)
		if code != http.StatusOK || len(page["records"].([]any)) != 2 || next == "" {
			t.Fatalf("%d %v", code, page)
		}
		_, _, page = s.call("GET", "/v1/ops/security-log?limit=2&kind=operator_action&before="+next, operatorKey, nil)
		if got := page["records"].([]any)[0].(map[string]any)["detail"]; got != "2342" {
			t.Errorf("the second page begins with %v", got)
		}
		for _, key := range []string{"", s.visitor(), serverKey} {
			if code, _, _ := s.call("GET", "/v1/ops/security-log", key, nil); code != http.StatusUnauthorized && code != http.StatusForbidden {
				t.Errorf("somebody else: %d", code)
			}
		}
		for _, q := range []string{"before=x", "since=yesterday", "limit=0", "kind=%00"} {
			if code, _, _ := s.call("GET", "/v1/ops/security-log?"+q, operatorKey, nil); code != http.StatusNotFound && code != http.StatusUnprocessableEntity {
				t.Errorf("%s: %d", q, code)
			}
		}
	})
}

// hit calls until the answer is 429 and returns its Retry-After, "" when it never was.
func (s *server) hit(most int, method, path, key string, body any, header ...string) string {
	s.t.Helper()
	for range most {
		if code, h, out := s.call(method, path, key, body, header...); code == http.StatusTooManyRequests {
			if out["code"] != string(bellhop.CodeRateLimited) || out["retryable"] != true || out["next_step"] == "" {
				s.t.Errorf("the problem is %v", out)
			}
			return h.Get("Retry-After")
		}
	}
	return ""
}

// Promise: what one visitor, key or address may ask is limited, says how long to wait,
// and holds up nobody else.
func TestLimitsHoldForEachCallerAlone(t *testing.T) {
	t.Parallel()
	trusted := must(identity.NewProxies([]string{"127.0.0.0/8"}))(t)
	slow := api.Rate{N: 5, Per: time.Hour}
	for name, tt := range map[string]struct {
		limits api.Limits
		call   func(s *server, a bool, n int) string // n times as one caller, or as another
	}{
		"address": {api.Limits{Address: slow}, func(s *server, a bool, n int) string {
			return s.hit(n, "GET", "/v1/requests/x", "", nil, "X-Forwarded-For", map[bool]string{true: "198.51.100.1", false: "198.51.100.2"}[a])
		}},
		"address with a refused key": {api.Limits{Address: slow}, func(s *server, a bool, n int) string {
			return s.hit(n, "GET", "/v1/ops/steps", "guess", nil, "X-Forwarded-For", map[bool]string{true: "2001:db8:0:1::9", false: "2001:db8:0:2::9"}[a])
		}},
		"visitors": {api.Limits{Visitors: slow}, func(s *server, a bool, n int) string {
			return s.hit(n, "POST", "/v1/visitors", "", nil, "X-Forwarded-For", map[bool]string{true: "198.51.100.1", false: "198.51.100.2"}[a])
		}},
		"key": {api.Limits{Key: slow}, func(s *server, a bool, n int) string {
			return s.hit(n, "GET", "/v1/ops/steps", map[bool]string{true: serverKey, false: operatorKey}[a], nil)
		}},
		"caller": {api.Limits{Caller: slow}, func(s *server, _ bool, n int) string {
			return s.hit(n, "GET", "/v1/requests/"+store.NewID(), s.visitor(), nil)
		}},
		"messages": {api.Limits{Messages: slow}, func(s *server, _ bool, n int) string {
			return s.hit(n, "POST", "/v1/conversations", s.visitor(), nil)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, storetest.Open(t, store.SQLite, nil), nil, func(o *api.Opts) { o.Limits, o.Proxies = &tt.limits, trusted })
			if wait := tt.call(s, true, 6); wait != "720" && wait != "719" {
				t.Errorf("after five, Retry-After is %q; one comes back in 720 seconds", wait)
			}
			if wait := tt.call(s, false, 1); wait != "" {
				t.Error("another caller is held up")
			}
			if code, _, _ := s.call("GET", "/healthz", "", nil); code != http.StatusOK {
				t.Errorf("the probe: %d", code)
			}
			s.sec.Flush(t.Context())
			recs := must(s.db.SecurityLog(t.Context(), store.SecurityFilter{Kind: store.SecurityLimited}))(t)
			if len(recs) == 0 {
				t.Error("the security log does not have it")
			}
		})
	}
}

// One address in the way of another, an address that is made up, and providers.
func TestLimitsAreNoLeverAgainstOthers(t *testing.T) {
	t.Parallel()
	slow := api.Limits{Address: api.Rate{N: 5, Per: time.Hour}}
	s := newServer(t, storetest.Open(t, store.SQLite, nil), nil, func(o *api.Opts) { o.Limits = &slow })
	if s.hit(6, "GET", "/v1/requests/x", "", nil, "X-Forwarded-For", "198.51.100.1") == "" {
		t.Error("without trusted proxies the header is believed")
	}
	if code, _, _ := s.call("GET", "/v1/requests/x", "", nil, "X-Forwarded-For", "198.51.100.2"); code != http.StatusTooManyRequests {
		t.Errorf("a made-up address is a fresh start: %d", code)
	}
	for range 10 {
		if code, _, _ := s.call("GET", "/v1/ops/steps", operatorKey, nil); code != http.StatusOK {
			t.Errorf("an operator at the same address: %d", code)
		}
		if code, _, _ := s.call("POST", "/webhooks/stripe", "", `{}`); code != http.StatusBadRequest {
			t.Errorf("a provider at the same address: %d", code)
		}
	}
}
