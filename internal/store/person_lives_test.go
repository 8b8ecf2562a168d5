package store_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"regexp"
	"slices"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// life is somebody whose rows are spread over several persons, chats and tables.
type life struct {
	who        string              // as an operator names them
	live       func(*chapter)      // makes the rows
	gone, kept []string            // words that are in the database before, and after
	exported   map[string][]string // words by the table in whose export they stand
	secret     map[string][]string // words that are somebody else's and in no export of that table
}

// chapter is a life as it is being lived.
type chapter struct {
	*testing.T
	f *fixture
}

func (c *chapter) talk(o bellhop.Owner) string {
	c.Helper()
	conv, err := c.f.db.CreateConversation(context.Background(), o)
	if err != nil {
		c.Fatal(err)
	}
	return conv.ID
}

// say is a turn that tells a lead's fields.
func (c *chapter) say(conv, id, text string, f bellhop.LeadFields) {
	c.Helper()
	d := bellhop.Decision{Intent: bellhop.IntentLead, Confidence: 0.9, Fields: f}
	if f == (bellhop.LeadFields{}) {
		d.Intent = bellhop.IntentQuestion
	}
	c.f.accept(c.T, chatTurn(conv, id, text, d, nil))
}

// known is a lead by a user whose token has the address.
func (c *chapter) known(user, email, name string) {
	c.Helper()
	in := leadIntake(email, "lead-of-"+user)
	in.Owner, in.Person.UserID, in.Person.Name, in.Lead.Fields.Name = bellhop.Owner{UserID: user}, user, name, name
	c.f.accept(c.T, in)
}

func (c *chapter) paid(id, email, customer, name, street string) {
	c.Helper()
	in := payment(id, bellhop.PaymentFact{Refs: []string{"ch_" + id}, Object: "ch_" + id, Type: bellhop.FactMoney,
		Status: bellhop.FactSucceeded, Amount: 900, Currency: "eur", CustomerRef: customer, At: time.Now().UTC()}, email, customer)
	in.Person.Name = name
	in.Event.Body = []byte(`{"billing_details":{"name":"` + name + `","address":{"line1":"` + street + `"}}}`)
	c.f.accept(c.T, in)
}

// refused is a row of the outbox as it is kept that could not be taken in.
func (c *chapter) refused(row, payload string, person bellhop.PersonHint) {
	c.Helper()
	e := event("outbox-refused", row, bellhop.KindOther)
	e.Body = []byte(payload)
	acc := c.f.accept(c.T, store.Intake{Event: e, VendorType: "lead", BodyHash: sha256.Sum256(e.Body), Person: person})
	c.f.sql(c.T, `INSERT INTO %ssupport_requests (id, event_id, correlation_id, status, priority, reason, subject, body, due_at, created_at,
		updated_at) VALUES ($1, $2, $3, 'new', 'high', 'sync_failed', 'A lead could not be taken in', $4, $5, $5, $5)`,
		store.NewID(), acc.EventID, e.CorrelationID, "What was handed over:\n\n"+payload, c.f.now())
}

func (c *chapter) waiting(key, payload string) {
	c.Helper()
	c.f.sql(c.T, "INSERT INTO %soutbox (kind, key, payload) VALUES ('lead', $1, $2)", key, payload)
}

func (c *chapter) noted(role, actor string) {
	c.Helper()
	if err := c.f.db.RecordSecurity(context.Background(), store.SecurityRecord{Kind: store.SecurityForbidden, Role: role, Actor: actor}); err != nil {
		c.Fatal(err)
	}
}

// lives are the ways in which one customer becomes several persons, and in which a stranger
// comes near them.
func lives() map[string]life {
	return map[string]life{
		"the name first, the address later":             nameFirst(),
		"a user who names another address":              anotherAddress(),
		"a user whose address is known from elsewhere":  addressElsewhere(),
		"a customer without a name first":               namelessFirst(true),
		"one of before this was written down":           namelessFirst(false),
		"handed over from SQL":                          handedOver(),
		"the security log":                              logged(),
		"strangers who typed the address":               strangers(),
		"a returning customer in another browser":       anotherBrowser(),
		"a user whose own address was claimed before":   claimedBefore(),
		"two customers who share a browser":             sharedBrowser(),
		"a visitor who signs in after they said a name": signsIn(),
	}
}

