package api_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"bellhop/internal/assistant"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// slowOnce is an assistant whose first answer does not come before the client is gone.
type slowOnce struct {
	once    sync.Once
	asked   chan struct{}
	stopped chan struct{}
}

func (s *slowOnce) Reply(ctx context.Context, t assistant.Turn, delta func(string)) (assistant.Answer, error) {
	first := false
	s.once.Do(func() { first = true })
	if !first {
		return scripted{}.Reply(ctx, t, delta)
	}
	close(s.asked)
	<-ctx.Done()
	close(s.stopped)
	return assistant.Answer{}, ctx.Err()
}

// A client that goes away before the answer has not got "I cannot answer" for good: the
// message it sends again is answered.
func TestAMessageWhoseClientWentAwayIsAnsweredWhenItComesAgain(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		slow := &slowOnce{asked: make(chan struct{}), stopped: make(chan struct{})}
		s := newServer(t, db, slow)
		tok := s.visitor()
		path := "/v1/conversations/" + s.conversation(tok) + "/messages"
		ctx, leave := context.WithCancel(context.Background())
		req := must(http.NewRequestWithContext(ctx, "POST", s.url+path, strings.NewReader(`{"id":"m1","text":"hello"}`)))(t)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+tok)
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			if resp, err := http.DefaultClient.Do(req); err == nil {
				resp.Body.Close()
			}
		}()
		<-slow.asked
		leave()
		<-gone
		<-slow.stopped
		code, _, out := s.call("POST", path, tok, `{"id":"m1","text":"hello"}`)
		reply, _ := out["reply"].(map[string]any)
		if code != http.StatusOK || reply["text"] != "You wrote HELLO." || len(out["requests"].([]any)) != 0 {
			t.Errorf("%d %v", code, out["_raw"])
		}
	})
}
