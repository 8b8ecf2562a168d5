package bellhop

import "time"

// SupportStatus is the state of a support request.
type SupportStatus string

// The states: new → triaged → assigned → resolved, and back to triaged on reopen.
const (
	SupportNew      SupportStatus = "new"
	SupportTriaged  SupportStatus = "triaged"
	SupportAssigned SupportStatus = "assigned"
	SupportResolved SupportStatus = "resolved"
)

// SupportStatuses lists every status.
func SupportStatuses() []SupportStatus {
	return []SupportStatus{SupportNew, SupportTriaged, SupportAssigned, SupportResolved}
}

// CanMove reports whether the lifecycle has a move from s to to.
func (s SupportStatus) CanMove(to SupportStatus) bool {
	switch s {
	case SupportNew:
		return to == SupportTriaged || to == SupportAssigned || to == SupportResolved
	case SupportTriaged:
		return to == SupportAssigned || to == SupportResolved
	case SupportAssigned:
		return to == SupportTriaged || to == SupportResolved
	case SupportResolved:
		return to == SupportTriaged // reopen
	default:
		return false
	}
}

// Priority of a support request.
type Priority string

// The priorities.
const (
	PriorityUrgent Priority = "urgent"
	PriorityHigh   Priority = "high"
	PriorityNormal Priority = "normal"
	PriorityLow    Priority = "low"
)

// Priorities lists every priority, most pressing first.
func Priorities() []Priority {
	return []Priority{PriorityUrgent, PriorityHigh, PriorityNormal, PriorityLow}
}

// Reason says why a support request exists.
type Reason string

// The reasons.
const (
	ReasonRequested     Reason = "requested"       // the customer or the API asked for support
	ReasonAskedForHuman Reason = "asked_for_human" // the customer asked for a person
	ReasonLowConfidence Reason = "low_confidence"  // the assistant was not sure
	ReasonBilling       Reason = "billing"         // money, and the assistant was not sure
	ReasonDispute       Reason = "dispute"         // a payment was disputed
	ReasonSyncFailed    Reason = "sync_failed"     // a step could not be carried out
	ReasonOutage        Reason = "outage"          // a connection is down; holds all its steps
	ReasonLeadNoEmail   Reason = "lead_incomplete" // a lead that no CRM can be given: no e-mail
	ReasonErasure       Reason = "erasure"         // a vendor that cannot be asked to delete an erased person
)

// Reasons lists every reason.
func Reasons() []Reason {
	return []Reason{ReasonRequested, ReasonAskedForHuman, ReasonLowConfidence, ReasonBilling, ReasonDispute,
		ReasonSyncFailed, ReasonOutage, ReasonLeadNoEmail, ReasonErasure}
}

// SupportRequest is something a person has to look at.
type SupportRequest struct {
	ID             string
	PersonID       string // "" for the task of an outage
	ConversationID string
	EventID        string
	IncidentID     string
	CorrelationID  string
	Status         SupportStatus
	Priority       Priority
	Reason         Reason
	Subject        string
	Body           string // the customer, the payload in words, the cause, the next action
	Assignee       string
	TranscriptURL  string
	DueAt          time.Time
	Note           string
	CreatedAt      time.Time
	UpdatedAt      time.Time
	ResolvedAt     time.Time
}

// RequestKind is the kind of what a customer asked for.
type RequestKind string

// The kinds of requests.
const (
	RequestLead    RequestKind = "lead"
	RequestSupport RequestKind = "support"
	RequestPayment RequestKind = "payment"
)

// RequestState is what the customer sees of their request.
type RequestState string

// The states a customer sees.
const (
	RequestPending RequestState = "pending" // something is missing from the customer
	RequestSaved   RequestState = "saved"   // stored here, awaiting sync
	RequestDone    RequestState = "done"
	RequestManual  RequestState = "manual" // with a person
)

// RequestStates lists every state.
func RequestStates() []RequestState {
	return []RequestState{RequestPending, RequestSaved, RequestDone, RequestManual}
}

// Request is what a customer asked for, as the customer may see it. Its state is
// derived from its steps and support request, never stored.
type Request struct {
	ID             string
	Kind           RequestKind
	PersonID       string
	Owner          Owner
	ConversationID string
	CorrelationID  string
	State          RequestState
	Message        string
	NextStep       string
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// Incident is one cause, connection and error class, however many steps it holds up.
type Incident struct {
	ID         string
	Connection string
	Class      ErrorClass
	Detail     string // the vendor's reason or status, no personal data
	TaskID     string // the support request that holds its steps
	Steps      int    // how many steps it has held up so far
	OpenedAt   time.Time
	UpdatedAt  time.Time
	ClosedAt   time.Time // zero while open
}
