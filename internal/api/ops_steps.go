package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bellhop"
	"bellhop/internal/desk"
	"bellhop/internal/engine"
	"bellhop/internal/store"
)

// stepBody is a step as operators see it.
type stepBody struct {
	ID            string          `json:"id"`
	Kind          string          `json:"kind"`
	Connection    string          `json:"connection"`
	State         string          `json:"state" enum:"waiting,ready,running,retrying,unknown,parked,manual,done,dropped"`
	CorrelationID string          `json:"correlation_id"`
	Attempts      int             `json:"attempts"`
	Error         string          `json:"error" doc:"The vendor's last reason, empty when there is none."`
	ErrorClass    string          `json:"error_class,omitempty"`
	What          string          `json:"what" doc:"In words: what it is to do and for whom."`
	Payload       string          `json:"payload" doc:"In words: what it carries."`
	Result        json.RawMessage `json:"result,omitempty"`
	TaskID        string          `json:"support_request_id,omitempty"`
	IncidentID    string          `json:"incident_id,omitempty"`
	RequestID     string          `json:"request_id,omitempty"`
	DoneBy        string          `json:"done_by,omitempty"`
	Actions       []string        `json:"actions" doc:"What an operator can do to it now."`
	DueAt         time.Time       `json:"due_at"`
	CreatedAt     time.Time       `json:"created_at"`
	UpdatedAt     time.Time       `json:"updated_at"`
}

type attemptBody struct {
	Number          int       `json:"number"`
	StartedAt       time.Time `json:"started_at"`
	DurationMS      float64   `json:"duration_ms"`
	Class           string    `json:"class,omitempty"`
	Status          int       `json:"status,omitempty"`
	VendorRequestID string    `json:"vendor_request_id,omitempty"`
	Error           string    `json:"error,omitempty"`
}

