package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bellhop"
	"bellhop/internal/identity"
	"bellhop/internal/store"
)

// visitorTTL is how long a visitor token lives. A page asks for a new one before it ends,
// so only who stays away for longer than this begins anew.
const visitorTTL = 48 * time.Hour

// visitorHeader proves, beside a user's access token, which visitor the user was before
// they signed in.
const visitorHeader = "X-Bellhop-Visitor"

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

// claim gives the conversations of a visitor to the user who they turned out to be. It
// takes both proofs, the user's token and the visitor's; afterwards the visitor's token no
// longer opens them. Done again it changes nothing.
func (a *API) claim(r *http.Request, p identity.Principal) error {
	token := r.Header.Get(visitorHeader)
	if token == "" || p.Role != identity.RoleUser {
		return nil
	}
	visitor, _, err := a.o.Tokens.Parse(token)
	if err != nil {
		return bellhop.Errorf(bellhop.CodeUnauthenticated, "Leave the header "+visitorHeader+" out.",
			"The visitor token in %s is not valid, or not any more.", visitorHeader)
	}
	n, err := a.o.DB.ClaimVisitor(r.Context(), visitor, p.UserID)
	if n > 0 {
		a.o.Logger.InfoContext(r.Context(), "a visitor signed in and keeps what was theirs", "conversations", n, "who", p)
	}
	return err
}

// describeClaim adds the header of claim to the description of the calls where what a
// visitor had is looked for. It is taken on every call.
func describeClaim(doc *huma.OpenAPI) {
	for path, item := range doc.Paths {
		if !strings.HasPrefix(path, "/v1/conversations") && path != "/v1/requests/{id}" {
			continue
		}
		for _, op := range []*huma.Operation{item.Get, item.Post} {
			if op != nil {
				op.Parameters = append(op.Parameters, &huma.Param{Name: visitorHeader, In: "header",
					Schema: &huma.Schema{Type: huma.TypeString}, Description: "Beside a user's access token: the token of the visitor " +
						"that they were before they signed in. What was the visitor's is the user's from then on."})
			}
		}
	}
}

// owner returns whose conversations the caller may touch.
func owner(ctx context.Context) (bellhop.Owner, error) {
	p, err := need(ctx, identity.RoleVisitor, identity.RoleUser)
	return p.Owner(), err
}
