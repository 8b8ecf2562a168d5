package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"bellhop"
)

func hs256() jwt.SigningMethod { return jwt.SigningMethodHS256 }

// projectServer is a project's Auth: it serves the keys that it is given.
type projectServer struct {
	url   string
	mu    sync.Mutex
	keys  []map[string]string
	down  bool
	asked int
}

func newProject(t *testing.T) *projectServer {
	t.Helper()
	p := &projectServer{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asked++
		if p.down || r.URL.Path != "/auth/v1/.well-known/jwks.json" {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": p.keys})
	}))
	t.Cleanup(srv.Close)
	p.url = srv.URL
	return p
}

func (p *projectServer) set(down bool, keys ...map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down, p.keys = down, keys
}

func (p *projectServer) times() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func ecKey(t *testing.T, kid string) (*ecdsa.PrivateKey, map[string]string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := k.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return k, map[string]string{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid, "x": b64(raw[1:33]), "y": b64(raw[33:])}
}

func rsaKey(t *testing.T, kid string) (*rsa.PrivateKey, map[string]string) {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return k, map[string]string{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid, "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())}
}

// tokenOf makes a token with a key id, for the project.
func (p *projectServer) tokenOf(t *testing.T, c bellhop.Clock, m jwt.SigningMethod, kid string, key any, changes map[string]any) string {
	t.Helper()
	all := map[string]any{"iss": p.url + "/auth/v1"}
	for k, v := range changes {
		all[k] = v
	}
	tok := jwt.NewWithClaims(m, claims(c, all))
	if kid != "" {
		tok.Header["kid"] = kid
	}
	s, err := tok.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (p *projectServer) authenticator(t *testing.T, c bellhop.Clock, secretToo bool) *Authenticator {
	t.Helper()
	o := SupabaseOpts{URL: p.url, Clock: c}
	if secretToo {
		o.JWTSecret = jwtSecret
	}
	users, err := NewSupabase(o)
	if err != nil {
		t.Fatal(err)
	}
	return mustNew(t, Opts{Tokens: mustTokens(t, c, secret("a")), Users: users})
}

func wantUser(t *testing.T, what string, a *Authenticator, token string) {
	t.Helper()
	if p, err := ask(a, "Bearer "+token); err != nil || p.Role != RoleUser {
		t.Errorf("%s: %+v %v", what, p, err)
	}
}

func wantRefusal(t *testing.T, what string, a *Authenticator, token string) {
	t.Helper()
	_, err := ask(a, "Bearer "+token)
	checkRefusal(t, what, token, err)
}

func TestTokensAreCheckedWithTheProjectsKeys(t *testing.T) {
	t.Parallel()
	c, p := newClock(), newProject(t)
	ec, ecJWK := ecKey(t, "ec-1")
	rs, rsJWK := rsaKey(t, "rs-1")
	p.set(false, ecJWK, rsJWK)
	es256 := func(changes map[string]any) string {
		return p.tokenOf(t, c, jwt.SigningMethodES256, "ec-1", ec, changes)
	}
	at := func(d time.Duration) int64 { return c.Now().Add(d).Unix() }
	for _, both := range []bool{false, true} { // a project that moves from the shared secret has both
		a := p.authenticator(t, c, both)
		wantUser(t, "ES256", a, es256(nil))
		wantUser(t, "RS256", a, p.tokenOf(t, c, jwt.SigningMethodRS256, "rs-1", rs, nil))
		wantUser(t, "clocks 29 s apart", a, es256(map[string]any{"exp": at(-29 * time.Second), "nbf": at(29 * time.Second)}))
		for name, token := range map[string]string{
			"expired":                    es256(map[string]any{"exp": at(-31 * time.Second)}),
			"not yet valid":              es256(map[string]any{"nbf": at(31 * time.Second)}),
			"wrong issuer":               es256(map[string]any{"iss": "https://evil.supabase.co/auth/v1"}),
			"wrong audience":             es256(map[string]any{"aud": "anon"}),
			"alg none":                   p.tokenOf(t, c, jwt.SigningMethodNone, "ec-1", jwt.UnsafeAllowNoneSignatureType, nil),
			"unknown key":                p.tokenOf(t, c, jwt.SigningMethodES256, "ec-9", ec, nil),
			"no key id":                  p.tokenOf(t, c, jwt.SigningMethodES256, "", ec, nil),
			"RS256 under the EC key":     p.tokenOf(t, c, jwt.SigningMethodRS256, "ec-1", rs, nil),
			"ES256 under the RSA key":    p.tokenOf(t, c, jwt.SigningMethodES256, "rs-1", ec, nil),
			"PS256":                      p.tokenOf(t, c, jwt.SigningMethodPS256, "rs-1", rs, nil),
			"HS256 with the public PEM":  p.tokenOf(t, c, jwt.SigningMethodHS256, "rs-1", pemOf(t, &rs.PublicKey), nil),
			"HS256 with the EC's PEM":    p.tokenOf(t, c, jwt.SigningMethodHS256, "ec-1", pemOf(t, &ec.PublicKey), nil),
			"HS256 with the JWK":         p.tokenOf(t, c, jwt.SigningMethodHS256, "ec-1", jsonOf(t, ecJWK), nil),
			"HS256 with x":               p.tokenOf(t, c, jwt.SigningMethodHS256, "ec-1", []byte(ecJWK["x"]), nil),
			"another's key, same key id": p.tokenOf(t, c, jwt.SigningMethodES256, "ec-1", strangersKey(t), nil),
			"changed payload":            swapPayload(t, es256(nil), es256(map[string]any{"email": "eve@example.com"})),
		} {
			wantRefusal(t, name, a, token)
		}
		tok := jwt.NewWithClaims(jwt.SigningMethodES256, claims(c, map[string]any{"iss": p.url + "/auth/v1"}))
		stranger, jwk := ecKey(t, "mine")
		tok.Header["jwk"], tok.Header["kid"] = jwk, "mine"
		embedded, err := tok.SignedString(stranger)
		if err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, "a key that the token brings itself", a, embedded)
	}
	plain := p.authenticator(t, c, false)
	wantRefusal(t, "HS256 where no secret is configured", plain, p.tokenOf(t, c, jwt.SigningMethodHS256, "", []byte(jwtSecret), nil))
	wantUser(t, "HS256 where it is", p.authenticator(t, c, true), p.tokenOf(t, c, jwt.SigningMethodHS256, "", []byte(jwtSecret), nil))
}

func pemOf(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func jsonOf(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func strangersKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, _ := ecKey(t, "x")
	return k
}

// swapPayload puts the payload of one token between header and signature of another.
func swapPayload(t *testing.T, a, b string) string {
	t.Helper()
	parts := strings.Split(a, ".")
	parts[1] = strings.Split(b, ".")[1]
	return strings.Join(parts, ".")
}

func TestKeysRotateWhileTheServerRuns(t *testing.T) {
	t.Parallel()
	c, p := newClock(), newProject(t)
	old, oldJWK := ecKey(t, "k1")
	next, nextJWK := ecKey(t, "k2")
	p.set(false, oldJWK)
	a := p.authenticator(t, c, false)
	tokenOld := func() string { return p.tokenOf(t, c, jwt.SigningMethodES256, "k1", old, nil) }
	tokenNext := func() string { return p.tokenOf(t, c, jwt.SigningMethodES256, "k2", next, nil) }
	wantUser(t, "before", a, tokenOld())
	p.set(false, oldJWK, nextJWK)
	c.add(keysRetry)
	wantUser(t, "the new key, before the old answer is stale", a, tokenNext())
	wantUser(t, "the old key beside it", a, tokenOld())
	p.set(false, nextJWK)
	wantUser(t, "revoked a moment ago", a, tokenOld())
	c.add(keysFresh)
	wantRefusal(t, "revoked ten minutes ago", a, tokenOld())
	wantUser(t, "after", a, tokenNext())
}

func TestStrangersKeyIDsCostTheProjectNothing(t *testing.T) {
	t.Parallel()
	c, p := newClock(), newProject(t)
	good, jwk := ecKey(t, "k1")
	p.set(false, jwk)
	a := p.authenticator(t, c, false)
	wantUser(t, "first", a, p.tokenOf(t, c, jwt.SigningMethodES256, "k1", good, nil))
	for i := range 200 {
		wantRefusal(t, "unknown", a, p.tokenOf(t, c, jwt.SigningMethodES256, fmt.Sprint("r", i), good, nil))
	}
	if n := p.times(); n != 1 {
		t.Errorf("the project was asked %d times", n)
	}
}

func TestKeysOutliveTheProjectForADay(t *testing.T) {
	t.Parallel()
	c, p := newClock(), newProject(t)
	good, jwk := ecKey(t, "k1")
	token := func() string { return p.tokenOf(t, c, jwt.SigningMethodES256, "k1", good, nil) }
	p.set(true)
	a := p.authenticator(t, c, false)
	if _, err := ask(a, "Bearer "+token()); bellhop.CodeOf(err) != bellhop.CodeUnavailable {
		t.Errorf("never any keys: %v", err)
	}
	p.set(false, jwk)
	c.add(keysRetry)
	wantUser(t, "the project is back", a, token())
	p.set(true)
	asked := p.times()
	for range 5 {
		c.add(keysFresh)
		wantUser(t, "offline", a, token())
		wantUser(t, "offline, a moment later", a, token())
	}
	if n := p.times() - asked; n != 5 {
		t.Errorf("asked %d times while it was down, want once in each ten minutes", n)
	}
	c.add(keysOffline)
	if _, err := ask(a, "Bearer "+token()); bellhop.CodeOf(err) != bellhop.CodeUnavailable {
		t.Errorf("a day later: %v", err)
	}
	p.set(false, jwk)
	c.add(keysRetry)
	wantUser(t, "back again", a, token())
}
