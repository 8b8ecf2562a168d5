package bellhop

import (
	"slices"
	"time"
)

// OperatorRole says what an operator may do. Each may do all that the one before it may.
type OperatorRole string

// The roles of operators, the least first.
const (
	OperatorViewer OperatorRole = "viewer" // reads everything that operators see
	OperatorAgent  OperatorRole = "agent"  // also works on support requests and settles steps
	OperatorOwner  OperatorRole = "owner"  // also drops steps in bulk, and says who else operates
)

// OperatorRoles lists the roles, the least first.
func OperatorRoles() []OperatorRole {
	return []OperatorRole{OperatorViewer, OperatorAgent, OperatorOwner}
}

// Covers reports whether r may do what needs least. No role covers nothing.
func (r OperatorRole) Covers(least OperatorRole) bool {
	have, need := slices.Index(OperatorRoles(), r), slices.Index(OperatorRoles(), least)
	return have >= 0 && need >= 0 && have >= need
}

// Operator is a person who runs Bellhop and signs in with a password.
type Operator struct {
	ID        string
	Name      string // a name or an e-mail, unique, in lower case
	Role      OperatorRole
	CreatedAt time.Time
	// DisabledAt is when the operator lost access; zero while they have it.
	DisabledAt  time.Time
	LastLoginAt time.Time // zero before the first
}

// OperatorSession is a browser in which somebody signed in to the console.
type OperatorSession struct {
	Digest   []byte   // SHA-256 of the token; the token itself is only in the browser
	Operator Operator // zero when a key of the environment was used
	// KeyProof ties a session to the operator key that began it: a MAC of the key under the
	// token. Nil when a password began it.
	KeyProof  []byte
	CSRF      string // what a form of this session carries
	CreatedAt time.Time
	ExpiresAt time.Time
	SeenAt    time.Time // to the minute
}

// Scope is one thing that a server key may do.
type Scope string

// The scopes.
const (
	ScopeLeadsWrite   Scope = "leads:write"
	ScopeSupportWrite Scope = "support:write"
	ScopeRequestsRead Scope = "requests:read"
	ScopeMetricsRead  Scope = "metrics:read"
)

// Scopes lists every scope.
func Scopes() []Scope {
	return []Scope{ScopeLeadsWrite, ScopeSupportWrite, ScopeRequestsRead, ScopeMetricsRead}
}

// ServerKey is a bearer key of the product's own server. The key itself is shown once,
// when it is made; only its digest is kept.
type ServerKey struct {
	ID         string
	Name       string // unique, also among revoked ones
	Digest     []byte // SHA-256 of the key
	Scopes     []Scope
	CreatedAt  time.Time
	RevokedAt  time.Time // zero while it is good
	LastUsedAt time.Time // to the minute; zero before the first use
}
