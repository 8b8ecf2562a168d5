package store_test

import (
	"context"
	"strings"
	"testing"

	"bellhop"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// Of the security log an erasure changes who it was, for a user or a visitor, and nothing
// else; of somebody else's event the body, when the erasure lists it.
func TestAnErasureChangesNoMoreThanItSays(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		ada, bob := f.lead(t, "ada@example.com", "k1"), f.lead(t, "bob@example.com", "k2")
		user, operator := store.NewID(), store.NewID()
		if err := db.RecordSecurity(context.Background(),
			store.SecurityRecord{ID: user, Kind: store.SecurityForbidden, Role: "user", Actor: userA},
			store.SecurityRecord{ID: operator, Kind: store.SecurityOperator, Role: "operator", Actor: userA}); err != nil {
			t.Fatal(err)
		}
		const begin = "INSERT INTO %serasures (id, person_id, requested_by, started_at, others) VALUES ($1, $2, 'x', $3, $4)"
		const actor, body = "UPDATE %ssecurity_log SET actor = $1 WHERE id = $2", "UPDATE %sevents SET body = $1 WHERE id = $2"
		erased, mark := "erased:"+ada.PersonID, []byte(`{"erased":true}`)
		for name, tt := range map[string]struct {
			begun, allowed bool
			q              string
			args           []any
		}{
			"who it was":                 {true, true, actor, []any{erased, user}},
			"a listed event":             {true, true, body, []any{mark, bob.EventID}},
			"without an erasure":         {false, false, actor, []any{erased, user}},
			"an operator":                {true, false, actor, []any{erased, operator}},
			"somebody else's name":       {true, false, actor, []any{"mallory", user}},
			"another person's id":        {true, false, actor, []any{"erased:" + bob.PersonID, user}},
			"what they did as well":      {true, false, "UPDATE %ssecurity_log SET actor = $1, kind = 'x' WHERE id = $2", []any{erased, user}},
			"deleting a row":             {true, false, "DELETE FROM %ssecurity_log", nil},
			"the list of the erasure":    {true, false, "UPDATE %serasures SET others = '[]', receipt = '{}'", nil},
			"another body of what it is": {true, false, body, []any{[]byte("{}"), bob.EventID}},
		} {
			tx, err := db.Writer().Begin()
			if err != nil {
				t.Fatal(err)
			}
			if tt.begun {
				if _, err := tx.Exec(f.text(begin), store.NewID(), ada.PersonID, f.now(), `["`+bob.EventID+`"]`); err != nil {
					t.Fatal(err)
				}
			}
			_, err = tx.Exec(f.text(tt.q), tt.args...)
			if (err == nil) != tt.allowed || err != nil && !strings.Contains(err.Error(), "append-only") {
				t.Errorf("%s: %v, allowed %v", name, err, tt.allowed)
			}
			if err := tx.Rollback(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A step that somebody else's chat made is theirs, also when it carries the address.
func TestAnErasureLeavesOthersTheirRequests(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		f := newFixture(t, db)
		f.lead(t, "ada@example.com", "k1")
		owner := bellhop.Owner{UserID: userB}
		c := f.chat(t, owner)
		c.turn("m1", bellhop.Decision{Intent: bellhop.IntentLead, Fields: bellhop.LeadFields{Email: "ada@example.com", Name: "Udo User"}}, nil)
		c.turn("m2", bellhop.Decision{Intent: bellhop.IntentSupport}, &bellhop.SupportAsk{Reason: bellhop.ReasonAskedForHuman,
			Subject: "Udo asks", Body: "answer to ada@example.com"})
		f.allDone(t, "done")
		before, err := db.For(owner, claimsOf(userB)).Requests(ctx, 10)
		if err != nil || len(before) != 2 {
			t.Fatalf("%+v %v", before, err)
		}
		if _, err := db.ErasePerson(ctx, store.EraseOpts{Who: "ada@example.com", By: "sam"}); err != nil {
			t.Fatal(err)
		}
		after, err := db.For(owner, claimsOf(userB)).Requests(ctx, 10)
		if err != nil || len(after) != len(before) {
			t.Errorf("requests %+v, %v, before %+v", after, err, before)
		}
		asks, err := db.SupportRequests(ctx, store.SupportFilter{Reason: bellhop.ReasonAskedForHuman})
		if err != nil || len(asks) != 1 || asks[0].Body == "" || strings.Contains(asks[0].Body, "ada@") || asks[0].Status == bellhop.SupportResolved {
			t.Errorf("his question %+v, %v", asks, err)
		}
		// What he says next is his, and goes to nobody by that address.
		acc := c.turn("m3", bellhop.Decision{Intent: bellhop.IntentQuestion}, nil)
		if p, err := db.FindPerson(ctx, userB); err != nil || p.ID != acc.PersonID {
			t.Errorf("his next turn is of %s, he is %+v, %v", acc.PersonID, p, err)
		}
		if h := hits(f.dump(t), "ada@example.com"); len(h) > 0 {
			t.Errorf("the address is in %v", h)
		}
	})
}
