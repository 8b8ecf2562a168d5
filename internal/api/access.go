package api

import (
	"context"
	"slices"
	"strings"

	"bellhop"
	"bellhop/internal/identity"
)

// need returns the caller when their role is one of the roles.
func need(ctx context.Context, roles ...identity.Role) (identity.Principal, error) {
	p := principalOf(ctx)
	if slices.Contains(roles, p.Role) {
		return p, nil
	}
	return p, refused(p, rolesWords(roles))
}

// needOperator returns the caller when they are an operator who may do what needs least.
func needOperator(ctx context.Context, least bellhop.OperatorRole) (identity.Principal, error) {
	p := principalOf(ctx)
	if p.May(least) {
		return p, nil
	}
	if p.OperatorRole != "" {
		return p, bellhop.Errorf(bellhop.CodeForbidden, "Ask an operator with the role "+string(least)+" to do it.",
			"Your role, %s, may not do this.", p.OperatorRole)
	}
	return p, refused(p, "an operator key, or the access token of a user whose app_metadata makes them an operator")
}

// needScope returns the caller when they hold a server key with the scope, or have one of
// the roles.
func needScope(ctx context.Context, s bellhop.Scope, roles ...identity.Role) (identity.Principal, error) {
	p := principalOf(ctx)
	if p.Has(s) || slices.Contains(roles, p.Role) {
		return p, nil
	}
	if p.Role == identity.RoleServer {
		return p, bellhop.Errorf(bellhop.CodeForbidden, "Make a key that has it: bellhop key create NAME --scope "+string(s)+".",
			"This key does not have the scope %s.", s)
	}
	return p, refused(p, rolesWords(append([]identity.Role{identity.RoleServer}, roles...)))
}

func refused(p identity.Principal, use string) error {
	if p.Role == identity.RoleAnonymous {
		return bellhop.Errorf(bellhop.CodeUnauthenticated, "Send Authorization: Bearer with "+use+".", "Nobody is told who you are.")
	}
	return bellhop.Errorf(bellhop.CodeForbidden, "Use "+use+".", "A %s may not do this.", p.Role)
}

func rolesWords(roles []identity.Role) string {
	var out []string
	for _, r := range roles {
		switch r {
		case identity.RoleVisitor:
			out = append(out, "a visitor token (POST /v1/visitors)")
		case identity.RoleUser:
			out = append(out, "a user's access token")
		case identity.RoleServer:
			out = append(out, "a server key")
		case identity.RoleOperator:
			out = append(out, "an operator key")
		}
	}
	return strings.Join(out, " or ")
}

// operatorName is how an operator appears in what is recorded.
func operatorName(p identity.Principal) string {
	switch {
	case p.OperatorName != "":
		return p.OperatorName
	case p.KeyName != "":
		return p.KeyName
	case p.UserID != "":
		return "user " + p.UserID
	default:
		return "operator"
	}
}
