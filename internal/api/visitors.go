package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bellhop"
	"bellhop/internal/identity"
	"bellhop/internal/store"
)

// visitorTTL is how long a visitor token lives.
const visitorTTL = 30 * 24 * time.Hour

type visitorOut struct {
	Body struct {
		Token     string    `json:"token" doc:"Send it as Authorization: Bearer."`
		VisitorID string    `json:"visitor_id"`
		ExpiresAt time.Time `json:"expires_at"`
	}
}

func (a *API) visitorRoutes() {
	huma.Register(a.huma, op(http.MethodPost, "/v1/visitors", "create-visitor",
		"Begin as an anonymous visitor. With a valid visitor token the same visitor is renewed.", http.StatusCreated, "visitors"),
		wrap(a, a.createVisitor))
}

func (a *API) createVisitor(ctx context.Context, _ *struct{}) (*visitorOut, error) {
	if err := a.limit("visitors:"+identity.OneOf(callerOf(ctx).address), a.o.Limits.Visitors); err != nil {
		return nil, err
	}
	out := &visitorOut{}
	out.Body.VisitorID = store.NewID()
	if p := principalOf(ctx); p.Role == identity.RoleVisitor {
		out.Body.VisitorID = p.VisitorID
	}
	out.Body.Token, out.Body.ExpiresAt = a.o.Tokens.Issue(out.Body.VisitorID, visitorTTL)
	return out, nil
}

// owner returns whose conversations the caller may touch.
func owner(ctx context.Context) (bellhop.Owner, error) {
	p, err := need(ctx, identity.RoleVisitor, identity.RoleUser)
	return p.Owner(), err
}