func nameFirst() life {
	return life{who: "ada@example.com", live: func(c *chapter) {
		conv := c.talk(bellhop.Owner{VisitorID: "visitor-ada"})
		c.say(conv, "m1", "call me", bellhop.LeadFields{Name: "Ada Byron", Phone: "+44 20 7946 0011", Wants: "a demo of looms"})
		c.say(conv, "m2", "or write", bellhop.LeadFields{Email: "ada@example.com"})
	}, gone: []string{"Ada Byron", "+44 20 7946 0011", "looms", "visitor-ada", "ada@example.com"},
		exported: map[string][]string{"leads": {"looms"}, "person_keys": {"visitor-ada"}}}
}

func anotherAddress() life {
	return life{who: userA, live: func(c *chapter) {
		c.known(userA, "ada@work.example", "Ada Byron")
		conv := c.talk(bellhop.Owner{UserID: userA})
		c.say(conv, "m1", "a secret story", bellhop.LeadFields{})
		c.say(conv, "m2", "write to my home", bellhop.LeadFields{Email: "ada@home.example", Name: "Ada Secret"})
	}, gone: []string{userA, "ada@work.example", "ada@home.example", "a secret story", "Ada Secret", "write to my home"},
		exported: map[string][]string{"conversations": {"ada@home.example"}, "messages": {"a secret story"}, "persons": {"ada@home.example"}}}
}

// The address that she names is somebody who bought: the chat goes, and that person stays.
func addressElsewhere() life {
	return life{who: userA, live: func(c *chapter) {
		c.paid("1", "bob@example.com", "cus_bob", "Bob Buyer", "Bobs Road 1")
		conv := c.talk(bellhop.Owner{UserID: userA})
		c.say(conv, "m1", "a secret story", bellhop.LeadFields{})
		c.say(conv, "m2", "write to my friend", bellhop.LeadFields{Email: "bob@example.com"})
	}, gone: []string{userA, "a secret story", "write to my friend"}, kept: []string{"bob@example.com", "Bob Buyer", "Bobs Road 1"},
		exported: map[string][]string{"messages": {"write to my friend"}},
		secret:   map[string][]string{"persons": {"Bob Buyer"}, "events": {"Bobs Road 1"}}}
}

// A customer id that had no name is given to whom it turns out to be; what it did before is
// found by the key that is left, or else by the payment.
func namelessFirst(trail bool) life {
	return life{who: "ada@example.com", live: func(c *chapter) {
		c.f.lead(c.T, "ada@example.com", "form-1")
		c.paid("1", "", "cus_1", "Augusta King", "St James Square 12")
		c.paid("2", "ada@example.com", "cus_1", "Ada Byron", "Dorset Street 1")
		c.paid("3", "", "cus_bob", "Bob Buyer", "Bobs Road 1")
		if !trail {
			c.f.sql(c.T, "DELETE FROM %sperson_keys WHERE key LIKE 'person:%'")
		}
	}, gone: []string{"ada@example.com", "Augusta King", "St James Square 12", "Dorset Street 1"},
		kept:     []string{"Bob Buyer", "Bobs Road 1"},
		exported: map[string][]string{"persons": {"Augusta King"}, "events": {"St James Square 12"}}}
}

func handedOver() life {
	return life{who: "ada@example.com", live: func(c *chapter) {
		c.known(userA, "ada@example.com", "Ada Byron")
		c.refused("1", `{"email": "Ada@Example.com", "message": "my looms burn"}`, bellhop.PersonHint{Email: "ada@example.com", Claimed: true})
		c.refused("2", `{"email": ["ada@example.com"], "message": "my engines burn"}`, bellhop.PersonHint{})
		c.refused("3", `{"user_id": "`+userA+`", "message": "my cards burn"}`, bellhop.PersonHint{})
		c.refused("4", `{"email": "bob@example.com", "message": "Bobs barn burns, as \u0061da@example.com saw"}`,
			bellhop.PersonHint{Email: "bob@example.com", Claimed: true})
		c.refused("5", `{"email": "grandada@example.com", "message": "Grans barn burns"}`, bellhop.PersonHint{})
		c.waiting("w1", `{"email": "ada@example.com", "message": "my shuttles burn"}`)
		c.waiting("w2", `{"email": "carl@example.com", "message": "Carls barn burns, as ada@example.com saw"}`)
	}, gone: []string{userA, "my looms burn", "my engines burn", "my cards burn", "my shuttles burn", "Ada Byron", "as ada@example.com"},
		kept: []string{"Bobs barn burns", "grandada@example.com", "Grans barn burns", "carl@example.com", "Carls barn burns"},
		exported: map[string][]string{"events": {"my looms burn", "my engines burn", "my cards burn"}, "outbox": {"my shuttles burn"},
			"support_requests": {"my looms burn"}},
		secret: map[string][]string{"events": {"Bobs barn"}, "outbox": {"Carls barn"}, "support_requests": {"Bobs barn"}}}
}

