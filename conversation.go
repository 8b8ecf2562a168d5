package bellhop

import "time"

// Owner is who a conversation or request belongs to: exactly one of the two ids.
type Owner struct {
	VisitorID string
	UserID    string
}

// IsZero reports whether nobody owns it.
func (o Owner) IsZero() bool { return o.VisitorID == "" && o.UserID == "" }

// Conversation is a chat.
type Conversation struct {
	ID        string
	Owner     Owner
	PersonID  string // "" until the person is known
	Status    ConversationStatus
	CreatedAt time.Time
}

// ConversationStatus says who answers: the assistant or a person.
type ConversationStatus string

// The statuses of a conversation.
const (
	ConversationOpen   ConversationStatus = "open"
	ConversationPerson ConversationStatus = "with_person"
	ConversationClosed ConversationStatus = "closed"
)

// Role says who wrote a message.
type Role string

// The roles.
const (
	RoleCustomer  Role = "customer"
	RoleAssistant Role = "assistant"
	RoleAgent     Role = "agent" // a person who works for the product
)

// Message is one turn of a conversation. ClientID is the id that the client chose;
// within a conversation it is unique, so a message that is sent again changes nothing.
type Message struct {
	ID             string
	ConversationID string
	ClientID       string
	Role           Role
	Text           string
	CreatedAt      time.Time
}

// Intent is what a customer wants from one turn.
type Intent string

// The intents.
const (
	IntentLead     Intent = "lead"
	IntentBilling  Intent = "billing"
	IntentSupport  Intent = "support"
	IntentQuestion Intent = "question"
	IntentOther    Intent = "other"
)

// Decision is what the assistant concluded from a turn. It is a proposal: intake
// validates it and policy decides what follows.
type Decision struct {
	Intent        Intent     `json:"intent"`
	Confidence    float64    `json:"confidence"` // 0..1: the share of such decisions that are right
	Fields        LeadFields `json:"fields"`     // what this turn and the ones before it told
	AskedForHuman bool       `json:"asked_for_human,omitempty"`
	Escalated     bool       `json:"escalated,omitempty"` // a person was asked for it
	Summary       string     `json:"summary,omitempty"`   // one sentence for the person who takes over
	Language      string     `json:"language,omitempty"`
}

// LeadFields are the fields of a lead as a conversation tells them. Empty means
// not told; an empty field never overwrites a known one.
type LeadFields struct {
	Name    string `json:"name,omitempty"`
	Email   string `json:"email,omitempty"`
	Phone   string `json:"phone,omitempty"`
	Company string `json:"company,omitempty"`
	Wants   string `json:"wants,omitempty"` // what they are after, in their words
}

// Merge returns f with every field that newer tells put over it.
func (f LeadFields) Merge(newer LeadFields) LeadFields {
	set := func(dst *string, v string) {
		if v != "" {
			*dst = v
		}
	}
	set(&f.Name, newer.Name)
	set(&f.Email, newer.Email)
	set(&f.Phone, newer.Phone)
	set(&f.Company, newer.Company)
	set(&f.Wants, newer.Wants)
	return f
}

// Lead is the one canonical lead record of a person.
type Lead struct {
	ID             string
	PersonID       string
	ConversationID string // the conversation that made it, "" for another source
	Fields         LeadFields
	Source         string // "chat", "api", …
	Revision       int    // grows with every change of a field
	CreatedAt      time.Time
	UpdatedAt      time.Time
}
