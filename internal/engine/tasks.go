package engine

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"bellhop"
	"bellhop/internal/store"
)

// taskFor is the support request of a step that a person has to finish: the customer,
// the payload in words, the cause and the next action.
func (e *Engine) taskFor(c *conn, out store.Outcome) bellhop.SupportRequest {
	what, payload := Describe(out.Step)
	cause := cmp.Or(out.Error, "no reason was given")
	body := fmt.Sprintf("%s\n\n%s\n\nCause: %s said no: %s.\n\nNext: put right what it complains about and press Retry; "+
		"or do it by hand at %s and press Done by hand; or Drop it.", capitalise(what), payload, c.manifest.Name, cause,
		c.manifest.Name)
	if out.Class != bellhop.ClassRejected {
		body = fmt.Sprintf("%s\n\n%s\n\nCause: %s (%s) did not do it in %d tries: %s.\n\nNext: look at %s whether it is "+
			"there. If it is, press Done by hand; if not, press Retry; or Drop it.", capitalise(what), payload,
			c.manifest.Name, c.name, out.Step.Attempts+1, cause, c.manifest.Name)
	}
	person := out.Step.PersonID
	if person == store.NoPerson {
		person = ""
	}
	return bellhop.SupportRequest{PersonID: person, EventID: out.Step.EventID, CorrelationID: out.Step.CorrelationID,
		Priority: bellhop.PriorityHigh, Reason: bellhop.ReasonSyncFailed,
		Subject: fmt.Sprintf("To do by hand: %s at %s", what, c.manifest.Name), Body: body,
		DueAt: e.clock.Now().Add(4 * time.Hour)}
}

// incidentOpened plans what a new incident makes: one task that holds all its steps, for
// an outage, and one alert.
func (e *Engine) incidentOpened(inc bellhop.Incident, first bellhop.Step) store.Opening {
	name := inc.Connection
	if c := e.conns[inc.Connection]; c != nil {
		name = c.manifest.Name + " (" + inc.Connection + ")"
	}
	what, payload := Describe(first)
	title, next := incidentWords(inc.Class, name)
	var op store.Opening
	if outage(inc.Class) {
		op.Task = &bellhop.SupportRequest{CorrelationID: first.CorrelationID, Priority: bellhop.PriorityHigh,
			Reason: bellhop.ReasonOutage, Subject: title, DueAt: e.clock.Now().Add(4 * time.Hour),
			Body: fmt.Sprintf("%s. Cause: %s.\n\nHeld up first: %s\n%s\n\nEvery step that waits for it is listed with this "+
				"request. They are carried out by themselves when it works again, and this request then closes itself.\n\n"+
				"Next: %s What cannot wait can be done by hand: press Done by hand on its step, so that it is not repeated; "+
				"or Retry, or Drop it.", title, cmp.Or(inc.Detail, string(inc.Class)), what, payload, next)}
	}
	op.Steps = e.alert(inc, "opened", bellhop.AlertInput{Title: title, Severity: bellhop.SeverityError,
		Text: fmt.Sprintf("Cause: %s. First held up: %s. Bellhop keeps everything and tries again by itself. %s",
			cmp.Or(inc.Detail, string(inc.Class)), what, next)})
	return op
}

// incidentClosed tells the founder that it is over.
func (e *Engine) incidentClosed(inc bellhop.Incident) store.Opening {
	if !outage(inc.Class) {
		return store.Opening{}
	}
	return store.Opening{Steps: e.alert(inc, "closed", bellhop.AlertInput{Title: inc.Connection + " works again",
		Severity: bellhop.SeverityInfo, Text: fmt.Sprintf("It was held up for %s. All %d steps that waited were carried "+
			"out or settled; there is nothing to do.", inc.ClosedAt.Sub(inc.OpenedAt).Round(time.Second), inc.Steps)})}
}

// alert plans an alert about an incident, unless the way it would go is what is broken.
func (e *Engine) alert(inc bellhop.Incident, what string, in bellhop.AlertInput) []bellhop.PlannedStep {
	if e.o.Alerts == "" || e.o.Alerts == inc.Connection {
		return nil
	}
	in.DedupKey, in.Link = inc.ID, e.o.ConsoleURL
	return []bellhop.PlannedStep{{Connection: e.o.Alerts, Action: bellhop.ActionSendAlert,
		Key: "incident:" + inc.ID + ":" + what, Input: in}}
}

// outage reports whether incidents of a class hold a whole connection: one task for all
// its steps. Steps of the other classes have tasks of their own.
func outage(c bellhop.ErrorClass) bool {
	return c == bellhop.ClassUnavailable || c == bellhop.ClassUnauthorized || c == bellhop.ClassRateLimited
}

func incidentWords(c bellhop.ErrorClass, name string) (title, next string) {
	switch c {
	case bellhop.ClassUnauthorized:
		return name + " refuses the credentials", "Put a valid token into the configuration and restart."
	case bellhop.ClassRateLimited:
		return name + " says the quota is used up", "Wait for the vendor's quota to come back, or ask them for more."
	case bellhop.ClassRejected:
		return name + " refuses what it is sent", "Open the request, put it right and press Retry."
	case bellhop.ClassUnknownOutcome:
		return "It is not known what " + name + " did", "Look there whether it was done."
	case bellhop.ClassNotSent:
		return name + " fails for single requests", "Open the request and press Retry, or do it by hand."
	default:
		return name + " does not answer", "Look at the vendor's status page; nothing else has to be done."
	}
}

// Describe says in words what a step is to do and for whom, and what it carries.
func Describe(s bellhop.Step) (what, payload string) {
	var in struct {
		bellhop.ContactInput
		ContactEmail   string `json:"contact_email"`
		Text           string `json:"text"`
		Subject        string `json:"subject"`
		Body           string `json:"body"`
		RequesterEmail string `json:"requester_email"`
		Title          string `json:"title"`
		Comment        string `json:"comment"`
		Status         string `json:"status"`
		Type           string `json:"type"`
	}
	if err := json.Unmarshal(s.Input, &in); err != nil {
		return s.Kind, string(s.Input)
	}
	switch bellhop.Action(s.Kind) {
	case bellhop.ActionUpsertContact:
		return "put the contact " + in.Email + " into the CRM", lines("Name", strings.TrimSpace(in.FirstName+" "+in.LastName),
			"E-mail", in.Email, "Phone", in.Phone, "Company", in.Company, "Stage", in.LifecycleStage)
	case bellhop.ActionAddNote:
		return "write a note to the contact " + in.ContactEmail, lines("Note", in.Text)
	case bellhop.ActionCreateTicket:
		return "open a ticket for " + cmp.Or(in.RequesterEmail, "a visitor"), lines("Subject", in.Subject, "Text", in.Body)
	case bellhop.ActionUpdateTicket:
		return "update a ticket", lines("Status", in.Status, "Comment", in.Comment)
	case bellhop.ActionSendAlert:
		return "send the alert “" + in.Title + "”", lines("Text", in.Text)
	case bellhop.ActionSendWebhook:
		return "send the webhook " + in.Type, string(s.Input)
	case bellhop.ActionDeletePerson:
		return "delete a person who was erased here", string(s.Input)
	default:
		return s.Kind, string(s.Input)
	}
}

func lines(pairs ...string) string {
	var out []string
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			out = append(out, pairs[i]+": "+pairs[i+1])
		}
	}
	return strings.Join(out, "\n")
}

func capitalise(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
