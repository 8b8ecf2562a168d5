package api_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"bellhop/internal/api"
	"bellhop/internal/assistant"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// hosted is an assistant that costs money, also when it fails.
type hosted struct {
	asked atomic.Int64
}

func (h *hosted) Reply(ctx context.Context, t assistant.Turn, delta func(string)) (assistant.Answer, error) {
	h.asked.Add(1)
	ans, err := scripted{}.Reply(ctx, t, delta)
	ans.Usage = assistant.Usage{InputTokens: 1000, OutputTokens: 100, Cost: 40_000}
	if strings.Contains(t.Text, "fail") {
		return ans, errors.New("the model broke off")
	}
	return ans, err
}

// Promise: what a hosted model costs has a cap for each person and for the day, over all
// nodes. When it is reached nothing is asked of the model, and a person gets the message.
func TestTheSpendCapHandsOverToAPerson(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		h := &hosted{}
		limit := func(o *api.Opts) { o.Spend = api.Spend{PerPerson: 100_000, PerDay: 200_000} }
		s := newServer(t, db, h, limit)
		say := func(s *server, tok, conv, id, text string) (string, bool, int) {
			t.Helper()
			code, _, out := s.call("POST", "/v1/conversations/"+conv+"/messages", tok, map[string]string{"id": id, "text": text})
			if code != http.StatusOK {
				t.Fatalf("%s: %d %v", id, code, out)
			}
			return out["reply"].(map[string]any)["text"].(string), out["decision"].(map[string]any)["escalated"].(bool), len(out["requests"].([]any))
		}
		ada := s.visitor()
		conv := s.conversation(ada)
		for i, text := range []string{"one", "fail", "three"} { // 40,000 each: the third goes over
			say(s, ada, conv, text, text)
			if h.asked.Load() != int64(i+1) {
				t.Fatalf("%s: asked %d times", text, h.asked.Load())
			}
		}
		reply, escalated, requests := say(s, ada, conv, "four", "four")
		if h.asked.Load() != 3 || !escalated || requests == 0 || !strings.Contains(reply, "my limit for today") {
			t.Errorf("over the cap: asked %d times, %v, %d requests, %q", h.asked.Load(), escalated, requests, reply)
		}
		if again, _, _ := say(s, ada, conv, "one", "one"); again != "You wrote ONE." {
			t.Errorf("what was answered before is answered %q", again)
		}
		bob := s.visitor()
		bobs := s.conversation(bob)
		say(s, bob, bobs, "one", "one") // 160,000 of everybody
		say(s, bob, bobs, "two", "two")
		before := h.asked.Load()
		eve := s.visitor()
		if reply, _, _ := say(s, eve, s.conversation(eve), "one", "one"); h.asked.Load() != before || !strings.Contains(reply, "my limit") {
			t.Errorf("over the day's cap: %q", reply)
		}
		recs := s.securityLog("spend_capped")
		if len(recs) != 2 || recs[0]["detail"] != "limits.spend_per_day is reached" || recs[1]["detail"] != "limits.spend_per_person is reached" {
			t.Errorf("the security log has %v", recs)
		}
	})
}

func TestWithoutACapNothingIsCapped(t *testing.T) {
	t.Parallel()
	h := &hosted{}
	s := newServer(t, storetest.Open(t, store.SQLite, nil), h)
	tok := s.visitor()
	conv := s.conversation(tok)
	for _, id := range []string{"1", "2", "3", "4", "5", "6"} {
		if code, _, out := s.call("POST", "/v1/conversations/"+conv+"/messages", tok, map[string]string{"id": id, "text": id}); code != http.StatusOK {
			t.Fatalf("%d %v", code, out)
		}
	}
	if h.asked.Load() != 6 {
		t.Errorf("asked %d times", h.asked.Load())
	}
}
