package api_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// ahead is the machine's time, moved ahead.
type ahead struct{ by atomic.Int64 }

func (a *ahead) Now() time.Time { return time.Now().UTC().Add(time.Duration(a.by.Load())) }

// What was removed is still answered in good order: repeats as repeats, a story with the
// date on which its details went.
func TestAfterRetentionRepeatsAndStoriesAreInGoodOrder(t *testing.T) {
	t.Parallel()
	for _, kind := range storetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			clock := &ahead{}
			db := storetest.Open(t, kind, clock)
			s := newServer(t, db, nil)
			tok := s.visitor()
			conv := s.conversation(tok)
			said := "/v1/conversations/" + conv + "/messages"
			event := `{"id":"evt_1","object":"event","type":"plan.created","created":1760000000,"livemode":true,"data":{"object":{"id":"x","object":"plan"}}}`
			hook := func() (int, http.Header, map[string]any) {
				return s.call("POST", "/webhooks/stripe", "", event, "Stripe-Signature", sign(event, time.Now()))
			}
			lead := `{"email":"ada@example.com","message":"please"}`
			_, leadHead, first := s.call("POST", "/v1/leads", serverKey, lead, "Idempotency-Key", "k1")
			_, hookHead, taken := hook()
			_, _, turn := s.call("POST", said, tok, `{"id":"m1","text":"hello"}`)
			if taken["status"] != "accepted" || turn["reply"] == nil {
				t.Fatalf("%v, %v", taken, turn)
			}

			keep := 40 * 24 * time.Hour
			// The server's own round may be at it. And when the server asks the database for the time
			// just after the clock was moved, it goes by that again: then it is moved once more.
			removed, on := false, ""
			for end := time.Now().Add(time.Minute); !removed && time.Now().Before(end); {
				clock.by.Add(int64(100 * 24 * time.Hour))
				on = db.Now().Format("2 January 2006")
				gone, err := db.Prune(context.Background(), store.Retention{Events: keep, Messages: keep, Attempts: keep, Steps: keep,
					SupportRequests: keep})
				if err != nil {
					t.Fatal(err)
				}
				removed = len(gone.Partitions) >= 3 || gone.Rows["messages"] > 0
			}
			if code, _, again := s.call("POST", "/v1/leads", serverKey, lead, "Idempotency-Key", "k1"); code != http.StatusOK || again["id"] != first["id"] {
				t.Errorf("lead again: %d %v", code, again["_raw"])
			}
			if code, _, out := s.call("POST", "/v1/leads", serverKey, `{"email":"bob@example.com"}`, "Idempotency-Key", "k1"); code != http.StatusConflict {
				t.Errorf("another body: %d %v", code, out["_raw"])
			}
			if code, _, out := hook(); code != http.StatusOK || out["status"] != "duplicate" {
				t.Errorf("webhook again: %d %v", code, out["_raw"])
			}
			code, _, out := s.call("POST", said, tok, `{"id":"m1","text":"hello"}`)
			if reply, _ := out["reply"].(map[string]any); code != http.StatusOK || !strings.Contains(fmt.Sprint(reply["text"]), "not kept any more") {
				t.Errorf("message again: %d %v", code, out["_raw"])
			}
			_, _, tr := s.call("GET", "/v1/conversations/"+conv, tok, nil)
			if n := len(tr["messages"].([]any)); n != 0 {
				t.Errorf("a repeat made %d messages", n)
			}
			for what, id := range map[string]string{"lead": leadHead.Get("X-Correlation-Id"), "webhook": hookHead.Get("X-Correlation-Id")} {
				code, _, st := s.call("GET", "/v1/ops/story/"+id, operatorKey, nil)
				if code != http.StatusOK || !strings.Contains(fmt.Sprint(st["_raw"]), "removed by retention on "+on) {
					t.Errorf("story of the %s: %d %v", what, code, st["_raw"])
				}
			}
			code, _, st := s.call("GET", "/v1/ops/story/"+strings.Repeat("1", 32), operatorKey, nil)
			if code != http.StatusNotFound || !strings.Contains(fmt.Sprint(st["next_step"]), "removed by retention") {
				t.Errorf("story of nothing: %d %v", code, st["_raw"])
			}
		})
	}
}
