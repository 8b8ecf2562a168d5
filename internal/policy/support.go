package policy

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"bellhop"
)

// DueIn returns how long a person has for a support request of a priority.
func DueIn(p bellhop.Priority) time.Duration {
	switch p {
	case bellhop.PriorityUrgent:
		return time.Hour
	case bellhop.PriorityHigh:
		return 4 * time.Hour
	case bellhop.PriorityLow:
		return 72 * time.Hour
	default:
		return 24 * time.Hour
	}
}

// priorityOf is the priority a reason has by itself.
func priorityOf(r bellhop.Reason) bellhop.Priority {
	switch r {
	case bellhop.ReasonBilling:
		return bellhop.PriorityHigh
	case bellhop.ReasonDispute:
		return bellhop.PriorityUrgent
	default:
		return bellhop.PriorityNormal
	}
}

func supportRequest(p *Policy, in bellhop.PlanInput, c bellhop.Change, out *bellhop.Plan) {
	ask := c.Support
	prio := ask.Priority
	if prio == "" {
		prio = priorityOf(ask.Reason)
	}
	if ask.Existing {
		p.joinRequest(in, c, prio, out)
		return
	}
	req := bellhop.SupportRequest{ID: ask.RequestID, PersonID: in.Event.PersonID, ConversationID: in.ConversationID,
		EventID: in.Event.ID, CorrelationID: in.Event.CorrelationID, Priority: prio, Reason: ask.Reason,
		Subject: cmp.Or(ask.Subject, subjectOf(ask.Reason, in)), Body: p.body(in, ask), DueAt: in.Now.Add(DueIn(prio))}
	if in.ConversationID != "" {
		req.TranscriptURL = p.transcriptLink(in.ConversationID)
	}
	p.open(in, req, out)
}

// open adds a support request with its ticket, and an alert when nobody would see it
// otherwise or it cannot wait.
func (p *Policy) open(in bellhop.PlanInput, req bellhop.SupportRequest, out *bellhop.Plan) {
	out.Support = append(out.Support, req)
	if p.helpdesk != "" {
		out.Steps = append(out.Steps, bellhop.PlannedStep{Connection: p.helpdesk, Action: bellhop.ActionCreateTicket,
			Key: key("ticket", p.helpdesk, req.ID), RequestID: req.ID,
			Input: bellhop.TicketInput{Subject: req.Subject, Body: req.Body, RequesterName: in.Person.Name,
				RequesterEmail: in.Person.Email, Priority: req.Priority, Tags: []string{"bellhop", string(req.Reason)},
				Link: req.TranscriptURL}})
	}
	if p.alerts != "" && (p.helpdesk == "" || req.Priority == bellhop.PriorityUrgent) {
		out.Steps = append(out.Steps, bellhop.PlannedStep{Connection: p.alerts, Action: bellhop.ActionSendAlert,
			Key: key("alert", p.alerts, req.ID),
			Input: bellhop.AlertInput{Title: req.Subject, Text: req.Body, Severity: severityOf(req.Priority),
				Link: req.TranscriptURL, DedupKey: req.ID}})
	}
}

// joinRequest adds what a customer wrote later to the request and its ticket.
func (p *Policy) joinRequest(in bellhop.PlanInput, c bellhop.Change, prio bellhop.Priority, out *bellhop.Plan) {
	line := "The customer wrote: " + quote(in.Text)
	out.Touch = append(out.Touch, bellhop.SupportTouch{ID: c.Support.RequestID, Priority: prio, Line: line})
	if p.helpdesk == "" {
		return
	}
	out.Steps = append(out.Steps, bellhop.PlannedStep{Connection: p.helpdesk, Action: bellhop.ActionUpdateTicket,
		Key: key("ticket-comment", p.helpdesk, c.Key), RequestID: c.Support.RequestID,
		Input: bellhop.TicketUpdateInput{Comment: line}})
}

