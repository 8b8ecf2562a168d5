package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/policy"
)

func targets() []bellhop.Target {
	return []bellhop.Target{
		{Connection: "crm", Actions: []bellhop.Action{bellhop.ActionUpsertContact, bellhop.ActionAddNote}},
		{Connection: "helpdesk", Actions: []bellhop.Action{bellhop.ActionCreateTicket, bellhop.ActionUpdateTicket}},
		{Connection: "helpdesk2", Actions: []bellhop.Action{bellhop.ActionCreateTicket}},
		{Connection: "founder", Actions: []bellhop.Action{bellhop.ActionSendAlert}},
		{Connection: "hook", Actions: []bellhop.Action{bellhop.ActionSendWebhook}},
	}
}

func input(changes ...bellhop.Change) bellhop.PlanInput {
	n := 0
	return bellhop.PlanInput{Event: bellhop.Event{ID: "ev1", PersonID: "p1", CorrelationID: "c1", OccurredAt: time.Unix(0, 0)},
		Changes: changes, Person: bellhop.Person{ID: "p1", Email: "ada@example.com", Name: "Ada Byron King", Phone: "+34600"},
		ConversationID: "conv1", LeadRequestID: "req1", Text: "where is my money", Now: time.Unix(0, 0),
		NewID: func() string { n++; return fmt.Sprintf("new%d", n) }}
}

// plan returns the plan as words: connection, action and request of every step, then the
// support requests.
func plan(in bellhop.PlanInput, t ...bellhop.Target) ([]string, bellhop.Plan) {
	p := policy.New(policy.Opts{Targets: t, TranscriptLink: func(id string) string { return "https://x.test/t/" + id }})
	out := p.Plan(in)
	var words []string
	for _, s := range out.Steps {
		words = append(words, s.Connection+" "+string(s.Action)+" "+s.RequestID)
	}
	for _, s := range out.Support {
		words = append(words, "support "+string(s.Reason)+" "+string(s.Priority))
	}
	for _, s := range out.Touch {
		words = append(words, "touch "+s.ID+" "+string(s.Priority))
	}
	return words, out
}

func TestTable(t *testing.T) {
	t.Parallel()
	lead := &bellhop.Lead{Source: "chat", Fields: bellhop.LeadFields{Email: "ada@example.com", Name: "Ada Byron", Company: "Acme", Wants: "a demo"}}
	phoneOnly := &bellhop.Lead{Source: "api", Fields: bellhop.LeadFields{Phone: "+34600"}}
	pay := &bellhop.Payment{ID: "pay1", Connection: "stripe", Amount: 4900, AmountRefunded: 900, Currency: "eur"}
	sub := &bellhop.Subscription{ID: "sub1", Ref: "sub_1", Status: bellhop.SubscriptionActive}
	ask := func(r bellhop.Reason, existing bool) *bellhop.SupportAsk {
		return &bellhop.SupportAsk{RequestID: "sr1", Reason: r, Existing: existing}
	}
	for name, c := range map[string]struct {
		change bellhop.Change
		want   []string
	}{
		"lead": {bellhop.Change{Kind: bellhop.KindLeadCaptured, Key: "k", Lead: lead},
			[]string{"crm crm.upsert_contact req1", "crm crm.add_note req1", "hook webhook.send "}},
		"lead without e-mail in a chat is still being asked for it": {bellhop.Change{Kind: bellhop.KindLeadCaptured, Key: "k", Lead: phoneOnly},
			[]string{"hook webhook.send "}},
		"payment": {bellhop.Change{Kind: bellhop.KindPaymentSucceeded, Key: "k", Payment: pay},
			[]string{"crm crm.upsert_contact ", "hook webhook.send "}},
		"payment failed":   {bellhop.Change{Kind: bellhop.KindPaymentFailed, Key: "k", Payment: pay}, []string{"crm crm.add_note ", "hook webhook.send "}},
		"payment refunded": {bellhop.Change{Kind: bellhop.KindPaymentRefunded, Key: "k", Payment: pay, RefundDelta: 900}, []string{"crm crm.add_note ", "hook webhook.send "}},
		"payment disputed": {bellhop.Change{Kind: bellhop.KindPaymentDisputed, Key: "k", Payment: pay, Detail: "fraudulent"},
			[]string{"helpdesk support.create_ticket new1", "founder alert.send ", "crm crm.add_note ", "hook webhook.send ", "support dispute urgent"}},
		"subscription":           {bellhop.Change{Kind: bellhop.KindSubscriptionCreated, Key: "k", Subscription: sub}, []string{"crm crm.upsert_contact ", "hook webhook.send "}},
		"subscription updated":   {bellhop.Change{Kind: bellhop.KindSubscriptionUpdated, Key: "k", Subscription: sub}, []string{"crm crm.add_note ", "hook webhook.send "}},
		"subscription cancelled": {bellhop.Change{Kind: bellhop.KindSubscriptionCancelled, Key: "k", Subscription: sub}, []string{"crm crm.add_note ", "hook webhook.send "}},
		"support": {bellhop.Change{Kind: bellhop.KindSupportRequested, Key: "k", Support: ask(bellhop.ReasonLowConfidence, false)},
			[]string{"helpdesk support.create_ticket sr1", "support low_confidence normal"}},
		"asked for a person": {bellhop.Change{Kind: bellhop.KindAskedForHuman, Key: "k", Support: ask(bellhop.ReasonAskedForHuman, false)},
			[]string{"helpdesk support.create_ticket sr1", "support asked_for_human normal"}},
		"billing": {bellhop.Change{Kind: bellhop.KindBillingUnsure, Key: "k", Support: ask(bellhop.ReasonBilling, false)},
			[]string{"helpdesk support.create_ticket sr1", "support billing high"}},
		"again in the same conversation": {bellhop.Change{Kind: bellhop.KindBillingUnsure, Key: "k", Support: ask(bellhop.ReasonBilling, true)},
			[]string{"helpdesk support.update_ticket sr1", "touch sr1 high"}},
	} {
		got, out := plan(input(c.change), targets()...)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		keys := map[string]bool{}
		for _, s := range out.Steps {
			if s.Key == "" || keys[s.Key] {
				t.Errorf("%s: key %q is empty or used twice", name, s.Key)
			}
			keys[s.Key] = true
		}
	}
}

