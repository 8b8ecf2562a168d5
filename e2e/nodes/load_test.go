//go:build unix

package nodes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"bellhop/internal/sandbox"
)

// load sends until it is stopped and remembers what was accepted. A client that gets no
// answer, or "try again", sends the same to the next node.
type load struct {
	s      *site
	pad    string // makes what is sent larger
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	leads   map[string]string // e-mail → name
	support map[string]bool   // subject
	paid    map[string]bool   // e-mail
	codes   map[int]int
	refusal string        // what the last 503 said
	cut     []error       // connections that broke after they had been accepted
	slowest time.Duration // from the first try to being accepted
}

// begin starts so many clients.
func (s *site) load(workers int, pad ...string) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{s: s, ctx: ctx, cancel: cancel, leads: map[string]string{}, support: map[string]bool{}, paid: map[string]bool{},
		codes: map[int]int{}}
	l.pad = strings.Join(pad, "")
	for w := range workers {
		l.wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				l.one(w, n)
				wait(5 * time.Millisecond)
			}
		})
	}
	s.t.Cleanup(l.stop)
	return l
}

// stop ends the load; what was begun is finished.
func (l *load) stop() {
	l.cancel()
	l.wg.Wait()
}

func (l *load) accepted() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.leads) + len(l.support) + len(l.paid)
}

func (l *load) one(w, n int) {
	id := fmt.Sprintf("w%d-%d", w, n)
	email := id + "@example.com"
	switch n % 3 {
	case 0:
		l.insist(w, "/v1/leads", map[string]string{"email": email, "name": "Lead " + id, "message": "a demo" + l.pad}, id)
		l.note(func() { l.leads[email] = "Lead " + id })
	case 1:
		l.insist(w, "/v1/support-requests", map[string]string{"email": email, "subject": "Help " + id, "message": "broken" + l.pad}, id)
		l.note(func() { l.support["Help "+id] = true })
	case 2:
		l.deliver(w, l.s.box.Stripe().PayCheckout(sandbox.CheckoutParams{Email: email, Name: "Payer " + id, Amount: 4900, Currency: "eur"}))
		l.note(func() { l.paid[email] = true })
	}
}

func (l *load) note(fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fn()
}

// saw notes how a try went.
func (l *load) saw(code int, err error) {
	l.note(func() {
		l.codes[code]++
		if err != nil && !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.ECONNRESET) {
			l.cut = append(l.cut, err)
		}
	})
}

func (l *load) insist(first int, path string, body any, id string) {
	began := time.Now()
	for try := 0; !l.givenUp(try); try++ {
		n := l.s.nodes[(first+try)%len(l.s.nodes)]
		code, out, err := n.call("POST", path, serverKey, body, "Idempotency-Key", id)
		l.saw(code, err)
		if code == http.StatusServiceUnavailable {
			l.note(func() { l.refusal = fmt.Sprint(out["detail"]) })
		}
		switch {
		case err == nil && code/100 == 2:
			l.note(func() { l.slowest = max(l.slowest, time.Since(began)) })
			return
		case err == nil && code != http.StatusServiceUnavailable && code != http.StatusTooManyRequests:
			l.s.t.Errorf("%s: %d %v", path, code, out)
			return
		}
		wait(20 * time.Millisecond)
	}
	l.s.t.Errorf("%s was never accepted", path)
}

// givenUp ends tries that lead nowhere, soon when the test has failed already.
func (l *load) givenUp(try int) bool {
	return try > 4000 || (try > 20 && l.ctx.Err() != nil && l.s.t.Failed())
}

func (l *load) deliver(first int, evs []sandbox.Event) {
	for try := 0; len(evs) > 0 && !l.givenUp(try); try++ {
		n := l.s.nodes[(first+try)%len(l.s.nodes)]
		res, err := l.s.box.Deliver(context.Background(), n.url+"/webhooks/stripe", evs, sandbox.DeliverOpts{})
		if err != nil {
			l.s.t.Error(err)
			return
		}
		done := map[string]bool{}
		for _, r := range res {
			done[r.EventID] = r.Status == http.StatusOK
			l.note(func() { l.codes[r.Status]++ })
			if r.Status == http.StatusServiceUnavailable {
				l.note(func() { l.refusal = r.Body })
			}
			if r.Status != 0 && r.Status != http.StatusOK && r.Status != http.StatusServiceUnavailable {
				l.s.t.Errorf("webhook: %d %s", r.Status, r.Body)
			}
		}
		var left []sandbox.Event
		for _, e := range evs {
			if !done[e.ID] {
				left = append(left, e)
			}
		}
		if evs = left; len(evs) > 0 {
			wait(20 * time.Millisecond)
		}
	}
}

// check waits until everything is carried out and holds what the vendors have against
// what was accepted: each once.
func (l *load) check(limit time.Duration) {
	t := l.s.t
	t.Helper()
	l.stop()
	var up *node
	for _, n := range l.s.nodes {
		if n.ready() == http.StatusOK {
			up = n
		}
	}
	if up == nil {
		t.Fatal("no node is ready")
	}
	defer func() {
		if t.Failed() {
			t.Logf("open steps: %v", up.open())
		}
	}()
	l.s.until("everything to be carried out", limit, up.drained)
	snap := l.s.box.Snapshot()
	contacts, tickets, notes := map[string]int{}, map[string]int{}, map[string]int{}
	ids, names, stages := map[string]string{}, map[string]string{}, map[string]string{}
	for _, c := range snap.Contacts {
		p := c.Properties
		contacts[p["email"]]++
		ids[p["email"]], names[p["email"]], stages[p["email"]] = c.ID, p["firstname"]+" "+p["lastname"], p["lifecyclestage"]
	}
	for _, n := range snap.Notes {
		notes[n.ContactID]++
	}
	for _, x := range snap.Tickets {
		tickets[x.Subject]++
	}
	for email, name := range l.leads {
		if contacts[email] != 1 || names[email] != name || notes[ids[email]] != 1 {
			t.Errorf("lead %s: %d contacts called %q with %d notes; want one of each", email, contacts[email], names[email], notes[ids[email]])
		}
	}
	for subject := range l.support {
		if tickets[subject] != 1 {
			t.Errorf("%d tickets %q, want 1", tickets[subject], subject)
		}
	}
	for email := range l.paid {
		if contacts[email] != 1 || stages[email] != "customer" {
			t.Errorf("payer %s: %d contacts, %q; want one customer", email, contacts[email], stages[email])
		}
	}
	if len(snap.Messages) > 0 {
		t.Errorf("the founder was told of %d incidents, and there was none", len(snap.Messages))
	}
	t.Logf("accepted %d leads, %d support requests, %d payments, the slowest after %s; answers %v", len(l.leads), len(l.support),
		len(l.paid), l.slowest.Round(time.Millisecond), l.codes)
	if len(l.leads) == 0 || len(l.support) == 0 || len(l.paid) == 0 {
		t.Error("the load was too small to prove anything")
	}
}
