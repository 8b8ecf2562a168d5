package bellhop

import (
	"errors"
	"fmt"
)

// Code names an error of the outer contract; it is stable and is what clients
// switch on. The HTTP status belongs to the code, see Status.
type Code string

// The codes of the outer contract.
const (
	CodeMalformed           Code = "malformed"              // 400: the body cannot be read
	CodeInvalid             Code = "invalid"                // 422: readable, but a value is impossible
	CodeSignatureInvalid    Code = "signature_invalid"      // 400
	CodeTimestampStale      Code = "timestamp_stale"        // 400
	CodeModeMismatch        Code = "mode_mismatch"          // 400: test event on a live connection, or the reverse
	CodeUnauthenticated     Code = "unauthenticated"        // 401
	CodeForbidden           Code = "forbidden"              // 403
	CodeNotFound            Code = "not_found"              // 404: absent, or not the asker's
	CodeMethodNotAllowed    Code = "method_not_allowed"     // 405
	CodeIdempotencyConflict Code = "idempotency_conflict"   // 409: same key, other body
	CodeStateConflict       Code = "state_conflict"         // 409: a lifecycle move that does not exist
	CodeTooLarge            Code = "too_large"              // 413
	CodeUnsupportedMedia    Code = "unsupported_media_type" // 415
	CodeRateLimited         Code = "rate_limited"           // 429
	CodeInternal            Code = "internal"               // 500
	CodeUnavailable         Code = "unavailable"            // 503: could not be stored; send it again
)

// statusByCode is consulted through Status only.
func statusOf(c Code) int {
	switch c {
	case CodeMalformed, CodeSignatureInvalid, CodeTimestampStale, CodeModeMismatch:
		return 400
	case CodeUnauthenticated:
		return 401
	case CodeForbidden:
		return 403
	case CodeNotFound:
		return 404
	case CodeMethodNotAllowed:
		return 405
	case CodeIdempotencyConflict, CodeStateConflict:
		return 409
	case CodeTooLarge:
		return 413
	case CodeUnsupportedMedia:
		return 415
	case CodeInvalid:
		return 422
	case CodeRateLimited:
		return 429
	case CodeUnavailable:
		return 503
	default:
		return 500
	}
}

// Status returns the HTTP status that belongs to the code.
func (c Code) Status() int { return statusOf(c) }

// Retryable reports whether sending the very same request again can succeed.
func (c Code) Retryable() bool {
	return c == CodeRateLimited || c == CodeUnavailable || c == CodeInternal
}

// Error is an error that may be shown to a caller: Message says what is wrong in
// words, NextStep what to do about it. Anything that is not an *Error is internal
// and is shown as CodeInternal without its text.
type Error struct {
	Code     Code
	Message  string
	NextStep string
	Err      error // the cause, for the log only
}

// Error returns the code and the message.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Err)
	}
	return string(e.Code) + ": " + e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an *Error; nextStep is a sentence that tells the caller what to do.
func Errorf(code Code, nextStep, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), NextStep: nextStep}
}

// CodeOf returns the code of the first *Error in err's chain, or CodeInternal.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}
