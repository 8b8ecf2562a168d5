//go:build unix

package nodes

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"bellhop/internal/sandbox"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// Promise: any node takes any request. A conversation that was begun at one node goes on
// at the next, tokens, links and operator sessions of one are good at all, and a stream
// at one node shows what came in at another.
func TestAnyNodeTakesAnyRequest(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOpts{database: storetest.URL(t, store.Postgres), nodes: 3})
	a, b, c := s.nodes[0], s.nodes[1], s.nodes[2]
	token := a.must("POST", "/v1/visitors", "", nil)["token"].(string)
	conv := b.must("POST", "/v1/conversations", token, nil)["id"].(string)
	events := c.stream(conv, token)
	for i, text := range []string{"Hi, I'm Ana Ruiz from Acme and I'd like a quote for the team plan", "my email is ana@acme.test", "and my phone is +34 600 123 456"} {
		s.nodes[i].must("POST", "/v1/conversations/"+conv+"/messages", token, map[string]string{"id": fmt.Sprint("m", i), "text": text})
	}
	began := time.Now()
	for want := 6; want > 0; { // three messages and three replies
		select {
		case ev, ok := <-events:
			if !ok {
				t.Fatal("the stream ended")
			}
			if ev == "message" {
				want--
			}
		case <-time.After(15 * time.Second):
			t.Fatalf("the stream at one node lacks %d messages of the others", want)
		}
	}
	t.Logf("the stream of a third node had everything %s later", time.Since(began).Round(time.Millisecond))
	s.until("one contact and one note", 90*time.Second, func() bool {
		n := s.box.Counts()
		return n.Contacts == 1 && n.Notes == 1 && c.drained()
	})
	contact := s.box.Snapshot().Contacts[0].Properties
	if contact["firstname"] != "Ana" || contact["email"] != "ana@acme.test" || !strings.Contains(contact["phone"], "600") {
		t.Errorf("the contact is %v", contact)
	}
	// The link in the note opens at every node.
	body := s.box.Snapshot().Notes[0].Body
	_, link, ok := strings.Cut(body, "http://bellhop.test")
	if !ok {
		t.Fatalf("no link in %q", body)
	}
	link = strings.ReplaceAll(link[:strings.IndexAny(link, "\"< \n")], "&amp;", "&")
	for _, n := range s.nodes {
		if code, _, err := n.call("GET", link, "", nil); err != nil || code != http.StatusOK {
			t.Errorf("the link answers %d %v at %s", code, err, n.url)
		}
	}
	s.checkSession()
}

// stream follows a conversation and returns the names of the events.
func (n *node) stream(conv, token string) <-chan string {
	n.s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	n.s.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", n.url+"/v1/conversations/"+conv+"/stream", nil)
	if err != nil {
		n.s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := (&http.Client{}).Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		n.s.t.Fatalf("stream: %v %v", resp, err)
	}
	events := make(chan string, 100)
	go func() {
		defer close(events)
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				events <- name
			}
		}
	}()
	return events
}

// checkSession signs in at one node and looks around at the others. Cookies do not tell
// ports apart, so the jar gives the session to all of them.
func (s *site) checkSession() {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Timeout: 10 * time.Second}
	resp, err := browser.PostForm(s.nodes[0].url+"/console/login", url.Values{"key": {operatorKey}})
	if err != nil {
		s.t.Fatal(err)
	}
	resp.Body.Close()
	for _, n := range s.nodes {
		resp, err := browser.Get(n.url + "/console/inbox")
		if err != nil {
			s.t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/console/inbox" {
			s.t.Errorf("the session is not known at %s: %d %s", n.url, resp.StatusCode, resp.Request.URL.Path)
		}
	}
}

// Promise: one webhook that is sent to all nodes at once is taken in once.
func TestOneWebhookAtAllNodesIsTakenOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOpts{database: storetest.URL(t, store.Postgres), nodes: 3})
	evs := s.box.Stripe().PayCheckout(sandbox.CheckoutParams{Email: "ada@example.com", Name: "Ada Byron", Amount: 4900, Currency: "eur"})
	var mu sync.Mutex
	accepted := map[string]int{}
	var wg sync.WaitGroup
	for _, n := range s.nodes {
		wg.Go(func() {
			res, err := s.box.Deliver(context.Background(), n.url+"/webhooks/stripe", evs, sandbox.DeliverOpts{Copies: 10, Shuffle: true, Concurrency: 10})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, r := range res {
				switch {
				case r.Status != http.StatusOK:
					t.Errorf("%s: %d %s %s", r.Type, r.Status, r.Body, r.Error)
				case strings.Contains(r.Body, "accepted"):
					accepted[r.EventID]++
				}
			}
		})
	}
	wg.Wait()
	for _, e := range evs {
		if accepted[e.ID] != 1 {
			t.Errorf("%s was accepted %d times, want 1", e.Type, accepted[e.ID])
		}
	}
	s.until("the CRM update", 90*time.Second, func() bool { return s.box.Counts().Contacts == 1 && s.nodes[1].drained() })
	if c := s.box.Snapshot().Contacts; len(c) != 1 || c[0].Writes != 1 {
		t.Errorf("contacts %+v, want one written once", c)
	}
}

