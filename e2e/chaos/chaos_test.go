//go:build unix

package chaos

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	defaultSeeds = 14
	workers      = 4
)

// tally counts what happened over all seeds.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (t *tally) count(what string) { t.add(what, 1) }

func (t *tally) add(what string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[what] += n
}

func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(t.counts)) {
		fmt.Fprintf(&b, "  %-40s %7d\n", k, t.counts[k])
	}
	return b.String()
}

// number reads a number from the environment.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(v, 10, 63)
	if err != nil || n == 0 {
		t.Fatalf("%s must be a number from 1, not %q", name, v)
	}
	return n
}

// Promise: whatever breaks, in whatever order and at the same time (processes killed and
// stopped, vendors failing in every way, the database restarted, networks slow and cut,
// clocks that jump, webhooks repeated and mixed, operators who press everything at once),
// nothing that was accepted is lost, nothing happens twice, lanes stay in order, and what
// could not be done is with a person who is told why.
//
// BELLHOP_CHAOS_SEEDS is how many seeds are run (make chaos: 1000), BELLHOP_CHAOS_SEED the
// first of them.
func TestChaos(t *testing.T) {
	t.Parallel()
	seeds, first := number(t, "BELLHOP_CHAOS_SEEDS", defaultSeeds), number(t, "BELLHOP_CHAOS_SEED", 1)
	sum := &tally{counts: map[string]int{}}
	began := time.Now()
	next, done := make(chan uint64), 0
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range min(workers, int(seeds)) {
		l, err := newLab(t.TempDir())
		if l != nil {
			t.Cleanup(l.close)
		}
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for seed := range next {
				errs := runSeed(seed, l, sum)
				mu.Lock()
				if done++; done%25 == 0 {
					t.Logf("%d of %d seeds in %s", done, seeds, time.Since(began).Round(time.Second))
				}
				mu.Unlock()
				if len(errs) > 0 {
					t.Errorf("seed %d (again: BELLHOP_CHAOS_SEEDS=1 BELLHOP_CHAOS_SEED=%d): %s\nthe plan: %s", seed, seed,
						strings.Join(errs, "\n"), newPlan(seed))
				}
			}
		})
	}
	for seed := first; seed < first+seeds; seed++ {
		next <- seed
	}
	close(next)
	wg.Wait()
	t.Logf("%d seeds in %s\n%s", seeds, time.Since(began).Round(time.Second), sum)
}

// A plan is decided by its seed alone, or a seed that failed could not be run again.
func TestASeedIsAlwaysTheSamePlan(t *testing.T) {
	t.Parallel()
	for seed := uint64(1); seed <= 50; seed++ {
		if a, b := newPlan(seed).String(), newPlan(seed).String(); a != b {
			t.Errorf("seed %d: two plans:\n%s\n%s", seed, a, b)
		}
	}
}
