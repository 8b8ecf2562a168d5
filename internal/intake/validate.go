package intake

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"bellhop"
)

// checkText checks a text of a stranger: valid UTF-8, no NUL (Postgres cannot store
// it), not too long.
func checkText(field, s string, limit int, required bool) error {
	invalid := func(format string, args ...any) error {
		return bellhop.Errorf(bellhop.CodeInvalid, "Correct "+field+" and send it again.", format, args...)
	}
	switch {
	case !utf8.ValidString(s):
		return invalid("%s is not valid UTF-8.", field)
	case strings.ContainsRune(s, 0):
		return invalid("%s contains a NUL character.", field)
	case required && strings.TrimSpace(s) == "":
		return invalid("%s is empty.", field)
	case utf8.RuneCountInString(s) > limit:
		return invalid("%s is longer than %d characters.", field, limit)
	}
	return nil
}

const (
	maxField = 200
	maxWants = 4000
)

func checkLead(f bellhop.LeadFields) error {
	for _, c := range []struct {
		name, value string
		limit       int
	}{{"name", f.Name, maxField}, {"phone", f.Phone, 40}, {"company", f.Company, maxField}, {"wants", f.Wants, maxWants},
		{"email", f.Email, 254}} {
		if err := checkText(c.name, c.value, c.limit, false); err != nil {
			return err
		}
	}
	if f.Email != "" {
		if _, ok := bellhop.NormalizeEmail(f.Email); !ok {
			return bellhop.Errorf(bellhop.CodeInvalid, "Send an address that can receive mail, like ada@example.com.",
				"email is not an e-mail address.")
		}
	}
	if f.Email == "" && f.Phone == "" {
		return bellhop.Errorf(bellhop.CodeInvalid, "Send email, or at least phone.",
			"A lead needs a way to reach the person: email or phone.")
	}
	return nil
}

func checkSupport(s Support, userID string) (email string, err error) {
	for _, c := range []struct {
		name, value string
		limit       int
		required    bool
	}{{"subject", s.Subject, 300, true}, {"body", s.Body, 20_000, true}, {"name", s.Name, maxField, false},
		{"email", s.Email, 254, false}} {
		if err := checkText(c.name, c.value, c.limit, c.required); err != nil {
			return "", err
		}
	}
	if s.Priority != "" && priorityUnknown(s.Priority) {
		return "", bellhop.Errorf(bellhop.CodeInvalid, fmt.Sprintf("Send one of %v, or leave priority out.", bellhop.Priorities()),
			"There is no such priority.")
	}
	if s.Email == "" {
		if userID == "" {
			return "", bellhop.Errorf(bellhop.CodeInvalid, "Send email or user_id.", "Nobody could be answered: email is missing.")
		}
		return "", nil
	}
	email, ok := bellhop.NormalizeEmail(s.Email)
	if !ok {
		return "", bellhop.Errorf(bellhop.CodeInvalid, "Send an address that can receive mail, like ada@example.com.",
			"email is not an e-mail address.")
	}
	return email, nil
}

func priorityUnknown(p bellhop.Priority) bool {
	for _, x := range bellhop.Priorities() {
		if x == p {
			return false
		}
	}
	return true
}

// cleanFields drops what cannot be the field it claims to be: what an assistant
// proposes is taken with the same doubt as what a stranger sends.
func cleanFields(f bellhop.LeadFields) bellhop.LeadFields {
	tidy := func(s string, limit int) string {
		if checkText("", s, limit, false) != nil {
			return ""
		}
		return strings.TrimSpace(s)
	}
	email, _ := bellhop.NormalizeEmail(f.Email)
	return bellhop.LeadFields{Name: tidy(f.Name, maxField), Email: email, Phone: tidy(f.Phone, 40),
		Company: tidy(f.Company, maxField), Wants: tidy(f.Wants, maxWants)}
}
