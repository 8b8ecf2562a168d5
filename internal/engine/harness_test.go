package engine_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/engine"
	"bellhop/internal/payments"
	"bellhop/internal/policy"
	"bellhop/internal/store"
)

// harness is the real store, policy and engine with scripted vendors.
type harness struct {
	t      *testing.T
	db     *store.DB
	acc    *store.Acceptor
	eng    *engine.Engine
	crm    *vendor
	desk   *vendor
	alerts *vendor
}

func start(t *testing.T, db *store.DB, adjust ...func(*engine.Opts)) *harness {
	t.Helper()
	return startWith(t, db, &harness{crm: newVendor(), desk: newVendor(), alerts: newVendor()}, adjust...)
}

func startWith(t *testing.T, db *store.DB, h *harness, adjust ...func(*engine.Opts)) *harness {
	t.Helper()
	h.t, h.db = t, db
	act := func(a bellhop.Action, o connector.Once) connector.ActionManifest {
		return connector.ActionManifest{Action: a, Once: o, TimeoutMS: 2000}
	}
	conns := []engine.Connection{
		{Name: "crm", Connector: h.crm, Manifest: manifest("CRM", 16, act(bellhop.ActionUpsertContact, connector.OnceUpsert),
			act(bellhop.ActionAddNote, connector.OnceLookup))},
		{Name: "helpdesk", Connector: h.desk, Manifest: manifest("Helpdesk", 8, act(bellhop.ActionCreateTicket, connector.OnceNativeKey))},
		{Name: "founder", Connector: h.alerts, Manifest: manifest("Alerts", 2, act(bellhop.ActionSendAlert, connector.OnceNone))},
	}
	o := engine.Opts{DB: db, Connections: conns, Alerts: "founder", Node: "node-" + store.NewID(),
		Retry: engine.Retry{Attempts: 3, Backoff: []time.Duration{5 * time.Millisecond, 10 * time.Millisecond}},
		Probe: 100 * time.Millisecond, ConsoleURL: "https://chat.example.com/console"}
	for _, fn := range adjust {
		fn(&o)
	}
	var err error
	if h.eng, err = engine.New(o); err != nil {
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
	pol := policy.New(policy.Opts{Targets: targets})
	h.acc = store.NewAcceptor(db, store.Policies{Plan: pol.Plan, Fold: payments.Fold, Merge: payments.Merge})
	if err := h.eng.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.close)
	return h
}

func (h *harness) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	h.acc.Close()
	if err := h.eng.Stop(ctx); err != nil {
		h.t.Errorf("stop: %v", err)
	}
}

func (h *harness) lead(n int) {
	h.t.Helper()
	email := fmt.Sprintf("p%d@example.com", n)
	now := time.Now().UTC()
	_, err := h.acc.Accept(context.Background(), store.Intake{
		Event: bellhop.Event{ID: store.NewID(), Source: "api", ExternalID: store.NewID(), Kind: bellhop.KindLeadCaptured,
			CorrelationID: fmt.Sprintf("%032x", n+1), OccurredAt: now, ReceivedAt: now, Body: []byte("{}")},
		BodyHash: sha256.Sum256([]byte(email)), Person: bellhop.PersonHint{Email: email},
		Lead: &store.LeadAsk{Fields: bellhop.LeadFields{Email: email, Name: "Ada Byron", Wants: "a demo"}, Source: "api"}})
	if err != nil {
		h.t.Fatalf("accept: %v", err)
	}
}

// wait blocks until the steps of a filter satisfy a condition; it is woken by the store.
func (h *harness) wait(what string, cond func(steps []bellhop.Step) bool) []bellhop.Step {
	h.t.Helper()
	ch, cancel := h.db.Hub().Subscribe(store.AnyStep)
	defer cancel()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for {
		steps, err := h.db.Steps(context.Background(), store.StepFilter{Limit: 1000})
		if err != nil {
			h.t.Fatal(err)
		}
		if cond(steps) {
			return steps
		}
		select {
		case <-ch:
		case <-deadline.C:
			for _, s := range steps {
				h.t.Logf("%s %s %s attempts=%d class=%s error=%s", s.Connection, s.Kind, s.State, s.Attempts, s.ErrorClass, s.Error)
			}
			h.t.Fatalf("waited in vain for %s", what)
		}
	}
}

func all(state bellhop.StepState, n int) func([]bellhop.Step) bool {
	return func(steps []bellhop.Step) bool {
		if len(steps) < n {
			return false
		}
		for _, s := range steps {
			if s.State != state {
				return false
			}
		}
		return true
	}
}

func count(steps []bellhop.Step, state bellhop.StepState, connection string) int {
	n := 0
	for _, s := range steps {
		if s.State == state && (connection == "" || s.Connection == connection) {
			n++
		}
	}
	return n
}

func (h *harness) incidents() []bellhop.Incident {
	h.t.Helper()
	out, err := h.db.Incidents(context.Background(), false, 100)
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func (h *harness) tasks(status bellhop.SupportStatus) []bellhop.SupportRequest {
	h.t.Helper()
	out, err := h.db.SupportRequests(context.Background(), store.SupportFilter{Status: status})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}
