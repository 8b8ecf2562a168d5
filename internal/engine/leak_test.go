package engine_test

import (
	"testing"

	"go.uber.org/goleak"

	"bellhop"
	"bellhop/internal/store/storetest"
)

// Stop leaves no goroutine behind. Not parallel: other tests' goroutines would count.
func TestStopLeavesNothingRunning(t *testing.T) {
	storetest.Postgres(t) // its babysitter outlives the test
	for _, kind := range storetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			url := storetest.URL(t, kind)
			before := goleak.IgnoreCurrent()
			t.Run("work", func(t *testing.T) {
				h := start(t, storetest.OpenURL(t, url, nil))
				h.lead(1)
				h.wait("done", all(bellhop.StepDone, 2))
			})
			goleak.VerifyNone(t, before)
		})
	}
}
