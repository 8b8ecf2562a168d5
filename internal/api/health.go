package api

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bellhop"
	"bellhop/internal/identity"
	"bellhop/internal/store"
)

// showHealth says that the process runs.
func (a *API) showHealth(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok", "version": a.o.Version})
}

// showReady says whether requests can be taken: the database answers, and the last that
// were taken found room on its disk.
func (a *API) showReady(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := a.o.DB.Ready(ctx); err != nil {
		a.fail(w, r, &bellhop.Error{Code: bellhop.CodeUnavailable,
			Message:  cmp.Or(store.Outage(err), "The database does not answer."),
			NextStep: "Try again in a few seconds; if it goes on, look at the database.", Err: err})
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}

// showMetrics serves Prometheus. Numbers of a business are not for strangers: it takes
// a key, unless the operator opened it, or asks from this machine where nobody has a key.
func (a *API) showMetrics(w http.ResponseWriter, r *http.Request) {
	p, err := needScope(r.Context(), bellhop.ScopeMetricsRead, identity.RoleOperator)
	if p.May(bellhop.OperatorViewer) {
		err = nil // also for a user who is an operator
	}
	if err != nil && !(a.o.MetricsOpen && callerOf(r.Context()).address.IsLoopback()) {
		a.fail(w, r, err)
		return
	}
	a.metrics.handler.ServeHTTP(w, r)
}

// showOpenAPI serves the description that this program's own routes are made from.
func (a *API) showOpenAPI(w http.ResponseWriter, r *http.Request) {
	data, err := a.huma.OpenAPI().MarshalJSON()
	if err != nil {
		a.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/vnd.oai.openapi+json;version=3.1")
	_, _ = w.Write(data) // the client is gone if it fails
}

// describePlain adds the routes that huma does not serve to the description.
func describePlain(doc *huma.OpenAPI) {
	text := func(media string) map[string]*huma.MediaType {
		return map[string]*huma.MediaType{media: {Schema: &huma.Schema{Type: huma.TypeString}}}
	}
	add := func(method, path, id, summary, media string, params ...*huma.Param) {
		doc.AddOperation(&huma.Operation{Method: method, Path: path, OperationID: id, Summary: summary, Parameters: params,
			Responses: map[string]*huma.Response{"200": {Description: "OK", Content: text(media)}}})
	}
	path := func(name string) *huma.Param {
		return &huma.Param{Name: name, In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}}
	}
	add(http.MethodPost, "/webhooks/{connection}", "receive-webhook",
		`A provider's delivery, proven by its signature. 200 {"status":"accepted"} or {"status":"duplicate"}; 400 `+
			"signature_invalid, timestamp_stale, mode_mismatch, malformed; 413; 503 when it cannot be stored.",
		"application/json", path("connection"))
	add(http.MethodGet, "/v1/conversations/{id}/stream", "stream-conversation",
		"Server-sent events: message and request, whenever one is new or changed.", "text/event-stream", path("id"))
	add(http.MethodGet, "/healthz", "show-health", "The process runs.", "application/json")
	add(http.MethodGet, "/readyz", "show-ready", "Requests can be taken.", "application/json")
	add(http.MethodGet, "/metrics", "show-metrics", "Prometheus metrics.", "text/plain")
	add(http.MethodGet, "/openapi.json", "show-openapi", "This description.", "application/vnd.oai.openapi+json")
}
