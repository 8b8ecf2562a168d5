package identity

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"bellhop"
)

const (
	project   = "https://ref.supabase.co"
	jwtSecret = "super-secret-jwt-token-with-at-least-32-characters-long"
	userID    = "0198C0DE-0000-7000-8000-000000000001"
)

func newAuthenticator(tb testing.TB, c bellhop.Clock) *Authenticator {
	tb.Helper()
	users, err := NewSupabase(SupabaseOpts{URL: project + "/", JWTSecret: jwtSecret, Clock: c})
	if err != nil {
		tb.Fatal(err)
	}
	return mustNew(tb, Opts{Keys: NewKeys("op-key", "srv-key"), Tokens: mustTokens(tb, c, secret("a")), Users: users})
}

func mustNew(tb testing.TB, opts Opts) *Authenticator {
	tb.Helper()
	a, err := New(opts)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// claims are those of a good token, changed by the pairs given; a nil value takes a
// claim out.
func claims(c bellhop.Clock, changes map[string]any) jwt.MapClaims {
	m := jwt.MapClaims{"iss": project + "/auth/v1", "aud": "authenticated", "role": "authenticated", "sub": userID,
		"exp": c.Now().Add(time.Hour).Unix(), "iat": c.Now().Unix(), "email": "Ada@Example.com",
		"app_metadata": map[string]any{"x": []int{1}}}
	for k, v := range changes {
		if v == nil {
			delete(m, k)
			continue
		}
		m[k] = v
	}
	return m
}

func signed(tb testing.TB, method jwt.SigningMethod, key any, m jwt.MapClaims) string {
	tb.Helper()
	s, err := jwt.NewWithClaims(method, m).SignedString(key)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func ask(a *Authenticator, headers ...string) (Principal, error) {
	r := &http.Request{Header: http.Header{}}
	for _, h := range headers {
		r.Header.Add("Authorization", h)
	}
	return a.Authenticate(r)
}

func TestWhoIsAsking(t *testing.T) {
	t.Parallel()
	c := newClock()
	a := newAuthenticator(t, c)
	visitor, _ := a.tokens.Issue("v-1", time.Hour)
	user := signed(t, jwt.SigningMethodHS256, []byte(jwtSecret), claims(c, nil))
	for _, tt := range []struct {
		name    string
		headers []string
		want    Principal
	}{
		{"nobody", nil, Principal{Role: RoleAnonymous}},
		{"operator", []string{"Bearer op-key"}, Principal{Role: RoleOperator, KeyName: "BELLHOP_OPERATOR_KEY"}},
		{"server", []string{"bearer  srv-key "}, Principal{Role: RoleServer, KeyName: "BELLHOP_SERVER_KEY"}},
		{"visitor", []string{"Bearer " + visitor}, Principal{Role: RoleVisitor, VisitorID: "v-1"}},
		{"user", []string{"Bearer " + user}, Principal{Role: RoleUser, UserID: strings.ToLower(userID), Email: "ada@example.com"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ask(a, tt.headers...)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want.Role == RoleUser && !bytes.Contains(got.Claims, []byte(`"app_metadata"`)) {
				t.Errorf("the claims are not handed on: %s", got.Claims)
			}
			if got.Role != tt.want.Role || got.Owner() != tt.want.Owner() || got.Email != tt.want.Email || got.KeyName != tt.want.KeyName {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestUserTokensThatAreTaken(t *testing.T) {
	t.Parallel()
	c := newClock()
	a := newAuthenticator(t, c)
	for name, changes := range map[string]map[string]any{
		"several audiences":       {"aud": []string{"other", "authenticated"}},
		"clocks a little apart":   {"exp": c.Now().Add(-20 * time.Second).Unix(), "nbf": c.Now().Add(20 * time.Second).Unix()},
		"anonymous sign-in":       {"is_anonymous": true, "email": ""},
		"no e-mail":               {"email": nil},
		"claims of a hook":        {"Role": "admin", "SUB": "x", "groups": []string{"a"}, "client_id": ""},
		"e-mail that is not one":  {"email": "nobody"},
		"session and method data": {"session_id": "x", "amr": []map[string]any{{"method": "otp"}}, "aal": "aal2"},
	} {
		got, err := ask(a, "Bearer "+signed(t, jwt.SigningMethodHS256, []byte(jwtSecret), claims(c, changes)))
		if err != nil || got.Role != RoleUser || got.UserID != strings.ToLower(userID) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if got.AnonymousUser != (changes["is_anonymous"] == true) {
			t.Errorf("%s: anonymous %v", name, got.AnonymousUser)
		}
	}
}

func TestUserTokensThatAreRefused(t *testing.T) {
	t.Parallel()
	c := newClock()
	a := newAuthenticator(t, c)
	hs256 := func(changes map[string]any) string {
		return signed(t, jwt.SigningMethodHS256, []byte(jwtSecret), claims(c, changes))
	}
	good := hs256(nil)
	head, rest, _ := strings.Cut(good, ".")
	for name, token := range map[string]string{
		"expired":              hs256(map[string]any{"exp": c.Now().Add(-31 * time.Second).Unix()}),
		"no expiry":            hs256(map[string]any{"exp": nil}),
		"not yet":              hs256(map[string]any{"nbf": c.Now().Add(time.Minute).Unix()}),
		"another project":      hs256(map[string]any{"iss": "https://evil.supabase.co/auth/v1"}),
		"no issuer":            hs256(map[string]any{"iss": nil}),
		"another audience":     hs256(map[string]any{"aud": "anon"}),
		"no audience":          hs256(map[string]any{"aud": nil}),
		"anon key":             hs256(map[string]any{"role": "anon"}),
		"service key":          hs256(map[string]any{"role": "service_role"}),
		"another role":         hs256(map[string]any{"role": "supabase_admin"}),
		"role under a capital": hs256(map[string]any{"role": nil, "Role": "authenticated"}),
		"no subject":           hs256(map[string]any{"sub": nil}),
		"subject no uuid":      hs256(map[string]any{"sub": "42"}),
		"subject a urn":        hs256(map[string]any{"sub": "urn:uuid:" + userID}),
		"third-party app":      hs256(map[string]any{"client_id": "x"}),
		"wrong type":           hs256(map[string]any{"role": 7}),
		"another secret":       signed(t, jwt.SigningMethodHS256, []byte("another"), claims(c, nil)),
		"HS384":                signed(t, jwt.SigningMethodHS384, []byte(jwtSecret), claims(c, nil)),
		"alg none":             signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims(c, nil)),
		"no signature":         good[:strings.LastIndex(good, ".")+1],
		"no header":            "." + rest,
		"header only":          head + "..",
		"not base64":           "a!.b!.c!",
		"four parts":           good + ".x",
		"not JSON":             "YQ.YQ.YQ",
	} {
		_, err := ask(a, "Bearer "+token)
		checkRefusal(t, name, token, err)
	}
}

func TestHeadersThatProveNothing(t *testing.T) {
	t.Parallel()
	a := newAuthenticator(t, newClock())
	for name, headers := range map[string][]string{
		"empty":                 {""},
		"no token":              {"Bearer "},
		"another scheme":        {"Basic b3A6b3A="},
		"two headers":           {"Bearer op-key", "Bearer op-key"},
		"unknown key":           {"Bearer nope"},
		"key with a tail":       {"Bearer op-key2"},
		"publishable key":       {"Bearer sb_publishable_xyz"},
		"secret key":            {"Bearer sb_secret_xyz"},
		"too long":              {"Bearer " + strings.Repeat("a", maxBearer+1)},
		"visitor token, broken": {"Bearer bhv1_xyz"},
	} {
		_, err := ask(a, headers...)
		checkRefusal(t, name, strings.TrimPrefix(headers[0], "Bearer "), err)
	}
}

func checkRefusal(t *testing.T, name, token string, err error) {
	t.Helper()
	var e *bellhop.Error
	if !errors.As(err, &e) || e.Code != bellhop.CodeUnauthenticated || e.NextStep == "" || e.Message == "" {
		t.Errorf("%s: %v", name, err)
		return
	}
	if len(token) > 2 && strings.Contains(err.Error()+e.NextStep, token) {
		t.Errorf("%s: the token shows: %v", name, err)
	}
}

func TestProjectKeysGetAHelpfulAnswer(t *testing.T) {
	t.Parallel()
	c := newClock()
	bare := mustNew(t, Opts{Tokens: mustTokens(t, c, secret("a"))}) // not even a project is configured
	service := signed(t, jwt.SigningMethodHS256, []byte("unknown"), claims(c, map[string]any{"role": "service_role"}))
	for token, want := range map[string]string{
		"sb_secret_abc": "API key of Supabase",
		service:         "service_role API key",
		signed(t, jwt.SigningMethodHS256, []byte("x"), claims(c, nil)): "no Supabase project is configured",
	} {
		if _, err := ask(bare, "Bearer "+token); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in %v", want, err)
		}
	}
}

func TestNoKeysMeansNoEmptyKey(t *testing.T) {
	t.Parallel()
	if _, ok := NewKeys("", "").Find(""); ok {
		t.Fatal("the empty key is somebody")
	}
}

func TestPrincipalsLogNoPersonalData(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	p := Principal{Role: RoleUser, UserID: "u", Email: "ada@example.com", Claims: []byte(`{"phone":"1"}`)}
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "who", p)
	if strings.Contains(b.String(), "ada") || strings.Contains(b.String(), "phone") || !strings.Contains(b.String(), "who.user_id=u") {
		t.Errorf("logged %s", b.String())
	}
}

func FuzzAuthenticate(f *testing.F) {
	c := newClock()
	a := newAuthenticator(f, c)
	visitor, _ := a.tokens.Issue("v", time.Hour)
	for _, s := range []string{"", "Bearer op-key", "Bearer " + visitor, "Bearer sb_secret_x", "Basic x", "Bearer a.b.c",
		"Bearer " + signed(f, jwt.SigningMethodHS256, []byte(jwtSecret), claims(c, nil)),
		"Bearer eyJhbGciOiJub25lIn0.eyJyb2xlIjoiYW5vbiJ9."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		p, err := ask(a, header)
		if err != nil {
			checkRefusal(t, "fuzz", "", err)
			return
		}
		if p.Role == RoleAnonymous || p.Role == "" {
			t.Fatalf("a header that proves nothing became %q", p.Role)
		}
	})
}
