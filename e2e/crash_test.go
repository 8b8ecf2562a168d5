package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bellhop/internal/sandbox"
	"bellhop/internal/store/storetest"
)

// oracle holds what was accepted: what the server answered with success.
type oracle struct {
	mu      sync.Mutex
	leads   map[string]string // e-mail → name
	support map[string]string // subject → e-mail
	paid    map[string]bool   // e-mail
	chats   map[string]string // e-mail → name told in a chat
}

// Promise: the process killed with SIGKILL at random moments under load loses nothing
// that was accepted and repeats nothing. BELLHOP_CRASH_KILLS sets the number of kills on
// each store (make crash: 100).
func TestCrashLosesNothingAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	kills := 6
	if v := os.Getenv("BELLHOP_CRASH_KILLS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			t.Fatalf("BELLHOP_CRASH_KILLS must be a number of kills, not %q", v)
		}
		kills = n
	}
	for _, kind := range storetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, kind, worldOpts{latency: 3 * time.Millisecond, retry: "{attempts: 3, backoff: [100ms, 300ms]}"})
			o := &oracle{leads: map[string]string{}, support: map[string]string{}, paid: map[string]bool{}, chats: map[string]string{}}
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			rng := rand.New(rand.NewPCG(seed, 1))
			ctx, cancel := context.WithCancel(context.Background())
			var wg sync.WaitGroup
			for n := range 6 {
				wg.Add(1)
				go func() {
					defer wg.Done()
					w.load(ctx, o, n)
				}()
			}
			for range kills {
				wait := time.NewTimer(time.Duration(30+rng.IntN(500)) * time.Millisecond)
				<-wait.C
				w.kill()
				w.start()
			}
			cancel()
			wg.Wait()
			w.until("every accepted thing to be carried out", 4*time.Minute, w.drained)
			w.compare(o)
		})
	}
}

// load sends until ctx ends. Whatever gets no answer is sent again with the same key, as
// a well-behaved client does; only what was answered with success counts as accepted.
func (w *world) load(ctx context.Context, o *oracle, worker int) {
	for n := 0; ctx.Err() == nil; n++ {
		id := fmt.Sprintf("w%d-%d", worker, n)
		email := id + "@example.com"
		switch n % 4 {
		case 0:
			if w.insist(ctx, "POST", "/v1/leads", serverKey, map[string]string{"email": email, "name": "Lead " + id, "message": "a demo"}, id) {
				o.note(func() { o.leads[email] = "Lead " + id })
			}
		case 1:
			subject := "Help " + id
			if w.insist(ctx, "POST", "/v1/support-requests", serverKey, map[string]string{"email": email, "subject": subject, "message": "it is broken"}, id) {
				o.note(func() { o.support[subject] = email })
			}
		case 2:
			evs := w.box.Stripe().PayCheckout(sandbox.CheckoutParams{Email: email, Name: "Payer " + id, Amount: 4900, Currency: "eur"})
			if w.deliver(ctx, evs) {
				o.note(func() { o.paid[email] = true })
			}
		case 3:
			if w.chat(ctx, id, email) {
				o.note(func() { o.chats[email] = "Chat " + strings.ToUpper(strings.ReplaceAll(id, "-", "x")) })
			}
		}
	}
}

func (o *oracle) note(fn func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fn()
}

// insist sends until it is accepted or ctx ends; what may have been accepted by an
// unheard answer is sent again under the same key even then.
func (w *world) insist(ctx context.Context, method, path, key string, body any, id string) bool {
	for try := 0; try < 600; try++ {
		code, _, err := w.call(method, path, key, body, "Idempotency-Key", id)
		if err == nil && code/100 == 2 {
			return true
		}
		if err == nil && code < 500 && code != http.StatusTooManyRequests {
			w.t.Errorf("%s %s: %d", method, path, code)
			return false
		}
		if try > 5 && ctx.Err() != nil && !w.alive() {
			return false
		}
		pause(20 * time.Millisecond)
	}
	return false
}

func (w *world) alive() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cmd != nil
}

// pause spaces the tries of a client whose server is down.
func pause(d time.Duration) {
	t := time.NewTimer(d)
	<-t.C
}

