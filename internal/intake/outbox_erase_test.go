package intake_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"bellhop"
	"bellhop/internal/intake"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// stored returns every text of the tables that the outbox leads to.
func stored(t *testing.T, db *store.DB) string {
	t.Helper()
	schema, body := "bellhop.", "encode(body, 'escape')"
	if db.Kind() == store.SQLite {
		schema, body = "", "CAST(body AS TEXT)"
	}
	rows, err := db.Writer().Query("SELECT subject || body FROM " + schema + "support_requests UNION ALL SELECT " + body + " FROM " + schema +
		"events UNION ALL SELECT CAST(payload AS text) FROM " + schema + "outbox UNION ALL SELECT key FROM " + schema + "person_keys")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var b strings.Builder
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		b.WriteString(s + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Promise: what was handed over about somebody is exported and erased with them, also when it
// was refused, and when it was not taken in yet.
func TestWhatWasRefusedIsErasedWithThePerson(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		box := intake.NewOutbox(intake.OutboxOpts{DB: db, Intake: door(t, db, &verifier{})})
		emit(t, db, "lead", `{"email": "ada@example.com", "user_id": "u-1", "name": "Ada Byron"}`, "k1")
		drain(t, box, 1)
		for _, payload := range []string{`{"email": "Ada@Example.com", "message": "my looms burn"}`, // the key was used before
			`{"user_id": "u-1", "message": "my cards burn"}`, `{"email": "Ada@Example.com", "message": ["my engines burn"]}`,
			`{"email": "bob@example.com", "message": "Bobs barn burns, as ada@example.com saw"}`, `{"email": "not an address", "user_id": 7}`} {
			emit(t, db, "support_request", payload, "k1")
			drain(t, box, 1)
		}
		emit(t, db, "support_request", `{"email": "ada@example.com", "message": "my shuttles burn"}`, "k2")
		emit(t, db, "support_request", `{"email": "carl@example.com", "message": "Carls barn burns, as ada@example.com saw"}`, "k3")
		words := []string{"my looms burn", "my cards burn", "my engines burn", "my shuttles burn"}
		exp, err := db.ExportPerson(ctx, "ada@example.com")
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range words {
			if data := fmt.Sprint(exp.Data); !strings.Contains(data, w) || strings.Contains(data, "Bobs") || strings.Contains(data, "Carls") {
				t.Errorf("what is exported has no %q, or something of others: %s", w, data)
			}
		}
		if len(exp.Data["persons"]) != 1 {
			t.Errorf("persons %v", exp.Data["persons"])
		}
		if _, err := db.ErasePerson(ctx, store.EraseOpts{Who: "ada@example.com", By: "sam", DropOpen: true}); err != nil {
			t.Fatal(err)
		}
		after := stored(t, db)
		for _, w := range append(words, "ada@example.com", "Ada@Example.com", "Ada Byron") {
			if strings.Contains(after, w) {
				t.Errorf("%q is still there", w)
			}
		}
		for _, w := range []string{"Bobs barn burns, as (erased) saw", "Carls barn burns, as (erased) saw", "not an address", "bob@example.com"} {
			if !strings.Contains(after, w) {
				t.Errorf("%q of somebody else is gone", w)
			}
		}
		drain(t, box, 1) // Carl's
		if n := left(t, db); n != 0 {
			t.Errorf("%d rows are left", n)
		}
	})
}

// What was refused is nobody's word: it makes no two persons one.
func TestWhatWasRefusedTiesNothing(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		box := intake.NewOutbox(intake.OutboxOpts{DB: db, Intake: door(t, db, &verifier{})})
		emit(t, db, "lead", `{"email": "ada@example.com", "name": "Ada Byron"}`, "k1")
		emit(t, db, "lead", `{"email": "ada@example.com", "user_id": "u-mallory", "name": "Mallory"}`, "k1")
		drain(t, box, 2)
		p, err := db.FindPerson(ctx, "ada@example.com")
		if err != nil || p.UserID != "" || p.Name != "Ada Byron" {
			t.Errorf("%+v, %v", p, err)
		}
		if _, err := db.FindPerson(ctx, "u-mallory"); bellhop.CodeOf(err) != bellhop.CodeNotFound {
			t.Errorf("the user of a refused row is known: %v", err)
		}
	})
}

// What waits is unfinished: it stops an erasure unless it is given up, and always while it
// is being taken in.
func TestAnErasureMindsWhatWaitsInTheOutbox(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		box := intake.NewOutbox(intake.OutboxOpts{DB: db, Intake: door(t, db, &verifier{})})
		emit(t, db, "event", `{"email": "ada@example.com", "type": "trial.ended"}`, "k1")
		drain(t, box, 1)
		emit(t, db, "event", `{"email": "ada@example.com", "type": "trial.begun"}`, "k2")
		_, err := db.ErasePerson(ctx, store.EraseOpts{Who: "ada@example.com", By: "sam"})
		if bellhop.CodeOf(err) != bellhop.CodeStateConflict || !strings.Contains(err.Error(), "outbox") || left(t, db) != 1 {
			t.Errorf("what waits: %v, %d rows", err, left(t, db))
		}
		rows, err := db.ClaimOutbox(ctx, 1<<40, 10)
		if err != nil || len(rows) != 1 {
			t.Fatalf("%+v %v", rows, err)
		}
		_, err = db.ErasePerson(ctx, store.EraseOpts{Who: "ada@example.com", By: "sam", DropOpen: true})
		if bellhop.CodeOf(err) != bellhop.CodeStateConflict || left(t, db) != 1 {
			t.Errorf("what is being taken in: %v, %d rows", err, left(t, db))
		}
		if err := db.ReleaseOutbox(ctx, []int64{rows[0].ID}); err != nil {
			t.Fatal(err)
		}
		rec, err := db.ErasePerson(ctx, store.EraseOpts{Who: "ada@example.com", By: "sam", DropOpen: true})
		if err != nil || rec.Removed["outbox"] != 1 || left(t, db) != 0 {
			t.Errorf("%+v, %v, %d rows", rec, err, left(t, db))
		}
	})
}
