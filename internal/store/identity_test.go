package store_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// chat is a conversation whose turns a test takes in.
type chat struct {
	f     *fixture
	t     *testing.T
	id    string
	owner bellhop.Owner
}

func (f *fixture) chat(t *testing.T, owner bellhop.Owner) *chat {
	t.Helper()
	c, err := f.db.CreateConversation(context.Background(), owner)
	if err != nil {
		t.Fatal(err)
	}
	return &chat{f, t, c.ID, owner}
}

func (c *chat) turn(id string, d bellhop.Decision, ask *bellhop.SupportAsk) store.Accepted {
	c.t.Helper()
	return c.f.accept(c.t, store.Intake{Event: event(store.ChatSource(c.id), id, bellhop.KindMessage), ConversationID: c.id,
		Owner: c.owner, Chat: &store.ChatTurn{ClientID: id, Text: "text " + id, Reply: "reply " + id, Decision: d, Ask: ask}})
}

func paid(n, email, customer string) store.Intake {
	return payment("evt_c"+n, bellhop.PaymentFact{Refs: []string{"ch_" + n, "pi_" + n}, Object: "ch_" + n, Type: bellhop.FactMoney,
		Status: bellhop.FactSucceeded, Amount: 4900, Currency: "eur", CustomerRef: customer, At: time.Now().UTC()}, email, customer)
}

// Whoever types somebody's e-mail into a chat does not become them: their payments, name
// and requests stay theirs.
func TestAClaimedEmailTakesNobodyOver(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		f.lead(t, "victim@corp.test", "k1")
		owner := bellhop.Owner{UserID: "0b5f4f9e-8a54-4a6c-9a39-6a0a6b6f0001"} // the attacker
		f.chat(t, owner).turn("m1", bellhop.Decision{Intent: bellhop.IntentOther,
			Fields: bellhop.LeadFields{Email: "victim@corp.test", Name: "Mallory"}}, nil)
		f.accept(t, paid("1", "victim@corp.test", "cus_v"))
		reqs, err := db.For(owner, claimsOf(owner.UserID)).Requests(context.Background(), 10)
		if err != nil || len(reqs) != 0 {
			t.Errorf("the attacker owns %+v (%v)", reqs, err)
		}
		for _, s := range steps(t, db, store.StepFilter{}) {
			if strings.Contains(string(s.Input), "Mallory") || strings.Contains(string(s.Input), owner.UserID) {
				t.Errorf("%s carries what the attacker said: %s", s.Kind, s.Input)
			}
		}
	})
}

// Nor do they change what is known of somebody: a lead of a chat or of a form fills what is
// empty. What they said is in the note, for a person to judge.
func TestAClaimedEmailChangesNoLead(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		in := leadIntake("victim@corp.test", "k1")
		in.Lead.Fields.Name, in.Lead.Fields.Phone = "Vera", "+34600000001"
		in.Person.Name = "Vera"
		f.accept(t, in)
		lie := bellhop.LeadFields{Email: "victim@corp.test", Name: "Mallory", Phone: "+34699999999", Company: "Evil", Wants: "a refund"}
		c := f.chat(t, bellhop.Owner{VisitorID: "v1"})
		for _, id := range []string{"m1", "m2"} {
			c.turn(id, bellhop.Decision{Intent: bellhop.IntentLead, Fields: lie}, nil)
			lie.Phone += "0"
		}
		form := leadIntake("victim@corp.test", "form:1")
		form.Lead.Fields, form.Person.Name, form.Person.Phone, form.Person.Claimed = lie, lie.Name, lie.Phone, true
		f.accept(t, form)
		notes := 0
		for _, s := range steps(t, db, store.StepFilter{}) {
			said := strings.Contains(string(s.Input), "Mallory") || strings.Contains(string(s.Input), "+346999")
			switch {
			case s.Kind == string(bellhop.ActionAddNote) && said:
				notes++
				if !strings.Contains(string(s.Input), "only typed this address") {
					t.Errorf("the note takes it for the truth: %s", s.Input)
				}
			case said:
				t.Errorf("%s carries what was only claimed: %s", s.Kind, s.Input)
			}
		}
		if notes != 2 {
			t.Errorf("%d notes tell what was said, want one of the chat and one of the form", notes)
		}
		exp, err := db.ExportPerson(context.Background(), "victim@corp.test")
		if err != nil {
			t.Fatal(err)
		}
		lead := exp.Data["leads"][0]
		if lead["name"] != "Vera" || lead["phone"] != "+34600000001" || lead["company"] != "Evil" || lead["wants"] != "a refund" {
			t.Errorf("the lead is %v", lead)
		}
	})
}

