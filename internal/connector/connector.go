// Package connector is the contract between the engine and the vendors: what a
// vendor's folder must offer (Vendor, Connector and the optional interfaces), how the
// outcome of a call is told (Result, Error) and the one HTTP client that calls go
// through. A connector opens no socket, sleeps, logs or retries by itself.
package connector

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"bellhop"
)

// Vendor is what a vendor's folder exports: data and a constructor.
type Vendor struct {
	Manifest Manifest
	// Setup is the vendor's setup.md: how an operator gets the credentials.
	Setup string
	// New makes a connector for one connection. Settings have been checked against
	// the manifest; New returns an error only for what a manifest cannot express.
	New func(Settings, Env) (Connector, error)
}

// Env is what a connector is given to work with.
type Env struct {
	HTTP  *Client
	Clock bellhop.Clock
}

// Connector carries out the actions of its manifest at one connection.
type Connector interface {
	// Do carries out one action. A failure is always an *Error; any other error is
	// taken as an unknown outcome.
	Do(ctx context.Context, call Call) (Result, error)
}

// Looker is implemented by connectors with actions whose manifest says "lookup".
type Looker interface {
	// Lookup tells whether an earlier try of the call, whose outcome is unknown, took
	// effect. It only reads. A failure is an *Error and says nothing about the call.
	Lookup(ctx context.Context, call Call) (res Result, found bool, err error)
}

// Incomplete is implemented by connectors that can be made before everything is
// configured: the server starts, and says at start what is missing.
type Incomplete interface {
	// Missing says what is missing for the connection to work, "" when nothing is.
	Missing() string
}

// Verifier is implemented by connectors that receive webhooks.
type Verifier interface {
	// Verify checks the signature over the raw body with every configured secret
	// before anything is parsed, and translates the event. Errors are *bellhop.Error
	// with CodeSignatureInvalid, CodeTimestampStale, CodeModeMismatch or CodeMalformed.
	Verify(d Delivery) (bellhop.Inbound, error)
}

// Lister is implemented by connectors whose vendor can list its events, to find what
// never arrived.
type Lister interface {
	// List returns one page of events since a time, newest or oldest first as the
	// vendor has them. Next is "" on the last page. A failure is an *Error.
	List(ctx context.Context, since time.Time, cursor string) (ListPage, error)
}

// ListPage is one page of a vendor's event list.
type ListPage struct {
	Events []ListedEvent
	Next   string
}

// ListedEvent is an event as the vendor lists it: Body is what a webhook would have
// carried.
type ListedEvent struct {
	Body    []byte
	Inbound bellhop.Inbound
}

// Delivery is one webhook as it came in.
type Delivery struct {
	Header     http.Header
	Body       []byte
	ReceivedAt time.Time
}

// Call is one action to carry out.
type Call struct {
	Action bellhop.Action
	Key    string // idempotency key, the same on every try, at most 255 characters
	Marker string // short opaque form of Key for searchable places: "bh-" and 20 characters of a-z2-7
	Input  json.RawMessage
	// Refs are the vendor's ids of what this call builds on, as earlier results
	// returned them: "contact", "ticket".
	Refs           map[string]string
	FirstAttemptAt time.Time // zero on the first try
	CorrelationID  string    // W3C trace id, 32 hex digits
}

// Result is the outcome of a call that took effect.
type Result struct {
	VendorID        string            `json:"vendor_id,omitempty"`
	URL             string            `json:"url,omitempty"`      // where a person can look at it
	Refs            map[string]string `json:"refs,omitempty"`     // kept for later calls of the same person or request
	Existing        bool              `json:"existing,omitempty"` // it was there already
	VendorRequestID string            `json:"vendor_request_id,omitempty"`
	Note            string            `json:"note,omitempty"` // anything a person should know
}

// Error is a failed call, classified.
type Error struct {
	Class           bellhop.ErrorClass
	Status          int // HTTP status, 0 when there was no answer
	Message         string
	VendorRequestID string
	// RetryAfter is how long the vendor asks to wait; 0 when it does not say.
	RetryAfter time.Duration
	// Quota marks a limit that waiting seconds does not heal (a day's quota): the
	// connection is parked instead of spinning.
	Quota bool
	Err   error
}

// Error returns class, status and the vendor's message.
func (e *Error) Error() string {
	s := string(e.Class)
	if e.Status != 0 {
		s += " (" + http.StatusText(e.Status) + ")"
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Rejectf makes a permanent error that a connector finds before it calls.
func Rejectf(message string) *Error {
	return &Error{Class: bellhop.ClassRejected, Message: message}
}

// BeforeWrite says what a failed read means for the write that was to follow it: the
// write was not sent, so an unknown outcome or a malformed answer of the read is only
// a reason to try again, not to look anything up.
func BeforeWrite(err error) error {
	var e *Error
	if errors.As(err, &e) && (e.Class == bellhop.ClassUnknownOutcome || e.Class == bellhop.ClassMalformed) {
		c := *e
		c.Class = bellhop.ClassUnavailable
		return &c
	}
	return err
}

// DecodeInput reads a call's input into dst. What cannot be read is a rejected call:
// sending it again cannot help.
func DecodeInput(call Call, dst any) error {
	if err := json.Unmarshal(call.Input, dst); err != nil {
		return &Error{Class: bellhop.ClassRejected, Message: "the step's input cannot be read", Err: err}
	}
	return nil
}
