package growth

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// accepting takes webhooks in at a steady pace until ctx ends, and returns how long each
// of them took, sorted.
func (in *install) accepting(ctx context.Context, tb testing.TB, first int, every time.Duration) []time.Duration {
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := first; ctx.Err() == nil; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			continue
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			began := time.Now()
			if err := in.purchase(context.Background(), n); err != nil {
				tb.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(began)/3) // three webhooks one after the other
		}()
	}
	wg.Wait()
	slices.Sort(took)
	return took
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1))].Round(10 * time.Microsecond)
}

// Retention runs beside accepting without holding it up. Not parallel: it measures.
func TestAcceptingWhileRetentionRuns(t *testing.T) {
	for _, kind := range storetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			in := newInstall(t, kind)
			n := in.fill(t, events(t), in.purchase, 3)
			in.carryOut(t)
			in.clock.move(1000 * 24 * time.Hour)
			window := time.Second
			if n > 5000 {
				window = 5 * time.Second
			}
			const every = 10 * time.Millisecond // 300 webhooks a second
			alone, cancel := context.WithTimeout(context.Background(), window)
			quiet := in.accepting(alone, t, 1_000_000, every)
			cancel()
			busy, cancel := context.WithCancel(context.Background())
			var out store.Removed
			var round time.Duration
			go func() {
				defer cancel()
				began := time.Now()
				var err error
				if out, err = in.db.Prune(context.Background(), keep(400)); err != nil {
					t.Error(err)
				}
				round = time.Since(began)
			}()
			during := in.accepting(busy, t, 2_000_000, every)
			t.Logf("%d events; a round took %s and removed %v, %d partitions, %d pages", n, round.Round(time.Millisecond), out.Rows,
				len(out.Partitions), out.Pages)
			t.Logf("a webhook alone: p50 %s, p99 %s, most %s (%d purchases)", quantile(quiet, 0.5), quantile(quiet, 0.99), quantile(quiet, 1), len(quiet))
			t.Logf("during the round: p50 %s, p99 %s, most %s (%d purchases)", quantile(during, 0.5), quantile(during, 0.99), quantile(during, 1), len(during))
			if most := quantile(during, 1); most > 2*time.Second {
				t.Errorf("a webhook waited %s while retention ran", most)
			}
		})
	}
}
