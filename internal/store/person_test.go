package store_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/policy"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

const adasTrace = "11111111111111111111111111111111"

// adasWords tell who she is; each is in the database before the erasure.
func adasWords() []string {
	return []string{"ada@example.com", "ada@exmaple.com", "Ada Byron", "+44 20 7946 0011", "a secret story of looms", "Engines Ltd",
		"thank you, I will pass on your looms"}
}

func eraseTargets() []bellhop.Target {
	return []bellhop.Target{{Connection: "crm", Vendor: "hubspot", Actions: []bellhop.Action{bellhop.ActionUpsertContact,
		bellhop.ActionAddNote, bellhop.ActionDeletePerson}}, {Connection: "stripe", Vendor: "stripe"},
		{Connection: "helpdesk", Vendor: "zendesk", Actions: []bellhop.Action{bellhop.ActionCreateTicket}}}
}

func chatTurn(conv, id, text string, d bellhop.Decision, ask *bellhop.SupportAsk) store.Intake {
	e := event(store.ChatSource(conv), id, bellhop.KindMessage)
	e.CorrelationID, e.Body = adasTrace, []byte(`{"id":"`+id+`","text":"`+text+`"}`)
	return store.Intake{Event: e, ConversationID: conv, BodyHash: sha256.Sum256([]byte(text)),
		Chat: &store.ChatTurn{ClientID: id, Text: text, Reply: "thank you, I will pass on your looms", Decision: d, Ask: ask}}
}

// adasLife makes rows of every kind: a chat that begins without a name, an address that is
// mistyped and put right, a cry for help, a lead by the API, a payment, what the vendors
// answered, and the request of an outage that held one of her steps up.
func adasLife(t *testing.T, f *fixture) (payment store.Accepted) {
	t.Helper()
	ctx := context.Background()
	conv, err := f.db.CreateConversation(ctx, bellhop.Owner{VisitorID: "visitor-ada"})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.db.AddSpent(ctx, bellhop.Owner{VisitorID: "visitor-ada"}, 700); err != nil {
		t.Fatal(err)
	}
	lead := func(email string) bellhop.Decision {
		return bellhop.Decision{Intent: bellhop.IntentLead, Confidence: 0.9, Fields: bellhop.LeadFields{Email: email, Name: "Ada Byron",
			Phone: "+44 20 7946 0011", Company: "Engines Ltd", Wants: "a demo of looms"}}
	}
	f.accept(t, chatTurn(conv.ID, "m1", "a secret story of looms", bellhop.Decision{Intent: bellhop.IntentQuestion}, nil))
	f.accept(t, chatTurn(conv.ID, "m2", "write to ada@exmaple.com", lead("ada@exmaple.com"), nil))
	f.accept(t, chatTurn(conv.ID, "m3", "no, to ada@example.com", lead("ada@example.com"), nil))
	f.accept(t, chatTurn(conv.ID, "m4", "I want Ada Byron to be called", lead("ada@example.com"), &bellhop.SupportAsk{
		Reason: bellhop.ReasonAskedForHuman, Subject: "Ada Byron asks", Body: "a secret story of looms"}))
	api := leadIntake("ada@example.com", "form-ada@example.com")
	api.Event.Body, api.Event.CorrelationID = []byte(`{"email":"ada@example.com"}`), adasTrace
	f.accept(t, api)
	pay := adasPayment(t, "ada@example.com")
	payment = f.accept(t, pay)
	f.allDone(t, "Ada Byron")
	step := steps(t, f.db, store.StepFilter{CorrelationID: adasTrace})[0]
	f.sql(t, `INSERT INTO %sattempts (id, step_id, person_id, number, node, started_at, duration_us, error) VALUES
		($1, $2, $3, 1, 'n', $4, 5, 'ada@example.com is not valid')`, store.NewID(), step.ID, step.PersonID, f.now())
	f.sql(t, `INSERT INTO %sexternal_refs (person_id, connection, subject_id, name, value, url, updated_at) VALUES
		($1, 'crm', $1, 'contact', '551', 'https://crm.example.com/551', $2)`, payment.PersonID, f.now())
	f.sql(t, `INSERT INTO %ssupport_requests (id, correlation_id, status, priority, reason, subject, body, due_at, created_at, updated_at)
		VALUES ($1, $2, 'new', 'high', 'outage', 'crm does not answer', 'Held up first: Ada Byron, ada@example.com', $3, $3, $3)`,
		store.NewID(), adasTrace, f.now())
	f.sql(t, `INSERT INTO %ssteps (id, person_id, connection, kind, key, input, state, correlation_id, due_at, created_at, updated_at, done_by, result)
		VALUES ($1, '`+store.NoPerson+`', 'founder', 'alert.send', 'incident:1:opened',
		'{"title":"crm does not answer","text":"First held up: put the contact Ada@example.com into the CRM"}', 'done', $2, $3, $3, $3, 'engine', '{"note":"told of Ada Byron"}')`,
		store.NewID(), adasTrace, f.now())
	return payment
}

