package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bellhop"
	"bellhop/internal/identity"
	"bellhop/internal/intake"
	"bellhop/internal/store"
)

type requestOut struct {
	Status int
	Body   requestBody
}

type leadIn struct {
	IdempotencyKey string `header:"Idempotency-Key" doc:"Required; the same key again is answered with the same request."`
	RawBody        []byte
	Body           struct {
		_       struct{} `additionalProperties:"true"`
		Email   string   `json:"email,omitempty" example:"ada@example.com"`
		Name    string   `json:"name,omitempty" example:"Ada Byron"`
		Phone   string   `json:"phone,omitempty"`
		Company string   `json:"company,omitempty"`
		Message string   `json:"message,omitempty" doc:"What they are after, in their words."`
		UserID  string   `json:"user_id,omitempty" doc:"The product's own user id; only with a server key."`
		Claimed bool     `json:"claimed,omitempty" doc:"True for a public form: the address is only what somebody typed. What is known of a customer with it is then added to and not changed."`
	}
}

type supportIn struct {
	IdempotencyKey string `header:"Idempotency-Key" doc:"Required; the same key again is answered with the same request."`
	RawBody        []byte
	Body           struct {
		_        struct{} `additionalProperties:"true"`
		Subject  string   `json:"subject,omitempty"`
		Message  string   `json:"message,omitempty" doc:"What is wrong, in their words."`
		Body     string   `json:"body,omitempty" doc:"Another name for message."`
		Email    string   `json:"email,omitempty"`
		Name     string   `json:"name,omitempty"`
		Priority string   `json:"priority,omitempty" enum:"urgent,high,normal,low"`
		UserID   string   `json:"user_id,omitempty" doc:"The product's own user id; only with a server key."`
	}
}

type clientErrorIn struct {
	Body struct {
		_         struct{} `additionalProperties:"true"`
		Kind      string   `json:"kind" maxLength:"50" doc:"request_failed, stream_broken, state_shown, offline, timeout, script_error; any other counts as other"`
		RequestID string   `json:"request_id,omitempty" maxLength:"100"`
		State     string   `json:"state,omitempty" maxLength:"50" doc:"The state the customer was shown."`
		Status    int      `json:"status,omitempty"`
		Message   string   `json:"message,omitempty" maxLength:"500"`
	}
}

func (a *API) requestRoutes() {
	huma.Register(a.huma, op(http.MethodGet, "/v1/requests/{id}", "get-request", "What became of a request.",
		http.StatusOK, "requests"), wrap(a, a.getRequest))
	huma.Register(a.huma, op(http.MethodPost, "/v1/leads", "create-lead", "Hand in a lead.",
		http.StatusAccepted, "requests"), wrap(a, a.createLead))
	huma.Register(a.huma, op(http.MethodPost, "/v1/support-requests", "create-support-request", "Ask for a person.",
		http.StatusAccepted, "requests"), wrap(a, a.createSupportRequest))
	huma.Register(a.huma, op(http.MethodPost, "/v1/client-errors", "report-client-error",
		"A browser reports a failed request or the state it showed.", http.StatusAccepted, "requests"),
		wrap(a, a.reportClientError))
}

func (a *API) getRequest(ctx context.Context, in *idIn) (*requestOut, error) {
	p, err := needScope(ctx, bellhop.ScopeRequestsRead, identity.RoleVisitor, identity.RoleUser, identity.RoleOperator)
	if err != nil {
		return nil, err
	}
	if err := checkID(in.ID, "request"); err != nil {
		return nil, err
	}
	var f store.RequestFacts
	if p.Role == identity.RoleServer || p.May(bellhop.OperatorViewer) {
		f, err = a.o.DB.Request(ctx, in.ID, bellhop.Owner{}, true)
	} else {
		f, err = a.customer(ctx).Request(ctx, in.ID)
	}
	if err != nil {
		return nil, err
	}
	return &requestOut{http.StatusOK, requestBodyOf(f)}, nil
}

// apiRequest is who sends a lead or support request and for whom. A user speaks for
// themselves only.
func (a *API) apiRequest(ctx context.Context, s bellhop.Scope, key, userID string, raw []byte) (intake.APIRequest, identity.Principal, error) {
	p, err := needScope(ctx, s, identity.RoleUser)
	if err != nil {
		return intake.APIRequest{}, p, err
	}
	r := intake.APIRequest{Caller: serverName(p), IdempotencyKey: key, UserID: userID, Body: raw, CorrelationID: correlationOf(ctx)}
	if p.Role == identity.RoleUser {
		if userID != "" && userID != p.UserID {
			return r, p, bellhop.Errorf(bellhop.CodeForbidden, "Leave user_id out; your token says who you are.",
				"You can only speak for yourself.")
		}
		if err := a.limitMessages(p.Owner()); err != nil {
			return r, p, err
		}
		r.Caller, r.Owner, r.UserID = "user:"+p.UserID, p.Owner(), p.UserID
	}
	if len(r.UserID) > 200 || strings.ContainsRune(r.UserID, 0) {
		return r, p, bellhop.Errorf(bellhop.CodeInvalid, "Send a shorter user_id.", "user_id cannot be used.")
	}
	if p.Role == identity.RoleServer && r.UserID != "" {
		r.Owner = bellhop.Owner{UserID: r.UserID}
	}
	return r, p, nil
}

