package bellhop

import "time"

// StepState is the state of a step; docs/states.md draws the moves between them.
type StepState string

// The states of a step.
const (
	StepWaiting  StepState = "waiting"  // behind another in its lane
	StepReady    StepState = "ready"    // due
	StepRunning  StepState = "running"  // a call that cannot be repeated safely is in flight
	StepRetrying StepState = "retrying" // failed, due again later
	StepUnknown  StepState = "unknown"  // the call may have happened: look it up before anything is sent
	StepParked   StepState = "parked"   // its connection's circuit is open
	StepManual   StepState = "manual"   // a person has it
	StepDone     StepState = "done"
	StepDropped  StepState = "dropped" // a person said so
)

// StepStates lists every state, in the order of docs/states.md.
func StepStates() []StepState {
	return []StepState{StepWaiting, StepReady, StepRunning, StepRetrying, StepUnknown, StepParked, StepManual,
		StepDone, StepDropped}
}

// Final reports whether no move leads out of the state.
func (s StepState) Final() bool { return s == StepDone || s == StepDropped }

// HoldsLane reports whether steps behind this one in its lane have to wait for it.
func (s StepState) HoldsLane() bool { return !s.Final() && s != StepManual }

// ErrorClass says what the outcome of a failed vendor call means for the step.
type ErrorClass string

// The error classes.
const (
	ClassNotSent        ErrorClass = "not_sent"        // certainly did not reach the vendor: retry
	ClassRejected       ErrorClass = "rejected"        // permanent; a person decides, with the vendor's reason
	ClassUnauthorized   ErrorClass = "unauthorized"    // permanent for the connection
	ClassRateLimited    ErrorClass = "rate_limited"    // not executed; wait as told
	ClassUnavailable    ErrorClass = "unavailable"     // not executed; retry
	ClassUnknownOutcome ErrorClass = "unknown_outcome" // may have happened: look up first
	ClassMalformed      ErrorClass = "malformed"       // answer not understood: as unknown for writes
)

// ErrorClasses lists every class.
func ErrorClasses() []ErrorClass {
	return []ErrorClass{ClassNotSent, ClassRejected, ClassUnauthorized, ClassRateLimited, ClassUnavailable,
		ClassUnknownOutcome, ClassMalformed}
}

// Step is one intended effect on one outside system: input, idempotency key, state,
// result or error in one row.
type Step struct {
	ID             string
	PersonID       string
	Connection     string // with PersonID: the lane
	Seq            int64  // order within the lane
	Kind           string // the action, "crm.upsert_contact"
	Key            string // idempotency key, unique for ever
	Input          []byte // JSON of the action's input type
	State          StepState
	EventID        string
	RequestID      string // the customer's request it serves, "" for none
	TaskID         string // the support request that holds it for a person
	IncidentID     string
	CorrelationID  string
	Attempts       int
	Version        int64 // grows with every write; results are recorded against it
	DueAt          time.Time
	FirstAttemptAt time.Time
	Result         []byte // JSON
	ErrorClass     ErrorClass
	Error          string
	DoneBy         string // "engine", or the operator who did it by hand
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// Attempt is one try of a step. It never holds secrets or message bodies.
type Attempt struct {
	StepID          string
	Number          int
	Node            string
	StartedAt       time.Time
	Duration        time.Duration
	Class           ErrorClass // "" when it succeeded
	Status          int        // HTTP status, 0 when there was none
	VendorRequestID string
	Error           string
}