func adasPayment(t *testing.T, email string) store.Intake {
	t.Helper()
	in := payment("evt_ada", bellhop.PaymentFact{Refs: []string{"ch_1", "pi_1"}, Object: "ch_1", Type: bellhop.FactMoney,
		Status: bellhop.FactSucceeded, Amount: 4900, Currency: "eur", CustomerRef: "cus_1", At: time.Now().UTC()}, email, "cus_1")
	in.Event.Body = []byte(`{"billing_details":{"email":"` + email + `","name":"Ada Byron"}}`)
	return in
}

// allDone marks every step as done, as an engine would.
func (f *fixture) allDone(t *testing.T, note string) {
	t.Helper()
	f.sql(t, "UPDATE %ssteps SET state = 'done', attempts = 1, done_by = 'engine', result = '{\"note\":\""+note+"\"}' WHERE state <> 'done'")
	f.sql(t, "UPDATE %slanes SET open = 0")
}

func (f *fixture) now() any {
	if f.db.Kind() == store.Postgres {
		return time.Now().UTC()
	}
	return time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")
}

func (f *fixture) text(q string) string {
	if f.db.Kind() == store.Postgres {
		return strings.ReplaceAll(q, "%s", "bellhop.")
	}
	return strings.ReplaceAll(strings.ReplaceAll(q, "%s", ""), "$", "?")
}

func (f *fixture) sql(t *testing.T, q string, args ...any) {
	t.Helper()
	if _, err := f.db.Writer().ExecContext(context.Background(), f.text(q), args...); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
}

// dump returns every value of every table, by table.
func (f *fixture) dump(t *testing.T) map[string]string {
	t.Helper()
	list := "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
	if f.db.Kind() == store.Postgres {
		list = "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'bellhop' AND c.relkind IN ('r', 'p')"
	}
	out := map[string]string{}
	for _, row := range f.rows(t, list) {
		var b strings.Builder
		name := fmt.Sprint(row[0])
		for _, values := range f.rows(t, f.text("SELECT * FROM %s"+name)) {
			for _, v := range values {
				if raw, ok := v.([]byte); ok {
					v = string(raw)
				}
				fmt.Fprintf(&b, "%v\x00", v)
			}
		}
		out[name] = b.String()
	}
	return out
}

