package console

import (
	"context"
	"net/http"
	"time"

	"bellhop"
	"bellhop/internal/identity"
)

type sessionKey struct{}

// readSession returns the session of a request's cookie.
func (c *console) readSession(r *http.Request) (identity.Session, bool, error) {
	// Only the one name: over https another host of the same domain could set the plain one.
	k, err := r.Cookie(c.cookie("", time.Time{}).Name)
	if err != nil {
		return identity.Session{}, false, nil //nolint:nilerr // no cookie is no session
	}
	return c.o.Operators.Session(r.Context(), k.Value)
}

// sessionOf returns the session that admit found.
func sessionOf(ctx context.Context) (identity.Session, bool) {
	s, ok := ctx.Value(sessionKey{}).(identity.Session)
	return s, ok
}

// by is who a change is recorded for.
func by(r *http.Request) string {
	s, _ := sessionOf(r.Context())
	return operatorName(s.Principal)
}

// operatorName is how an operator appears in what is recorded: the key of the environment
// has no name of its own.
func operatorName(p identity.Principal) string {
	if p.OperatorName == "" {
		return "operator"
	}
	return p.OperatorName
}

// needRole returns CodeForbidden when the session's operator may not do what needs least.
func needRole(r *http.Request, least bellhop.OperatorRole) error {
	s, _ := sessionOf(r.Context())
	if s.Principal.May(least) {
		return nil
	}
	return bellhop.Errorf(bellhop.CodeForbidden, "Ask an operator with the role "+string(least)+" to do it.",
		"Your role, %s, may not do this.", s.Principal.OperatorRole)
}

// The cookie's name. The prefix makes browsers refuse it from anywhere but this host over
// https; over plain http, on a laptop, it cannot be used.
const (
	cookieSecure = "__Host-bellhop_console"
	cookiePlain  = "bellhop_console"
)

func (c *console) cookie(value string, expires time.Time) *http.Cookie {
	k := &http.Cookie{Name: cookiePlain, Value: value, Path: "/", HttpOnly: true, Secure: c.secure,
		SameSite: http.SameSiteStrictMode, Expires: expires}
	if c.secure {
		k.Name = cookieSecure
	}
	if value == "" {
		k.MaxAge = -1
	}
	return k
}
