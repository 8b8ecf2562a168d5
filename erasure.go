package bellhop

import "time"

// ErasureInput is what is known about where an erased person's data went. Everything in it
// is an id of a vendor: what is planned from it outlives the erasure.
type ErasureInput struct {
	ErasureID string
	PersonID  string
	HeldAt    []HeldAt // by connection
	Now       time.Time
	NewID     func() string
}

// HeldAt is a connection that was given, or gave, something about a person.
type HeldAt struct {
	Connection string
	Refs       map[string]string // what the vendor calls it: "contact" → "551", "ticket" → "35436"
	URLs       []string          // where a person can look at it
	Customers  []string          // the vendor's ids of the person as a customer
}

// ErasureFunc plans what follows from an erasure at the vendors: a step for each that can
// be asked to delete, a support request for each that a person has to see to.
type ErasureFunc func(ErasureInput) Plan