// serverName is whose idempotency keys those of a server are: each key has its own, so that
// one service, or a stranger behind it, cannot use up another's.
func serverName(p identity.Principal) string {
	if p.KeyName == "" || p.KeyName == identity.EnvironmentServer {
		return "server"
	}
	return "server:" + p.KeyName
}

func (a *API) createLead(ctx context.Context, in *leadIn) (*requestOut, error) {
	r, p, err := a.apiRequest(ctx, bellhop.ScopeLeadsWrite, in.IdempotencyKey, in.Body.UserID, in.RawBody)
	if err != nil {
		return nil, err
	}
	f := bellhop.LeadFields{Name: in.Body.Name, Email: in.Body.Email, Phone: in.Body.Phone, Company: in.Body.Company,
		Wants: in.Body.Message}
	if p.Role == identity.RoleUser && f.Email == "" {
		f.Email = p.Email
	}
	r.Claimed = claimed(p, f.Email) || in.Body.Claimed
	if in.Body.Claimed && p.Role == identity.RoleServer {
		if err := a.limitForm(p); err != nil {
			return nil, err
		}
		r.Caller, r.UserID, r.Owner = "form:"+p.KeyName, "", bellhop.Owner{}
	}
	acc, err := a.o.Intake.Lead(ctx, r, f)
	if err != nil {
		return nil, err
	}
	return a.acceptedRequest(ctx, acc)
}

func (a *API) createSupportRequest(ctx context.Context, in *supportIn) (*requestOut, error) {
	r, p, err := a.apiRequest(ctx, bellhop.ScopeSupportWrite, in.IdempotencyKey, in.Body.UserID, in.RawBody)
	if err != nil {
		return nil, err
	}
	s := intake.Support{Subject: in.Body.Subject, Body: in.Body.Message, Email: in.Body.Email, Name: in.Body.Name,
		Priority: bellhop.Priority(in.Body.Priority)}
	if s.Body == "" {
		s.Body = in.Body.Body
	}
	if s.Body == "" {
		s.Body = s.Subject
	}
	if s.Subject == "" {
		s.Subject = firstLine(s.Body)
	}
	if p.Role == identity.RoleUser && s.Email == "" {
		s.Email = p.Email
	}
	r.Claimed = claimed(p, s.Email)
	acc, err := a.o.Intake.SupportRequest(ctx, r, s)
	if err != nil {
		return nil, err
	}
	return a.acceptedRequest(ctx, acc)
}

// claimed reports whether an e-mail is only what a user says of themselves.
func claimed(p identity.Principal, email string) bool {
	norm, ok := bellhop.NormalizeEmail(email)
	return p.Role == identity.RoleUser && ok && norm != p.Email
}

// firstLine makes a subject of a text.
func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	if r := []rune(line); len(r) > 100 {
		line = string(r[:99]) + "…"
	}
	return line
}

func (a *API) acceptedRequest(ctx context.Context, acc store.Accepted) (*requestOut, error) {
	find := a.o.DB.RequestsByEvent
	if principalOf(ctx).Role == identity.RoleUser {
		find = a.customer(ctx).RequestsByEvent
	}
	facts, err := find(ctx, acc.EventID)
	if err != nil {
		return nil, err
	}
	if len(facts) == 0 {
		return nil, bellhop.Errorf(bellhop.CodeInternal, "Give the correlation id to the operator.",
			"It is stored, but its request cannot be found.")
	}
	status := http.StatusAccepted
	if acc.Duplicate {
		status = http.StatusOK
	}
	return &requestOut{status, requestBodyOf(facts[0])}, nil
}

func (a *API) reportClientError(ctx context.Context, in *clientErrorIn) (*struct{}, error) {
	p, err := need(ctx, identity.RoleVisitor, identity.RoleUser)
	if err != nil {
		return nil, err
	}
	if err := a.limit("errors:"+p.VisitorID+"/"+p.UserID, Rate{60, time.Minute}); err != nil {
		return nil, err
	}
	kind := known(clientErrorKinds(), in.Body.Kind)
	a.o.Functions.Note("browser "+kind, a.o.Clock.Now(), 0, false)
	// The browser's own words may hold anything, so they are not logged.
	a.o.Logger.WarnContext(ctx, "a browser reports a failure", "kind", kind, "status", in.Body.Status,
		"state", known(shownStates(), in.Body.State), "correlation_id", correlationOf(ctx))
	return nil, nil
}

// clientErrorKinds lists the failures that browsers report. Any other word counts as
// "other": each is a line of the statistics, and strangers must not add any.
func clientErrorKinds() []string {
	return []string{"request_failed", "stream_broken", "state_shown", "offline", "timeout", "script_error"}
}

// shownStates lists the states that a customer can be shown.
func shownStates() []string { return []string{"pending", "saved", "done", "manual", "error", ""} }

// known returns a stranger's word when it is in the list, else "other".
func known(list []string, word string) string {
	if slices.Contains(list, word) {
		return word
	}
	return "other"
}
