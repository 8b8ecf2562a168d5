package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bellhop"
	"bellhop/internal/desk"
	"bellhop/internal/store"
)

// supportBody is a support request as operators see it, with the steps it holds.
type supportBody struct {
	ID             string     `json:"id"`
	Status         string     `json:"status" enum:"new,triaged,assigned,resolved"`
	Priority       string     `json:"priority" enum:"urgent,high,normal,low"`
	Reason         string     `json:"reason"`
	Subject        string     `json:"subject"`
	Body           string     `json:"body" doc:"The customer, the payload in words, the cause and the next action."`
	Assignee       string     `json:"assignee"`
	Note           string     `json:"note"`
	TranscriptURL  string     `json:"transcript_url,omitempty"`
	ConversationID string     `json:"conversation_id,omitempty"`
	IncidentID     string     `json:"incident_id,omitempty"`
	CorrelationID  string     `json:"correlation_id"`
	DueAt          time.Time  `json:"due_at"`
	CreatedAt      time.Time  `json:"created_at"`
	UpdatedAt      time.Time  `json:"updated_at"`
	ResolvedAt     *time.Time `json:"resolved_at,omitempty"`
	Steps          []stepBody `json:"steps" doc:"The steps it holds up to 100, with what can be done to each."`
}

type supportListIn struct {
	Status        string `query:"status" enum:"new,triaged,assigned,resolved"`
	Reason        string `query:"reason" maxLength:"40"`
	Priority      string `query:"priority" enum:"urgent,high,normal,low"`
	CorrelationID string `query:"correlation_id" maxLength:"64"`
	Before        string `query:"before" maxLength:"36"`
	Limit         int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type supportListOut struct {
	Body struct {
		SupportRequests []supportBody `json:"support_requests"`
		Next            string        `json:"next,omitempty"`
	}
}

type supportOut struct{ Body supportBody }

type supportEditIn struct {
	ID   string `path:"id" maxLength:"100"`
	Body struct {
		Status   string  `json:"status,omitempty" enum:"new,triaged,assigned,resolved"`
		Assignee *string `json:"assignee,omitempty" maxLength:"200"`
		Priority string  `json:"priority,omitempty" enum:"urgent,high,normal,low"`
		Note     string  `json:"note,omitempty" maxLength:"10000" doc:"Added to the notes."`
	}
}

func (a *API) opsSupportRoutes() {
	huma.Register(a.huma, op(http.MethodGet, "/v1/ops/support-requests", "list-support-requests", "Support requests, newest first.",
		http.StatusOK, "ops"), wrap(a, a.listSupport))
	huma.Register(a.huma, op(http.MethodGet, "/v1/ops/support-requests/{id}", "get-support-request", "One support request.",
		http.StatusOK, "ops"), wrap(a, a.getSupport))
	huma.Register(a.huma, op(http.MethodPatch, "/v1/ops/support-requests/{id}", "edit-support-request",
		"Move a support request through its lifecycle, assign it, change its priority, add a note.", http.StatusOK, "ops"),
		wrap(a, a.editSupport))
}

// supportBodyOf adds the steps that a request holds: its own, and for an outage those of
// its incident.
func (a *API) supportBodyOf(ctx context.Context, s bellhop.SupportRequest) (supportBody, error) {
	b := supportBody{ID: s.ID, Status: string(s.Status), Priority: string(s.Priority), Reason: string(s.Reason), Subject: s.Subject,
		Body: s.Body, Assignee: s.Assignee, Note: s.Note, TranscriptURL: s.TranscriptURL, ConversationID: s.ConversationID,
		IncidentID: s.IncidentID, CorrelationID: s.CorrelationID, DueAt: s.DueAt, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
		Steps: []stepBody{}}
	if !s.ResolvedAt.IsZero() {
		b.ResolvedAt = &s.ResolvedAt
	}
	var f store.StepFilter
	switch s.Reason {
	case bellhop.ReasonOutage:
		f.IncidentID = s.IncidentID
	case bellhop.ReasonSyncFailed:
		f.TaskID = s.ID
	default:
		f.RequestID = s.ID
	}
	f.Limit = 100
	steps, err := a.o.DB.Steps(ctx, f)
	b.Steps = stepBodies(steps)
	return b, err
}

func (a *API) listSupport(ctx context.Context, in *supportListIn) (*supportListOut, error) {
	if _, err := needOperator(ctx, bellhop.OperatorViewer); err != nil {
		return nil, err
	}
	if in.Before != "" {
		if err := checkID(in.Before, "page"); err != nil {
			return nil, err
		}
	}
	if strings.ContainsRune(in.Reason+in.CorrelationID, 0) {
		return nil, bellhop.Errorf(bellhop.CodeInvalid, "Send an ordinary filter.", "A filter contains a NUL character.")
	}
	reqs, err := a.o.DB.SupportRequests(ctx, store.SupportFilter{Status: bellhop.SupportStatus(in.Status),
		Reason: bellhop.Reason(in.Reason), Priority: bellhop.Priority(in.Priority), CorrelationID: in.CorrelationID,
		Before: in.Before, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	out := &supportListOut{}
	out.Body.SupportRequests = make([]supportBody, len(reqs))
	for i, s := range reqs {
		if out.Body.SupportRequests[i], err = a.supportBodyOf(ctx, s); err != nil {
			return nil, err
		}
	}
	if len(reqs) == in.Limit {
		out.Body.Next = reqs[len(reqs)-1].ID
	}
	return out, nil
}

func (a *API) getSupport(ctx context.Context, in *idIn) (*supportOut, error) {
	if _, err := needOperator(ctx, bellhop.OperatorViewer); err != nil {
		return nil, err
	}
	if err := checkID(in.ID, "support request"); err != nil {
		return nil, err
	}
	s, err := a.o.DB.SupportRequest(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	b, err := a.supportBodyOf(ctx, s)
	return &supportOut{b}, err
}

func (a *API) editSupport(ctx context.Context, in *supportEditIn) (*supportOut, error) {
	p, err := needOperator(ctx, bellhop.OperatorAgent)
	if err != nil {
		return nil, err
	}
	if err := checkID(in.ID, "support request"); err != nil {
		return nil, err
	}
	e := desk.Edit{Status: bellhop.SupportStatus(in.Body.Status), Assignee: in.Body.Assignee,
		Priority: bellhop.Priority(in.Body.Priority), Note: in.Body.Note}
	s, err := a.o.Desk.Edit(ctx, in.ID, e, operatorName(p))
	if err != nil {
		return nil, err
	}
	a.note(ctx, store.SecurityOperator, e.Words(s.ID))
	b, err := a.supportBodyOf(ctx, s)
	return &supportOut{b}, err
}
