package identity

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"bellhop"
)

// leeway is how far two clocks may be apart; PostgREST allows the same.
const leeway = 30 * time.Second

// SupabaseOpts configures Supabase.
type SupabaseOpts struct {
	URL string // of the project, "https://REF.supabase.co"
	// JWTSecret turns HS256 on, for projects that still sign with the shared secret.
	JWTSecret bellhop.Secret
	// EmailsClaimed is set for a project that lets people in before they have confirmed their
	// address: anybody can then have a token with anybody's, and it proves nothing.
	EmailsClaimed bool
	Clock         bellhop.Clock // nil: the machine's
	// HTTP asks for the project's public keys; nil: a client that follows no redirect.
	HTTP *http.Client
}

// Supabase checks the access tokens of one project.
type Supabase struct {
	// families maps an algorithm to the one way of checking it. Each has a parser of its
	// own that takes no other algorithm: a public key must never serve as an HMAC secret.
	families map[string]family
	claimed  bool // what tokens say of e-mails proves nothing
}

type family struct {
	parser *jwt.Parser
	key    func(context.Context, *jwt.Token) (any, error)
}

var _ UserVerifier = (*Supabase)(nil)

// NewSupabase returns an error when the project's URL is missing.
func NewSupabase(opts SupabaseOpts) (*Supabase, error) {
	if opts.URL == "" {
		return nil, errors.New("identity: the URL of the Supabase project is needed")
	}
	if opts.Clock == nil {
		opts.Clock = bellhop.SystemClock{}
	}
	if opts.HTTP == nil {
		opts.HTTP = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	keys := &keySet{url: strings.TrimRight(opts.URL, "/") + "/auth/v1/.well-known/jwks.json", client: opts.HTTP, clock: opts.Clock}
	s := &Supabase{claimed: opts.EmailsClaimed, families: map[string]family{
		"ES256": {parser: newParser("ES256", opts), key: keys.key},
		"RS256": {parser: newParser("RS256", opts), key: keys.key},
	}}
	if opts.JWTSecret != "" {
		secret := []byte(opts.JWTSecret.Reveal())
		s.families["HS256"] = family{
			parser: newParser("HS256", opts),
			key:    func(context.Context, *jwt.Token) (any, error) { return secret, nil },
		}
	}
	return s, nil
}

func newParser(alg string, opts SupabaseOpts) *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods([]string{alg}),
		jwt.WithIssuer(strings.TrimRight(opts.URL, "/")+"/auth/v1"),
		jwt.WithAudience("authenticated"),
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(leeway),
		jwt.WithTimeFunc(opts.Clock.Now),
		jwt.WithStrictDecoding(),
	)
}

// Verify checks signature and claims of an access token.
func (s *Supabase) Verify(ctx context.Context, token string) (Principal, error) {
	unverified, _, err := jwt.NewParser().ParseUnverified(token, &userClaims{})
	if err != nil {
		return Principal{}, tokenError(err)
	}
	alg, _ := unverified.Header["alg"].(string)
	f, ok := s.families[alg]
	if !ok {
		return Principal{}, refuse("Set auth.supabase.jwt_secret if the project signs with the shared secret (HS256).",
			"This server has no keys for the way this token is signed.")
	}
	var claims userClaims
	if _, err := f.parser.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		return f.key(ctx, t)
	}); err != nil {
		return Principal{}, tokenError(err)
	}
	p := claims.principal()
	if s.claimed {
		p.Email = ""
	}
	return p, nil
}

// userClaims are the claims that are looked at. They are read by their exact names:
// encoding/json also takes "SUB" for "sub", and a project's hook may add any claim.
type userClaims struct {
	jwt.RegisteredClaims
	role      string
	email     string
	clientID  string
	anonymous bool
	app       map[string]json.RawMessage // app_metadata: only the project's server writes it
	raw       []byte
}

