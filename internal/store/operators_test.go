package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

func wantCode(t *testing.T, what string, err error, code bellhop.Code) {
	t.Helper()
	if err == nil || bellhop.CodeOf(err) != code {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

func TestOperatorsAreKeptByName(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		if has, err := db.HasOperator(ctx); has || err != nil {
			t.Fatalf("a new database has an operator: %v %v", has, err)
		}
		for _, name := range []string{"kim", "ada@example.com"} {
			if o, err := db.AddOperator(ctx, bellhop.Operator{Name: name, Role: bellhop.OperatorAgent}, "hash of "+name); err != nil || o.ID == "" || o.CreatedAt.IsZero() {
				t.Fatalf("%+v %v", o, err)
			}
		}
		_, err := db.AddOperator(ctx, bellhop.Operator{Name: "kim", Role: bellhop.OperatorViewer}, "h")
		wantCode(t, "the same name again", err, bellhop.CodeStateConflict)
		if _, err := db.AddOperator(ctx, bellhop.Operator{Name: "eve", Role: "root"}, "h"); err == nil {
			t.Error("a role that there is not was stored")
		}
		all, err := db.Operators(ctx)
		if err != nil || len(all) != 2 || all[0].Name != "ada@example.com" || all[1].Role != bellhop.OperatorAgent {
			t.Errorf("list: %+v %v", all, err)
		}
		if o, hash, err := db.Operator(ctx, "kim"); err != nil || hash != "hash of kim" || !o.LastLoginAt.IsZero() || !o.DisabledAt.IsZero() {
			t.Errorf("%+v %q %v", o, hash, err)
		}
		_, _, err = db.Operator(ctx, "nobody")
		wantCode(t, "an unknown name", err, bellhop.CodeNotFound)
		wantCode(t, "a password for nobody", db.SetOperatorPassword(ctx, "nobody", "h"), bellhop.CodeNotFound)
		for _, name := range []string{"kim", "ada@example.com", "kim"} {
			if err := db.DisableOperator(ctx, name); err != nil {
				t.Fatal(err)
			}
		}
		if has, err := db.HasOperator(ctx); has || err != nil {
			t.Errorf("only disabled ones are left: %v %v", has, err)
		}
		if first, err := db.FirstRun(ctx); first || err != nil {
			t.Errorf("there were operators: %v %v", first, err)
		}
	})
}

// Two links that are used at the same moment make one owner.
func TestThereIsOneFirstOwner(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() {
				_, errs[i] = db.AddFirstOwner(ctx, bellhop.Operator{Name: fmt.Sprintf("o%d", i)}, "h")
			})
		}
		wg.Wait()
		good := 0
		for _, err := range errs {
			if err == nil {
				good++
			} else {
				wantCode(t, "another first owner", err, bellhop.CodeStateConflict)
			}
		}
		all, err := db.Operators(ctx)
		if good != 1 || err != nil || len(all) != 1 || all[0].Role != bellhop.OperatorOwner {
			t.Errorf("%d were made, there are %+v (%v)", good, all, err)
		}
	})
}

func TestAFirstOwnerComesBeforeAnyOther(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		if _, err := db.AddOperator(ctx, bellhop.Operator{Name: "kim", Role: bellhop.OperatorOwner}, "h"); err != nil {
			t.Fatal(err)
		}
		_, err := db.AddFirstOwner(ctx, bellhop.Operator{Name: "eve"}, "h")
		wantCode(t, "a first owner beside another", err, bellhop.CodeStateConflict)
	})
}

func TestSessionsEndWithTheirOperator(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		kim, err := db.AddOperator(ctx, bellhop.Operator{Name: "kim", Role: bellhop.OperatorAgent}, "old")
		if err != nil {
			t.Fatal(err)
		}
		begin := func(token string, o bellhop.Operator, rehash string) error {
			s := bellhop.OperatorSession{Digest: []byte(token), Operator: o, CSRF: "c" + token, CreatedAt: db.Now(), ExpiresAt: db.Now().Add(time.Hour)}
			if o.ID == "" {
				s.KeyProof = []byte("proof")
			}
			return db.BeginSession(ctx, s, rehash)
		}
		if err := errors.Join(begin("a", kim, ""), begin("b", kim, "new"), begin("k", bellhop.Operator{}, "")); err != nil {
			t.Fatal(err)
		}
		s, err := db.Session(ctx, []byte("a"))
		if err != nil || s.Operator.Name != "kim" || s.Operator.LastLoginAt.IsZero() || s.CSRF != "ca" || s.KeyProof != nil {
			t.Errorf("%+v %v", s, err)
		}
		if s, err := db.Session(ctx, []byte("k")); err != nil || string(s.KeyProof) != "proof" || s.Operator.ID != "" {
			t.Errorf("of a key: %+v %v", s, err)
		}
		if _, hash, _ := db.Operator(ctx, "kim"); hash != "new" {
			t.Errorf("the hash is %q", hash)
		}
		later := db.Now().Add(2 * time.Minute)
		if err := db.SeeSession(ctx, []byte("a"), later); err != nil {
			t.Fatal(err)
		}
		if s, _ := db.Session(ctx, []byte("a")); s.SeenAt.Sub(later).Abs() > time.Millisecond {
			t.Errorf("seen at %s, want %s", s.SeenAt, later)
		}
		if err := db.EndSession(ctx, []byte("a")); err != nil {
			t.Fatal(err)
		}
		_, err = db.Session(ctx, []byte("a"))
		wantCode(t, "an ended session", err, bellhop.CodeNotFound)
		if err := db.SetOperatorPassword(ctx, "kim", "newer"); err != nil {
			t.Fatal(err)
		}
		_, err = db.Session(ctx, []byte("b"))
		wantCode(t, "a session with the old password", err, bellhop.CodeNotFound)
		if err := db.DisableOperator(ctx, "kim"); err != nil {
			t.Fatal(err)
		}
		wantCode(t, "a session of a disabled operator", begin("d", kim, ""), bellhop.CodeUnauthenticated)
		if _, err := db.Session(ctx, []byte("k")); err != nil {
			t.Errorf("somebody else's session ended: %v", err)
		}
	})
}

