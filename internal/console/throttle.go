package console

import (
	"sync"
	"time"

	"bellhop"
)

const (
	maxFailures   = 10
	failureWindow = 5 * time.Minute
	maxAddresses  = 10_000 // so that a flood of addresses cannot fill the memory
)

// throttle bounds the failed logins of one address. A try counts from its beginning, so
// that many at the same moment do not slip through together; a good one is given back.
type throttle struct {
	clock bellhop.Clock
	mu    sync.Mutex
	tries map[string][]time.Time // oldest first
}

func newThrottle(clock bellhop.Clock) *throttle {
	return &throttle{clock: clock, tries: map[string][]time.Time{}}
}

// take counts a try. When there were too many it returns how long to wait.
func (t *throttle) take(address string) (wait time.Duration, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	recent := fresh(t.tries[address], now)
	if len(recent) >= maxFailures {
		t.tries[address] = recent
		return recent[0].Add(failureWindow).Sub(now), false
	}
	if _, known := t.tries[address]; !known && len(t.tries) >= maxAddresses {
		t.forget(now)
	}
	t.tries[address] = append(recent, now)
	return 0, true
}

// giveBack takes the last try off the count: it was a good one.
func (t *throttle) giveBack(address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.tries[address]); n > 1 {
		t.tries[address] = t.tries[address][:n-1]
	} else {
		delete(t.tries, address)
	}
}

// forget makes room: addresses whose tries are old, or else any one.
func (t *throttle) forget(now time.Time) {
	for a, tries := range t.tries {
		if len(fresh(tries, now)) == 0 {
			delete(t.tries, a)
		}
	}
	for a := range t.tries {
		if len(t.tries) < maxAddresses {
			return
		}
		delete(t.tries, a)
	}
}

func fresh(tries []time.Time, now time.Time) []time.Time {
	for len(tries) > 0 && now.Sub(tries[0]) >= failureWindow {
		tries = tries[1:]
	}
	return tries
}