func disputeRequest(p *Policy, in bellhop.PlanInput, c bellhop.Change, out *bellhop.Plan) {
	pay := c.Payment
	money := bellhop.Money{Amount: pay.Amount, Currency: pay.Currency}
	p.open(in, bellhop.SupportRequest{ID: in.NewID(), PersonID: in.Event.PersonID, EventID: in.Event.ID,
		CorrelationID: in.Event.CorrelationID, Priority: bellhop.PriorityUrgent, Reason: bellhop.ReasonDispute,
		Subject: fmt.Sprintf("Dispute over %s by %s", money, who(in.Person)), DueAt: in.Now.Add(DueIn(bellhop.PriorityUrgent)),
		Body: fmt.Sprintf("%s disputed a payment of %s.\nReason at %s: %s\n\nAnswer the dispute at %s before its deadline; "+
			"without an answer it is lost.", who(in.Person), money, pay.Connection, cmp.Or(c.Detail, "not given"), pay.Connection)}, out)
}

func subjectOf(r bellhop.Reason, in bellhop.PlanInput) string {
	name := who(in.Person)
	switch r {
	case bellhop.ReasonBilling:
		return "Billing question from " + name
	case bellhop.ReasonAskedForHuman:
		return name + " asked for a person"
	case bellhop.ReasonLowConfidence:
		return "Question the assistant could not answer, from " + name
	default:
		return "Support request from " + name
	}
}

func (p *Policy) body(in bellhop.PlanInput, ask *bellhop.SupportAsk) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Customer: %s\n", who(in.Person))
	if in.Person.Phone != "" {
		fmt.Fprintf(&b, "Phone: %s\n", in.Person.Phone)
	}
	if ask.Body != "" {
		fmt.Fprintf(&b, "\n%s\n", ask.Body)
	}
	if in.Text != "" && !strings.Contains(ask.Body, strings.TrimSpace(in.Text)) {
		fmt.Fprintf(&b, "\nThey wrote: %s\n", quote(in.Text))
	}
	if in.ConversationID != "" {
		if link := p.transcriptLink(in.ConversationID); link != "" {
			fmt.Fprintf(&b, "\nTranscript: %s\n", link)
		}
	}
	b.WriteString("\nNext: answer the customer, then resolve the request.")
	return b.String()
}

// who names a person as well as they are known.
func who(p bellhop.Person) string {
	switch {
	case p.Name != "" && p.Email != "":
		return p.Name + " <" + p.Email + ">"
	case p.Email != "":
		return p.Email
	case p.Name != "":
		return p.Name
	default:
		return "a visitor"
	}
}

// quote shortens a customer's words for a subject or line.
func quote(s string) string {
	const most = 1000
	s = strings.TrimSpace(s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return "“" + s + "”"
}

func severityOf(p bellhop.Priority) bellhop.Severity {
	if p == bellhop.PriorityUrgent {
		return bellhop.SeverityCritical
	}
	return bellhop.SeverityWarning
}

// tellHooks sends the change to every outgoing webhook.
func tellHooks(p *Policy, in bellhop.PlanInput, c bellhop.Change, out *bellhop.Plan) {
	data := map[string]any{"correlation_id": in.Event.CorrelationID,
		"person": map[string]any{"id": in.Event.PersonID, "email": in.Person.Email, "user_id": in.Person.UserID,
			"name": in.Person.Name}}
	switch {
	case c.Lead != nil:
		data["lead"] = c.Lead.Fields
	case c.Payment != nil:
		data["payment"] = map[string]any{"id": c.Payment.ID, "connection": c.Payment.Connection,
			"status": c.Payment.Status, "amount": c.Payment.Amount, "amount_refunded": c.Payment.AmountRefunded,
			"currency": c.Payment.Currency}
	case c.Subscription != nil:
		data["subscription"] = map[string]any{"id": c.Subscription.ID, "ref": c.Subscription.Ref,
			"status": c.Subscription.Status, "plan": c.Subscription.Plan}
	}
	for _, conn := range p.hooks {
		out.Steps = append(out.Steps, bellhop.PlannedStep{Connection: conn, Action: bellhop.ActionSendWebhook,
			Key: key("hook", conn, string(c.Kind), c.Key), MayExist: true,
			Input: bellhop.WebhookInput{Type: string(c.Kind), Timestamp: stamp(in.Event.OccurredAt), Data: data}})
	}
}