func TestEveryKindThatPlansIsInTheTable(t *testing.T) {
	t.Parallel()
	on := map[bellhop.Kind]bool{}
	for _, l := range policy.New(policy.Opts{}).Lines() {
		on[l.On] = true
	}
	for _, k := range bellhop.Kinds() {
		if planned := k != bellhop.KindMessage && k != bellhop.KindOther; on[k] != planned {
			t.Errorf("%s: in the table %v, want %v", k, on[k], planned)
		}
	}
}

func TestWithoutConnectionsOnlyTheDeskIsLeft(t *testing.T) {
	t.Parallel()
	got, _ := plan(input(bellhop.Change{Kind: bellhop.KindBillingUnsure, Key: "k",
		Support: &bellhop.SupportAsk{RequestID: "sr1", Reason: bellhop.ReasonBilling}}))
	if !slices.Equal(got, []string{"support billing high"}) {
		t.Errorf("got %q", got)
	}
	got, _ = plan(input(bellhop.Change{Kind: bellhop.KindBillingUnsure, Key: "k",
		Support: &bellhop.SupportAsk{RequestID: "sr1", Reason: bellhop.ReasonBilling}}), targets()[3])
	if !slices.Contains(got, "founder alert.send ") {
		t.Errorf("without a helpdesk nobody is told: %q", got)
	}
}

func TestAPILeadWithoutEmailGoesToAPerson(t *testing.T) {
	t.Parallel()
	in := input(bellhop.Change{Kind: bellhop.KindLeadCaptured, Key: "k", Lead: &bellhop.Lead{Source: "api", Fields: bellhop.LeadFields{Name: "Ada", Phone: "+34600"}}})
	in.ConversationID = ""
	got, out := plan(in, targets()...)
	if !slices.Contains(got, "support lead_incomplete normal") || !strings.Contains(out.Support[0].Body, "+34600") {
		t.Errorf("got %q", got)
	}
}

func TestTheSameInputGivesTheSamePlan(t *testing.T) {
	t.Parallel()
	c := bellhop.Change{Kind: bellhop.KindLeadCaptured, Key: "k", Lead: &bellhop.Lead{Source: "chat", Fields: bellhop.LeadFields{Email: "ada@example.com"}}}
	_, a := plan(input(c), targets()...)
	_, b := plan(input(c), targets()...)
	if fmt.Sprintf("%+v", a) != fmt.Sprintf("%+v", b) {
		t.Error("two plans of one input differ")
	}
}

func TestSplitName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][2]string{"Ada": {"Ada", ""}, " Ada  Byron King ": {"Ada", "Byron King"}, "": {"", ""}} {
		if f, l := policy.SplitName(in); f != want[0] || l != want[1] {
			t.Errorf("%q is %q %q", in, f, l)
		}
	}
}