// UnmarshalJSON reads the claims of a token.
func (c *userClaims) UnmarshalJSON(data []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	for name, dst := range map[string]any{
		"iss": &c.Issuer, "sub": &c.Subject, "aud": &c.Audience, "exp": &c.ExpiresAt, "nbf": &c.NotBefore,
		"role": &c.role, "email": &c.email, "client_id": &c.clientID, "is_anonymous": &c.anonymous,
		"app_metadata": &c.app,
	} {
		if v, ok := all[name]; ok {
			if err := json.Unmarshal(v, dst); err != nil {
				return errors.New("claim " + name + " has the wrong type")
			}
		}
	}
	c.raw = append([]byte(nil), data...)
	return nil
}

var (
	errRole   = errors.New("the role is not authenticated")
	errUser   = errors.New("the subject is not a user id")
	errClient = errors.New("the token was issued to a third-party application")
)

// Validate is called by the parser after the signature and the registered claims held.
func (c *userClaims) Validate() error {
	switch _, err := uuid.Parse(c.Subject); {
	case c.role != "authenticated":
		return errRole
	case err != nil || len(c.Subject) != 36:
		return errUser
	case c.clientID != "":
		return errClient
	}
	return nil
}

func (c *userClaims) principal() Principal {
	email, _ := bellhop.NormalizeEmail(c.email) // "" when there is none
	return Principal{Role: RoleUser, UserID: strings.ToLower(c.Subject), Email: email,
		AnonymousUser: c.anonymous, Claims: c.raw, OperatorRole: c.operatorRole()}
}

// operatorRole is the role that the project gave a user in app_metadata. user_metadata
// proves nothing: users write it themselves.
func (c *userClaims) operatorRole() bellhop.OperatorRole {
	var name bellhop.OperatorRole
	if c.anonymous || json.Unmarshal(c.app["bellhop_role"], &name) != nil || !name.Covers(bellhop.OperatorViewer) {
		return ""
	}
	return name
}

// refuseProjectKey tells the legacy API keys of a project apart: they are tokens, but of
// nobody. It looks before any signature is checked, because the answer helps.
func refuseProjectKey(token string) error {
	var c userClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &c); err != nil {
		return tokenError(err)
	}
	if c.role == "anon" || c.role == "service_role" {
		return refuse("Send the access token of the signed-in user, or Bellhop's own server key.",
			"This is the "+c.role+" API key of a Supabase project; it does not say who is asking.")
	}
	return nil
}

// tokenError says in words why a token was refused. Nothing of the token is in it.
func tokenError(err error) error {
	const again = "Sign in again and send the new access token."
	switch {
	case errors.Is(err, errKeysGone):
		return &bellhop.Error{Code: bellhop.CodeUnavailable, Message: "The token cannot be checked: the Supabase project does not answer.",
			NextStep: "Send the same request again in a minute.", Err: errKeysGone}
	case errors.Is(err, errNoKeyID), errors.Is(err, errUnknownKey):
		return refuse(again, "The token is signed with a key that the configured project does not have.")
	case errors.Is(err, jwt.ErrTokenMalformed):
		return refuse("Send the access token as Supabase issued it.", "The token cannot be read.")
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return refuse("Check that the token is of the configured project, and that auth.supabase.jwt_secret is that project's.",
			"The token's signature does not match.")
	case errors.Is(err, jwt.ErrTokenExpired):
		return refuse("Refresh the session and send the new access token.", "The token has expired.")
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return refuse("Check the clock of this server.", "The token is not valid yet.")
	case errors.Is(err, jwt.ErrTokenInvalidIssuer), errors.Is(err, jwt.ErrTokenInvalidAudience):
		return refuse("Check that auth.supabase.url names the project that the user signed in to.", "The token is not of the configured project.")
	case errors.Is(err, errClient):
		return refuse("Sign in to the product itself.", "The token was issued to a third-party application.")
	case errors.Is(err, errRole), errors.Is(err, errUser):
		return refuse(again, "The token is not of a signed-in user.")
	default:
		return refuse(again, "The token is not accepted.")
	}
}
