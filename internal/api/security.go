package api

import (
	"context"
	"net/http"
	"net/netip"

	"bellhop"
	"bellhop/internal/identity"
	"bellhop/internal/store"
)

// caller is what is known of a request before anybody proves who they are.
type caller struct {
	address netip.Addr
	route   string // the pattern, as in "GET /v1/requests/{id}"; never a stranger's words
}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey).(caller)
	return c
}

// atRoute says more precisely where a request is; the name must be one of ours.
func atRoute(ctx context.Context, route string) context.Context {
	c := callerOf(ctx)
	c.route = route
	return context.WithValue(ctx, callerKey, c)
}

// note tells the security log, with who it was and where.
func (a *API) note(ctx context.Context, kind store.SecurityKind, detail string) {
	p, c := principalOf(ctx), callerOf(ctx)
	a.o.Security.Note(store.SecurityRecord{Kind: kind, Role: string(p.Role), Actor: actorOf(p), Address: identity.Network(c.address),
		CorrelationID: correlationOf(ctx), Route: c.route, Detail: detail})
}

// actorOf names a caller by an id of ours or the name of a key, never by an e-mail.
func actorOf(p identity.Principal) string {
	switch {
	case p.KeyName != "":
		return p.KeyName
	case p.UserID != "":
		return p.UserID
	default:
		return p.VisitorID
	}
}

// noteProblem tells the security log of an answer that refuses somebody.
func (a *API) noteProblem(ctx context.Context, p *Problem) {
	if kind := securityKindOf(bellhop.Code(p.Code)); kind != "" {
		a.note(ctx, kind, p.Detail)
	}
}

// securityKindOf returns "" for what is no matter of security.
func securityKindOf(c bellhop.Code) store.SecurityKind {
	switch c {
	case bellhop.CodeSignatureInvalid, bellhop.CodeTimestampStale, bellhop.CodeModeMismatch:
		return store.SecuritySignature
	case bellhop.CodeUnauthenticated:
		return store.SecurityUnknown
	case bellhop.CodeForbidden:
		return store.SecurityForbidden
	case bellhop.CodeRateLimited:
		return store.SecurityLimited
	default:
		return ""
	}
}

// clientOf returns where a request came from, and the pattern of its route.
func (a *API) clientOf(r *http.Request) caller {
	_, pattern := a.mux.Handler(r)
	if pattern == "" {
		pattern = "unknown"
	}
	return caller{address: a.o.Proxies.Client(r), route: pattern}
}
