package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bellhop"
	"bellhop/internal/store"
)

// mediaLines is JSON lines: an object a line.
const mediaLines = "application/x-ndjson"

// exportTime is how long an export may take.
const exportTime = 5 * time.Minute

// SecurityLine is a row of the security log as it is shown and exported.
type SecurityLine struct {
	ID            string    `json:"id"`
	At            time.Time `json:"at"`
	LastAt        time.Time `json:"last_at" doc:"Of the last one, when count is more than 1."`
	Kind          string    `json:"kind"`
	Role          string    `json:"role"`
	Actor         string    `json:"actor" doc:"Id of a user or visitor, name of a key or operator."`
	Address       string    `json:"address" doc:"The network it came from."`
	CorrelationID string    `json:"correlation_id"`
	Route         string    `json:"route"`
	Detail        string    `json:"detail"`
	Count         int64     `json:"count"`
}

// SecurityLineOf turns a record into its outer form.
func SecurityLineOf(r store.SecurityRecord) SecurityLine {
	return SecurityLine{r.ID, r.At, r.LastAt, string(r.Kind), r.Role, r.Actor, r.Address, r.CorrelationID, r.Route, r.Detail, r.Count}
}

type securityIn struct {
	Accept string    `header:"Accept"`
	Kind   string    `query:"kind" maxLength:"40"`
	Since  time.Time `query:"since" doc:"Only what went on at this time or later."`
	Before string    `query:"before" maxLength:"36" doc:"next of the page before."`
	Limit  int       `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type securityPage struct {
	Records []SecurityLine `json:"records"`
	Next    string         `json:"next,omitempty" doc:"Send it as before for the next page."`
}

func (a *API) opsSecurityRoutes() {
	o := op(http.MethodGet, "/v1/ops/security-log", "list-security-log",
		"The security log, newest first. With Accept: application/x-ndjson all of it, oldest first, one object a line.",
		http.StatusOK, "ops")
	schema := a.huma.OpenAPI().Components.Schemas.Schema(typeOf[securityPage](), true, "SecurityPage")
	o.Responses = map[string]*huma.Response{"200": {Description: "The records.", Content: map[string]*huma.MediaType{
		"application/json": {Schema: schema}, mediaLines: {Schema: &huma.Schema{Type: huma.TypeString}}}}}
	huma.Register(a.huma, o, wrap(a, a.listSecurity))
}

func (a *API) listSecurity(ctx context.Context, in *securityIn) (*huma.StreamResponse, error) {
	if _, err := needOperator(ctx, bellhop.OperatorViewer); err != nil {
		return nil, err
	}
	if in.Before != "" {
		if err := checkID(in.Before, "page"); err != nil {
			return nil, err
		}
	}
	if strings.ContainsRune(in.Kind, 0) {
		return nil, bellhop.Errorf(bellhop.CodeInvalid, "Send an ordinary filter.", "A filter contains a NUL character.")
	}
	f := store.SecurityFilter{Kind: store.SecurityKind(in.Kind), Since: in.Since, Before: in.Before, Limit: in.Limit}
	a.o.Security.Flush(ctx) // so that what just happened is in it
	if strings.Contains(in.Accept, mediaLines) {
		a.note(ctx, store.SecurityRead, "as JSON lines")
		return &huma.StreamResponse{Body: func(hc huma.Context) { a.exportSecurity(hc, f) }}, nil
	}
	recs, err := a.o.DB.SecurityLog(ctx, f)
	if err != nil {
		return nil, err
	}
	page := securityPage{Records: make([]SecurityLine, len(recs))}
	for i, r := range recs {
		page.Records[i] = SecurityLineOf(r)
	}
	if len(recs) == in.Limit {
		page.Next = recs[len(recs)-1].ID
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", "application/json")
		hc.SetStatus(http.StatusOK)
		_ = json.NewEncoder(hc.BodyWriter()).Encode(page) // the client is gone if it fails
	}}, nil
}

// exportSecurity writes the log a page at a time. When it breaks off half-way the answer
// does too, so that nobody takes a part for the whole.
func (a *API) exportSecurity(hc huma.Context, f store.SecurityFilter) {
	ctx, cancel := context.WithTimeout(hc.Context(), exportTime)
	defer cancel()
	hc.SetHeader("Content-Type", mediaLines)
	hc.SetStatus(http.StatusOK)
	enc := json.NewEncoder(hc.BodyWriter())
	f.Limit = 1000
	for {
		recs, err := a.o.DB.SecurityLogFrom(ctx, f)
		allowTime(hc.BodyWriter())
		for i := 0; err == nil && i < len(recs); i++ {
			err = enc.Encode(SecurityLineOf(recs[i]))
		}
		if err != nil {
			a.logProblem(ctx, problemOf(ctx, err))
			panic(http.ErrAbortHandler)
		}
		if len(recs) < f.Limit {
			return
		}
		f.After = recs[len(recs)-1].ID
	}
}