type stepsIn struct {
	State         string `query:"state" enum:"waiting,ready,running,retrying,unknown,parked,manual,done,dropped"`
	Kind          string `query:"kind" maxLength:"60"`
	Connection    string `query:"connection" maxLength:"60"`
	CorrelationID string `query:"correlation_id" maxLength:"64"`
	Before        string `query:"before" maxLength:"36" doc:"next of the page before."`
	Limit         int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type stepsOut struct {
	Body struct {
		Steps []stepBody `json:"steps"`
		Next  string     `json:"next,omitempty" doc:"Send it as before for the next page."`
	}
}

type stepOut struct {
	Body struct {
		stepBody
		Tries []attemptBody `json:"tries"`
	}
}

type settleIn struct {
	ID     string `path:"id" maxLength:"100"`
	Action string `path:"action" enum:"retry,done,drop"`
}

type bulkIn struct {
	Body struct {
		Action string   `json:"action" enum:"retry,done,drop"`
		IDs    []string `json:"ids" minItems:"1" maxItems:"1000"`
	}
}

type bulkOut struct {
	Body struct {
		Results []bulkResult `json:"results"`
	}
}

type bulkResult struct {
	ID    string `json:"id"`
	OK    bool   `json:"ok"`
	State string `json:"state,omitempty"`
	Code  string `json:"code,omitempty"`
	Error string `json:"error,omitempty"`
}

func (a *API) opsStepRoutes() {
	huma.Register(a.huma, op(http.MethodGet, "/v1/ops/steps", "list-steps", "Steps, newest first.", http.StatusOK, "ops"),
		wrap(a, a.listSteps))
	huma.Register(a.huma, op(http.MethodGet, "/v1/ops/steps/{id}", "get-step", "One step with its tries.", http.StatusOK, "ops"),
		wrap(a, a.getStep))
	huma.Register(a.huma, op(http.MethodPost, "/v1/ops/steps/bulk", "settle-steps",
		"Do the same to many steps; each succeeds or fails by itself.", http.StatusOK, "ops"), wrap(a, a.settleSteps))
	huma.Register(a.huma, op(http.MethodPost, "/v1/ops/steps/{id}/{action}", "settle-step",
		"Retry a step, record that it was done by hand, or drop it.", http.StatusOK, "ops"), wrap(a, a.settleStep))
}

func stepBodyOf(s bellhop.Step) stepBody {
	what, payload := engine.Describe(s)
	return stepBody{ID: s.ID, Kind: s.Kind, Connection: s.Connection, State: string(s.State), CorrelationID: s.CorrelationID,
		Attempts: s.Attempts, Error: s.Error, ErrorClass: string(s.ErrorClass), What: what, Payload: payload, Result: s.Result,
		TaskID: s.TaskID, IncidentID: s.IncidentID, RequestID: s.RequestID, DoneBy: s.DoneBy, Actions: actionsOf(s.State),
		DueAt: s.DueAt, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt}
}

func actionsOf(s bellhop.StepState) []string {
	switch s {
	case bellhop.StepManual, bellhop.StepParked, bellhop.StepRetrying, bellhop.StepUnknown:
		return []string{"retry", "done", "drop"}
	case bellhop.StepWaiting, bellhop.StepReady:
		return []string{"done", "drop"}
	default:
		return []string{}
	}
}

func (a *API) listSteps(ctx context.Context, in *stepsIn) (*stepsOut, error) {
	if _, err := needOperator(ctx, bellhop.OperatorViewer); err != nil {
		return nil, err
	}
	if in.Before != "" {
		if err := checkID(in.Before, "page"); err != nil {
			return nil, err
		}
	}
	if strings.ContainsRune(in.Kind+in.Connection+in.CorrelationID, 0) {
		return nil, bellhop.Errorf(bellhop.CodeInvalid, "Send an ordinary filter.", "A filter contains a NUL character.")
	}
	steps, err := a.o.DB.Steps(ctx, store.StepFilter{State: bellhop.StepState(in.State), Kind: in.Kind, Connection: in.Connection,
		CorrelationID: in.CorrelationID, Before: in.Before, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	out := &stepsOut{}
	out.Body.Steps = stepBodies(steps)
	if len(steps) == in.Limit {
		out.Body.Next = steps[len(steps)-1].ID
	}
	return out, nil
}

func stepBodies(steps []bellhop.Step) []stepBody {
	out := make([]stepBody, len(steps))
	for i, s := range steps {
		out[i] = stepBodyOf(s)
	}
	return out
}

func (a *API) getStep(ctx context.Context, in *idIn) (*stepOut, error) {
	if _, err := needOperator(ctx, bellhop.OperatorViewer); err != nil {
		return nil, err
	}
	if err := checkID(in.ID, "step"); err != nil {
		return nil, err
	}
	s, err := a.o.DB.Step(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return a.stepWithTries(ctx, s)
}

func (a *API) stepWithTries(ctx context.Context, s bellhop.Step) (*stepOut, error) {
	tries, err := a.o.DB.Attempts(ctx, s.ID)
	out := &stepOut{}
	out.Body.stepBody = stepBodyOf(s)
	out.Body.Tries = make([]attemptBody, len(tries))
	for i, t := range tries {
		out.Body.Tries[i] = attemptBody{t.Number, t.StartedAt, float64(t.Duration.Microseconds()) / 1000, string(t.Class),
			t.Status, t.VendorRequestID, t.Error}
	}
	return out, err
}

func (a *API) settleStep(ctx context.Context, in *settleIn) (*stepOut, error) {
	p, err := needOperator(ctx, bellhop.OperatorAgent)
	if err != nil {
		return nil, err
	}
	if err := checkID(in.ID, "step"); err != nil {
		return nil, err
	}
	s, err := a.o.Desk.Settle(ctx, in.ID, desk.Action(in.Action), operatorName(p))
	if err != nil {
		return nil, err
	}
	a.note(ctx, store.SecurityOperator, in.Action+" of step "+s.ID)
	return a.stepWithTries(ctx, s)
}

func (a *API) settleSteps(ctx context.Context, in *bulkIn) (*bulkOut, error) {
	least := bellhop.OperatorAgent
	if in.Body.Action == string(desk.ActionDrop) {
		least = bellhop.OperatorOwner // what is dropped is never done, and here without a look at each
	}
	p, err := needOperator(ctx, least)
	if err != nil {
		return nil, err
	}
	slices.Sort(in.Body.IDs)
	ids := slices.Compact(in.Body.IDs)
	for _, id := range ids {
		if err := checkID(id, "step"); err != nil {
			return nil, err
		}
	}
	out := &bulkOut{}
	out.Body.Results = []bulkResult{}
	results := a.o.Desk.SettleAll(ctx, ids, desk.Action(in.Body.Action), operatorName(p))
	for _, r := range results {
		b := bulkResult{ID: r.ID, OK: r.Err == nil, State: string(r.State)}
		if r.Err != nil {
			pr := problemOf(ctx, r.Err)
			a.logProblem(ctx, pr)
			b.Code, b.Error = pr.Code, pr.Detail
		}
		out.Body.Results = append(out.Body.Results, b)
	}
	a.note(ctx, store.SecurityOperator, desk.BulkWords(desk.Action(in.Body.Action), results))
	return out, nil
}