func logged() life {
	return life{who: userA, live: func(c *chapter) {
		c.known(userA, "ada@example.com", "Ada Byron")
		c.say(c.talk(bellhop.Owner{VisitorID: "visitor-ada"}), "m1", "hello", bellhop.LeadFields{Email: "ada@example.com"})
		c.noted("user", userA)
		c.noted("visitor", "visitor-ada")
		c.noted("user", userB)
	}, gone: []string{userA, "visitor-ada"}, kept: []string{userB},
		exported: map[string][]string{"security_log": {userA, "visitor-ada"}},
		secret:   map[string][]string{"security_log": {userB}}}
}

// Who only typed the address keeps what is theirs.
func strangers() life {
	return life{who: "ada@example.com", live: func(c *chapter) {
		c.f.lead(c.T, "ada@example.com", "form-1")
		eve := c.talk(bellhop.Owner{VisitorID: "visitor-eve"})
		c.say(eve, "m1", "I am ADA@example.com's friend", bellhop.LeadFields{Email: "ada@example.com", Name: "Eve Stranger", Phone: "+49 30 1234567"})
		c.say(eve, "m2", "no, mine is another", bellhop.LeadFields{Email: "eve@example.com"})
		user := c.talk(bellhop.Owner{UserID: userB})
		c.say(user, "m1", "a users question", bellhop.LeadFields{})
		c.say(user, "m2", "write to ada@example.com, or to dada@example.com", bellhop.LeadFields{Email: "ada@example.com", Name: "Udo User"})
		mallory := c.talk(bellhop.Owner{VisitorID: "visitor-mallory"})
		c.say(mallory, "m1", "call me back", bellhop.LeadFields{Name: "Mallory Other", Phone: "+49 89 7654321"})
		c.say(mallory, "m2", "or this one", bellhop.LeadFields{Email: "ada@example.com"})
		c.say(c.talk(bellhop.Owner{VisitorID: "visitor-zoe"}), "m1", "what did ada@example.com say?", bellhop.LeadFields{})
		c.noted("user", userB)
		c.noted("visitor", "visitor-eve")
	}, gone: []string{"Ada Byron"},
		kept: []string{"visitor-eve", "Eve Stranger", "eve@example.com", "+49 30 1234567", "no, mine is another", userB, "a users question",
			"Udo User", "dada@example.com", "visitor-mallory", "Mallory Other", "+49 89 7654321", "call me back", "visitor-zoe", "what did"},
		secret: map[string][]string{"messages": {"friend", "a users question", "call me back", "what did"}, "conversations": {"Eve Stranger",
			"visitor-mallory", userB}, "events": {"friend", "or to dada"}, "security_log": {userB, "visitor-eve"}, "requests": {userB}}}
}

func anotherBrowser() life {
	return life{who: "ada@example.com", live: func(c *chapter) {
		c.f.lead(c.T, "ada@example.com", "form-1")
		c.say(c.talk(bellhop.Owner{VisitorID: "visitor-ada"}), "m1", "a question of looms", bellhop.LeadFields{})
		conv := c.talk(bellhop.Owner{VisitorID: "visitor-ada"})
		c.say(conv, "m1", "call me", bellhop.LeadFields{Name: "Ada King", Phone: "+44 20 7946 0011"})
		c.say(conv, "m2", "or write", bellhop.LeadFields{Email: "ada@example.com"})
	}, gone: []string{"Ada King", "+44 20 7946 0011", "visitor-ada", "a question of looms", "call me", "ada@example.com"},
		exported: map[string][]string{"messages": {"a question of looms"}, "persons": {"+44 20 7946 0011"}}}
}