func (f *fixture) rows(t *testing.T, q string, args ...any) [][]any {
	t.Helper()
	rows, err := f.db.Writer().QueryContext(context.Background(), q, args...)
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var out [][]any
	for rows.Next() {
		values, dest := make([]any, len(names)), make([]any, len(names))
		for i := range dest {
			dest[i] = &values[i]
		}
		if err := rows.Scan(dest...); err != nil {
			t.Fatal(err)
		}
		out = append(out, values)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// hits returns the tables in which a word stands, whatever its case.
func hits(dump map[string]string, word string) []string {
	var out []string
	for table, text := range dump {
		if strings.Contains(strings.ToLower(text), strings.ToLower(word)) {
			out = append(out, table)
		}
	}
	slices.Sort(out)
	return out
}

func TestAnErasedPersonIsNowhereInTheDatabase(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		f := newFixture(t, db)
		paid := adasLife(t, f)
		bob := leadIntake("bob@example.com", "bob-1")
		bob.Person.Name, bob.Lead.Fields.Name = "Bob", "Bob"
		f.accept(t, bob)
		f.allDone(t, "Bob")
		before := f.dump(t)
		for _, w := range append(adasWords(), "bob@example.com") {
			if len(hits(before, w)) == 0 {
				t.Errorf("%q is nowhere before the erasure: the test shows nothing", w)
			}
		}
		exp, err := db.ExportPerson(ctx, "Ada@Example.com")
		if err != nil {
			t.Fatal(err)
		}
		rec, err := db.ErasePerson(ctx, store.EraseOpts{Who: "ada@example.com", By: "sam", Plan: policy.Erasure(eraseTargets())})
		if err != nil {
			t.Fatal(err)
		}
		after := f.dump(t)
		for _, w := range append(adasWords(), "visitor-ada") {
			if h := hits(after, w); len(h) > 0 {
				t.Errorf("%q is still in %v", w, h)
			}
		}
		for _, table := range []string{"event_keys", "payment_refs"} {
			if before[table] != after[table] {
				t.Errorf("%s changed", table)
			}
		}
		if len(hits(after, "bob@example.com")) != len(hits(before, "bob@example.com")) {
			t.Error("somebody else lost something")
		}
		checkBooks(t, f, exp, rec)
		checkVendors(t, f, rec, paid.PersonID)
	})
}

// checkBooks compares what has to stay, and the receipt with the export.
func checkBooks(t *testing.T, f *fixture, exp store.PersonExport, rec store.Receipt) {
	t.Helper()
	ctx := context.Background()
	row := f.rows(t, f.text("SELECT amount, currency, status FROM %spayments WHERE paid_at IS NOT NULL"))
	if len(row) != 1 || fmt.Sprint(row[0]...) != "4900 eur succeeded" && fmt.Sprint(row[0]) != "[4900 eur succeeded]" {
		t.Errorf("payments %v", row)
	}
	if _, all, err := f.db.Spent(ctx, bellhop.Owner{}); err != nil || all != 700 || len(exp.Data["spend"]) != 1 {
		t.Errorf("what models cost: %d in all, %v exported, %v", all, exp.Data["spend"], err)
	}
	if rec.SHA256 != exp.SHA256 || rec.Removed["messages"] != 8 || rec.Removed["events"] != len(exp.Data["events"]) || rec.Kept["payments"] != 1 {
		t.Errorf("receipt %+v; the export has sha256 %s and %d events", rec, exp.SHA256, len(exp.Data["events"]))
	}
	for _, in := range []store.Intake{adasPayment(t, "ada@example.com"), leadIntake("ada@example.com", "form-ada@example.com")} {
		if acc := f.accept(t, in); !acc.Duplicate || acc.Conflict {
			t.Errorf("%s, sent again: %+v", in.Event.ExternalID, acc)
		}
	}
	for _, who := range []string{"Ada@example.com", rec.ID, rec.Persons[0]} {
		recs, valid, err := f.db.Receipts(ctx, who)
		if err != nil || len(recs) != 1 || !valid[0] || recs[0].Signature != rec.Signature {
			t.Errorf("receipts of %s: %+v %v %v", who, recs, valid, err)
		}
	}
	if _, _, err := f.db.Receipts(ctx, "bob@example.com"); bellhop.CodeOf(err) != bellhop.CodeNotFound {
		t.Errorf("a receipt for somebody who was not erased: %v", err)
	}
	if _, err := f.db.FindPerson(ctx, "ada@example.com"); bellhop.CodeOf(err) != bellhop.CodeNotFound {
		t.Errorf("she is still found: %v", err)
	}
	// What she does afterwards is somebody new.
	if acc := f.lead(t, "ada@example.com", "again"); slices.Contains(rec.Persons, acc.PersonID) {
		t.Error("a new lead joined the erased person")
	}
}

