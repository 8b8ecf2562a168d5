package engine

import (
	"context"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/ratelimiter"

	"bellhop/internal/connector"
	"bellhop/internal/store"
)

// breakAfter is how many failures in a row, of whatever steps, open a circuit. A step
// that fails all its tries with no success in between opens it too.
const breakAfter = 5

// conn is a connection with its limits and its health in this process.
type conn struct {
	name      string
	manifest  connector.Manifest
	connector connector.Connector
	bulkhead  bulkhead.Bulkhead[any]
	rate      ratelimiter.RateLimiter[any] // nil without a limit
	breaker   circuitbreaker.CircuitBreaker[any]

	mu          sync.Mutex
	lastSuccess time.Time
	pausedAt    time.Time // when pausedUntil was set
	pausedUntil time.Time // a vendor's Retry-After holds for the whole connection
	limited     time.Time // since when it has answered nothing but "too many requests"
	circuit     store.Circuit
	circuitAt   time.Time
}

func newConn(c Connection) *conn {
	out := &conn{name: c.Name, manifest: c.Manifest, connector: c.Connector,
		bulkhead: bulkhead.New[any](uint(c.Manifest.Limits.Concurrency)),
		// The delay never ends by itself: the circuit that counts is the shared one in the
		// store, and its closing resets this one.
		breaker: circuitbreaker.NewBuilder[any]().WithFailureThreshold(breakAfter).WithDelay(24 * time.Hour).Build()}
	if r := c.Manifest.Limits.RatePerSecond; r > 0 {
		burst := max(c.Manifest.Limits.Burst, 1)
		out.rate = ratelimiter.NewBursty[any](uint(burst), time.Duration(float64(burst)/r*float64(time.Second)))
	}
	return out
}

// acquire waits for the connection's turn; the returned function gives it back.
func (c *conn) acquire(ctx context.Context) (func(), error) {
	if c.rate != nil {
		if err := c.rate.AcquirePermit(ctx); err != nil {
			return nil, err
		}
	}
	if err := c.bulkhead.AcquirePermit(ctx); err != nil {
		return nil, err
	}
	return c.bulkhead.ReleasePermit, nil
}

func (c *conn) succeeded(now time.Time) {
	c.breaker.RecordSuccess()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastSuccess, c.limited = now, time.Time{}
}

// limitedSince returns since when the vendor has answered nothing but "too many
// requests"; the first of them begins it.
func (c *conn) limitedSince(now time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limited.IsZero() {
		c.limited = now
	}
	return c.limited
}

// failed notes a failure of the vendor and reports whether there were too many in a row.
func (c *conn) failed() bool {
	c.mu.Lock()
	c.limited = time.Time{}
	c.mu.Unlock()
	c.breaker.RecordFailure()
	return c.breaker.IsOpen()
}

// note notes a try that did not succeed and reports whether there were too many failures
// of the vendor in a row; a vendor that answered has not failed.
func (c *conn) note(answered bool, now time.Time) bool {
	if answered {
		c.succeeded(now)
		return false
	}
	return c.failed()
}

func (c *conn) successSince(t time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastSuccess.After(t)
}

func (c *conn) pause(now, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if until.After(c.pausedUntil) || now.Before(c.pausedAt) {
		c.pausedAt, c.pausedUntil = now, until
	}
}

// pauseEnd returns until when the connection is paused, zero when it is not. A pause
// that began in the future was set by a clock that has been put back since: it is over.
func (c *conn) pauseEnd(now time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.pausedAt) || !c.pausedUntil.After(now) {
		return time.Time{}
	}
	return c.pausedUntil
}

// circuitFresh is how old the known state of a circuit may be before a call. What is
// missed in between costs calls that fail, not order or effects.
const circuitFresh = 500 * time.Millisecond

// state returns the connection's circuit, read from the store when it is not fresh.
func (c *conn) state(ctx context.Context, db *store.DB, now time.Time) (store.Circuit, error) {
	c.mu.Lock()
	if !c.circuitAt.IsZero() && now.Sub(c.circuitAt).Abs() < circuitFresh {
		defer c.mu.Unlock()
		return c.circuit, nil
	}
	c.mu.Unlock()
	ci, err := db.Circuit(ctx, c.name)
	if err != nil {
		return ci, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if ci.State == store.CircuitClosed && c.breaker.IsOpen() {
		c.breaker.Close() // whoever drained it, the shared circuit is what counts
	}
	c.circuit, c.circuitAt = ci, now
	return ci, nil
}

// forget makes the next call read the circuit anew.
func (c *conn) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.circuitAt = time.Time{}
}
