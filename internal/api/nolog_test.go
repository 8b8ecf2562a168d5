package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/assistant"
	"bellhop/internal/connector"
	"bellhop/internal/engine"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// rude is a vendor that puts what it was sent into everything that can go wrong.
type rude struct {
	mu sync.Mutex
	n  int
}

func (r *rude) Do(_ context.Context, call connector.Call) (connector.Result, error) {
	r.mu.Lock()
	r.n++
	n := r.n
	r.mu.Unlock()
	said := "you sent " + string(call.Input) + " with token vendor-token-hush"
	switch n {
	case 1:
		panic(said)
	case 2:
		return connector.Result{}, errors.New(said)
	default:
		return connector.Result{}, &connector.Error{Class: bellhop.ClassRejected, Message: said, Err: errors.New(said)}
	}
}

// moody is an assistant that panics with, and fails with, what it was told.
type moody struct{}

func (moody) Reply(ctx context.Context, t assistant.Turn, delta func(string)) (assistant.Answer, error) {
	if strings.Contains(t.Text, "panic") {
		panic("cannot answer " + t.Text)
	}
	return scripted{}.Reply(ctx, t, delta)
}

// Promise: no secret, token, e-mail or text of anybody is in a log line or a metric, at
// any level, whatever goes wrong. The logger here is bare: it hides nothing by itself.
func TestNothingOfAnybodyIsLogged(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		crm := engine.Connection{Name: "crm", Connector: &rude{}, Manifest: connector.Manifest{Vendor: "rude", Name: "Rude", Category: "crm",
			Limits: connector.Limits{Concurrency: 4}, Actions: []connector.ActionManifest{
				{Action: bellhop.ActionUpsertContact, Once: connector.OnceUpsert, TimeoutMS: 2000},
				{Action: bellhop.ActionAddNote, Once: connector.OnceNativeKey, TimeoutMS: 2000}}}}
		s := newServerWith(t, db, moody{}, []engine.Connection{crm})
		visitor := s.visitor()
		conv := s.conversation(visitor)
		msg := "/v1/conversations/" + conv + "/messages"
		now := time.Now()
		event := `{"id":"evt_hush","object":"event","type":"charge.succeeded","livemode":true,"created":1,"data":{"object":{"receipt_email":"paid.hush@example.com"}}}`
		for _, c := range []struct {
			method, path, key string
			body              any
			header            []string
		}{
			{"POST", msg, visitor, map[string]string{"id": "m1", "text": "my address is ada.hush@example.com"}, nil},
			{"POST", msg, visitor, map[string]string{"id": "m2", "text": "panic text-hush"}, nil},
			{"POST", msg, visitor, map[string]string{"id": "m3", "text": "panic text-hush"}, []string{"Accept", "text/event-stream"}},
			{"POST", msg, visitor, `{"id":"m4","text":"text-hush`, nil},
			{"POST", msg, visitor, `{"id":"m4-hush","text":17}`, nil},
			{"POST", msg, visitor + "hush", `{"id":"m4","text":"text-hush"}`, nil},
			{"POST", msg, "eyJhbGciOiJub25lIn0.eyJlbWFpbCI6Imp3dC1odXNoIn0.", `{}`, nil},
			{"GET", "/v1/ops/steps?kind=filter-hush", operatorKey + "x", nil, nil},
			{"GET", "/v1/ops/steps?connection=%00filter-hush&state=hush", operatorKey, nil, nil},
			{"GET", "/v1/requests/path-hush@example.com", visitor, nil, nil},
			{"GET", "/path-hush/ada.hush@example.com?token=query-hush", "", nil, nil},
			{"POST", "/v1/leads", serverKey, `{"email":"lead.hush@example.com","name":"Name Hush-hush","phone":"+34600000hush"}`, []string{"Idempotency-Key", "key-hush"}},
			{"POST", "/v1/leads", serverKey, `{"email":"other.hush@example.com"}`, []string{"Idempotency-Key", "key-hush"}},
			{"POST", "/v1/leads", serverKey, `{"email":"bad@@hush"}`, []string{"Idempotency-Key", "k-hush"}},
			{"POST", "/v1/support-requests", serverKey, `{"email":"ask.hush@example.com","message":"text-hush","subject":"subject-hush"}`, []string{"Idempotency-Key", "s-hush"}},
			{"POST", "/v1/client-errors", visitor, `{"kind":"kind-hush","message":"text-hush","state":"a b hush","request_id":"r-hush"}`, nil},
			{"POST", "/webhooks/stripe", "", event, []string{"Stripe-Signature", sign(event, now)}},
			{"POST", "/webhooks/stripe", "", event, []string{"Stripe-Signature", fmt.Sprintf("t=%d,v1=sig-hush", now.Unix())}},
			{"POST", "/webhooks/stripe", "", `{"id":"hush`, []string{"Stripe-Signature", sign(`{"id":"hush`, now)}},
			{"POST", "/webhooks/connection-hush", "", event, []string{"Authorization", "Basic aHVzaA==hush"}},
			{"GET", "/v1/ops/story/" + strings.Repeat("a", 32), operatorKey, nil, []string{"Traceparent", "00-hush-hush-01"}},
		} {
			s.call(c.method, c.path, c.key, c.body, c.header...)
		}
		s.waitForSteps(func(steps []bellhop.Step) bool { // the vendor has said everything it can
			return len(steps) > 0 && steps[len(steps)-1].State == bellhop.StepManual
		})
		_, _, metrics := s.call("GET", "/metrics", operatorKey, nil)
		if code, _, out := s.call("PATCH", "/v1/ops/support-requests/"+s.anyRequest(), operatorKey,
			`{"note":"note-hush","assignee":"anna.hush@example.com"}`); code != http.StatusOK {
			t.Fatalf("%d %v", code, out)
		}
		s.sec.Flush(t.Context())
		_, _, audit := s.call("GET", "/v1/ops/security-log?limit=1000", operatorKey, nil)
		for where, text := range map[string]string{"log": s.log.String(), "metrics": metrics["_raw"].(string), "security log": audit["_raw"].(string)} {
			for _, secret := range []string{"hush", "@", visitor, operatorKey, serverKey, webhookSecret, "sk_live_0123456789abcdef"} {
				if i := strings.Index(strings.ToLower(text), strings.ToLower(secret)); i >= 0 {
					t.Errorf("the %s holds %q: …%s…", where, secret, text[max(0, i-200):min(len(text), i+60)])
				}
			}
		}
		if !strings.Contains(s.log.String(), "panic") {
			t.Error("the panic is not in the log, so nothing was tried")
		}
	})
}

// waitForSteps blocks until the steps satisfy a condition; it is woken by the store.
func (s *server) waitForSteps(cond func([]bellhop.Step) bool) {
	s.t.Helper()
	changed, cancel := s.db.Hub().Subscribe(store.AnyStep)
	defer cancel()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for {
		steps := must(s.db.Steps(s.t.Context(), store.StepFilter{}))(s.t)
		if cond(steps) {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			s.t.Fatalf("waited in vain for the steps: %+v", steps)
		}
	}
}

func (s *server) anyRequest() string {
	s.t.Helper()
	reqs := must(s.db.SupportRequests(s.t.Context(), store.SupportFilter{}))(s.t)
	if len(reqs) == 0 {
		s.t.Fatal("no support request")
	}
	return reqs[0].ID
}