func checkVendors(t *testing.T, f *fixture, rec store.Receipt, person string) {
	t.Helper()
	if len(rec.AtVendors) != 1 || rec.AtVendors[0].Connection != "crm" {
		t.Fatalf("vendors that are asked: %+v", rec.AtVendors)
	}
	s, err := f.db.Step(context.Background(), rec.AtVendors[0].Step)
	if err != nil || s.Kind != string(bellhop.ActionDeletePerson) || s.State != bellhop.StepReady || s.PersonID != person ||
		!strings.Contains(string(s.Input), "551") {
		t.Errorf("step %+v, %s, %v", s, s.Input, err)
	}
	reqs, err := f.db.SupportRequests(context.Background(), store.SupportFilter{Reason: bellhop.ReasonErasure})
	if err != nil || len(reqs) != len(rec.ByHand) || len(reqs) != 2 {
		t.Fatalf("requests %+v, receipt %v, %v", reqs, rec.ByHand, err)
	}
	for _, r := range reqs {
		if r.Subject == "Delete an erased person at stripe" && !strings.Contains(r.Body, "cus_1") {
			t.Errorf("the request does not say whom: %s", r.Body)
		}
	}
}

func TestUnfinishedStepsStopAnErasureUnlessTheyAreDropped(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		f := newFixture(t, db)
		f.lead(t, "ada@example.com", "k1")
		f.lead(t, "ada@example.com", "k2") // waits behind the first in the same lane
		open := len(steps(t, db, store.StepFilter{}))
		before := f.dump(t)
		_, err := db.ErasePerson(ctx, store.EraseOpts{Who: "ada@example.com", By: "sam"})
		if bellhop.CodeOf(err) != bellhop.CodeStateConflict || !strings.Contains(err.Error(), fmt.Sprint(open)) {
			t.Fatalf("unfinished steps: %v", err)
		}
		if after := f.dump(t); after["persons"] != before["persons"] || after["erasures"] != before["erasures"] {
			t.Error("a refused erasure left something")
		}
		rec, err := db.ErasePerson(ctx, store.EraseOpts{Who: "ada@example.com", By: "sam", DropOpen: true})
		if err != nil || rec.Dropped != open {
			t.Fatalf("%+v, %v", rec, err)
		}
		for _, s := range steps(t, db, store.StepFilter{}) {
			if s.State != bellhop.StepDropped || s.DoneBy != "erased by sam" {
				t.Errorf("step %s %s", s.State, s.DoneBy)
			}
		}
		if held := f.rows(t, f.text("SELECT 1 FROM %slanes WHERE open > 0")); len(held) > 0 {
			t.Error("a lane is still held")
		}
	})
}

