package console

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/desk"
	"bellhop/internal/engine"
	"bellhop/internal/identity"
	"bellhop/internal/payments"
	"bellhop/internal/policy"
	"bellhop/internal/store"
)

const (
	operatorKey = "operator-key-for-tests-0123456789"
	serverKey   = "server-key-for-tests-0123456789"
	// evil is what a customer writes who wants to run something in the operator's browser.
	evil = `<script>alert(1)</script><img src=x onerror=alert(2)>"'&` + "\nsecond line"
)

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	off time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().UTC().Add(c.off)
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}

// vendor refuses the credentials until it is healed, and always refuses the contact that
// it is told to.
type vendor struct {
	mu     sync.Mutex
	down   bool
	refuse string
}

func (v *vendor) Do(_ context.Context, call connector.Call) (connector.Result, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var in bellhop.ContactInput
	_ = json.Unmarshal(call.Input, &in) // the test's own input
	switch {
	case v.refuse != "" && in.Email == v.refuse:
		return connector.Result{}, &connector.Error{Class: bellhop.ClassRejected, Status: 422, Message: "that contact is not wanted", VendorRequestID: "req-7"}
	case v.down:
		return connector.Result{}, &connector.Error{Class: bellhop.ClassUnauthorized, Status: 401, Message: "token expired", VendorRequestID: "req-8"}
	}
	return connector.Result{VendorID: "id-1", Note: "made"}, nil
}

func (v *vendor) set(down bool, refuse string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.down, v.refuse = down, refuse
}

// harness is the console on the real store, policy, engine and desk, with scripted vendors.
type harness struct {
	t      *testing.T
	db     *store.DB
	acc    *store.Acceptor
	crm    *vendor
	tokens *identity.Tokens
	clock  *clock
	con    *console
	h      http.Handler

	operators *identity.Operators
}

// newOperators knows the harness's operators beside other keys. Passwords cost little.
func (h *harness) newOperators(keys identity.Keys) *identity.Operators {
	h.t.Helper()
	o, err := identity.NewOperators(identity.OperatorsOpts{Store: h.db, Keys: keys, Clock: h.clock,
		Cost: identity.PasswordCost{MemoryKiB: 64, Passes: 1, Lanes: 1}})
	if err != nil {
		h.t.Fatal(err)
	}
	return o
}

func start(t *testing.T, db *store.DB, adjust ...func(*Opts)) *harness {
	t.Helper()
	h := &harness{t: t, db: db, crm: &vendor{}, clock: &clock{}}
	act := func(a bellhop.Action) connector.ActionManifest {
		return connector.ActionManifest{Action: a, Once: connector.OnceUpsert, TimeoutMS: 2000}
	}
	man := func(actions ...connector.ActionManifest) connector.Manifest {
		return connector.Manifest{Vendor: "fake", Name: "Fake", Category: "crm", Actions: actions, Limits: connector.Limits{Concurrency: 8}}
	}
	conns := []engine.Connection{
		{Name: "crm", Connector: h.crm, Manifest: man(act(bellhop.ActionUpsertContact), act(bellhop.ActionAddNote))},
		{Name: "helpdesk", Connector: &vendor{}, Manifest: man(act(bellhop.ActionCreateTicket), act(bellhop.ActionUpdateTicket))},
	}
	eng, err := engine.New(engine.Opts{DB: db, Connections: conns, Node: "node-" + store.NewID(), Probe: time.Hour,
		Retry: engine.Retry{Attempts: 3, Backoff: []time.Duration{time.Millisecond}}})
	if err != nil {
		t.Fatal(err)
	}
	var targets []bellhop.Target
	for _, c := range conns {
		tg := bellhop.Target{Connection: c.Name}
		for _, a := range c.Manifest.Actions {
			tg.Actions = append(tg.Actions, a.Action)
		}
		targets = append(targets, tg)
	}
	if h.tokens, err = identity.NewTokens([][]byte{[]byte("a secret of the tests, long enough")}, h.clock); err != nil {
		t.Fatal(err)
	}
	pol := policy.New(policy.Opts{Targets: targets, TranscriptLink: func(id string) string { return TranscriptURL("", h.tokens, id) }})
	h.acc = store.NewAcceptor(db, store.Policies{Plan: pol.Plan, Fold: payments.Fold, Merge: payments.Merge})
	if err := eng.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		h.acc.Close()
		if err := eng.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	h.operators = h.newOperators(identity.NewKeys(operatorKey, serverKey))
	o := Opts{DB: db, Desk: desk.New(db, eng, "helpdesk"), Tokens: h.tokens, Operators: h.operators,
		Clock: h.clock, Product: "Acme"}
	for _, fn := range adjust {
		fn(&o)
	}
	if h.con, err = newConsole(o); err != nil {
		t.Fatal(err)
	}
	h.h = h.con.handler()
	return h
}

func (h *harness) lead(email, name string) {
	h.t.Helper()
	now := time.Now().UTC()
	_, err := h.acc.Accept(context.Background(), store.Intake{
		Event: bellhop.Event{ID: store.NewID(), Source: "api", ExternalID: store.NewID(), Kind: bellhop.KindLeadCaptured,
			CorrelationID: correlation, OccurredAt: now, ReceivedAt: now, Body: []byte("{}")},
		BodyHash: sha256.Sum256([]byte(email)), Person: bellhop.PersonHint{Email: email},
		Lead: &store.LeadAsk{Fields: bellhop.LeadFields{Email: email, Name: name, Wants: "a demo"}, Source: "api"}})
	if err != nil {
		h.t.Fatalf("accept: %v", err)
	}
}