// A customer who is known comes back and says the name first, in a turn of its own: the
// second conversation is told of as the first was.
func TestEveryConversationOfAKnownCustomerHasItsNote(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		for _, visitor := range []string{"v1", "v2"} {
			c := f.chat(t, bellhop.Owner{VisitorID: visitor})
			c.turn("m1", bellhop.Decision{Intent: bellhop.IntentLead, Fields: bellhop.LeadFields{Name: "Dana Reed"}}, nil)
			c.turn("m2", bellhop.Decision{Intent: bellhop.IntentLead, Fields: bellhop.LeadFields{Email: "dana@acme.test"}}, nil)
			c.turn("m3", bellhop.Decision{Intent: bellhop.IntentLead, Fields: bellhop.LeadFields{Phone: "+34600000001"}}, nil)
		}
		if n := len(steps(t, db, store.StepFilter{Kind: string(bellhop.ActionAddNote)})); n != 2 {
			t.Errorf("%d notes, want one of each conversation", n)
		}
	})
}

// A corrected e-mail is another address: a payment goes to the one that paid.
func TestACorrectedEmailIsAnotherPerson(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		c := f.chat(t, bellhop.Owner{VisitorID: "v1"})
		for n, email := range []string{"dana@acme.tset", "dana@acme.test"} {
			c.turn("m"+string(rune('1'+n)), bellhop.Decision{Intent: bellhop.IntentLead, Fields: bellhop.LeadFields{Email: email}}, nil)
		}
		f.accept(t, paid("1", "dana@acme.test", ""))
		notes, renames := 0, 0
		lanes := map[string]bool{}
		for _, s := range steps(t, db, store.StepFilter{}) {
			if s.Kind == string(bellhop.ActionAddNote) {
				notes++
			}
			if strings.Contains(string(s.Input), `"previous_email"`) {
				renames++
			}
			if s.RequestID != "" && !strings.HasPrefix(s.Key, "paid:") {
				lanes[s.PersonID] = true
			}
			if !strings.HasPrefix(s.Key, "paid:") {
				continue
			}
			var in bellhop.ContactInput
			if err := json.Unmarshal(s.Input, &in); err != nil || in.Email != "dana@acme.test" {
				t.Errorf("the payment is told of %s (%v)", in.Email, err)
			}
		}
		if notes != 1 || renames != 1 || len(lanes) != 1 {
			t.Errorf("%d notes, %d renames, in %d lanes; want one of each", notes, renames, len(lanes))
		}
	})
}

// An e-mail that was known before the conversation is somebody: it is not renamed to what
// a visitor says it should have been.
func TestAKnownEmailIsNotRenamed(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		f.lead(t, "victim@corp.test", "k1")
		c := f.chat(t, bellhop.Owner{VisitorID: "v1"})
		for n, email := range []string{"victim@corp.test", "mallory@evil.test"} {
			c.turn("m"+string(rune('1'+n)), bellhop.Decision{Intent: bellhop.IntentLead, Fields: bellhop.LeadFields{Email: email}}, nil)
		}
		notes := 0
		for _, s := range steps(t, db, store.StepFilter{}) {
			if strings.Contains(string(s.Input), "previous_email") {
				t.Errorf("a known contact is to be renamed: %s", s.Input)
			}
			if s.Kind == string(bellhop.ActionAddNote) && strings.Contains(string(s.Input), "mallory@evil.test") {
				notes++
			}
		}
		if notes != 1 {
			t.Errorf("%d notes for the other contact, want 1", notes)
		}
	})
}

// A ticket and what is added to it later stand in one lane, whoever the customer turns
// out to be.
func TestTicketAndCommentShareALane(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		f.lead(t, "dana@acme.test", "k1")
		c := f.chat(t, bellhop.Owner{VisitorID: "v1"})
		ask := &bellhop.SupportAsk{Reason: bellhop.ReasonAskedForHuman}
		c.turn("m1", bellhop.Decision{Intent: bellhop.IntentSupport}, ask)
		c.turn("m2", bellhop.Decision{Intent: bellhop.IntentSupport, Fields: bellhop.LeadFields{Email: "dana@acme.test"}}, ask)
		got := steps(t, db, store.StepFilter{Connection: "helpdesk"})
		if len(got) != 2 || got[0].PersonID != got[1].PersonID || got[0].State != bellhop.StepWaiting || got[1].State != bellhop.StepReady {
			t.Errorf("got %+v", got)
		}
	})
}