func TestServerKeysAreKeptByDigest(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		k, err := db.AddServerKey(ctx, bellhop.ServerKey{Name: "shop", Digest: []byte("d1"), Scopes: []bellhop.Scope{bellhop.ScopeLeadsWrite}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = db.AddServerKey(ctx, bellhop.ServerKey{Name: "shop", Digest: []byte("d2")})
		wantCode(t, "the same name again", err, bellhop.CodeStateConflict)
		got, err := db.ServerKey(ctx, []byte("d1"))
		if err != nil || got.Name != "shop" || !slices.Equal(got.Scopes, k.Scopes) || !got.RevokedAt.IsZero() || !got.LastUsedAt.IsZero() {
			t.Errorf("%+v %v", got, err)
		}
		_, err = db.ServerKey(ctx, []byte("d2"))
		wantCode(t, "an unknown digest", err, bellhop.CodeNotFound)
		at := db.Now()
		if err := errors.Join(db.UseServerKey(ctx, k.ID, at), db.UseServerKey(ctx, k.ID, at.Add(-time.Hour))); err != nil {
			t.Fatal(err)
		}
		if err := db.RevokeServerKey(ctx, "shop"); err != nil {
			t.Fatal(err)
		}
		first, err := db.ServerKey(ctx, []byte("d1"))
		if err != nil || first.RevokedAt.IsZero() || first.LastUsedAt.Sub(at).Abs() > time.Millisecond {
			t.Errorf("%+v %v", first, err)
		}
		if err := db.RevokeServerKey(ctx, "shop"); err != nil {
			t.Fatal(err)
		}
		all, err := db.ServerKeys(ctx)
		if err != nil || len(all) != 1 || !all[0].RevokedAt.Equal(first.RevokedAt) {
			t.Errorf("revoked again: %+v %v", all, err)
		}
		wantCode(t, "an unknown name", db.RevokeServerKey(ctx, "nobody"), bellhop.CodeNotFound)
	})
}

// A database that no server has migrated yet has no operator, which is no error.
func TestHasOperatorBeforeTheFirstMigration(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db, err := store.Open(ctx, store.Opts{URL: storetest.URL(t, store.SQLite)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if has, err := db.HasOperator(ctx); has || err != nil {
		t.Errorf("%v %v", has, err)
	}
}

// Promise: a visitor who signs in keeps their conversation, and nobody else gets it.
func TestAVisitorsConversationsPassToTheUserOnce(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		ctx := context.Background()
		id := store.NewID()
		visitor, other := bellhop.Owner{VisitorID: "v1"}, bellhop.Owner{VisitorID: "v2"}
		mine, theirs := f.chat(t, visitor), f.chat(t, other)
		mine.turn("m1", bellhop.Decision{Intent: bellhop.IntentSupport}, &bellhop.SupportAsk{Reason: bellhop.ReasonAskedForHuman, Subject: "x"})
		reqs, err := db.For(visitor, nil).Requests(ctx, 10)
		if err != nil || len(reqs) != 1 {
			t.Fatalf("%d requests, %v", len(reqs), err)
		}
		if n, err := db.ClaimVisitor(ctx, "v1", id); n != 1 || err != nil {
			t.Fatalf("%d claimed, %v", n, err)
		}
		ada := bellhop.Owner{UserID: id}
		if c, err := db.Conversation(ctx, mine.id, ada); err != nil || c.Owner != ada {
			t.Errorf("the user's: %+v %v", c, err)
		}
		if _, err := db.Request(ctx, reqs[0].ID, ada, false); err != nil {
			t.Errorf("the user's request: %v", err)
		}
		_, err = db.Conversation(ctx, mine.id, visitor)
		wantCode(t, "the visitor token afterwards", err, bellhop.CodeNotFound)
		_, err = db.Request(ctx, reqs[0].ID, visitor, false)
		wantCode(t, "the visitor's request afterwards", err, bellhop.CodeNotFound)
		if n, err := db.ClaimVisitor(ctx, "v1", "eve"); n != 0 || err != nil {
			t.Errorf("claimed a second time: %d %v", n, err)
		}
		_, err = db.Conversation(ctx, mine.id, bellhop.Owner{UserID: "eve"})
		wantCode(t, "who came second", err, bellhop.CodeNotFound)
		if _, err := db.Conversation(ctx, theirs.id, other); err != nil {
			t.Errorf("another visitor lost theirs: %v", err)
		}
		if n, err := db.ClaimVisitor(ctx, "", "eve"); n != 0 || err != nil {
			t.Errorf("the empty visitor: %d %v", n, err)
		}
		mine.owner = ada // what was begun as a visitor goes on as a user
		mine.turn("m2", bellhop.Decision{Intent: bellhop.IntentLead, Fields: bellhop.LeadFields{Email: "ada@example.com"}}, nil)
		if reqs, err := db.For(ada, []byte(`{"role":"authenticated","sub":"`+id+`"}`)).Requests(ctx, 10); err != nil || len(reqs) != 2 {
			t.Errorf("%d requests of the user, %v", len(reqs), err)
		}
	})
}
