package bellhop

import (
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Person is a customer, known by normalised e-mail and/or the product's own user
// id. Its id is the first half of a lane key.
type Person struct {
	ID        string
	Email     string // normalised, "" when unknown
	UserID    string // the product's own user id, "" when unknown
	Name      string
	Phone     string
	CreatedAt time.Time
}

// PersonHint is what an event tells about the person it concerns. The store finds
// the person by UserID, Email, CustomerRef or VisitorID, in this order, or makes one.
type PersonHint struct {
	Email string // not yet normalised
	// Claimed is set when nobody but the asker says that the e-mail is theirs. Then it
	// finds the person of that e-mail, and nothing else is tied to them: whoever types an
	// address must not become its owner.
	Claimed     bool
	UserID      string
	VisitorID   string
	CustomerRef string // a vendor's customer id with the connection's name before it, "stripe:cus_1"
	Name        string
	Phone       string
}

// NormalizeEmail returns the form in which an e-mail identifies a person: trimmed,
// lower case, no display name. ok is false when it cannot be an address that
// receives mail (RFC 5321 lengths, one @, a domain with a dot, no control or space
// characters).
func NormalizeEmail(s string) (email string, ok bool) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > 254 || !utf8.ValidString(s) {
		return "", false
	}
	for _, r := range s {
		if unicode.IsControl(r) || unicode.IsSpace(r) {
			return "", false
		}
	}
	addr, err := mail.ParseAddress(s)
	if err != nil || addr.Address != s {
		return "", false
	}
	at := strings.LastIndexByte(s, '@')
	local, domain := s[:at], s[at+1:]
	if len(local) == 0 || len(local) > 64 || !validDomain(domain) {
		return "", false
	}
	return strings.ToLower(s), true
}

func validDomain(d string) bool {
	labels := strings.Split(d, ".")
	if len(labels) < 2 {
		return false
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
		for _, r := range l {
			if r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) {
				return false
			}
		}
	}
	last := labels[len(labels)-1]
	return strings.IndexFunc(last, unicode.IsLetter) >= 0
}
