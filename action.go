package bellhop

// Action names one thing a connector can do at its vendor.
type Action string

// The actions.
const (
	ActionUpsertContact Action = "crm.upsert_contact"
	ActionAddNote       Action = "crm.add_note"
	ActionCreateTicket  Action = "support.create_ticket"
	ActionUpdateTicket  Action = "support.update_ticket"
	ActionSendAlert     Action = "alert.send"
	ActionSendWebhook   Action = "webhook.send"
	ActionDeletePerson  Action = "person.delete"
)

// Actions lists every action.
func Actions() []Action {
	return []Action{ActionUpsertContact, ActionAddNote, ActionCreateTicket, ActionUpdateTicket, ActionSendAlert,
		ActionSendWebhook, ActionDeletePerson}
}

// ContactInput is the input of ActionUpsertContact. Empty fields are not sent, so
// that they never overwrite what the CRM knows.
type ContactInput struct {
	Email string `json:"email"` // normalised; what the contact is found by
	// PreviousEmail is set when the customer corrected it: a contact that an earlier call
	// of the same lane made for it (Refs "contact" and "contact_made") is renamed.
	PreviousEmail  string            `json:"previous_email,omitempty"`
	FirstName      string            `json:"first_name,omitempty"`
	LastName       string            `json:"last_name,omitempty"`
	Phone          string            `json:"phone,omitempty"`
	Company        string            `json:"company,omitempty"`
	LifecycleStage string            `json:"lifecycle_stage,omitempty"` // "lead", "customer"
	Extra          map[string]string `json:"extra,omitempty"`           // vendor property → value
}

// NoteInput is the input of ActionAddNote. The contact is taken from Call.Refs, or
// found by ContactEmail.
type NoteInput struct {
	ContactEmail string `json:"contact_email"`
	Text         string `json:"text"` // plain text; the connector escapes it
	Link         string `json:"link,omitempty"`
	LinkText     string `json:"link_text,omitempty"`
	At           string `json:"at"` // RFC 3339
}

// TicketInput is the input of ActionCreateTicket.
type TicketInput struct {
	Subject        string   `json:"subject"`
	Body           string   `json:"body"` // plain text
	RequesterName  string   `json:"requester_name,omitempty"`
	RequesterEmail string   `json:"requester_email,omitempty"` // "" when nobody knows it
	Priority       Priority `json:"priority"`
	Tags           []string `json:"tags,omitempty"`
	Link           string   `json:"link,omitempty"` // the transcript
}

// TicketUpdateInput is the input of ActionUpdateTicket. The ticket is taken from
// Call.Refs ("ticket").
type TicketUpdateInput struct {
	Status  SupportStatus `json:"status,omitempty"`
	AddTags []string      `json:"add_tags,omitempty"`
	Comment string        `json:"comment,omitempty"`
	Public  bool          `json:"public,omitempty"` // the customer sees the comment
}

// AlertInput is the input of ActionSendAlert.
type AlertInput struct {
	Title    string   `json:"title"`
	Text     string   `json:"text"` // plain text, may hold customer text: the connector escapes it
	Severity Severity `json:"severity"`
	Link     string   `json:"link,omitempty"`
	DedupKey string   `json:"dedup_key,omitempty"` // the incident, for vendors that fold
}

// WebhookInput is the input of ActionSendWebhook: the body is sent as
// {"type","timestamp","data"} under the Standard Webhooks headers.
type WebhookInput struct {
	Type      string `json:"type"`
	Timestamp string `json:"timestamp"` // RFC 3339
	Data      any    `json:"data"`
}

// DeletePersonInput is the input of ActionDeletePerson. It holds nothing but the vendor's own
// ids, under the names of Call.Refs: the step is kept when the person is not.
type DeletePersonInput struct {
	Refs map[string]string `json:"refs"`
}

// Severity of an alert.
type Severity string

// The severities.
const (
	SeverityInfo     Severity = "info"
	SeverityWarning  Severity = "warning"
	SeverityError    Severity = "error"
	SeverityCritical Severity = "critical"
)
