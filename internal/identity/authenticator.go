package identity

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"bellhop"
)

// maxBearer bounds what is looked at; a Supabase token is one to two KiB.
const maxBearer = 8 << 10

// UserVerifier checks the token of a product's user.
type UserVerifier interface {
	// Verify returns the user. The error is a *bellhop.Error with CodeUnauthenticated,
	// or CodeUnavailable when the keys to check with cannot be had right now.
	Verify(ctx context.Context, token string) (Principal, error)
}

// Opts configures an Authenticator.
type Opts struct {
	Keys   Keys
	Tokens *Tokens
	Users  UserVerifier // nil: no project is configured, and no user is known
	// ServerKeys are the keys that were made with bellhop key; nil: there are none.
	ServerKeys ServerKeyStore
	Clock      bellhop.Clock // nil: the machine's
}

// Authenticator tells who is asking.
type Authenticator struct {
	keys   Keys
	tokens *Tokens
	users  UserVerifier

	serverKeys ServerKeyStore
	clock      bellhop.Clock
}

// New makes an Authenticator. It returns an error when there are no Tokens.
func New(opts Opts) (*Authenticator, error) {
	if opts.Tokens == nil {
		return nil, errors.New("identity: an Authenticator needs Tokens")
	}
	if opts.Clock == nil {
		opts.Clock = bellhop.SystemClock{}
	}
	return &Authenticator{keys: opts.Keys, tokens: opts.Tokens, users: opts.Users, serverKeys: opts.ServerKeys,
		clock: opts.Clock}, nil
}

// Authenticate reads the Authorization header: operator key, server key, visitor token
// or the token of a Supabase user. Without the header the caller is anonymous. Anything
// else is a *bellhop.Error with CodeUnauthenticated and a next step.
func (a *Authenticator) Authenticate(r *http.Request) (Principal, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 {
		return Principal{Role: RoleAnonymous}, nil
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	token = strings.TrimSpace(token)
	if len(headers) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return Principal{}, refuse("Send one header of the form Authorization: Bearer TOKEN.",
			"The Authorization header cannot be read.")
	}
	if len(token) > maxBearer {
		return Principal{}, refuse("Send the token as it was issued.", "The token is too long.")
	}
	return a.bearer(r.Context(), token)
}

func (a *Authenticator) bearer(ctx context.Context, token string) (Principal, error) {
	if strings.HasPrefix(token, "sb_") {
		return Principal{}, refuse("Send the access token of the signed-in user, or Bellhop's own server key.",
			"This is an API key of Supabase; it says which project is calling, not who is asking.")
	}
	if p, ok := a.keys.Find(token); ok {
		return p, nil
	}
	if strings.HasPrefix(token, serverKeyPrefix) && a.serverKeys != nil {
		return a.storedKey(ctx, token)
	}
	if strings.HasPrefix(token, tokenPrefix) {
		id, _, err := a.tokens.Parse(token)
		if err != nil {
			return Principal{}, err
		}
		return Principal{Role: RoleVisitor, VisitorID: id}, nil
	}
	if strings.Count(token, ".") != 2 {
		return Principal{}, refuse("Check the key; make one with bellhop key create.", "This key is not known here.")
	}
	if err := refuseProjectKey(token); err != nil {
		return Principal{}, err
	}
	if a.users == nil {
		return Principal{}, refuse("Set auth.supabase.url in bellhop.yaml, or use a visitor token.",
			"This server knows no users: no Supabase project is configured.")
	}
	return a.users.Verify(ctx, token)
}
