package watch_test

import (
	"context"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
	"bellhop/internal/watch"
)

func TestFunctionsKeepAWindow(t *testing.T) {
	t.Parallel()
	f := watch.NewFunctions()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for i := range 100 {
		f.Note("GET /x", now.Add(-time.Duration(i)*time.Second), time.Duration(i+1)*time.Millisecond, i%10 != 0)
	}
	f.Note("GET /old", now.Add(-time.Hour), time.Second, true)
	rows := f.Rows(now, 10*time.Minute)
	if len(rows) != 1 || rows[0].Count != 100 || rows[0].SuccessRate != 0.9 || rows[0].P50 != 50 || rows[0].P95 != 95 {
		t.Errorf("rows %+v", rows)
	}
	for i := range 10_000 { // the memory is bounded, and the newest calls count
		f.Note("GET /x", now.Add(time.Duration(i)*time.Millisecond), time.Millisecond, true)
	}
	if rows := f.Rows(now.Add(10*time.Second), 10*time.Minute); rows[0].Count > 5000 || rows[0].P95 != 1 {
		t.Errorf("rows %+v", rows)
	}
}

func TestEmptyLedger(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		st, err := watch.Read(ctx, db, watch.NewFunctions(), time.Now(), time.Hour)
		if err != nil || st.Events != 0 || st.Busywork.Share != 0 {
			t.Errorf("%+v %v", st, err)
		}
		if _, err := watch.Tell(ctx, db, "0af7651916cd43dd8448eb211c80319c"); bellhop.CodeOf(err) != bellhop.CodeNotFound {
			t.Errorf("a story of nothing: %v", err)
		}
	})
}
