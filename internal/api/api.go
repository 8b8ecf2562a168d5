// Package api is the JSON API of the outer contract: visitors, conversations, requests,
// leads, support requests, webhooks and what operators use. Errors are problem+json.
// Rules do not live here: handlers ask intake, desk and watch.
package api

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"bellhop"
	"bellhop/internal/assistant"
	"bellhop/internal/desk"
	"bellhop/internal/identity"
	"bellhop/internal/intake"
	"bellhop/internal/store"
	"bellhop/internal/watch"
)

// Opts configures the API.
type Opts struct {
	DB        *store.DB
	Intake    *intake.Intake
	Desk      *desk.Desk
	Auth      *identity.Authenticator
	Tokens    *identity.Tokens
	Assistant assistant.Assistant
	Functions *watch.Functions
	Security  *watch.Security // nil: there is no security log
	Proxies   identity.Proxies
	Limits    *Limits // nil: DefaultLimits
	Spend     Spend
	Clock     bellhop.Clock
	Logger    *slog.Logger
	Origins   []string // that browsers may call from
	PublicURL string
	Version   string
	// MetricsOpen lets anybody read /metrics; else an operator or server key is needed.
	MetricsOpen bool
}

// API serves the outer contract.
type API struct {
	o       Opts
	mux     *http.ServeMux
	huma    huma.API
	limits  *limiter
	metrics *metrics
	streams sync.WaitGroup
	closing chan struct{}
	once    sync.Once
}

// New makes the API.
func New(o Opts) (*API, error) {
	if o.DB == nil || o.Intake == nil || o.Desk == nil || o.Auth == nil || o.Tokens == nil || o.Assistant == nil {
		return nil, errors.New("api: DB, Intake, Desk, Auth, Tokens and Assistant are required")
	}
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Functions == nil {
		o.Functions = watch.NewFunctions()
	}
	if o.Limits == nil {
		l := DefaultLimits()
		o.Limits = &l
	}
	a := &API{o: o, mux: http.NewServeMux(), limits: newLimiter(o.Clock), metrics: newMetrics(o.DB, o.Version),
		closing: make(chan struct{})}
	installProblems()
	cfg := huma.DefaultConfig("Bellhop", o.Version)
	cfg.Info.Description = "Carries what customers say or pay to the systems that matter, exactly once, or hands it to a person."
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "", "", ""
	cfg.CreateHooks = nil
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"bearer": {Type: "http", Scheme: "bearer",
		Description: "A visitor token, a Supabase access token, a server key or an operator key."}}
	a.huma = humago.New(a.mux, cfg)
	a.routes()
	a.plainRoutes()
	return a, nil
}

// routes registers everything that huma describes and validates.
func (a *API) routes() {
	a.visitorRoutes()
	a.conversationRoutes()
	a.requestRoutes()
	a.opsStepRoutes()
	a.opsSupportRoutes()
	a.opsWatchRoutes()
	a.opsSecurityRoutes()
}

// plainRoutes registers what is no JSON in and out, or must not be parsed before it is
// verified.
func (a *API) plainRoutes() {
	for pattern, do := range a.plain() {
		a.mux.HandleFunc(pattern, do)
	}
	describePlain(a.huma.OpenAPI())
	describeClaim(a.huma.OpenAPI())
}

func (a *API) plain() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"POST /webhooks/{connection}":       a.receiveWebhook,
		"GET /v1/conversations/{id}/stream": a.streamConversation,
		"GET /healthz":                      a.showHealth,
		"GET /readyz":                       a.showReady,
		"GET /metrics":                      a.showMetrics,
		"GET /openapi.json":                 a.showOpenAPI,
	}
}

// Routes returns every route that is served, as "GET /healthz", in order.
func (a *API) Routes() []string {
	out := slices.Collect(maps.Keys(a.plain()))
	for path, item := range a.huma.OpenAPI().Paths {
		for method, op := range map[string]*huma.Operation{http.MethodGet: item.Get, http.MethodPost: item.Post,
			http.MethodPut: item.Put, http.MethodPatch: item.Patch, http.MethodDelete: item.Delete,
			http.MethodHead: item.Head, http.MethodOptions: item.Options} {
			if op != nil {
				out = append(out, method+" "+path)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Handler returns the API with everything that holds for every call around it.
func (a *API) Handler() http.Handler {
	return a.withCorrelation(a.withRecovery(a.withHeaders(a.withCORS(a.withIdentity(a.withBody(a.notFound(a.mux)))))))
}

// Owns reports whether the API answers a path; the rest of the server takes the others.
func (a *API) Owns(r *http.Request) bool {
	_, pattern := a.mux.Handler(r)
	return pattern != ""
}

// Close ends the streams; browsers connect again by themselves.
func (a *API) Close() {
	a.once.Do(func() { close(a.closing) })
	a.streams.Wait()
}

// op makes an operation with what all operations share.
func op(method, path, id, summary string, status int, tags ...string) huma.Operation {
	return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, DefaultStatus: status, Tags: tags,
		MaxBodyBytes: intake.MaxBody, BodyReadTimeout: 15 * time.Second,
		Security: []map[string][]string{{"bearer": {}}},
		Errors:   []int{400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503}}
}

// bounded gives a handler a time limit of its own.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, 30*time.Second)
}
