package identity

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"bellhop"
)

// PasswordCost is what one guess of a password costs: the parameters of argon2id. They
// stand in every hash, so that they can be raised: a hash of another cost is replaced at
// its owner's next login.
type PasswordCost struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

// DefaultPasswordCost is the first choice of
// https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
func DefaultPasswordCost() PasswordCost {
	return PasswordCost{MemoryKiB: 19 << 10, Passes: 2, Lanes: 1}
}

const (
	saltSize     = 16
	hashSize     = 32
	minPassword  = 12  // characters
	maxPassword  = 256 // bytes, so that a login cannot be made to hash a book
	maxMemoryKiB = 1 << 20
	maxPasses    = 64
)

var errHash = errors.New("identity: a password hash in the store cannot be read")

// hash makes the hash of a password with a new salt, in the form of
// https://github.com/P-H-C/phc-string-format
func (c PasswordCost) hash(password string) string {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.MemoryKiB, c.Passes, c.Lanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(c.key(password, salt)))
}

func (c PasswordCost) key(password string, salt []byte) []byte {
	return argon2.IDKey([]byte(password), salt, c.Passes, c.MemoryKiB, c.Lanes, hashSize)
}

// verify reports whether a password is that of a hash, and the cost that the hash has.
func verify(hash, password string) (ok bool, cost PasswordCost, err error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return false, cost, errHash
	}
	n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &cost.MemoryKiB, &cost.Passes, &cost.Lanes)
	if err != nil || n != 3 || cost.MemoryKiB > maxMemoryKiB || cost.Passes < 1 || cost.Passes > maxPasses || cost.Lanes < 1 {
		return false, cost, errHash
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false, cost, errHash
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(want) != hashSize {
		return false, cost, errHash
	}
	return subtle.ConstantTimeCompare(cost.key(password, salt), want) == 1, cost, nil
}

// CheckPassword returns CodeInvalid for a password that is too short to be one, or too
// long to be hashed.
func CheckPassword(password string) error {
	switch {
	case !utf8.ValidString(password) || len(password) > maxPassword:
		return bellhop.Errorf(bellhop.CodeInvalid, "Choose one of at most 256 bytes.", "The password cannot be used.")
	case utf8.RuneCountInString(password) < minPassword:
		return bellhop.Errorf(bellhop.CodeInvalid, "Choose one of at least 12 characters; four random words will do.",
			"The password is too short.")
	default:
		return nil
	}
}

// OperatorName returns a name as it is stored: trimmed and in lower case. CodeInvalid when
// it is neither a word nor an e-mail.
func OperatorName(name string) (string, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	bad := strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("._-+@", r)
	})
	if name == "" || len(name) > 254 || bad >= 0 {
		return "", bellhop.Errorf(bellhop.CodeInvalid, "Use letters, digits and . _ - + @, as in ada or ada@example.com.",
			"This cannot be the name of an operator.")
	}
	return name, nil
}
