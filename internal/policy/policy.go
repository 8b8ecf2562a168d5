// Package policy holds the rules: an event and the changes it made in, planned steps
// out. It is pure: no I/O, no clock, no state; the same input gives the same plan.
package policy

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"bellhop"
)

// Opts configures the rules.
type Opts struct {
	// Targets are the connections, in the order of bellhop.yaml.
	Targets []bellhop.Target
	// TranscriptLink returns the signed address of a conversation's transcript.
	TranscriptLink func(conversationID string) string
}

// Policy plans what follows from events.
type Policy struct {
	crm, hooks     []string
	helpdesk       string // the first one: a customer gets one ticket, not one per helpdesk
	alerts         string
	transcriptLink func(string) string
	table          []rule
}

// rule is one line of the table: when a change of a kind came true, plan this.
type rule struct {
	On   bellhop.Kind
	Name string
	Do   func(*Policy, bellhop.PlanInput, bellhop.Change, *bellhop.Plan)
}

// New makes the policy for a set of connections.
func New(o Opts) *Policy {
	p := &Policy{transcriptLink: o.TranscriptLink, table: table()}
	if p.transcriptLink == nil {
		p.transcriptLink = func(string) string { return "" }
	}
	for _, t := range o.Targets {
		if t.Can(bellhop.ActionUpsertContact) {
			p.crm = append(p.crm, t.Connection)
		}
		if t.Can(bellhop.ActionSendWebhook) {
			p.hooks = append(p.hooks, t.Connection)
		}
		if p.helpdesk == "" && t.Can(bellhop.ActionCreateTicket) {
			p.helpdesk = t.Connection
		}
		if p.alerts == "" && t.Can(bellhop.ActionSendAlert) {
			p.alerts = t.Connection
		}
	}
	return p
}

// table is the whole policy. docs/states.md shows it; a test compares the two.
func table() []rule {
	return []rule{
		{bellhop.KindLeadCaptured, "put the contact into every CRM", leadContact},
		{bellhop.KindLeadCaptured, "one note with the transcript for each conversation", leadNote},
		{bellhop.KindLeadCaptured, "a lead without an e-mail goes to a person", leadWithoutEmail},
		{bellhop.KindLeadCaptured, "tell the outgoing webhooks", tellHooks},
		{bellhop.KindPaymentSucceeded, "the contact becomes a customer", paidContact},
		{bellhop.KindPaymentSucceeded, "tell the outgoing webhooks", tellHooks},
		{bellhop.KindPaymentFailed, "note the failure at the contact", paymentNote},
		{bellhop.KindPaymentFailed, "tell the outgoing webhooks", tellHooks},
		{bellhop.KindPaymentRefunded, "note the refund at the contact", paymentNote},
		{bellhop.KindPaymentRefunded, "tell the outgoing webhooks", tellHooks},
		{bellhop.KindPaymentDisputed, "an urgent request for a person, and an alert", disputeRequest},
		{bellhop.KindPaymentDisputed, "note the dispute at the contact", paymentNote},
		{bellhop.KindPaymentDisputed, "tell the outgoing webhooks", tellHooks},
		{bellhop.KindSubscriptionCreated, "the contact becomes a customer", paidContact},
		{bellhop.KindSubscriptionCreated, "tell the outgoing webhooks", tellHooks},
		{bellhop.KindSubscriptionUpdated, "note the change at the contact", subscriptionNote},
		{bellhop.KindSubscriptionUpdated, "tell the outgoing webhooks", tellHooks},
		{bellhop.KindSubscriptionCancelled, "note the end at the contact", subscriptionNote},
		{bellhop.KindSubscriptionCancelled, "tell the outgoing webhooks", tellHooks},
		{bellhop.KindSupportRequested, "a support request, and its ticket", supportRequest},
		{bellhop.KindAskedForHuman, "a support request, and its ticket", supportRequest},
		{bellhop.KindBillingUnsure, "a support request of high priority, and its ticket", supportRequest},
	}
}

// Plan returns what follows from an event.
func (p *Policy) Plan(in bellhop.PlanInput) bellhop.Plan {
	var out bellhop.Plan
	for _, c := range in.Changes {
		for _, r := range p.table {
			if r.On == c.Kind {
				r.Do(p, in, c, &out)
			}
		}
	}
	return out
}

// Line is one line of the table, for the documentation.
type Line struct {
	On   bellhop.Kind
	Rule string
}

// Lines returns the table as text.
func (p *Policy) Lines() []Line {
	out := make([]Line, len(p.table))
	for i, r := range p.table {
		out[i] = Line{r.On, r.Name}
	}
	return out
}

// contactOf starts a contact from what is known of the person.
func contactOf(in bellhop.PlanInput) bellhop.ContactInput {
	first, last := SplitName(in.Person.Name)
	return bellhop.ContactInput{Email: in.Person.Email, FirstName: first, LastName: last, Phone: in.Person.Phone}
}

// SplitName splits a name at its first space: "Ada Byron King" is Ada, Byron King. A
// single word is a first name.
func SplitName(name string) (first, last string) {
	first, last, _ = strings.Cut(strings.Join(strings.Fields(name), " "), " ")
	return first, last
}

func leadContact(p *Policy, in bellhop.PlanInput, c bellhop.Change, out *bellhop.Plan) {
	if c.Lead.Fields.Email == "" {
		return
	}
	contact := contactOf(in)
	contact.Email = c.Lead.Fields.Email
	if c.Lead.Fields.Name != "" {
		contact.FirstName, contact.LastName = SplitName(c.Lead.Fields.Name)
	}
	contact.Phone = cmp.Or(c.Lead.Fields.Phone, contact.Phone)
	contact.Company = c.Lead.Fields.Company
	contact.LifecycleStage, contact.PreviousEmail = "lead", c.PreviousEmail
	for _, conn := range p.crm {
		out.Steps = append(out.Steps, bellhop.PlannedStep{Connection: conn, Action: bellhop.ActionUpsertContact,
			Key: key("contact", conn, c.Key), Input: contact, RequestID: in.LeadRequestID})
	}
}

