package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/api"
	"bellhop/internal/assistant"
	"bellhop/internal/connector"
	"bellhop/internal/connector/stripe"
	"bellhop/internal/desk"
	"bellhop/internal/engine"
	"bellhop/internal/identity"
	"bellhop/internal/intake"
	"bellhop/internal/payments"
	"bellhop/internal/policy"
	"bellhop/internal/store"
	"bellhop/internal/watch"
)

const (
	operatorKey   = "op-key-0123456789abcdef"
	serverKey     = "sv-key-0123456789abcdef"
	webhookSecret = "whsec_test_0123456789"
	projectURL    = "https://ref.supabase.co"
	jwtSecret     = "a-secret-of-the-tests-with-more-than-32-characters"
)

// server is the API on a real store, with the real intake, policy, desk and engine, a
// connection that receives Stripe's webhooks, and no vendor that is called.
type server struct {
	t   *testing.T
	db  *store.DB
	url string
	log *safeBuffer
	sec *watch.Security

	api    *api.API
	tokens *identity.Tokens
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// must takes the results of a call and, given the test, returns the value or ends it.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newServer(t *testing.T, db *store.DB, answer assistant.Assistant, adjust ...func(*api.Opts)) *server {
	t.Helper()
	return newServerWith(t, db, answer, nil, adjust...)
}

// newServerWith is newServer with vendors that are called.
func newServerWith(t *testing.T, db *store.DB, answer assistant.Assistant, conns []engine.Connection, adjust ...func(*api.Opts)) *server {
	t.Helper()
	s := &server{t: t, db: db, log: &safeBuffer{}}
	logger := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	v := stripe.Vendor()
	settings := must(connector.ParseSettings(v.Manifest, "stripe", map[string]any{"secret_key": "sk_live_0123456789abcdef",
		"webhook_secrets": []any{webhookSecret}}))(t)
	conn := must(v.New(settings, connector.Env{HTTP: connector.NewClient(connector.ClientOpts{}), Clock: bellhop.SystemClock{}}))(t)
	eng := must(engine.New(engine.Opts{DB: db, Node: store.NewID(), Logger: logger, Connections: conns,
		Retry: engine.Retry{Attempts: 2, Backoff: []time.Duration{time.Millisecond}}}))(t)
	var targets []bellhop.Target
	for _, c := range conns {
		tg := bellhop.Target{Connection: c.Name}
		for _, a := range c.Manifest.Actions {
			tg.Actions = append(tg.Actions, a.Action)
		}
		targets = append(targets, tg)
	}
	pol := policy.New(policy.Opts{Targets: targets})
	acc := store.NewAcceptor(db, store.Policies{Plan: pol.Plan, Fold: payments.Fold, Merge: payments.Merge})
	if err := eng.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	secret := must(db.SigningSecret(context.Background()))(t)
	tokens := must(identity.NewTokens([][]byte{secret}, bellhop.SystemClock{}))(t)
	users := must(identity.NewSupabase(identity.SupabaseOpts{URL: projectURL, JWTSecret: jwtSecret}))(t)
	auth := must(identity.New(identity.Opts{Keys: identity.NewKeys(operatorKey, serverKey), Tokens: tokens, Users: users, ServerKeys: db}))(t)
	if answer == nil {
		answer = scripted{}
	}
	s.sec = watch.NewSecurity(db, nil, logger)
	opts := api.Opts{DB: db, Security: s.sec, Intake: intake.New(intake.Opts{Acceptor: acc,
		Verifiers: map[string]connector.Verifier{"stripe": conn.(connector.Verifier)}}), Desk: desk.New(db, eng, ""), Auth: auth,
		Tokens: tokens, Assistant: answer, Logger: logger, Version: "test", Origins: []string{"https://app.example.com"}}
	for _, fn := range adjust {
		fn(&opts)
	}
	a := must(api.New(opts))(t)
	srv := httptest.NewServer(a.Handler())
	s.url, s.api, s.tokens = srv.URL, a, tokens
	t.Cleanup(func() {
		a.Close()
		srv.Close()
		s.sec.Close()
		acc.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := eng.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return s
}

// scripted is an assistant that understands a few fixed words.
type scripted struct{}

func (scripted) Reply(_ context.Context, t assistant.Turn, delta func(string)) (assistant.Answer, error) {
	a := assistant.Answer{Text: "You wrote " + strings.ToUpper(t.Text) + ".", Decision: bellhop.Decision{Intent: bellhop.IntentQuestion, Confidence: 0.9}}
	switch {
	case strings.Contains(t.Text, "panic"):
		panic("scripted")
	case strings.Contains(t.Text, "refund"):
		a.Decision.Intent, a.Decision.Confidence, a.Escalate, a.EscalateReason = bellhop.IntentBilling, 0.4, true, bellhop.ReasonBilling
	case strings.Contains(t.Text, "@"):
		a.Decision.Intent, a.Decision.Fields = bellhop.IntentLead, bellhop.LeadFields{Email: t.Text}
	}
	if delta != nil {
		delta("You wrote ")
		delta(strings.ToUpper(t.Text) + ".")
	}
	return a, nil
}

// call sends a request; body may be a string or anything that becomes JSON.
func (s *server) call(method, path, key string, body any, header ...string) (int, http.Header, map[string]any) {
	s.t.Helper()
	var rd io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		rd = strings.NewReader(b)
	default:
		rd = bytes.NewReader(must(json.Marshal(b))(s.t))
	}
	req := must(http.NewRequest(method, s.url+path, rd))(s.t)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	out := map[string]any{}
	if len(data) > 0 && data[0] == '{' && !strings.HasSuffix(resp.Header.Get("Content-Type"), "ndjson") {
		if err := json.Unmarshal(data, &out); err != nil {
			s.t.Fatalf("answer is no JSON: %v: %.200s", err, data)
		}
	}
	out["_raw"] = string(data)
	return resp.StatusCode, resp.Header, out
}

func (s *server) visitor() string {
	s.t.Helper()
	code, _, out := s.call(http.MethodPost, "/v1/visitors", "", nil)
	if code != http.StatusCreated {
		s.t.Fatalf("visitor: %d %v", code, out)
	}
	return out["token"].(string)
}

func (s *server) conversation(token string) string {
	s.t.Helper()
	code, _, out := s.call(http.MethodPost, "/v1/conversations", token, nil)
	if code != http.StatusCreated {
		s.t.Fatalf("conversation: %d %v", code, out)
	}
	return out["id"].(string)
}
