package store_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/payments"
	"bellhop/internal/policy"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// fixture is a store with the real policy over the usual connections and no engine.
type fixture struct {
	db  *store.DB
	acc *store.Acceptor
}

func newFixture(t *testing.T, db *store.DB) *fixture {
	t.Helper()
	all := func(a ...bellhop.Action) []bellhop.Action { return a }
	pol := policy.New(policy.Opts{Targets: []bellhop.Target{
		{Connection: "crm", Vendor: "hubspot", Actions: all(bellhop.ActionUpsertContact, bellhop.ActionAddNote)},
		{Connection: "helpdesk", Vendor: "zendesk", Actions: all(bellhop.ActionCreateTicket, bellhop.ActionUpdateTicket)},
		{Connection: "founder", Vendor: "slack", Actions: all(bellhop.ActionSendAlert)},
	}, TranscriptLink: func(id string) string { return "https://chat.example.com/t/" + id }})
	f := &fixture{db: db, acc: store.NewAcceptor(db, store.Policies{Plan: pol.Plan, Fold: payments.Fold, Merge: payments.Merge})}
	t.Cleanup(f.acc.Close)
	return f
}

func (f *fixture) accept(t *testing.T, in store.Intake) store.Accepted {
	t.Helper()
	acc, err := f.acc.Accept(context.Background(), in)
	if err != nil {
		t.Fatalf("accept: %v", err)
	}
	return acc
}

func event(source, id string, kind bellhop.Kind) bellhop.Event {
	now := time.Now().UTC()
	return bellhop.Event{ID: store.NewID(), Source: source, ExternalID: id, Kind: kind, CorrelationID: "0af7651916cd43dd8448eb211c80319c",
		Body: []byte("{}"), OccurredAt: now, ReceivedAt: now}
}

func leadIntake(email, key string) store.Intake {
	return store.Intake{Event: event("api:k", key, bellhop.KindLeadCaptured), BodyHash: sha256.Sum256([]byte(email)),
		Person: bellhop.PersonHint{Email: email, Name: "Ada Byron"},
		Lead:   &store.LeadAsk{Fields: bellhop.LeadFields{Email: email, Name: "Ada Byron", Wants: "a demo"}, Source: "api"}}
}

func (f *fixture) lead(t *testing.T, email, key string) store.Accepted {
	t.Helper()
	return f.accept(t, leadIntake(email, key))
}

func payment(id string, fact bellhop.PaymentFact, email, customer string) store.Intake {
	in := store.Intake{Event: event("stripe", id, bellhop.KindPaymentSucceeded), Payment: &fact,
		Person: bellhop.PersonHint{Email: email}}
	if customer != "" {
		in.Person.CustomerRef = "stripe:" + customer
	}
	return in
}

func steps(t *testing.T, db *store.DB, f store.StepFilter) []bellhop.Step {
	t.Helper()
	f.Limit = 1000
	out, err := db.Steps(context.Background(), f)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOneEventFiftyTimesAtOnceIsOneEvent(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		fact := bellhop.PaymentFact{Refs: []string{"pi_1", "ch_1"}, Object: "ch_1", Type: bellhop.FactMoney,
			Status: bellhop.FactSucceeded, Amount: 4900, Currency: "eur", At: time.Now()}
		var wg sync.WaitGroup
		var mu sync.Mutex
		fresh := 0
		for range 50 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				acc, err := f.acc.Accept(context.Background(), payment("evt_1", fact, "ada@example.com", "cus_1"))
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if !acc.Duplicate {
					fresh++
				}
			}()
		}
		wg.Wait()
		if fresh != 1 {
			t.Errorf("%d of 50 deliveries were taken as new, want 1", fresh)
		}
		// A second event of the same success, and the same event after a restart.
		fact2 := fact
		fact2.Object = "pi_1"
		f.accept(t, payment("evt_2", fact2, "ada@example.com", "cus_1"))
		g := newFixture(t, db)
		if acc := g.accept(t, payment("evt_1", fact, "ada@example.com", "cus_1")); !acc.Duplicate {
			t.Error("after a restart the event was taken as new")
		}
		if got := steps(t, db, store.StepFilter{}); len(got) != 1 || got[0].Kind != string(bellhop.ActionUpsertContact) {
			t.Errorf("one payment planned %d steps, want one CRM update: %+v", len(got), got)
		}
	})
}