const correlation = "0af7651916cd43dd8448eb211c80319c"

// chat has a visitor ask for a person and returns the conversation and its request.
func (h *harness) chat(text string) (conversation string, req bellhop.SupportRequest) {
	h.t.Helper()
	ctx := context.Background()
	owner := bellhop.Owner{VisitorID: "v1"}
	c, err := h.db.CreateConversation(ctx, owner)
	if err != nil {
		h.t.Fatal(err)
	}
	now := time.Now().UTC()
	_, err = h.acc.Accept(ctx, store.Intake{
		Event: bellhop.Event{ID: store.NewID(), Source: store.ChatSource(c.ID), ExternalID: "m1", Kind: bellhop.KindMessage,
			CorrelationID: "1af7651916cd43dd8448eb211c80319c", OccurredAt: now, ReceivedAt: now, Body: []byte("{}")},
		ConversationID: c.ID, Owner: owner,
		Chat: &store.ChatTurn{ClientID: "m1", Text: text, Reply: "A person will look at it.",
			Decision: bellhop.Decision{Intent: bellhop.IntentBilling, Confidence: 0.42, Fields: bellhop.LeadFields{Name: text, Email: "dana@acme.test"}},
			Ask:      &bellhop.SupportAsk{RequestID: store.NewID(), Reason: bellhop.ReasonBilling, Subject: "Billing: " + text, Body: text}}})
	if err != nil {
		h.t.Fatal(err)
	}
	reqs, err := h.db.SupportRequests(ctx, store.SupportFilter{Reason: bellhop.ReasonBilling})
	if err != nil || len(reqs) == 0 {
		h.t.Fatalf("no support request: %v", err)
	}
	return c.ID, reqs[0]
}

// wait blocks until the steps satisfy a condition; it is woken by the store.
func (h *harness) wait(what string, f store.StepFilter, cond func([]bellhop.Step) bool) []bellhop.Step {
	h.t.Helper()
	ch, cancel := h.db.Hub().Subscribe(store.AnyStep)
	defer cancel()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for {
		steps, err := h.db.Steps(context.Background(), f)
		if err != nil {
			h.t.Fatal(err)
		}
		if cond(steps) {
			return steps
		}
		select {
		case <-ch:
		case <-deadline.C:
			h.t.Fatalf("waited in vain for %s", what)
		}
	}
}

func atLeast(n int) func([]bellhop.Step) bool {
	return func(s []bellhop.Step) bool { return len(s) >= n }
}

// outage makes the CRM refuse its credentials and n leads wait for it; it returns the task.
func (h *harness) outage(n int) bellhop.SupportRequest {
	h.t.Helper()
	h.crm.set(true, "")
	for i := range n {
		h.lead(string(rune('a'+i))+"@acme.test", "Ada Byron")
	}
	h.wait("parked steps", store.StepFilter{State: bellhop.StepParked}, atLeast(n))
	return h.task(bellhop.ReasonOutage)
}

func (h *harness) task(reason bellhop.Reason) bellhop.SupportRequest {
	h.t.Helper()
	reqs, err := h.db.SupportRequests(context.Background(), store.SupportFilter{Reason: reason})
	if err != nil || len(reqs) != 1 {
		h.t.Fatalf("%d requests because of %s (%v), want one", len(reqs), reason, err)
	}
	return reqs[0]
}

// browser keeps the cookie and the form token of one operator.
type browser struct {
	h       *harness
	cookies []*http.Cookie
	csrf    string
	address string
}

func (h *harness) browser() *browser { return &browser{h: h, address: "192.0.2.1:5000"} }

func (b *browser) send(r *http.Request) *http.Response {
	b.h.t.Helper()
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	r.RemoteAddr = b.address
	w := httptest.NewRecorder()
	b.h.h.ServeHTTP(w, r)
	return w.Result()
}

func (b *browser) get(path string) (int, string) {
	b.h.t.Helper()
	res := b.send(httptest.NewRequest(http.MethodGet, path, nil))
	return res.StatusCode, body(b.h.t, res)
}

// page gets a page that must be there.
func (b *browser) page(path string) string {
	b.h.t.Helper()
	status, text := b.get(path)
	if status != http.StatusOK {
		b.h.t.Fatalf("GET %s: %d\n%s", path, status, text)
	}
	return text
}

func (b *browser) post(path string, pairs ...string) *http.Response {
	b.h.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	if b.csrf != "" && !form.Has("csrf") {
		form.Set("csrf", b.csrf)
	}
	return b.send(formRequest(path, form))
}

func formRequest(path string, form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

func (b *browser) signIn() *browser {
	b.h.t.Helper()
	return b.enter(b.post("/console/login", "key", operatorKey))
}

const password = "a password of the tests"

// signInAs makes an operator of a role, when there is none yet, and signs them in.
func (b *browser) signInAs(role bellhop.OperatorRole) *browser {
	b.h.t.Helper()
	_, err := b.h.operators.Add(context.Background(), string(role), password, role)
	if err != nil && bellhop.CodeOf(err) != bellhop.CodeStateConflict {
		b.h.t.Fatal(err)
	}
	return b.enter(b.post("/console/login", "name", string(role), "key", password))
}

func (b *browser) enter(res *http.Response) *browser {
	b.h.t.Helper()
	if res.StatusCode != http.StatusSeeOther {
		b.h.t.Fatalf("sign in: %d\n%s", res.StatusCode, body(b.h.t, res))
	}
	b.cookies = res.Cookies()
	m := csrfField.FindStringSubmatch(b.page("/console"))
	if m == nil {
		b.h.t.Fatal("Today carries no form token")
	}
	b.csrf = m[1]
	return b
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