// deliver sends a provider's events until each was answered with 200, as Stripe does.
func (w *world) deliver(ctx context.Context, evs []sandbox.Event) bool {
	left := evs
	for try := 0; len(left) > 0 && try < 600; try++ {
		res, err := w.box.Deliver(context.Background(), w.url+"/webhooks/stripe", left, sandbox.DeliverOpts{})
		if err != nil {
			return false
		}
		bad := map[string]bool{}
		for _, r := range res {
			if r.Status != http.StatusOK {
				bad[r.EventID] = true
			}
		}
		var again []sandbox.Event
		for _, e := range left {
			if bad[e.ID] {
				again = append(again, e)
			}
		}
		if left = again; len(left) > 0 {
			pause(20 * time.Millisecond)
		}
	}
	return len(left) == 0
}

// chat is a visitor who tells their name and e-mail in two messages.
func (w *world) chat(ctx context.Context, id, email string) bool {
	var token, conv string
	post := func(path string, body any) map[string]any {
		for try := 0; try < 600; try++ {
			code, out, err := w.call("POST", path, token, body)
			if err == nil && code/100 == 2 {
				return out
			}
			pause(20 * time.Millisecond)
		}
		return nil
	}
	v := post("/v1/visitors", nil)
	if v == nil {
		return false
	}
	token, _ = v["token"].(string)
	c := post("/v1/conversations", nil)
	if c == nil {
		return false
	}
	conv, _ = c["id"].(string)
	path := "/v1/conversations/" + conv + "/messages"
	if post(path, map[string]string{"id": id + "-1", "text": "Hi, I am interested in the team plan for my company, please send me a quote"}) == nil {
		return false
	}
	return post(path, map[string]string{"id": id + "-2", "text": "my email is " + email}) != nil
}

// compare holds what the vendors really have against what was accepted.
func (w *world) compare(o *oracle) {
	w.t.Helper()
	s := w.box.Snapshot()
	contacts := map[string][]sandbox.Contact{}
	for _, c := range s.Contacts {
		contacts[c.Properties["email"]] = append(contacts[c.Properties["email"]], c)
	}
	notes := map[string]int{}
	for _, n := range s.Notes {
		notes[n.ContactID]++
	}
	tickets := map[string]int{}
	for _, tk := range s.Tickets {
		tickets[tk.Subject]++
	}
	lost, twice := 0, 0
	check := func(what string, n int) {
		switch {
		case n == 0:
			lost++
			w.t.Errorf("lost: %s", what)
		case n > 1:
			twice++
			w.t.Errorf("%d times: %s", n, what)
		}
	}
	for email, name := range o.leads {
		check("contact "+email, len(contacts[email]))
		if cs := contacts[email]; len(cs) == 1 {
			if got := strings.TrimSpace(cs[0].Properties["firstname"] + " " + cs[0].Properties["lastname"]); got != name {
				w.t.Errorf("contact %s is called %q, want %q", email, got, name)
			}
			check("note of "+email, notes[cs[0].ID])
		}
	}
	for email := range o.chats {
		check("contact of the chat "+email, len(contacts[email]))
		if cs := contacts[email]; len(cs) == 1 {
			check("note of the chat "+email, notes[cs[0].ID])
		}
	}
	for subject := range o.support {
		check("ticket "+subject, tickets[subject])
	}
	for email := range o.paid {
		cs := contacts[email]
		check("customer "+email, len(cs))
		if len(cs) == 1 && cs[0].Properties["lifecyclestage"] != "customer" {
			w.t.Errorf("%s paid and is %q in the CRM", email, cs[0].Properties["lifecyclestage"])
		}
	}
	for subject, n := range tickets {
		if n > 1 {
			w.t.Errorf("%d tickets %q", n, subject)
		}
	}
	w.t.Logf("accepted %d leads, %d chats, %d support requests, %d payments; lost %d, twice %d", len(o.leads), len(o.chats),
		len(o.support), len(o.paid), lost, twice)
	if len(o.leads) == 0 || len(o.support) == 0 || len(o.paid) == 0 {
		w.t.Error("the load was too small to prove anything")
	}
}
