package identity

import (
	"crypto/sha256"
	"crypto/subtle"
	"slices"

	"bellhop"
)

// Keys are the bearer keys of the environment. Only digests are kept, so that a
// dump of the memory's long-lived part holds no key.
type Keys struct {
	list []key
}

type key struct {
	digest [sha256.Size]byte
	role   Role
	name   string
}

// The names of the environment's keys, which are the variables' own.
const (
	EnvironmentOperator = "BELLHOP_OPERATOR_KEY"
	EnvironmentServer   = "BELLHOP_SERVER_KEY"
)

// NewKeys takes the keys of the environment; an empty one is no key.
func NewKeys(operator, server bellhop.Secret) Keys {
	var k Keys
	k.add(operator, RoleOperator, EnvironmentOperator)
	k.add(server, RoleServer, EnvironmentServer)
	return k
}

func (k *Keys) add(secret bellhop.Secret, role Role, name string) {
	if secret == "" {
		return
	}
	k.list = append(k.list, key{digest: sha256.Sum256([]byte(secret.Reveal())), role: role, name: name})
}

// Find returns whose key it is. It looks at every key, in constant time each, so that
// the time it takes tells nothing.
func (k Keys) Find(bearer string) (Principal, bool) {
	digest := sha256.Sum256([]byte(bearer))
	found := -1
	for i := range k.list {
		if subtle.ConstantTimeCompare(digest[:], k.list[i].digest[:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return Principal{}, false
	}
	p := Principal{Role: k.list[found].role, KeyName: k.list[found].name}
	if p.Role == RoleOperator {
		p.OperatorRole = bellhop.OperatorOwner
	} else {
		p.Scopes = bellhop.Scopes()
	}
	return p, true
}

func (k Keys) hasOperator() bool {
	return slices.ContainsFunc(k.list, func(one key) bool { return one.role == RoleOperator })
}

// proven returns the operator key that a session's proof was made with.
func (k Keys) proven(token string, want []byte) (name string, ok bool) {
	for _, one := range k.list {
		if one.role == RoleOperator && subtle.ConstantTimeCompare(proof(token, one.digest[:]), want) == 1 {
			name, ok = one.name, true
		}
	}
	return name, ok
}
