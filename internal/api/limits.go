package api

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"bellhop"
	"bellhop/internal/identity"
)

// Rate is how often something may happen: N times at once, and N times in Per after
// that. The zero Rate is no limit.
type Rate struct {
	N   int
	Per time.Duration
}

// Limits bounds what one caller may ask of this process.
type Limits struct {
	Address  Rate // calls of one address that prove no key: anonymous, refused, visitors, users
	Caller   Rate // calls of one visitor or user
	Key      Rate // calls of one server or operator key
	Visitors Rate // new visitors of one address
	Messages Rate // messages, conversations and requests of one visitor or user
	Streams  int  // open streams of one visitor or user; 0 is no limit
}

// DefaultLimits are generous: a person types a message every few seconds, and a burst
// allows for an offline queue that empties. Addresses are shared by offices and proxies.
func DefaultLimits() Limits {
	return Limits{Address: Rate{30_000, time.Minute}, Caller: Rate{3_000, time.Minute}, Key: Rate{60_000, time.Minute},
		Visitors: Rate{600, time.Minute}, Messages: Rate{300, time.Minute}, Streams: 6}
}

// limiter holds a token bucket for every key. It forgets the keys whose bucket is full
// again, so that strangers cannot fill the memory.
type limiter struct {
	clock bellhop.Clock
	mu    sync.Mutex
	keys  map[string]*bucket
	swept time.Time
	open  map[string]int // what is open at a time, like streams
}

type bucket struct{ *rate.Limiter }

const maxBuckets = 100_000

func newLimiter(clock bellhop.Clock) *limiter {
	return &limiter{clock: clock, keys: map[string]*bucket{}, open: map[string]int{}}
}

// take takes one token of a key's bucket; when there is none it returns after which time
// there is one.
func (l *limiter) take(key string, r Rate) (wait time.Duration, ok bool) {
	if r.N <= 0 || r.Per <= 0 {
		return 0, true
	}
	now := l.clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.keys[key]
	if b == nil {
		l.makeRoom(now)
		b = &bucket{rate.NewLimiter(rate.Limit(float64(r.N)/r.Per.Seconds()), r.N)}
		l.keys[key] = b
	}
	if b.AllowN(now, 1) {
		return 0, true
	}
	missing := 1 - b.TokensAt(now)
	return time.Duration(missing / float64(b.Limit()) * float64(time.Second)), false
}

// makeRoom forgets the buckets that are full again: a new one is the same. When
// that is not enough it forgets a tenth of all, so that a flood of new keys costs little
// each; it only ever gives somebody a fresh start.
func (l *limiter) makeRoom(now time.Time) {
	if now.Sub(l.swept) > time.Minute {
		l.swept = now
		for k, b := range l.keys {
			if b.TokensAt(now) >= float64(b.Burst()) {
				delete(l.keys, k)
			}
		}
	}
	if len(l.keys) < maxBuckets {
		return
	}
	for k := range l.keys {
		if len(l.keys) <= maxBuckets-maxBuckets/10 {
			return
		}
		delete(l.keys, k)
	}
}

// enter counts something that stays open; leave must follow.
func (l *limiter) enter(key string, most int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if most > 0 && l.open[key] >= most {
		return bellhop.Errorf(bellhop.CodeRateLimited, "Close one of the open streams first.", "Too many open streams.")
	}
	l.open[key]++
	return nil
}

func (l *limiter) leave(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[key]--; l.open[key] <= 0 {
		delete(l.open, key)
	}
}

// limitError is a refusal that says how long to wait.
type limitError struct {
	told *bellhop.Error
	wait time.Duration
}

// Error returns code and message.
func (e *limitError) Error() string { return e.told.Error() }

// Unwrap returns the error of the contract.
func (e *limitError) Unwrap() error { return e.told }

// retryAfter is the value of the header: whole seconds, at least one.
// Source: https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
func retryAfter(wait time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(wait.Seconds()))))
}

func (a *API) limit(key string, r Rate) error {
	wait, ok := a.limits.take(key, r)
	if ok {
		return nil
	}
	return &limitError{wait: wait, told: bellhop.Errorf(bellhop.CodeRateLimited,
		"Wait "+retryAfter(wait)+" seconds and send it again.", "Too many requests.")}
}

// limitMessages bounds what one visitor or user writes.
func (a *API) limitMessages(o bellhop.Owner) error {
	return a.limit("messages:"+o.VisitorID+"/"+o.UserID, a.o.Limits.Messages)
}

// limitForm bounds what strangers hand in through one key of a public form: the key's own
// limit is for a server that is trusted.
func (a *API) limitForm(p identity.Principal) error {
	return a.limit("form:"+p.KeyName, a.o.Limits.Messages)
}

// limitCaller bounds all calls: of a key by the key, of everybody else by the address,
// and by visitor or user as well. Probes and scrapes are few and must not be refused.
func (a *API) limitCaller(ctx context.Context, p identity.Principal, r *http.Request) error {
	if path := r.URL.Path; path == "/healthz" || path == "/readyz" || path == "/metrics" {
		return nil
	}
	if p.Role == identity.RoleServer || p.Role == identity.RoleOperator {
		return a.limit("key:"+string(p.Role)+":"+p.KeyName, a.o.Limits.Key)
	}
	if err := a.limit("address:"+identity.OneOf(callerOf(ctx).address), a.o.Limits.Address); err != nil {
		return err
	}
	if p.Role != identity.RoleVisitor && p.Role != identity.RoleUser {
		return nil
	}
	return a.limit("caller:"+p.VisitorID+"/"+p.UserID, a.o.Limits.Caller)
}

// isWebhook reports whether a request proves itself by its signature. Such calls are not
// limited: a provider sends what piled up all at once, and must not lose a payment.
func isWebhook(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/webhooks/") }
