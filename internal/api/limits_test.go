package api

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

type handClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *handClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func TestABucketFillsAgain(t *testing.T) {
	t.Parallel()
	c := &handClock{at: time.Unix(1_000_000, 0)}
	l := newLimiter(c)
	r := Rate{N: 4, Per: time.Minute}
	for range 4 {
		if _, ok := l.take("k", r); !ok {
			t.Fatal("refused within the limit")
		}
	}
	wait, ok := l.take("k", r)
	if ok || retryAfter(wait) != "15" {
		t.Fatalf("the fifth: %v, wait %s", ok, wait)
	}
	c.move(14 * time.Second)
	if wait, ok := l.take("k", r); ok || retryAfter(wait) != "1" {
		t.Errorf("a second too early: %v, wait %s", ok, wait)
	}
	c.move(time.Second)
	if _, ok := l.take("k", r); !ok {
		t.Error("refused when the time was over")
	}
	for range 100 {
		if _, ok := l.take("k", Rate{}); !ok {
			t.Fatal("no limit is a limit")
		}
	}
}

// However many addresses there are, the memory is bounded, and one that is in use is
// mostly still known.
func TestLimitsHoldABoundedNumberOfCallers(t *testing.T) {
	t.Parallel()
	c := &handClock{at: time.Unix(1_000_000, 0)}
	l := newLimiter(c)
	r := Rate{N: 1, Per: time.Hour}
	for i := range 3 * maxBuckets {
		l.take(fmt.Sprint(i), r)
		if len(l.keys) > maxBuckets {
			t.Fatalf("%d buckets", len(l.keys))
		}
	}
	c.move(r.Per + time.Minute)
	l.take("new", r)
	if len(l.keys) != 1 {
		t.Errorf("%d buckets are kept that nobody uses", len(l.keys))
	}
}

// Who waits gets what the rate says and no more: a bucket that is not full is not forgotten.
func TestALongLimitIsNotForgotten(t *testing.T) {
	t.Parallel()
	c := &handClock{at: time.Unix(1_000_000, 0)}
	l := newLimiter(c)
	r, passed := Rate{N: 100, Per: 24 * time.Hour}, 0
	for range 24 * 5 {
		for range 100 {
			if _, ok := l.take("one", r); ok {
				passed++
			}
			l.take(fmt.Sprint("other", passed), Rate{N: 1, Per: time.Second}) // makes room
		}
		c.move(12 * time.Minute)
	}
	if passed > 200 {
		t.Errorf("%d passed in a day, of a limit of 100 at once and 100 in a day", passed)
	}
}
