package api

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"bellhop"
)

// limiter holds a token bucket for every key. It forgets the keys that have not been
// used for a while, so that strangers cannot fill the memory.
type limiter struct {
	clock bellhop.Clock
	mu    sync.Mutex
	keys  map[string]*bucket
	swept time.Time
	open  map[string]int // what is open at a time, like streams
}

type bucket struct {
	*rate.Limiter
	used time.Time
}

const (
	bucketIdle = 10 * time.Minute
	maxBuckets = 100_000
)

func newLimiter(clock bellhop.Clock) *limiter {
	return &limiter{clock: clock, keys: map[string]*bucket{}, open: map[string]int{}}
}

// allow takes one token of a key's bucket.
func (l *limiter) allow(key string, perSecond float64, burst int) bool {
	now := l.clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.swept) > time.Minute || len(l.keys) > maxBuckets {
		l.swept = now
		for k, b := range l.keys {
			if now.Sub(b.used) > bucketIdle || len(l.keys) > maxBuckets {
				delete(l.keys, k)
			}
		}
	}
	b := l.keys[key]
	if b == nil {
		b = &bucket{Limiter: rate.NewLimiter(rate.Limit(perSecond), burst)}
		l.keys[key] = b
	}
	b.used = now
	return b.AllowN(now, 1)
}

// enter counts something that stays open; leave must follow.
func (l *limiter) enter(key string, most int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[key] >= most {
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

// The limits. A person types a message every few seconds; a burst allows for an offline
// queue that empties. Addresses are shared by offices and test machines.
const (
	visitorsPerSecond, visitorsBurst = 10, 600
	messagesPerSecond, messagesBurst = 5, 120
)

func (a *API) limit(key string, perSecond float64, burst int) error {
	if a.limits.allow(key, perSecond, burst) {
		return nil
	}
	return bellhop.Errorf(bellhop.CodeRateLimited, "Wait a few seconds and send it again.", "Too many requests.")
}

// addressOf returns the peer's address without its port. Forwarded headers are not
// believed: whoever can reach the port could write them.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func addressFrom(ctx context.Context) string {
	s, _ := ctx.Value(addressKey).(string)
	return s
}
