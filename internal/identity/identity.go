// Package identity answers who is asking: it turns the Authorization header of a
// request into a Principal. Anonymous is an answer; a header that proves nothing is an
// error, never a silent fall back to anonymous. No token and no key appears in an error.
package identity

import (
	"log/slog"
	"slices"

	"bellhop"
)

// Role is what kind of caller is asking.
type Role string

// The roles.
const (
	RoleAnonymous Role = "anonymous" // nobody in particular
	RoleVisitor   Role = "visitor"   // a browser with a visitor token
	RoleUser      Role = "user"      // a signed-in user of the product
	RoleServer    Role = "server"    // the product's own server
	RoleOperator  Role = "operator"  // who runs Bellhop
)

// Principal is who is asking.
type Principal struct {
	Role      Role
	VisitorID string // of a visitor
	UserID    string // of a user: auth.users.id on Supabase, in lower case
	Email     string // of a user, normalised; "" when the token names none
	// AnonymousUser marks a user who signed in without telling who they are.
	AnonymousUser bool
	KeyName       string          // of a server or operator: which key it was, never the key
	Scopes        []bellhop.Scope // of a server: what its key may do
	// OperatorRole is what an operator may do, "" for everybody else. A user of the product
	// has one too when the project's app_metadata says so; they stay a user.
	OperatorRole bellhop.OperatorRole
	OperatorID   string // of an operator who signed in with a password
	OperatorName string // the same; it may be an e-mail, so it is not for logs
	// Claims are the verified claims of a user as JSON, for the row level security of
	// the database. They hold personal data: do not log them.
	Claims []byte
}

// May reports whether the caller is an operator who may do what needs role.
func (p Principal) May(role bellhop.OperatorRole) bool { return p.OperatorRole.Covers(role) }

// Has reports whether the caller is a server whose key has a scope.
func (p Principal) Has(s bellhop.Scope) bool {
	return p.Role == RoleServer && slices.Contains(p.Scopes, s)
}

// Owner returns whose conversations and requests these are; zero for everybody who is
// neither visitor nor user.
func (p Principal) Owner() bellhop.Owner {
	return bellhop.Owner{VisitorID: p.VisitorID, UserID: p.UserID}
}

// LogValue shows role and ids only.
func (p Principal) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("role", string(p.Role))}
	for _, a := range []slog.Attr{slog.String("visitor_id", p.VisitorID), slog.String("user_id", p.UserID),
		slog.String("operator_id", p.OperatorID), slog.String("key", p.KeyName)} {
		if a.Value.String() != "" {
			attrs = append(attrs, a)
		}
	}
	return slog.GroupValue(attrs...)
}

// refuse makes the error of a caller who is not who they say.
func refuse(nextStep, message string) *bellhop.Error {
	return bellhop.Errorf(bellhop.CodeUnauthenticated, nextStep, "%s", message)
}
