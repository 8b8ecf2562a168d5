package identity

import (
	"sync"
	"time"

	"bellhop"
)

const (
	// MaxFailures is how many logins of one address may fail within FailureWindow.
	MaxFailures = 10
	// maxNameFailures is the same for one name from all addresses together. It is more, so
	// that one stranger cannot lock an operator out.
	maxNameFailures = 50
	// FailureWindow is how long a failed login counts.
	FailureWindow = 5 * time.Minute
	maxThrottled  = 10_000 // so that a flood of addresses cannot fill the memory
)

// Throttled is the error of a login that was not even looked at: too many failed before.
type Throttled struct {
	Wait time.Duration // until the next one is looked at
}

// Error says what happened.
func (e *Throttled) Error() string { return "too many failed logins" }

// Unwrap makes it an error that may be shown.
func (e *Throttled) Unwrap() error {
	return bellhop.Errorf(bellhop.CodeRateLimited, "Wait a few minutes, then try again.", "Too many logins failed.")
}

// throttle bounds failed tries by key. A try counts from its beginning, so that many at
// the same moment do not slip through together; a good one is given back.
type throttle struct {
	clock bellhop.Clock
	mu    sync.Mutex
	tries map[string][]time.Time // oldest first
}

func newThrottle(clock bellhop.Clock) *throttle {
	return &throttle{clock: clock, tries: map[string][]time.Time{}}
}

// take counts a try of a key that may fail most times. When there were too many it
// returns how long to wait.
func (t *throttle) take(key string, most int) (wait time.Duration, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	recent := fresh(t.tries[key], now)
	if len(recent) >= most {
		t.tries[key] = recent
		return recent[0].Add(FailureWindow).Sub(now), false
	}
	if _, known := t.tries[key]; !known && len(t.tries) >= maxThrottled {
		t.forget(now)
	}
	t.tries[key] = append(recent, now)
	return 0, true
}

// giveBack takes the last try of a key off the count: it was a good one.
func (t *throttle) giveBack(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.tries[key]); n > 1 {
		t.tries[key] = t.tries[key][:n-1]
	} else {
		delete(t.tries, key)
	}
}

// forget makes room: keys whose tries are old, or else any one.
func (t *throttle) forget(now time.Time) {
	for a, tries := range t.tries {
		if len(fresh(tries, now)) == 0 {
			delete(t.tries, a)
		}
	}
	for a := range t.tries {
		if len(t.tries) < maxThrottled {
			return
		}
		delete(t.tries, a)
	}
}

func fresh(tries []time.Time, now time.Time) []time.Time {
	for len(tries) > 0 && now.Sub(tries[0]) >= FailureWindow {
		tries = tries[1:]
	}
	return tries
}
