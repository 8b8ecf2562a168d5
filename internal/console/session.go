package console

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"bellhop"
	"bellhop/internal/identity"
)

const sessionLength = 12 * time.Hour

type sessionKey struct{}

// session is an operator who signed in. It lives in a signed cookie, so that every node
// knows it and nothing has to be stored.
type session struct {
	id       string // what is signed: end, nonce and name
	operator string
	expires  time.Time
}

// sessions makes and reads sessions. Those that were ended before their time are
// remembered until then; on several nodes a signed-out cookie is gone from the browser at
// once, and refused by the node that was told.
type sessions struct {
	tokens *identity.Tokens
	clock  bellhop.Clock

	mu    sync.Mutex
	ended map[string]time.Time
}

func newSessions(t *identity.Tokens, clock bellhop.Clock) *sessions {
	return &sessions{tokens: t, clock: clock, ended: map[string]time.Time{}}
}

// begin makes the session of an operator and the value of its cookie.
func (s *sessions) begin(operator string) (session, string) {
	exp := s.clock.Now().Add(sessionLength).Truncate(time.Second)
	name := base64.RawURLEncoding.EncodeToString([]byte(operator))
	id := strconv.FormatInt(exp.Unix(), 10) + "." + rand.Text() + "." + name
	return session{id: id, operator: operator, expires: exp}, id + "." + s.tokens.SignLink(linkSession, id)
}

// read returns the session of a request's cookie.
func (s *sessions) read(r *http.Request) (session, bool) {
	for _, name := range []string{cookieSecure, cookiePlain} {
		if c, err := r.Cookie(name); err == nil {
			return s.parse(c.Value)
		}
	}
	return session{}, false
}

func (s *sessions) parse(value string) (session, bool) {
	cut := strings.LastIndexByte(value, '.')
	if cut < 0 || len(value) > 1024 || !s.tokens.CheckLink(linkSession, value[:cut], value[cut+1:]) {
		return session{}, false
	}
	id := value[:cut]
	parts := strings.Split(id, ".")
	if len(parts) != 3 {
		return session{}, false
	}
	unix, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil || !s.clock.Now().Before(time.Unix(unix, 0)) {
		return session{}, false
	}
	name, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return session{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, gone := s.ended[id]; gone {
		return session{}, false
	}
	return session{id: id, operator: string(name), expires: time.Unix(unix, 0).UTC()}, true
}

// end makes a session worthless before its time.
func (s *sessions) end(one session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	for id, at := range s.ended {
		if now.After(at) {
			delete(s.ended, id)
		}
	}
	s.ended[one.id] = one.expires
}

// sessionOf returns the session that admit found.
func sessionOf(ctx context.Context) (session, bool) {
	s, ok := ctx.Value(sessionKey{}).(session)
	return s, ok
}

// by is who a change is recorded for.
func by(r *http.Request) string {
	if s, ok := sessionOf(r.Context()); ok && s.operator != "" {
		return s.operator
	}
	return "operator"
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
