package api_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

func sign(body string, at time.Time) string {
	m := hmac.New(sha256.New, []byte(webhookSecret))
	fmt.Fprintf(m, "%d.%s", at.Unix(), body)
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(m.Sum(nil)))
}

// Promise: every bad input is answered with problem+json that says what to do, stores
// nothing, panics nowhere and leaves no secret in the log.
func TestBadInputIsAProblemAndStoresNothing(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		s := newServer(t, db, nil)
		mine, theirs := s.visitor(), s.visitor()
		conv := s.conversation(mine)
		now := time.Now()
		deep := strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000)
		test := `{"id":"evt_1","object":"event","type":"charge.succeeded","livemode":false,"created":1,"data":{"object":{}}}`
		msg := "/v1/conversations/" + conv + "/messages"
		for _, c := range []struct {
			name, method, path, key string
			body                    any
			header                  []string
			status                  int
			code                    string
		}{
			{"malformed JSON", "POST", msg, mine, `{"id":"m1","text":`, nil, 400, "malformed"},
			{"not an object", "POST", msg, mine, `[1]`, nil, 422, "invalid"},
			{"wrong content type", "POST", msg, mine, `{"id":"m1","text":"x"}`, []string{"Content-Type", "text/plain"}, 415, "unsupported_media_type"},
			{"no body", "POST", msg, mine, nil, nil, 400, "malformed"},
			{"missing text", "POST", msg, mine, `{"id":"m1"}`, nil, 422, "invalid"},
			{"empty text", "POST", msg, mine, `{"id":"m1","text":"  "}`, nil, 422, "invalid"},
			{"invalid UTF-8", "POST", msg, mine, "{\"id\":\"m1\",\"text\":\"\xff\xfe\"}", nil, 400, "malformed"},
			{"NUL in text", "POST", msg, mine, `{"id":"m1","text":"a\u0000b"}`, nil, 422, "invalid"},
			{"NUL in id", "POST", msg, mine, `{"id":"a\u0000","text":"x"}`, nil, 422, "invalid"},
			{"10,000 levels", "POST", msg, mine, deep, nil, 400, "malformed"},
			{"text too long", "POST", msg, mine, map[string]string{"id": "m1", "text": strings.Repeat("x", 8001)}, nil, 422, "invalid"},
			{"over 1 MiB", "POST", msg, mine, `{"id":"m1","text":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413, "too_large"},
			{"nobody", "POST", msg, "", `{"id":"m1","text":"x"}`, nil, 401, "unauthenticated"},
			{"forged token", "POST", msg, mine[:len(mine)-4] + "AAAA", `{"id":"m1","text":"x"}`, nil, 401, "unauthenticated"},
			{"somebody else's conversation", "POST", msg, theirs, `{"id":"m1","text":"x"}`, nil, 404, "not_found"},
			{"somebody else's transcript", "GET", "/v1/conversations/" + conv, theirs, nil, nil, 404, "not_found"},
			{"no such conversation", "GET", "/v1/conversations/nonsense", mine, nil, nil, 404, "not_found"},
			{"no such request", "GET", "/v1/requests/" + store.NewID(), mine, nil, nil, 404, "not_found"},
			{"server key where a visitor belongs", "POST", msg, serverKey, `{"id":"m1","text":"x"}`, nil, 403, "forbidden"},
			{"visitor at the ops", "GET", "/v1/ops/steps", mine, nil, nil, 403, "forbidden"},
			{"server key at the ops", "GET", "/v1/ops/steps", serverKey, nil, nil, 403, "forbidden"},
			{"lead without a key header", "POST", "/v1/leads", serverKey, `{"email":"ada@example.com"}`, nil, 422, "invalid"},
			{"impossible e-mail", "POST", "/v1/leads", serverKey, `{"email":"ada@@example"}`, []string{"Idempotency-Key", "k1"}, 422, "invalid"},
			{"lead nobody can reach", "POST", "/v1/leads", serverKey, `{"name":"Ada"}`, []string{"Idempotency-Key", "k1"}, 422, "invalid"},
			{"lead by a visitor", "POST", "/v1/leads", mine, `{"email":"ada@example.com"}`, []string{"Idempotency-Key", "k1"}, 403, "forbidden"},
			{"support without words", "POST", "/v1/support-requests", serverKey, `{"email":"ada@example.com"}`, []string{"Idempotency-Key", "k1"}, 422, "invalid"},
			{"unknown priority", "POST", "/v1/support-requests", serverKey, `{"email":"ada@example.com","message":"x","priority":"asap"}`, []string{"Idempotency-Key", "k1"}, 422, "invalid"},
			{"wrong signature", "POST", "/webhooks/stripe", "", test, []string{"Stripe-Signature", "t=" + fmt.Sprint(now.Unix()) + ",v1=00"}, 400, "signature_invalid"},
			{"no signature", "POST", "/webhooks/stripe", "", test, nil, 400, "signature_invalid"},
			{"stale signature", "POST", "/webhooks/stripe", "", test, []string{"Stripe-Signature", sign(test, now.Add(-time.Hour))}, 400, "timestamp_stale"},
			{"test event on a live connection", "POST", "/webhooks/stripe", "", test, []string{"Stripe-Signature", sign(test, now)}, 400, "mode_mismatch"},
			{"signed nonsense", "POST", "/webhooks/stripe", "", `{"id":`, []string{"Stripe-Signature", sign(`{"id":`, now)}, 400, "malformed"},
			{"signed depth", "POST", "/webhooks/stripe", "", deep, []string{"Stripe-Signature", sign(deep, now)}, 400, "malformed"},
			{"webhook over 1 MiB", "POST", "/webhooks/stripe", "", strings.Repeat("x", 1<<20+1), nil, 413, "too_large"},
			{"unknown connection", "POST", "/webhooks/nobody", "", `{}`, nil, 404, "not_found"},
			{"unknown path", "GET", "/v1/nothing", "", nil, nil, 404, "not_found"},
			{"wrong method", "DELETE", "/v1/visitors", "", nil, nil, 405, "method_not_allowed"},
			{"no such step", "POST", "/v1/ops/steps/" + store.NewID() + "/retry", operatorKey, nil, nil, 404, "not_found"},
			{"no such action", "POST", "/v1/ops/steps/" + store.NewID() + "/explode", operatorKey, nil, nil, 422, "invalid"},
			{"bad window", "GET", "/v1/ops/stats?window=soon", operatorKey, nil, nil, 422, "invalid"},
		} {
			status, h, out := s.call(c.method, c.path, c.key, c.body, c.header...)
			if status != c.status || out["code"] != c.code {
				t.Errorf("%s: got %d %v, want %d %s: %.300v", c.name, status, out["code"], c.status, c.code, out["_raw"])
				continue
			}
			if ct := h.Get("Content-Type"); ct != "application/problem+json" {
				t.Errorf("%s: content type %q", c.name, ct)
			}
			for _, f := range []string{"type", "title", "detail", "next_step", "correlation_id"} {
				if v, _ := out[f].(string); v == "" {
					t.Errorf("%s: %s is missing: %v", c.name, f, out["_raw"])
				}
			}
			if _, ok := out["retryable"].(bool); !ok || out["status"] != float64(c.status) {
				t.Errorf("%s: status or retryable is missing: %v", c.name, out["_raw"])
			}
		}
		n, err := db.Counts(context.Background(), now.Add(-time.Hour))
		if err != nil || n.Events != 0 || len(n.StepsByState) != 0 || n.SupportSince != 0 {
			t.Errorf("something was stored: %+v %v", n, err)
		}
		for _, secret := range []string{mine, theirs, serverKey, operatorKey, webhookSecret, "ada@example.com", "panic"} {
			if strings.Contains(s.log.String(), secret) {
				t.Errorf("the log holds %q", secret)
			}
		}
	})
}

func TestIdempotencyOfTheAPI(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		s := newServer(t, db, nil)
		for _, path := range []string{"/v1/leads", "/v1/support-requests"} {
			body := `{"email":"ada@example.com","message":"please"}`
			c1, _, first := s.call("POST", path, serverKey, body, "Idempotency-Key", "k1")
			c2, _, again := s.call("POST", path, serverKey, body, "Idempotency-Key", "k1")
			c3, _, other := s.call("POST", path, serverKey, `{"email":"bob@example.com","message":"please"}`, "Idempotency-Key", "k1")
			if c1 != http.StatusAccepted || c2 != http.StatusOK || first["id"] == nil || first["id"] != again["id"] {
				t.Errorf("%s: %d %v, then %d %v", path, c1, first, c2, again)
			}
			if c3 != http.StatusConflict || other["code"] != "idempotency_conflict" {
				t.Errorf("%s: another body: %d %v", path, c3, other)
			}
		}
	})
}

func TestAMessageSentAgainIsAnsweredTheSame(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		s := newServer(t, db, nil)
		tok := s.visitor()
		conv := s.conversation(tok)
		path := "/v1/conversations/" + conv + "/messages"
		_, _, first := s.call("POST", path, tok, `{"id":"m1","text":"where is my refund"}`)
		_, _, again := s.call("POST", path, tok, `{"id":"m1","text":"where is my refund"}`)
		if first["_raw"] != again["_raw"] {
			t.Errorf("first %v\nagain %v", first["_raw"], again["_raw"])
		}
		reqs := first["requests"].([]any)
		if len(reqs) != 1 || reqs[0].(map[string]any)["state"] != "manual" || first["decision"].(map[string]any)["escalated"] != true {
			t.Errorf("requests %v, decision %v", reqs, first["decision"])
		}
		code, h, stream := s.call("POST", path, tok, `{"id":"m2","text":"ada@example.com"}`, "Accept", "text/event-stream")
		raw := stream["_raw"].(string)
		if code != 200 || !strings.HasPrefix(h.Get("Content-Type"), "text/event-stream") || strings.Count(raw, "event: delta") != 2 ||
			!strings.Contains(raw, "event: request") || strings.Count(raw, "event: done") != 1 {
			t.Errorf("%d %s: %s", code, h.Get("Content-Type"), raw)
		}
		code, _, out := s.call("POST", path, tok, `{"id":"m3","text":"panic please"}`)
		if code != 200 || out["decision"].(map[string]any)["escalated"] != true {
			t.Errorf("a broken assistant: %d %v", code, out["_raw"])
		}
		_, _, tr := s.call("GET", "/v1/conversations/"+conv, tok, nil)
		if n := len(tr["messages"].([]any)); n != 6 {
			t.Errorf("%d messages, want 6", n)
		}
		corr := first["correlation_id"].(string)
		_, _, story := s.call("GET", "/v1/ops/story/"+corr, operatorKey, nil)
		if st, _ := story["sentence"].(string); !strings.Contains(st, "With a person") {
			t.Errorf("story: %v", story["_raw"])
		}
	})
}
