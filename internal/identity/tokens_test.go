package identity

import (
	"strings"
	"sync"
	"testing"
	"time"

	"bellhop"
)

// clock is a bellhop.Clock that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func secret(s string) []byte { return []byte(strings.Repeat(s, 32)) }

func mustTokens(tb testing.TB, c bellhop.Clock, secrets ...[]byte) *Tokens {
	tb.Helper()
	t, err := NewTokens(secrets, c)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func TestVisitorTokenRoundTrip(t *testing.T) {
	t.Parallel()
	c := newClock()
	tokens := mustTokens(t, c, secret("a"))
	token, exp := tokens.Issue("v-1", time.Hour)
	if exp != c.Now().Add(time.Hour) || strings.ContainsAny(token, "+/=. ") {
		t.Errorf("token %q expires %s", token, exp)
	}
	id, gotExp, err := tokens.Parse(token)
	if err != nil || id != "v-1" || gotExp != exp {
		t.Errorf("got %q, %s, %v", id, gotExp, err)
	}
	c.add(time.Hour - time.Second)
	if _, _, err := tokens.Parse(token); err != nil {
		t.Errorf("a second before its end: %v", err)
	}
	c.add(time.Second)
	if _, _, err := tokens.Parse(token); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("after its end: %v", err)
	}
}

func TestSecretsRotate(t *testing.T) {
	t.Parallel()
	c := newClock()
	old := mustTokens(t, c, secret("a"))
	both := mustTokens(t, c, secret("b"), secret("a"))
	fresh := mustTokens(t, c, secret("b"))
	token, _ := old.Issue("v", time.Hour)
	if _, _, err := both.Parse(token); err != nil {
		t.Errorf("the old secret is still configured: %v", err)
	}
	if _, _, err := fresh.Parse(token); err == nil {
		t.Error("the old secret is gone, its token is taken")
	}
	newest, _ := both.Issue("v", time.Hour)
	if _, _, err := fresh.Parse(newest); err != nil {
		t.Errorf("the newest secret did not sign: %v", err)
	}
	if sig := old.SignLink("transcript", "c"); !both.CheckLink("transcript", "c", sig) || fresh.CheckLink("transcript", "c", sig) {
		t.Error("links do not rotate like tokens")
	}
}

func TestChangedTokensAreRefused(t *testing.T) {
	t.Parallel()
	tokens := mustTokens(t, newClock(), secret("a"))
	token, _ := tokens.Issue("visitor", time.Hour)
	const other = "AB"
	for i := range token {
		c := other[0]
		if token[i] == c {
			c = other[1]
		}
		changed := token[:i] + string(c) + token[i+1:]
		if _, _, err := tokens.Parse(changed); bellhop.CodeOf(err) != bellhop.CodeUnauthenticated {
			t.Fatalf("changed at %d: %v", i, err)
		}
	}
	long, _ := tokens.Issue(strings.Repeat("v", maxVisitorID+1), time.Hour)
	empty, _ := tokens.Issue("", time.Hour)
	for _, bad := range []string{"", tokenPrefix, token + "A", token[:len(token)-1], token + "=", " " + token, long, empty,
		strings.Repeat("A", 1<<20)} {
		if _, _, err := tokens.Parse(bad); bellhop.CodeOf(err) != bellhop.CodeUnauthenticated {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
}

func TestLinksAreBoundToWhatTheyShow(t *testing.T) {
	t.Parallel()
	tokens := mustTokens(t, newClock(), secret("a"))
	sig := tokens.SignLink("transcript", "c1")
	if !tokens.CheckLink("transcript", "c1", sig) {
		t.Fatal("our own link is refused")
	}
	for _, tt := range [][3]string{{"transcript", "c2", sig}, {"ticket", "c1", sig}, {"transcriptc", "1", sig},
		{"", "transcriptc1", sig}, {"transcript", "c1", ""}, {"transcript", "c1", sig[1:]}, {"transcript", "c1", strings.Repeat("A", 1000)}} {
		if tokens.CheckLink(tt[0], tt[1], tt[2]) {
			t.Errorf("%q passes", tt)
		}
	}
}

func TestALinkIsNoToken(t *testing.T) {
	t.Parallel()
	s := secret("a")
	payload := "\x7f\x00\x00\x00\x00\x00\x00\x00visitor"
	if string(sign(s, purposeVisitor, payload)) == string(sign(s, purposeLink, payload)) {
		t.Fatal("one signature serves two purposes")
	}
}

func TestWeakSecretsAreRefused(t *testing.T) {
	t.Parallel()
	for _, secrets := range [][][]byte{nil, {[]byte("short")}, {secret("a"), nil}} {
		if _, err := NewTokens(secrets, newClock()); err == nil {
			t.Errorf("%d secrets were taken", len(secrets))
		}
	}
}

func FuzzTokens(f *testing.F) {
	tokens, err := NewTokens([][]byte{secret("a")}, newClock())
	if err != nil {
		f.Fatal(err)
	}
	good, _ := tokens.Issue("visitor", time.Hour)
	f.Add(good)
	f.Add(tokenPrefix + "AAAA")
	f.Add("bhv1_\x00")
	f.Fuzz(func(t *testing.T, s string) {
		id, exp, err := tokens.Parse(s)
		if err != nil {
			if bellhop.CodeOf(err) != bellhop.CodeUnauthenticated {
				t.Fatalf("wrong code: %v", err)
			}
			return
		}
		if again, _ := tokens.Issue(id, exp.Sub(tokens.clock.Now())); again != s {
			t.Fatalf("taken, but never issued: %q", s)
		}
	})
}