// A customer whom the provider first names by id alone is found again when an e-mail
// tells who they are; what could not be told before is told then.
func TestSubscriptionOfAKnownLead(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		at := time.Now().UTC()
		sub := func(id string, st bellhop.SubscriptionStatus, at time.Time) int {
			return f.accept(t, store.Intake{Event: event("stripe", id, bellhop.KindSubscriptionUpdated),
				Person:       bellhop.PersonHint{CustomerRef: "stripe:cus_1"},
				Subscription: &bellhop.SubscriptionFact{Ref: "sub_1", CustomerRef: "cus_1", Status: st, At: at, Plan: "pro"}}).Steps
		}
		f.lead(t, "ada@example.com", "k1")
		if n := sub("evt_s1", bellhop.SubscriptionTrialing, at); n != 0 {
			t.Errorf("somebody nobody knows was told of, in %d steps", n)
		}
		if acc := f.accept(t, paid("1", "ada@example.com", "cus_1")); acc.Steps != 2 {
			t.Errorf("the first payment told %d things, want the payment and the subscription", acc.Steps)
		}
		if n := sub("evt_s2", bellhop.SubscriptionCancelled, at.Add(time.Hour)); n != 1 {
			t.Errorf("the cancellation planned %d steps, want the note", n)
		}
		if n := sub("evt_s3", bellhop.SubscriptionActive, at.Add(time.Minute)); n != 0 {
			t.Error("an older event brought a cancelled subscription back")
		}
	})
}

// Two purchases of one price by one customer are two payments, in whatever order their
// invoices, charges and links come.
func TestTwoSeatsAreTwoPayments(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"i2 i1 c1 c2 l1 l2", "i1 c1 i2 c2 l1 l2", "c1 c2 i1 i2 l2 l1", "l1 l2 i1 c2 c1 i2", "i1 i2 l1 c1 c2 l2"} {
		storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
			f := newFixture(t, db)
			at := time.Now().UTC()
			for _, x := range strings.Fields(order) {
				n := x[1:]
				switch x[0] {
				case 'c':
					f.accept(t, paid(n, "ada@example.com", "cus_1"))
				case 'i':
					f.accept(t, payment("evt_i"+n, bellhop.PaymentFact{Refs: []string{"in_" + n}, Object: "in_" + n, Type: bellhop.FactInvoice,
						Status: bellhop.FactSucceeded, Amount: 4900, Currency: "eur", CustomerRef: "cus_1", At: at}, "ada@example.com", "cus_1"))
				case 'l':
					f.accept(t, payment("evt_l"+n, bellhop.PaymentFact{Refs: []string{"in_" + n, "pi_" + n}, Object: "inpay_" + n,
						Type: bellhop.FactLink, At: at}, "", ""))
				}
			}
			prefix := ""
			if db.Kind() == store.Postgres {
				prefix = "bellhop."
			}
			var n, sum int
			if err := db.Writer().QueryRow("SELECT count(*), sum(amount) FROM "+prefix+"payments WHERE merged_into IS NULL").Scan(&n, &sum); err != nil {
				t.Fatal(err)
			}
			if n != 2 || sum != 9800 {
				t.Errorf("%s: %d payments of %d together; want 2 of 9800", order, n, sum)
			}
		})
	}
}

// A step whose call may have happened is looked up first, also after it waited behind
// others.
func TestDoubtSurvivesTheQueue(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		f := newFixture(t, db)
		rec := store.NewRecorder(db, store.IncidentPlans{})
		t.Cleanup(rec.Close)
		f.lead(t, "ada@example.com", "k1")
		take := func() bellhop.Step {
			t.Helper()
			heads, err := db.LaneHeads(ctx, "crm", []string{steps(t, db, store.StepFilter{})[0].PersonID})
			if err != nil || len(heads) != 1 {
				t.Fatalf("%d heads (%v)", len(heads), err)
			}
			return heads[0].Step
		}
		record := func(o store.Outcome) {
			t.Helper()
			if _, err := rec.Record(ctx, o); err != nil {
				t.Fatal(err)
			}
		}
		record(store.Outcome{Step: take(), State: bellhop.StepDone, DoneBy: "engine"})
		note := take()
		record(store.Outcome{Step: note, State: bellhop.StepManual, Class: bellhop.ClassUnknownOutcome, DedupKey: "d",
			Task: &bellhop.SupportRequest{CorrelationID: note.CorrelationID, Priority: bellhop.PriorityHigh, Reason: bellhop.ReasonSyncFailed}})
		f.lead(t, "ada@example.com", "k2")
		if s, err := db.RetryStep(ctx, note.ID, true); err != nil || s.State != bellhop.StepWaiting {
			t.Fatalf("%s %v", s.State, err)
		}
		record(store.Outcome{Step: take(), State: bellhop.StepDone, DoneBy: "engine"})
		if s, err := db.Step(ctx, note.ID); err != nil || s.State != bellhop.StepUnknown {
			t.Errorf("the note is %s (%v): it would be sent again without a look", s.State, err)
		}
	})
}