func TestRefundBeforeSuccessAndBothHalves(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		at := time.Now().UTC()
		// The refund comes first, then an invoice that names no charge, then the charge.
		f.accept(t, payment("evt_r", bellhop.PaymentFact{Refs: []string{"ch_1", "re_1"}, Object: "re_1", Type: bellhop.FactRefund,
			Status: bellhop.FactSucceeded, Amount: 900, Currency: "eur", CustomerRef: "cus_1", At: at.Add(time.Minute)}, "", "cus_1"))
		f.accept(t, payment("evt_i", bellhop.PaymentFact{Refs: []string{"in_1"}, Object: "in_1", Type: bellhop.FactInvoice,
			Status: bellhop.FactSucceeded, Amount: 4900, Currency: "eur", CustomerRef: "cus_1", At: at}, "ada@example.com", "cus_1"))
		f.accept(t, payment("evt_c", bellhop.PaymentFact{Refs: []string{"ch_1", "pi_1"}, Object: "ch_1", Type: bellhop.FactMoney,
			Status: bellhop.FactSucceeded, Amount: 4900, Currency: "eur", CustomerRef: "cus_1", At: at}, "ada@example.com", "cus_1"))
		f.accept(t, payment("evt_l", bellhop.PaymentFact{Refs: []string{"in_1", "pi_1"}, Object: "inpay_1", Type: bellhop.FactLink,
			At: at}, "ada@example.com", "cus_1"))
		var n, amount, refunded int
		var status string
		prefix := ""
		if db.Kind() == store.Postgres {
			prefix = "bellhop."
		}
		if err := db.Writer().QueryRow("SELECT count(*), max(amount), max(amount_refunded), max(status) FROM "+prefix+
			"payments WHERE merged_into IS NULL").Scan(&n, &amount, &refunded, &status); err != nil {
			t.Fatal(err)
		}
		if n != 1 || amount != 4900 || refunded != 900 || status != "partially_refunded" {
			t.Errorf("got %d payments, %d refunded %d %s; want one of 4900 refunded 900", n, amount, refunded, status)
		}
		paid := 0
		for _, s := range steps(t, db, store.StepFilter{Kind: string(bellhop.ActionUpsertContact)}) {
			_ = s
			paid++
		}
		if paid != 1 {
			t.Errorf("the contact became a customer %d times, want once", paid)
		}
	})
}

func TestIdempotencyKeyWithAnotherBodyConflicts(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		first := f.lead(t, "ada@example.com", "k1")
		again := f.lead(t, "ada@example.com", "k1")
		other := f.lead(t, "bob@example.com", "k1")
		if first.Duplicate || !again.Duplicate || again.Conflict || again.EventID != first.EventID || !other.Conflict {
			t.Errorf("got %+v, %+v, %+v", first, again, other)
		}
		if n := len(steps(t, db, store.StepFilter{})); n != 2 {
			t.Errorf("%d steps, want contact and note", n)
		}
	})
}

func TestLaneIsInOrderAndTwoPersonsAreApart(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				if _, err := f.acc.Accept(context.Background(), leadIntake(fmt.Sprintf("p%d@example.com", i%4), fmt.Sprint("k", i))); err != nil {
					t.Error(err)
				}
			}()
		}
		wg.Wait()
		heads := map[string]int{}
		for _, s := range steps(t, db, store.StepFilter{}) {
			if s.State == bellhop.StepReady {
				heads[s.PersonID]++
			}
		}
		if len(heads) != 4 {
			t.Errorf("%d persons have a due step, want 4", len(heads))
		}
		for p, n := range heads {
			if n != 1 {
				t.Errorf("person %s has %d due steps, want 1", p, n)
			}
		}
	})
}

func TestChatTurnsTellOneLeadAndOneNote(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		ctx := context.Background()
		owner := bellhop.Owner{VisitorID: "v1"}
		c, err := db.CreateConversation(ctx, owner)
		if err != nil {
			t.Fatal(err)
		}
		turn := func(id string, d bellhop.Decision) store.Accepted {
			return f.accept(t, store.Intake{Event: event(store.ChatSource(c.ID), id, bellhop.KindMessage), ConversationID: c.ID,
				Owner: owner, Chat: &store.ChatTurn{ClientID: id, Text: "text " + id, Reply: "reply " + id, Decision: d}})
		}
		turn("m1", bellhop.Decision{Intent: bellhop.IntentLead, Fields: bellhop.LeadFields{Name: "Dana Scully"}})
		turn("m2", bellhop.Decision{Intent: bellhop.IntentLead, Fields: bellhop.LeadFields{Email: "dana@acme.test"}})
		turn("m3", bellhop.Decision{Intent: bellhop.IntentOther, Fields: bellhop.LeadFields{Phone: "+34600123456"}})
		again := turn("m2", bellhop.Decision{Intent: bellhop.IntentLead, Fields: bellhop.LeadFields{Email: "dana@acme.test"}})
		if !again.Duplicate {
			t.Error("a message sent again was taken as new")
		}
		reqs, err := db.RequestsByConversation(ctx, c.ID)
		if err != nil || len(reqs) != 1 {
			t.Fatalf("%d requests (%v), want one lead", len(reqs), err)
		}
		kinds := map[string]int{}
		for _, s := range steps(t, db, store.StepFilter{}) {
			kinds[s.Kind]++
		}
		if kinds["crm.add_note"] != 1 || kinds["crm.upsert_contact"] != 2 {
			t.Errorf("steps %v, want one note and two contact writes (e-mail, then phone)", kinds)
		}
		msgs, err := db.Messages(ctx, c.ID, 100)
		if err != nil || len(msgs) != 6 || msgs[0].Text != "text m1" || msgs[5].Text != "reply m3" {
			t.Errorf("%d messages (%v)", len(msgs), err)
		}
		if _, err := db.Conversation(ctx, c.ID, bellhop.Owner{VisitorID: "v2"}); bellhop.CodeOf(err) != bellhop.CodeNotFound {
			t.Errorf("somebody else's conversation: %v", err)
		}
	})
}