func leadNote(p *Policy, in bellhop.PlanInput, c bellhop.Change, out *bellhop.Plan) {
	f := c.Lead.Fields
	if f.Email == "" || (in.ConversationID == "" && f.Wants == "") {
		return
	}
	lines := []string{"Lead from " + c.Lead.Source}
	if c.Said != nil {
		f = f.Merge(*c.Said)
		lines = append(lines, "Written by somebody who only typed this address; what was known is left as it was")
	}
	for _, l := range [][2]string{{"Name", f.Name}, {"E-mail", f.Email}, {"Phone", f.Phone}, {"Company", f.Company},
		{"Wants", f.Wants}} {
		if l[1] != "" {
			lines = append(lines, l[0]+": "+l[1])
		}
	}
	note := bellhop.NoteInput{ContactEmail: f.Email, Text: strings.Join(lines, "\n"), At: stamp(in.Event.OccurredAt)}
	about := c.Key
	if in.ConversationID != "" {
		about = in.ConversationID + ":" + c.FiledUnder
		note.Link, note.LinkText = p.transcriptLink(in.ConversationID), "Read the conversation"
	}
	for _, conn := range p.crm {
		out.Steps = append(out.Steps, bellhop.PlannedStep{Connection: conn, Action: bellhop.ActionAddNote,
			Key: key("note", conn, about), Input: note, RequestID: in.LeadRequestID, MayExist: true})
	}
}

// leadWithoutEmail hands over what no CRM can be given. A chat asks for the e-mail
// first, so only leads that came by the API are complete without one.
func leadWithoutEmail(p *Policy, in bellhop.PlanInput, c bellhop.Change, out *bellhop.Plan) {
	f := c.Lead.Fields
	if f.Email != "" || in.ConversationID != "" {
		return
	}
	out.Support = append(out.Support, bellhop.SupportRequest{ID: in.LeadRequestID, PersonID: in.Event.PersonID,
		EventID: in.Event.ID, CorrelationID: in.Event.CorrelationID, Priority: bellhop.PriorityNormal,
		Reason: bellhop.ReasonLeadNoEmail, DueAt: in.Now.Add(DueIn(bellhop.PriorityNormal)),
		Subject: "Lead without an e-mail: " + cmp.Or(f.Name, f.Phone),
		Body: fmt.Sprintf("%s (phone %s, company %s) wants: %s\n\nNo CRM can be given a contact without an e-mail. "+
			"Call the number, ask for the e-mail, and hand the lead in again with it.",
			cmp.Or(f.Name, "Somebody"), cmp.Or(f.Phone, "unknown"), cmp.Or(f.Company, "unknown"), cmp.Or(f.Wants, "not told"))})
}

func paidContact(p *Policy, in bellhop.PlanInput, c bellhop.Change, out *bellhop.Plan) {
	if in.Person.Email == "" {
		return
	}
	contact := contactOf(in)
	contact.LifecycleStage = "customer"
	for _, conn := range p.crm {
		out.Steps = append(out.Steps, bellhop.PlannedStep{Connection: conn, Action: bellhop.ActionUpsertContact,
			Key: key("paid", conn, c.Key), Input: contact, MayExist: true, RequestID: c.RequestID})
	}
}

func paymentNote(p *Policy, in bellhop.PlanInput, c bellhop.Change, out *bellhop.Plan) {
	pay := c.Payment
	money := bellhop.Money{Amount: pay.Amount, Currency: pay.Currency}
	var text string
	switch c.Kind {
	case bellhop.KindPaymentFailed:
		text = fmt.Sprintf("Payment of %s failed: %s", money, cmp.Or(c.Detail, "no reason given"))
	case bellhop.KindPaymentRefunded:
		text = fmt.Sprintf("Refunded %s of a payment of %s (%s in total)",
			bellhop.Money{Amount: c.RefundDelta, Currency: pay.Currency}, money,
			bellhop.Money{Amount: pay.AmountRefunded, Currency: pay.Currency})
	default:
		text = fmt.Sprintf("Payment of %s was disputed: %s", money, cmp.Or(c.Detail, "no reason given"))
	}
	p.note(in, c, text, out)
}

func subscriptionNote(p *Policy, in bellhop.PlanInput, c bellhop.Change, out *bellhop.Plan) {
	s := c.Subscription
	text := fmt.Sprintf("Subscription %s is now %s", cmp.Or(s.Plan, s.Ref), strings.ReplaceAll(string(s.Status), "_", " "))
	if s.CancelAtPeriodEnd && s.Status != bellhop.SubscriptionCancelled {
		text += "; it ends with the current period"
	}
	p.note(in, c, text, out)
}

func (p *Policy) note(in bellhop.PlanInput, c bellhop.Change, text string, out *bellhop.Plan) {
	if in.Person.Email == "" {
		return
	}
	for _, conn := range p.crm {
		out.Steps = append(out.Steps, bellhop.PlannedStep{Connection: conn, Action: bellhop.ActionAddNote,
			Key: key("note", conn, string(c.Kind), c.Key), MayExist: true,
			Input: bellhop.NoteInput{ContactEmail: in.Person.Email, Text: text, At: stamp(in.Event.OccurredAt)}})
	}
}

// key joins parts into a step's idempotency key.
func key(parts ...string) string { return strings.Join(parts, ":") }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
