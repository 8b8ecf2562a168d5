package watch_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
	"bellhop/internal/watch"
)

// handClock is a clock that tests move.
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

func logged(t *testing.T, db *store.DB) []store.SecurityRecord {
	t.Helper()
	recs, err := db.SecurityLog(context.Background(), store.SecurityFilter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return recs
}

func total(recs []store.SecurityRecord, kind store.SecurityKind) (rows int, count int64) {
	for _, r := range recs {
		if r.Kind == kind {
			rows++
			count += r.Count
		}
	}
	return rows, count
}

// A flood makes few rows, whether it comes from one place or from many, and nothing that
// operators did is crowded out by it.
func TestAFloodMakesFewRowsInTheSecurityLog(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		clock := &handClock{at: time.Now().UTC()}
		s := watch.NewSecurity(db, clock, nil)
		for range 10_000 {
			s.Note(store.SecurityRecord{Kind: store.SecuritySignature, Address: "203.0.113.0/24", Detail: "no secret fits"})
		}
		for i := range 10_000 {
			s.Note(store.SecurityRecord{Kind: store.SecurityUnknown, Address: fmt.Sprintf("2001:db8:%x::/48", i), CorrelationID: fmt.Sprint(i)})
		}
		for i := range 100 {
			s.Note(store.SecurityRecord{Kind: store.SecurityOperator, Actor: "anna", Detail: fmt.Sprint("retry of step ", i)})
		}
		s.Close()
		recs := logged(t, db)
		if rows, n := total(recs, store.SecuritySignature); rows > 3 || n != 10_000 {
			t.Errorf("%d rows stand for %d refused signatures", rows, n)
		}
		if rows, n := total(recs, store.SecurityUnknown); rows > 300 || n != 10_000 {
			t.Errorf("%d rows stand for %d refusals", rows, n)
		}
		if rows, n := total(recs, store.SecurityOperator); rows != 100 || n != 100 {
			t.Errorf("%d rows of %d actions", rows, n)
		}
	})
}

// What repeats itself is counted for a minute before it makes another row.
func TestRepeatsAreCountedForAMinute(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, store.SQLite, nil)
	clock := &handClock{at: time.Now().UTC().Truncate(time.Second)}
	began := clock.Now()
	s := watch.NewSecurity(db, clock, nil)
	t.Cleanup(s.Close)
	refused := store.SecurityRecord{Kind: store.SecurityForbidden, Role: "visitor", Actor: "v"}
	s.Note(refused)
	watch.FlushDue(s)
	for range 5 {
		clock.move(10 * time.Second)
		s.Note(refused)
		watch.FlushDue(s)
	}
	if recs := logged(t, db); len(recs) != 1 || recs[0].Count != 1 {
		t.Fatalf("within the minute: %+v", recs)
	}
	clock.move(10 * time.Second)
	watch.FlushDue(s)
	recs := logged(t, db)
	if len(recs) != 2 || recs[0].Count != 5 || !recs[0].At.Equal(began.Add(10*time.Second)) || !recs[0].LastAt.Equal(began.Add(50*time.Second)) {
		t.Fatalf("after the minute: %+v", recs)
	}
	s.Note(refused)
	s.Flush(context.Background()) // whoever reads the log sees all of it
	if recs := logged(t, db); len(recs) != 3 {
		t.Errorf("%d rows", len(recs))
	}
}

// A database that does not take it neither blocks whoever tells the log nor loses it.
func TestTheSecurityLogWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, store.SQLite, nil)
	if _, err := db.Writer().Exec("ALTER TABLE security_log RENAME TO away"); err != nil {
		t.Fatal(err)
	}
	s := watch.NewSecurity(db, nil, nil)
	for range 3 {
		s.Note(store.SecurityRecord{Kind: store.SecurityLimited})
		s.Note(store.SecurityRecord{Kind: store.SecurityOperator})
		s.Flush(context.Background())
	}
	if _, err := db.Writer().Exec("ALTER TABLE away RENAME TO security_log"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	recs := logged(t, db)
	if _, n := total(recs, store.SecurityLimited); n != 3 {
		t.Errorf("%d of 3 limits", n)
	}
	if rows, _ := total(recs, store.SecurityOperator); rows != 3 {
		t.Errorf("%d of 3 actions", rows)
	}
}

func TestASecurityLogThatIsNotThereTakesEverything(t *testing.T) {
	t.Parallel()
	var s *watch.Security
	s.Note(store.SecurityRecord{})
	s.Flush(context.Background())
	s.Close()
}

func TestEveryKindOfTheSecurityLogHasWords(t *testing.T) {
	t.Parallel()
	for _, k := range store.SecurityKinds() {
		if w := watch.SecurityWords(k); w == "" || w == strings.ReplaceAll(string(k), "_", " ") {
			t.Errorf("%s: %q", k, w)
		}
	}
}
