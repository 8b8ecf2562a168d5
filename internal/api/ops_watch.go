package api

import (
	"context"
	"net/http"
	"regexp"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bellhop"
	"bellhop/internal/watch"
)

type storyIn struct {
	CorrelationID string `path:"correlation_id" maxLength:"64"`
}

type storyOut struct{ Body watch.Story }

type statsIn struct {
	Window string `query:"window" default:"10m" doc:"A duration up to 168h, like 10m or 24h."`
}

type statsOut struct{ Body watch.Stats }

type incidentBody struct {
	ID         string     `json:"id"`
	Connection string     `json:"connection"`
	Class      string     `json:"class"`
	Detail     string     `json:"detail"`
	Steps      int        `json:"steps" doc:"How many steps it has held up so far."`
	TaskID     string     `json:"support_request_id,omitempty"`
	OpenedAt   time.Time  `json:"opened_at"`
	ClosedAt   *time.Time `json:"closed_at,omitempty"`
}

type incidentsIn struct {
	Open bool `query:"open" doc:"Only those that are not over."`
}

type incidentsOut struct {
	Body struct {
		Incidents []incidentBody `json:"incidents"`
	}
}

func (a *API) opsWatchRoutes() {
	huma.Register(a.huma, op(http.MethodGet, "/v1/ops/story/{correlation_id}", "get-story",
		"Everything that carries one correlation id, in time order, ending in one sentence.", http.StatusOK, "ops"),
		wrap(a, a.getStory))
	huma.Register(a.huma, op(http.MethodGet, "/v1/ops/stats", "get-stats",
		"Per step and function: count, success rate, p50 and p95; the busywork meter.", http.StatusOK, "ops"),
		wrap(a, a.getStats))
	huma.Register(a.huma, op(http.MethodGet, "/v1/ops/incidents", "list-incidents", "Incidents, open ones first.",
		http.StatusOK, "ops"), wrap(a, a.listIncidents))
}

func (a *API) getStory(ctx context.Context, in *storyIn) (*storyOut, error) {
	if _, err := needOperator(ctx, bellhop.OperatorViewer); err != nil {
		return nil, err
	}
	if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(in.CorrelationID) {
		return nil, bellhop.Errorf(bellhop.CodeNotFound, "Send the 32 hex digits of a correlation id.", "There is no such story.")
	}
	st, err := watch.Tell(ctx, a.o.DB, in.CorrelationID)
	return &storyOut{st}, err
}

func (a *API) getStats(ctx context.Context, in *statsIn) (*statsOut, error) {
	if _, err := needOperator(ctx, bellhop.OperatorViewer); err != nil {
		return nil, err
	}
	window, err := time.ParseDuration(in.Window)
	if err != nil || window <= 0 || window > 7*24*time.Hour {
		return nil, bellhop.Errorf(bellhop.CodeInvalid, "Send a duration up to 168h, like 10m.", "window is not a duration that can be used.")
	}
	st, err := watch.Read(ctx, a.o.DB, a.o.Functions, a.o.Clock.Now(), window)
	return &statsOut{st}, err
}

func (a *API) listIncidents(ctx context.Context, in *incidentsIn) (*incidentsOut, error) {
	if _, err := needOperator(ctx, bellhop.OperatorViewer); err != nil {
		return nil, err
	}
	incs, err := a.o.DB.Incidents(ctx, in.Open, 200)
	if err != nil {
		return nil, err
	}
	out := &incidentsOut{}
	out.Body.Incidents = make([]incidentBody, len(incs))
	for i, inc := range incs {
		out.Body.Incidents[i] = incidentBody{ID: inc.ID, Connection: inc.Connection, Class: string(inc.Class), Detail: inc.Detail,
			Steps: inc.Steps, TaskID: inc.TaskID, OpenedAt: inc.OpenedAt}
		if !inc.ClosedAt.IsZero() {
			out.Body.Incidents[i].ClosedAt = &inc.ClosedAt
		}
	}
	return out, nil
}
