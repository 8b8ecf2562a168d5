//go:build unix

package chaos

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"bellhop/internal/sandbox"
)

// oracle holds what was accepted: what a server answered with success.
type oracle struct {
	mu       sync.Mutex
	accepted []accepted
	settled  map[string]settled // by step id
	retried  map[string]bool    // steps that an operator pressed Retry on, heard or not
	touched  map[string]bool    // steps that an operator may have settled without hearing it
}

// accepted is one ask that was answered with success.
type accepted struct {
	ask
	correlation string
	began, done time.Time // first sent, answered
	requestID   string
	token, conv string // of a chat
	refunded    bool
}

// settled is what an operator was told became of a step.
type settled struct {
	at     time.Time
	action string
}

func newOracle() *oracle {
	return &oracle{settled: map[string]settled{}, retried: map[string]bool{}, touched: map[string]bool{}}
}

func (o *oracle) note(fn func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fn()
}

// all returns what was accepted so far, in the order of the answers.
func (o *oracle) all() []accepted {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.accepted)
}

// correlationOf is the correlation id that an ask is sent with.
func correlationOf(a ask) string {
	sum := sha256.Sum256([]byte("chaos " + a.name))
	return hex.EncodeToString(sum[:16])
}

// call sends one request; an error means that no whole answer came.
func (s *site) call(node int, method, path, key string, body any, header map[string]string) (int, map[string]any, error) {
	var rd io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		rd = bytes.NewReader(data)
	}
	req, err := http.NewRequest(method, s.nodes[node].url+path, rd)
	if err != nil {
		return 0, nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err
	}
	out := map[string]any{}
	if len(data) > 0 && strings.Contains(resp.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(data, &out); err != nil {
			return 0, nil, err
		}
	}
	return resp.StatusCode, out, nil
}

// insist sends the same request, to one server after the other, until it is answered
// with success, as a client does that was told to. nil when ctx ends first.
func (s *site) insist(ctx context.Context, a ask, path, key string, body any, header map[string]string) map[string]any {
	header = maps.Clone(header)
	if header == nil {
		header = map[string]string{}
	}
	corr := correlationOf(a)
	header["Traceparent"] = "00-" + corr + "-" + corr[:16] + "-01"
	for try := 0; ctx.Err() == nil; try++ {
		code, out, err := s.call((a.node+try)%len(s.nodes), "POST", path, key, body, header)
		switch {
		case err == nil && code/100 == 2:
			return out
		case err == nil && code < 500 && code != http.StatusTooManyRequests && code != http.StatusUnauthorized:
			s.errf("%s of %s was refused: %d %v", path, a.name, code, out)
			return nil
		}
		pause(time.Duration(25+min(5*try, 50)) * time.Millisecond)
	}
	return nil
}

// carry does one ask and notes it when it was accepted.
func (s *site) carry(ctx context.Context, a ask) {
	acc := accepted{ask: a, correlation: correlationOf(a), began: time.Now()}
	ok := false
	switch a.what {
	case "lead", "support":
		ok = s.request(ctx, &acc)
	case "payment":
		ok = s.pay(ctx, &acc)
	case "chat":
		ok = s.chat(ctx, &acc)
	}
	if !ok {
		s.errf("%s %s was never accepted", a.what, a.name)
	}
}

// request hands in a lead or a support request, possibly once more when it is accepted.
func (s *site) request(ctx context.Context, acc *accepted) bool {
	path, body := "/v1/leads", map[string]string{"email": acc.email, "name": "Lead " + acc.name, "message": "a demo for " + acc.name}
	if acc.what == "support" {
		path, body = "/v1/support-requests", map[string]string{"email": acc.email, "subject": "Help " + acc.name, "message": "it is broken"}
	}
	key := map[string]string{"Idempotency-Key": acc.name}
	out := s.insist(ctx, acc.ask, path, serverKey, body, key)
	if out == nil {
		return false
	}
	acc.requestID, _ = out["id"].(string)
	s.accept(acc)
	if acc.again {
		s.tally.count("repeat of an accepted request")
		if out := s.insist(ctx, acc.ask, path, serverKey, body, key); out != nil && out["id"] != acc.requestID {
			s.errf("%s sent again is request %v, not %s", acc.name, out["id"], acc.requestID)
		}
	}
	return true
}

func (s *site) accept(acc *accepted) {
	acc.done = time.Now()
	s.o.note(func() { s.o.accepted = append(s.o.accepted, *acc) })
}

// pay makes a purchase at the provider, whose webhooks come several times, in any order,
// until each was answered with success.
func (s *site) pay(ctx context.Context, acc *accepted) bool {
	evs := s.box.Stripe().PayCheckout(sandbox.CheckoutParams{Email: acc.email, Name: "Payer " + acc.name, Amount: 4900, Currency: "eur"})
	if acc.refund {
		evs = append(evs, s.box.Stripe().Refund(evs[0].Object, 1000)...)
		acc.refunded = true
	}
	if !s.deliver(ctx, acc, evs) {
		return false
	}
	s.accept(acc)
	if acc.again {
		s.tally.count("webhooks after the last was accepted")
		s.deliver(ctx, acc, evs[:1])
	}
	return true
}

func (s *site) deliver(ctx context.Context, acc *accepted, evs []sandbox.Event) bool {
	for try := 0; ctx.Err() == nil; try++ {
		s.tally.add("webhooks delivered, shuffled", len(evs)*acc.copies)
		hook := s.nodes[(acc.node+try)%len(s.nodes)].url + "/webhooks/stripe"
		box, cancel := context.WithTimeout(ctx, 4*time.Second)
		res, err := s.box.Deliver(box, hook, evs, sandbox.DeliverOpts{Copies: acc.copies, Shuffle: true, Concurrency: 3})
		cancel()
		good := map[string]bool{}
		for _, r := range res {
			good[r.EventID] = good[r.EventID] || r.OK()
		}
		evs = slices.DeleteFunc(slices.Clone(evs), func(e sandbox.Event) bool { return good[e.ID] })
		if len(evs) == 0 {
			return true
		}
		if err == nil {
			pause(60 * time.Millisecond)
		}
	}
	return false
}

// chat is a visitor who tells what they want and then who they are.
func (s *site) chat(ctx context.Context, acc *accepted) bool {
	v := s.insist(ctx, acc.ask, "/v1/visitors", "", nil, nil)
	if v == nil {
		return false
	}
	acc.token, _ = v["token"].(string)
	c := s.insist(ctx, acc.ask, "/v1/conversations", acc.token, nil, nil)
	if c == nil {
		return false
	}
	acc.conv, _ = c["id"].(string)
	path := "/v1/conversations/" + acc.conv + "/messages"
	for n, text := range chatTexts(acc.ask) {
		msg := map[string]string{"id": acc.name + "-" + string(rune('1'+n)), "text": text}
		for range acc.copies {
			if s.insist(ctx, acc.ask, path, acc.token, msg, nil) == nil {
				return false
			}
		}
	}
	s.accept(acc)
	return true
}

func chatTexts(a ask) []string {
	return []string{"Hi, I am interested in the team plan for my company, please send me a quote", "my email is " + a.email}
}
