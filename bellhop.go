// Package bellhop holds the vocabulary of the product: the words of the design as
// types, the small interfaces between packages and the error codes of the outer
// contract. It imports only the standard library, so that every other package can
// import it.
package bellhop

import "time"

// Clock tells the time. Product code never calls time.Now itself, so that tests
// can move time without waiting.
type Clock interface {
	// Now returns the current instant in UTC.
	Now() time.Time
}

// SystemClock is the Clock of the machine.
type SystemClock struct{}

// Now returns the machine's time in UTC.
func (SystemClock) Now() time.Time { return time.Now().UTC() }

// Secret is a value that must never be printed: every way in which fmt, JSON or a
// logger could show it yields "***". Reveal is the one way out.
type Secret string

// Reveal returns the secret itself. Use it only where it leaves for its vendor.
func (s Secret) Reveal() string { return string(s) }

// String hides the value.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// GoString hides the value from %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides the value from JSON, YAML and loggers.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
