package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"bellhop/internal/store"
)

// chatRate is how many turns a second the open-loop part of W4 and W6 sends.
const chatRate = 200

// chatUsers is over how many users the turns are spread: each may send five a second.
const chatUsers = 500

// chatTexts are what the users say, in turn. One in ten is a lead, so that the CRM gets
// its share.
func chatTexts() []string {
	return []string{"Hello", "What are your opening hours?", "Do you ship to Norway?", "How much is the Pro plan?",
		"My name is Ada Byron, my e-mail is ada%d@example.com and I want a demo for my team", "Can I pay by invoice?",
		"Thanks", "Where do I find my invoices?", "Is there a free trial?", "OK, bye"}
}

// chats is a set of open conversations.
type chats struct {
	host   string
	tokens []string
	ids    []string
	run    string // makes message ids of one load differ from another's
}

// openChats makes users and opens a conversation for each.
func openChats(ctx context.Context, addr string, users int) (*chats, error) {
	c := &chats{host: addr}
	for i := range users {
		now := time.Now()
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": supabaseURL + "/auth/v1",
			"aud": "authenticated", "role": "authenticated", "sub": fmt.Sprintf("00000000-0000-4000-8000-%012d", i+1),
			"iat": now.Unix(), "exp": now.Add(6 * time.Hour).Unix()}).SignedString([]byte(jwtSecret))
		if err != nil {
			return nil, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/v1/conversations", strings.NewReader("{}"))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		var out struct {
			ID     string `json:"id"`
			Detail string `json:"detail"`
		}
		err = json.NewDecoder(resp.Body).Decode(&out)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusCreated {
			return nil, fmt.Errorf("conversation: status %d, %s, %v", resp.StatusCode, out.Detail, err)
		}
		c.tokens, c.ids = append(c.tokens, token), append(c.ids, out.ID)
	}
	return c, nil
}

// turns is the load of one worker.
type turns struct {
	*chats
	texts     []string
	body, out []byte
}

func (t *turns) next(n int64) []byte {
	i := int(n) % len(t.ids)
	text := t.texts[(int(n)/len(t.ids)+i)%len(t.texts)]
	if strings.Contains(text, "%d") {
		text = fmt.Sprintf(text, n)
	}
	t.body = fmt.Appendf(t.body[:0], `{"id":"%s-%d","text":%q}`, t.run, n, text)
	t.out = post(t.out[:0], "/v1/conversations/"+t.ids[i]+"/messages", t.host, t.body, "Authorization", "Bearer "+t.tokens[i])
	return t.out
}

func (t *turns) check(status int, body []byte) error {
	if status != http.StatusOK {
		return fmt.Errorf("status %d: %.200s", status, body)
	}
	return nil
}

// load is a load of turns on the conversations.
func (c *chats) load(l *lab, rate float64) load {
	l.events++
	round := *c
	round.run = fmt.Sprintf("m%d", l.events)
	return load{addr: c.host, conns: l.conns, rate: rate, last: l.seconds,
		make: func(int) workload { return &turns{chats: &round, texts: chatTexts()} }}
}

// workChat measures chat turns with the offline assistant (W4): the peak, and the latency
// at 200 turns a second.
func workChat(ctx context.Context, l *lab, kind store.Kind, _ opts) error {
	for range l.rounds {
		err := l.with(ctx, kind, func(db string) (*target, error) { return l.bellhop(ctx, db, "") }, func(t *target) error {
			c, err := openChats(ctx, t.addr, chatUsers)
			if err != nil {
				return err
			}
			warm := c.load(l, chatRate)
			warm.last = l.seconds / 3
			warm.run(ctx)
			before := used(t, kind)
			steady := c.load(l, chatRate).run(ctx)
			l.out.sample("W4 at 200/s", string(kind), subjectBellhop, steady, used(t, kind)-before)
			before = used(t, kind)
			l.out.sample("W4 peak", string(kind), subjectBellhop, c.load(l, 0).run(ctx), used(t, kind)-before)
			return ctx.Err()
		})
		if err != nil {
			return err
		}
	}
	return nil
}