// Promise: what has to be done from time to time is done once, however many nodes there
// are: a payment that names nobody is one task, a step whose job was lost is carried out
// once, the coming months' partitions are there and nobody complains.
func TestPeriodicWorkIsDoneOnce(t *testing.T) {
	t.Parallel()
	dsn := storetest.URL(t, store.Postgres)
	s := newSite(t, siteOpts{database: dsn, nodes: 3, idle: true})
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec := func(q string) {
		t.Helper()
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	// Ten payments that named nobody ten minutes ago, twenty notes whose jobs got lost.
	exec(`INSERT INTO bellhop.payments (id, connection, person_id, status, amount, amount_refunded, currency, paid_at, state, has_money,
		has_invoice, created_at, updated_at) SELECT gen_random_uuid(), 'stripe', '00000000-0000-0000-0000-000000000000', 'succeeded', 4900,
		0, 'eur', now() - interval '10 min', '{}', true, false, now() - interval '10 min', now() FROM generate_series(1, 10)`)
	exec(`WITH p AS (INSERT INTO bellhop.persons (id, email, created_at, updated_at) SELECT gen_random_uuid(), 'p' || n || '@example.com', now(), now()
		FROM generate_series(1, 20) n RETURNING id, email), l AS (INSERT INTO bellhop.lanes (person_id, connection, open) SELECT id, 'helpdesk', 1 FROM p)
		INSERT INTO bellhop.steps (id, person_id, connection, kind, key, input, state, correlation_id, due_at, created_at, updated_at)
		SELECT gen_random_uuid(), id, 'helpdesk', 'support.create_ticket', 'ticket:' || email, jsonb_build_object('email', email, 'subject',
		'Help ' || email, 'body', 'x', 'priority', 'normal'), 'ready', repeat('0', 32), now() - interval '1 min', now(), now() FROM p`)
	for _, n := range s.nodes {
		n.begin() // all at once, on a database that has things to do
	}
	for _, n := range s.nodes {
		s.until("a node to be ready", 90*time.Second, func() bool { return n.ready() == http.StatusOK })
	}
	s.until("the lost work to be done", time.Minute, func() bool {
		return s.box.Counts().Tickets >= 20 && s.nodes[0].drained()
	})
	tasks := func() int {
		out := s.nodes[2].must("GET", "/v1/ops/support-requests?status=new", operatorKey, nil)
		return len(out["support_requests"].([]any))
	}
	s.until("a task for each payment", time.Minute, func() bool { return tasks() >= 10 })
	wait(12 * time.Second) // one more round of every node
	if n := tasks(); n != 10 {
		t.Errorf("%d tasks for 10 payments that name nobody", n)
	}
	seen := map[string]bool{}
	for _, x := range s.box.Snapshot().Tickets {
		if seen[x.Subject] {
			t.Errorf("two tickets %q", x.Subject)
		}
		seen[x.Subject] = true
	}
	var partitions int
	if err := db.QueryRow(`SELECT count(*) FROM pg_inherits WHERE inhparent = 'bellhop.events'::regclass`).Scan(&partitions); err != nil || partitions != 4 {
		t.Errorf("%d partitions of events (%v), want three months and the default", partitions, err)
	}
	s.quiet()
}

// quiet fails the test for every error that a node logged.
func (s *site) quiet() {
	s.t.Helper()
	for i, n := range s.nodes {
		for line := range strings.Lines(n.logText()) {
			if strings.Contains(line, "level=ERROR") || strings.Contains(line, "ERR ") || strings.Contains(line, `"ERROR"`) {
				s.t.Errorf("node %d: %s", i, line)
			}
		}
	}
}

// Promise: a rolling restart under load loses nothing and repeats nothing, and no request
// that a node had taken is left without an answer.
func TestARollingRestartLosesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOpts{database: storetest.URL(t, store.Postgres), nodes: 3, latency: 20 * time.Millisecond})
	l := s.load(4)
	s.until("some load", 90*time.Second, func() bool { return l.accepted() > 30 })
	for _, n := range s.nodes {
		before, began := l.accepted(), time.Now()
		n.end(syscall.SIGTERM)
		t.Logf("a node under load ended %s after SIGTERM", time.Since(began).Round(100*time.Millisecond))
		s.until("the others to go on", 90*time.Second, func() bool { return l.accepted() > before })
		n.start()
	}
	l.check(time.Minute)
	for _, err := range l.cut {
		t.Errorf("a request got no answer: %v", err)
	}
	if n := l.codes[http.StatusInternalServerError]; n > 0 {
		t.Errorf("%d requests were answered with 500", n)
	}
}
