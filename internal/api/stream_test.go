package api_test

import (
	"bufio"
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// The stream tells its owner every message and every change of a request, and nobody
// else anything.
func TestStreamTellsChanges(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		s := newServer(t, db, nil)
		tok := s.visitor()
		conv := s.conversation(tok)
		if code, _, out := s.call("GET", "/v1/conversations/"+conv+"/stream", s.visitor(), nil); code != http.StatusNotFound {
			t.Errorf("somebody else's stream: %d %v", code, out["_raw"])
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		req := must(http.NewRequestWithContext(ctx, "GET", s.url+"/v1/conversations/"+conv+"/stream", nil))(t)
		req.Header.Set("Authorization", "Bearer "+tok)
		resp := must(http.DefaultClient.Do(req))(t)
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		// until reads the stream until an event of a kind holds a text, or one before it did: what
		// was committed while a round was reading is told in no order.
		var past []string
		until := func(kind, text string) {
			t.Helper()
			is := func(e string) bool { return strings.HasPrefix(e, kind+" ") && strings.Contains(e, text) }
			if slices.ContainsFunc(past, is) {
				return
			}
			event := ""
			for lines.Scan() {
				line := lines.Text()
				if e, ok := strings.CutPrefix(line, "event: "); ok {
					event = e
				}
				if data, ok := strings.CutPrefix(line, "data: "); ok {
					past = append(past, event+" "+data)
					if is(past[len(past)-1]) {
						return
					}
				}
			}
			t.Fatalf("the stream ended before %s %q: %v", kind, text, lines.Err())
		}
		s.call("POST", "/v1/conversations/"+conv+"/messages", tok, `{"id":"m1","text":"where is my refund"}`)
		until("message", "where is my refund")
		until("request", `"state":"manual"`)
		_, _, out := s.call("GET", "/v1/ops/support-requests", operatorKey, nil)
		id := out["support_requests"].([]any)[0].(map[string]any)["id"].(string)
		if code, _, out := s.call("PATCH", "/v1/ops/support-requests/"+id, operatorKey, `{"status":"resolved","note":"done"}`); code != http.StatusOK {
			t.Fatalf("resolve: %d %v", code, out["_raw"])
		}
		until("request", `"state":"done"`)
		if code, _, out := s.call("PATCH", "/v1/ops/support-requests/"+id, operatorKey, `{"status":"new"}`); code != http.StatusConflict || out["code"] != "state_conflict" {
			t.Errorf("a move that does not exist: %d %v", code, out["_raw"])
		}
	})
}

func TestCORSIsForKnownOriginsOnly(t *testing.T) {
	t.Parallel()
	s := newServer(t, storetest.Open(t, store.SQLite, nil), nil)
	for origin, want := range map[string]string{"https://app.example.com": "https://app.example.com", "https://evil.example": "", "null": ""} {
		_, h, _ := s.call("POST", "/v1/visitors", "", nil, "Origin", origin)
		if got := h.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("%s: allowed %q", origin, got)
		}
	}
	if _, h, _ := s.call("GET", "/v1/ops/steps", operatorKey, nil, "Origin", "https://app.example.com"); h.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a page may call the operators' API")
	}
}