// Somebody typed her address before she came, so it is a person of its own.
func claimedBefore() life {
	return life{who: "ada@example.com", live: func(c *chapter) {
		conv := c.talk(bellhop.Owner{VisitorID: "visitor-ada"})
		c.say(conv, "m1", "hello from the train", bellhop.LeadFields{Email: "ada@example.com"})
		first := c.talk(bellhop.Owner{UserID: userA})
		c.say(first, "m1", "a question of looms", bellhop.LeadFields{})
		c.known(userA, "ada@example.com", "Ada Byron")
	}, gone: []string{"ada@example.com", userA, "a question of looms", "hello from the train", "Ada Byron"},
		exported: map[string][]string{"messages": {"a question of looms", "hello from the train"}}}
}

func sharedBrowser() life {
	return life{who: "ada@example.com", live: func(c *chapter) {
		o := bellhop.Owner{VisitorID: "visitor-both"}
		c.say(c.talk(o), "m1", "a question of looms", bellhop.LeadFields{Email: "ada@example.com", Name: "Ada Byron"})
		c.say(c.talk(o), "m1", "a question of barns", bellhop.LeadFields{Email: "bob@example.com", Name: "Bob Buyer"})
	}, gone: []string{"ada@example.com", "a question of looms", "Ada Byron"}, kept: []string{"visitor-both", "bob@example.com", "a question of barns"},
		exported: map[string][]string{"messages": {"a question of looms"}}, secret: map[string][]string{"messages": {"barns"}}}
}

func signsIn() life {
	return life{who: userA, live: func(c *chapter) {
		conv := c.talk(bellhop.Owner{VisitorID: "visitor-ada"})
		c.say(conv, "m1", "call me", bellhop.LeadFields{Name: "Ada Byron", Phone: "+44 20 7946 0011"})
		if _, err := c.f.db.ClaimVisitor(context.Background(), "visitor-ada", userA); err != nil {
			c.Fatal(err)
		}
		c.say(conv, "m2", "a question of looms", bellhop.LeadFields{})
	}, gone: []string{userA, "visitor-ada", "Ada Byron", "+44 20 7946 0011", "a question of looms"},
		exported: map[string][]string{"persons": {"Ada Byron"}}}
}

func TestEveryFragmentOfAnErasedPersonIsGone(t *testing.T) {
	t.Parallel()
	for name, l := range lives() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) { l.check(&chapter{t, newFixture(t, db)}) })
		})
	}
}

func (l life) check(c *chapter) {
	ctx := context.Background()
	l.live(c)
	c.f.allDone(c.T, "done")
	before := c.f.dump(c.T)
	for _, w := range append(slices.Clone(l.gone), l.kept...) {
		if len(hits(before, w)) == 0 {
			c.Errorf("%q is nowhere before the erasure: the test shows nothing", w)
		}
	}
	exp, err := c.f.db.ExportPerson(ctx, l.who)
	if err != nil {
		c.Fatal(err)
	}
	data := map[string]string{}
	for table, rows := range exp.Data {
		raw, err := json.Marshal(rows)
		if err != nil {
			c.Fatal(err)
		}
		data[table] = string(raw)
	}
	for table, words := range l.exported {
		for _, w := range words {
			if !slices.Contains(hits(data, w), table) {
				c.Errorf("%q is not exported with %s", w, table)
			}
		}
	}
	for table, words := range l.secret {
		for _, w := range words {
			if slices.Contains(hits(data, w), table) {
				c.Errorf("%q of somebody else is exported with %s", w, table)
			}
		}
	}
	rec, err := c.f.db.ErasePerson(ctx, store.EraseOpts{Who: l.who, By: "sam", DropOpen: true})
	if err != nil {
		c.Fatal(err)
	}
	if rec.SHA256 != exp.SHA256 {
		c.Error("the receipt is of something else than the export")
	}
	after := c.f.dump(c.T)
	for _, w := range l.gone {
		if h := hits(after, w); len(h) > 0 {
			c.Errorf("%q is still in %v", w, h)
		}
	}
	for _, w := range l.kept {
		if len(hits(after, w)) == 0 {
			c.Errorf("%q of somebody else is gone", w)
		}
	}
	for table, text := range after {
		if regexp.MustCompile(`(?i)(^|[^a-z])ada@example\.com`).MatchString(text) {
			c.Errorf("the address is still in %s", table)
		}
	}
}
