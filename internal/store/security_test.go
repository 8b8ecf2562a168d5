package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"bellhop"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

func record(t *testing.T, db *store.DB, recs ...store.SecurityRecord) {
	t.Helper()
	if err := db.RecordSecurity(context.Background(), recs...); err != nil {
		t.Fatal(err)
	}
}

func securityLog(t *testing.T, db *store.DB, f store.SecurityFilter) []store.SecurityRecord {
	t.Helper()
	recs, err := db.SecurityLog(context.Background(), f)
	if err != nil {
		t.Fatal(err)
	}
	return recs
}

func TestTheSecurityLogIsReadInPagesBothWays(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		now := db.Now().Truncate(time.Microsecond)
		for i := range 7 {
			kind := store.SecurityUnknown
			if i%2 == 1 {
				kind = store.SecurityLimited
			}
			record(t, db, store.SecurityRecord{Kind: kind, At: now.Add(time.Duration(i) * time.Minute), Role: "visitor", Actor: "v-1",
				Address: "203.0.113.0/24", CorrelationID: "c", Route: "GET /x", Detail: fmt.Sprint(i), Count: int64(i + 1)})
		}
		var newest, oldest string
		f := store.SecurityFilter{Limit: 3}
		for range 4 {
			for _, r := range securityLog(t, db, f) {
				newest += r.Detail
				f.Before = r.ID
			}
		}
		f = store.SecurityFilter{Limit: 3}
		for range 4 {
			recs, err := db.SecurityLogFrom(ctx, f)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range recs {
				oldest += r.Detail
				f.After = r.ID
			}
		}
		if newest != "6543210" || oldest != "0123456" {
			t.Errorf("newest first %s, oldest first %s", newest, oldest)
		}
		if got := securityLog(t, db, store.SecurityFilter{Kind: store.SecurityLimited}); len(got) != 3 || got[0].Count != 6 ||
			!got[0].At.Equal(now.Add(5*time.Minute)) || !got[0].LastAt.Equal(got[0].At) || got[0].Address != "203.0.113.0/24" ||
			got[0].Role != "visitor" || got[0].Actor != "v-1" || got[0].CorrelationID != "c" || got[0].Route != "GET /x" {
			t.Errorf("of one kind: %+v", got)
		}
		if got := securityLog(t, db, store.SecurityFilter{Since: now.Add(5 * time.Minute)}); len(got) != 2 {
			t.Errorf("since then: %d", len(got))
		}
	})
}

func TestTheSecurityLogIsAppendOnly(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		record(t, db, store.SecurityRecord{Kind: store.SecurityForbidden})
		table := "security_log"
		statements := []string{"UPDATE %s SET detail = 'x'", "DELETE FROM %s"}
		if db.Kind() == store.Postgres {
			table = "bellhop.security_log"
			statements = append(statements, "TRUNCATE %s")
		}
		for _, q := range statements {
			if _, err := db.Writer().Exec(fmt.Sprintf(q, table)); err == nil || !strings.Contains(err.Error(), "append-only") {
				t.Errorf("%s was not refused: %v", q, err)
			}
		}
	})
}

func TestTheSecurityLogKeepsNoAddressesAndNoControlCharacters(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		record(t, db, store.SecurityRecord{Kind: store.SecurityForbidden, Actor: "ada@example.com", Route: "GET /\x00\n\xff",
			Detail: "asked by <ada@example.com> " + strings.Repeat("é", 500)})
		r := securityLog(t, db, store.SecurityFilter{})[0]
		if strings.Contains(r.Actor+r.Detail, "ada") || strings.ContainsAny(r.Route, "\x00\n") || !utf8.ValidString(r.Route) || len([]rune(r.Detail)) != 200 ||
			r.Count != 1 || r.At.IsZero() {
			t.Errorf("kept %+v", r)
		}
	})
}

func TestTheSecurityLogHasARetentionOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, kind := range storetest.Kinds() {
		clock := &ahead{}
		db := storetest.Open(t, kind, clock)
		record(t, db, store.SecurityRecord{Kind: store.SecurityForbidden})
		if out := prune(t, db, store.Retention{SecurityLog: day}); out.Rows["security_log"] != 0 {
			t.Errorf("%s: removed what is new: %v", kind, out.Rows)
		}
		clock.move(100 * day)
		if out := prune(t, db, short()); out.Rows["security_log"] != 0 {
			t.Errorf("%s: removed what is kept for ever: %v", kind, out.Rows)
		}
		if out := prune(t, db, store.Retention{SecurityLog: 40 * day}); out.Rows["security_log"] != 1 {
			t.Errorf("%s: removed %v", kind, out.Rows)
		}
	}
}

func TestSpendIsCountedByDayForOneAndForAll(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		ada, bob := bellhop.Owner{UserID: "ada"}, bellhop.Owner{VisitorID: "bob"}
		for _, add := range []struct {
			who    bellhop.Owner
			micros int64
		}{{ada, 100}, {bob, 20}, {ada, 3}, {bob, 0}} {
			if err := db.AddSpent(ctx, add.who, add.micros); err != nil {
				t.Fatal(err)
			}
		}
		for who, want := range map[bellhop.Owner][2]int64{ada: {103, 123}, bob: {20, 123}, {VisitorID: "ada"}: {0, 123}} {
			if one, all, err := db.Spent(ctx, who); err != nil || one != want[0] || all != want[1] {
				t.Errorf("%+v: %d of %d (%v), want %v", who, one, all, err, want)
			}
		}
	})
}

func TestSpendBeginsAnewEveryDay(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, kind := range storetest.Kinds() {
		clock := &ahead{}
		db := storetest.Open(t, kind, clock)
		if err := db.AddSpent(ctx, bellhop.Owner{UserID: "ada"}, 5); err != nil {
			t.Fatal(err)
		}
		clock.move(day)
		if one, all, err := db.Spent(ctx, bellhop.Owner{UserID: "ada"}); err != nil || one != 0 || all != 0 {
			t.Errorf("%s: the next day: %d of %d (%v)", kind, one, all, err)
		}
		clock.move(200 * day)
		if out := prune(t, db, store.Retention{}); out.Rows["spend"] != 2 {
			t.Errorf("%s: removed %v", kind, out.Rows)
		}
	}
}
