package intake_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/intake"
	"bellhop/internal/payments"
	"bellhop/internal/policy"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// door is the intake on a real store with the policy of one CRM.
func door(t *testing.T, db *store.DB, v connector.Verifier) *intake.Intake {
	t.Helper()
	pol := policy.New(policy.Opts{Targets: []bellhop.Target{{Connection: "crm", Actions: []bellhop.Action{bellhop.ActionUpsertContact, bellhop.ActionAddNote}}}})
	acc := store.NewAcceptor(db, store.Policies{Plan: pol.Plan, Fold: payments.Fold, Merge: payments.Merge})
	t.Cleanup(acc.Close)
	return intake.New(intake.Opts{Acceptor: acc, Verifiers: map[string]connector.Verifier{"pay": v}})
}

// verifier answers every delivery the same way and remembers whether it was asked.
type verifier struct {
	ev    bellhop.Inbound
	err   error
	asked int
}

func (v *verifier) Verify(connector.Delivery) (bellhop.Inbound, error) {
	v.asked++
	return v.ev, v.err
}

func kinds(t *testing.T, db *store.DB) map[string]int {
	t.Helper()
	steps, err := db.Steps(context.Background(), store.StepFilter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, s := range steps {
		out[s.Kind]++
	}
	return out
}

func TestWebhookIsVerifiedBeforeAnythingElse(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		refused := bellhop.Errorf(bellhop.CodeSignatureInvalid, "x", "no")
		v := &verifier{err: refused}
		in := door(t, db, v)
		if _, err := in.Webhook(ctx, "pay", http.Header{}, []byte("{}"), "c"); !errors.Is(err, refused) {
			t.Errorf("got %v", err)
		}
		if _, err := in.Webhook(ctx, "nobody", http.Header{}, []byte("{}"), "c"); bellhop.CodeOf(err) != bellhop.CodeNotFound {
			t.Errorf("unknown connection: %v", err)
		}
		asked := v.asked
		if _, err := in.Webhook(ctx, "pay", http.Header{}, make([]byte, intake.MaxBody+1), "c"); bellhop.CodeOf(err) != bellhop.CodeTooLarge || v.asked != asked {
			t.Errorf("too large: %v, looked at %v", err, v.asked != asked)
		}
		if n, err := db.Counts(ctx, time.Now().Add(-time.Hour)); err != nil || n.Events != 0 {
			t.Errorf("%d events were stored (%v)", n.Events, err)
		}
	})
}

// An event that means nothing here is kept, and nothing follows from it.
func TestUnknownEventIsKept(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		in := door(t, db, &verifier{ev: bellhop.Inbound{ExternalID: "e1", Kind: bellhop.KindOther, VendorType: "price.created"}})
		for want, dup := range []bool{false, true} {
			acc, err := in.Webhook(context.Background(), "pay", http.Header{}, []byte("{}"), "0af7651916cd43dd8448eb211c80319c")
			if err != nil || acc.Duplicate != dup || acc.Steps != 0 {
				t.Errorf("delivery %d: %+v %v", want+1, acc, err)
			}
		}
	})
}

// What an assistant proposes is taken with the same doubt as what a stranger sends.
func TestProposedFieldsAreCleaned(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		in := door(t, db, &verifier{})
		owner := bellhop.Owner{VisitorID: "v1"}
		c, err := db.CreateConversation(ctx, owner)
		if err != nil {
			t.Fatal(err)
		}
		turn := func(id string, f bellhop.LeadFields) {
			t.Helper()
			if _, err := in.Turn(ctx, intake.Turn{ConversationID: c.ID, Owner: owner, ClientID: id, Text: "hi", Reply: "hello",
				Decision: bellhop.Decision{Intent: bellhop.IntentLead, Confidence: 7, Fields: f}, CorrelationID: "c"}); err != nil {
				t.Fatal(err)
			}
		}
		turn("m1", bellhop.LeadFields{Name: strings.Repeat("x", 500), Email: "not an address", Phone: "1\x002", Company: "Acme"})
		got, err := db.Conversation(ctx, c.ID, owner)
		if err != nil || got.Fields != (bellhop.LeadFields{Company: "Acme"}) {
			t.Errorf("stored %+v (%v)", got.Fields, err)
		}
		if k := kinds(t, db); len(k) != 0 {
			t.Errorf("a lead nobody can reach planned %v", k)
		}
		turn("m2", bellhop.LeadFields{Email: "Ada@Example.com"})
		if k := kinds(t, db); k["crm.upsert_contact"] != 1 || k["crm.add_note"] != 1 {
			t.Errorf("planned %v", k)
		}
	})
}

func TestLeadWithOnlyAPhoneGoesToAPerson(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		in := door(t, db, &verifier{})
		if _, err := in.Lead(ctx, intake.APIRequest{Caller: "server", IdempotencyKey: "k", Body: []byte("{}"), CorrelationID: "c"},
			bellhop.LeadFields{Name: "Ada", Phone: "+34 600 123 456"}); err != nil {
			t.Fatal(err)
		}
		reqs, err := db.SupportRequests(ctx, store.SupportFilter{})
		if err != nil || len(reqs) != 1 || reqs[0].Reason != bellhop.ReasonLeadNoEmail {
			t.Errorf("support requests %+v (%v)", reqs, err)
		}
	})
}

// When nothing can be stored the sender is told to send it again.
func TestWhatCannotBeStoredIsRetryable(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		in := door(t, db, &verifier{ev: bellhop.Inbound{ExternalID: "e1", Kind: bellhop.KindOther}})
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := in.Webhook(context.Background(), "pay", http.Header{}, []byte("{}"), "c")
		if code := bellhop.CodeOf(err); code != bellhop.CodeUnavailable || !code.Retryable() {
			t.Errorf("got %v", err)
		}
	})
}
