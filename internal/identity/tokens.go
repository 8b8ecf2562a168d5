package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"bellhop"
)

const (
	tokenPrefix  = "bhv1_" // Bellhop visitor, version 1
	maxToken     = 512
	maxVisitorID = 128
	minSecret    = 16
	timeSize     = 8

	// What a signature is for is part of what is signed, so that one made for a link is
	// never good as a token.
	purposeVisitor = "bellhop/visitor-token/v1"
	purposeLink    = "bellhop/link/v1"
)

// Strict refuses the other spellings of the same bytes: a token has one form.
var encoding = base64.RawURLEncoding.Strict()

// Tokens makes and checks what Bellhop itself signs: visitor tokens and links.
type Tokens struct {
	secrets [][]byte
	clock   bellhop.Clock
}

// NewTokens takes the signing secrets, newest first: the first one signs, every one
// checks, so that a secret can be replaced without sending visitors away. It returns an
// error when there is none or one is shorter than 16 bytes. A nil clock is the machine's.
func NewTokens(secrets [][]byte, clock bellhop.Clock) (*Tokens, error) {
	if len(secrets) == 0 {
		return nil, errors.New("identity: a signing secret is needed")
	}
	if clock == nil {
		clock = bellhop.SystemClock{}
	}
	t := &Tokens{clock: clock}
	for _, s := range secrets {
		if len(s) < minSecret {
			return nil, errors.New("identity: a signing secret is shorter than 16 bytes")
		}
		t.secrets = append(t.secrets, append([]byte(nil), s...))
	}
	return t, nil
}

// Issue makes the token of a visitor, good for ttl, in whole seconds.
func (t *Tokens) Issue(visitorID string, ttl time.Duration) (token string, exp time.Time) {
	exp = t.clock.Now().Add(ttl).Truncate(time.Second)
	payload := binary.BigEndian.AppendUint64(nil, uint64(exp.Unix()))
	payload = append(payload, visitorID...)
	sum := sign(t.secrets[0], purposeVisitor, string(payload))
	return tokenPrefix + encoding.EncodeToString(append(payload, sum...)), exp
}

// Parse returns the visitor of a token and when it expires. The error is a
// *bellhop.Error with CodeUnauthenticated.
func (t *Tokens) Parse(token string) (visitorID string, exp time.Time, err error) {
	bad := refuse("Ask for a new visitor token with POST /v1/visitors.", "This visitor token is not one of ours.")
	body, found := strings.CutPrefix(token, tokenPrefix)
	if !found || len(token) > maxToken {
		return "", time.Time{}, bad
	}
	raw, decodeErr := encoding.DecodeString(body)
	n := len(raw) - sha256.Size
	if decodeErr != nil || n <= timeSize || n > timeSize+maxVisitorID {
		return "", time.Time{}, bad
	}
	if !t.check(purposeVisitor, raw[n:], string(raw[:n])) {
		return "", time.Time{}, bad
	}
	exp = time.Unix(int64(binary.BigEndian.Uint64(raw[:timeSize])), 0).UTC()
	if !t.clock.Now().Before(exp) {
		return "", time.Time{}, refuse("Ask for a new visitor token with POST /v1/visitors.", "This visitor token has expired.")
	}
	return string(raw[timeSize:n]), exp, nil
}

// SignLink returns the signature that lets whoever holds a link see one thing: kind
// says what ("transcript"), id which one. It does not expire, because links stand in
// tickets that live for years; replacing the secret ends them.
func (t *Tokens) SignLink(kind, id string) string {
	return encoding.EncodeToString(sign(t.secrets[0], purposeLink, kind, id))
}

// CheckLink reports whether sig was made by SignLink for the same kind and id.
func (t *Tokens) CheckLink(kind, id, sig string) bool {
	if len(sig) > maxToken {
		return false
	}
	raw, err := encoding.DecodeString(sig)
	return err == nil && t.check(purposeLink, raw, kind, id)
}

// check compares with every secret, in a time that does not tell which one fits.
func (t *Tokens) check(purpose string, sum []byte, parts ...string) bool {
	ok := false
	for _, s := range t.secrets {
		ok = hmac.Equal(sum, sign(s, purpose, parts...)) || ok
	}
	return ok
}

// sign covers the purpose and every part with its length, so that no two lists of parts
// are the same bytes.
func sign(secret []byte, purpose string, parts ...string) []byte {
	mac := hmac.New(sha256.New, secret)
	for _, p := range append([]string{purpose}, parts...) {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		mac.Write([]byte(p))
	}
	return mac.Sum(nil)
}