// The guard lets an erasure through and nothing that looks like one.
func TestNothingButAnErasureChangesTheLedger(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		ada, bob := f.lead(t, "ada@example.com", "k1"), f.lead(t, "bob@example.com", "k2")
		step := steps(t, db, store.StepFilter{})[0]
		f.sql(t, `INSERT INTO %sattempts (id, step_id, person_id, number, node, started_at, duration_us, error) VALUES
			($1, $2, $3, 1, 'n', $4, 5, 'no')`, store.NewID(), step.ID, step.PersonID, f.now())
		mark := []byte(`{"erased":true}`)
		const begin = "INSERT INTO %serasures (id, person_id, requested_by, started_at) VALUES ($1, $2, 'x', $3)"
		for name, tt := range map[string]struct {
			begun bool
			q     string
			args  []any
		}{
			"without an erasure":     {false, "UPDATE %sevents SET body = $1 WHERE id = $2", []any{mark, ada.EventID}},
			"of somebody else":       {true, "UPDATE %sevents SET body = $1 WHERE id = $2", []any{mark, bob.EventID}},
			"another body":           {true, "UPDATE %sevents SET body = $1 WHERE id = $2", []any{[]byte("{}"), ada.EventID}},
			"the kind as well":       {true, "UPDATE %sevents SET body = $1, kind = 'x' WHERE id = $2", []any{mark, ada.EventID}},
			"the person as well":     {true, "UPDATE %sevents SET body = $1, person_id = $3 WHERE id = $2", []any{mark, ada.EventID, bob.PersonID}},
			"another external id":    {true, "UPDATE %sevents SET body = $1, external_id = 'x' WHERE id = $2", []any{mark, ada.EventID}},
			"an attempt":             {true, "UPDATE %sattempts SET error = ''", nil},
			"the number of a try":    {true, "UPDATE %sattempts SET number = 2", nil},
			"deleting an event":      {true, "DELETE FROM %sevents WHERE id = $1", []any{ada.EventID}},
			"deleting a try":         {true, "DELETE FROM %sattempts", nil},
			"deleting the erasure":   {true, "DELETE FROM %serasures", nil},
			"whom it was for":        {true, "UPDATE %serasures SET requested_by = 'y', receipt = '{}'", nil},
			"leaving it open longer": {true, "UPDATE %serasures SET started_at = started_at", nil},
		} {
			tx, err := db.Writer().Begin()
			if err != nil {
				t.Fatal(err)
			}
			if tt.begun {
				if _, err := tx.Exec(f.text(begin), store.NewID(), ada.PersonID, f.now()); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := tx.Exec(f.text(tt.q), tt.args...); err == nil || !strings.Contains(err.Error(), "append-only") {
				t.Errorf("%s was not refused: %v", name, err)
			}
			if err := tx.Rollback(); err != nil {
				t.Fatal(err)
			}
		}
		if db.Kind() == store.Postgres { // an erasure that somebody committed open lets nothing through
			f.sql(t, begin, store.NewID(), ada.PersonID, f.now())
			_, err := db.Writer().Exec(f.text("UPDATE %sevents SET body = $1 WHERE id = $2"), mark, ada.EventID)
			if err == nil {
				t.Error("an erasure of an earlier transaction was taken for this one's")
			}
		}
	})
}

// A receipt that somebody changed is told as that.
func TestAChangedReceiptIsFound(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		f.lead(t, "ada@example.com", "k1")
		rec, err := db.ErasePerson(context.Background(), store.EraseOpts{Who: "ada@example.com", By: "sam", DropOpen: true})
		if err != nil {
			t.Fatal(err)
		}
		off, on := "DROP TRIGGER erasures_no_update", ""
		if db.Kind() == store.Postgres {
			off, on = "ALTER TABLE bellhop.erasures DISABLE TRIGGER USER", "ALTER TABLE bellhop.erasures ENABLE TRIGGER USER"
		}
		for _, q := range []string{off, f.text("UPDATE %serasures SET receipt = REPLACE(CAST(receipt AS text), 'sam', 'tom')"), on} {
			if db.Kind() == store.Postgres {
				q = strings.Replace(q, "REPLACE(CAST(receipt AS text), 'sam', 'tom')", "REPLACE(CAST(receipt AS text), 'sam', 'tom')::jsonb", 1)
			}
			if q == "" {
				continue
			}
			if _, err := db.Writer().Exec(q); err != nil {
				t.Fatalf("%s: %v", q, err)
			}
		}
		if _, valid, err := db.Receipts(context.Background(), rec.ID); err != nil || valid[0] {
			t.Errorf("a changed receipt passes: %v %v", valid, err)
		}
	})
}
