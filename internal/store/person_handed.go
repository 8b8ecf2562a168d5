package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"bellhop"
)

// SourceRefused is the source of events that came by the outbox and could not be taken in.
const SourceRefused = "outbox-refused"

// waitingRow is a row of the outbox that was not taken in yet.
type waitingRow struct {
	id      int64
	payload []byte
}

// relation is what a text of somebody's own making has to do with the person.
type relation int

const (
	unrelated relation = iota
	namesThem          // it is of somebody else and holds their address
	isTheirs
)

// addHanded finds what came by the outbox and never became a row with a person: what waits
// to be taken in and, deep, what was refused. A payload is searched for what tells who they
// are, as it may be of any form.
func (s *personScope) addHanded(ctx context.Context, q queryer, deep bool) error {
	s.waiting, s.waitingOthers = nil, nil
	rows, err := q.query(ctx, "SELECT id, payload FROM bellhop.outbox ORDER BY id")
	if err != nil {
		return err
	}
	err = each(rows, func(r *sql.Rows) error {
		var w waitingRow
		err := r.Scan(&w.id, &w.payload)
		switch s.relationOf(w.payload) {
		case isTheirs:
			s.waiting = append(s.waiting, w)
		case namesThem:
			s.waitingOthers = append(s.waitingOthers, w)
		case unrelated:
		}
		return err
	})
	if err != nil || !deep {
		return err
	}
	return queryIn(ctx, q, "SELECT id, body FROM bellhop.events WHERE source IN (?)", []string{SourceRefused}, func(r *sql.Rows) error {
		var id string
		var body []byte
		err := r.Scan(&id, &body)
		switch s.relationOf(body) {
		case isTheirs:
			s.events = append(s.events, id)
		case namesThem:
			s.refusedOthers = append(s.refusedOthers, id)
		case unrelated:
		}
		return err
	})
}

// relationOf judges a payload: by its address and user id where it has one that can be
// used, otherwise by anything in it that tells who the person is.
func (s *personScope) relationOf(payload []byte) relation {
	var whose struct {
		Email  any `json:"email"`
		UserID any `json:"user_id"`
	}
	_ = json.Unmarshal(payload, &whose) // whatever else it is
	text := flatText(payload)
	email, _ := whose.Email.(string)
	email, named := bellhop.NormalizeEmail(email)
	user, _ := whose.UserID.(string)
	for _, a := range s.addresses {
		if named && a == email {
			return isTheirs
		}
	}
	for _, u := range s.users {
		if u == user {
			return isTheirs
		}
	}
	switch names := holdsAddress(text, s.addresses); {
	case names && (named || user != ""):
		return namesThem
	case names || !named && user == "" && s.tellsWho(text):
		return isTheirs
	}
	return unrelated
}

// tellsWho reports whether a text that names nobody else holds an id, a number or a whole
// name of the person.
func (s *personScope) tellsWho(text string) bool {
	text = strings.ToLower(text)
	words := append(append([]string{}, s.users...), s.visitors...)
	for _, p := range s.known {
		if strings.Contains(strings.TrimSpace(p.Name), " ") {
			words = append(words, strings.TrimSpace(p.Name))
		}
		words = append(words, strings.TrimSpace(p.Phone))
	}
	for _, w := range words {
		if utf8.RuneCountInString(w) > 5 && strings.Contains(text, strings.ToLower(w)) {
			return true
		}
	}
	return false
}

// flatText is the text of a JSON value as it reads, and what is not JSON as it is.
func flatText(raw []byte) string {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return string(raw)
	}
	var b strings.Builder
	eachText(v, func(s string) string { b.WriteString(s + "\n"); return s })
	return b.String()
}

// eachText replaces every text and key in a JSON value.
func eachText(v any, change func(string) string) any {
	switch v := v.(type) {
	case string:
		return change(v)
	case []any:
		for i := range v {
			v[i] = eachText(v[i], change)
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[change(k)] = eachText(x, change)
		}
		return out
	}
	return v
}

// nextAddress finds the first of the addresses in a text, whatever its case; one that is
// only a part of another address is not meant.
func nextAddress(text string, addresses []string) (from, to int, ok bool) {
	lower := strings.ToLower(text)
	if len(lower) != len(text) { // lower case can be longer or shorter than what it is of
		lower = strings.Map(func(r rune) rune {
			if r >= 'A' && r <= 'Z' {
				return r - 'A' + 'a'
			}
			return r
		}, text)
	}
	for _, a := range addresses {
		for at := 0; ; {
			i := strings.Index(lower[at:], a)
			if i < 0 || a == "" {
				break
			}
			i += at
			if at = i + len(a); apart(lower[:i], lower[at:]) {
				return i, at, true
			}
		}
	}
	return 0, 0, false
}

// apart reports whether what stands before and after an address is not of it.
func apart(before, after string) bool {
	if before != "" {
		if c := before[len(before)-1]; c >= utf8.RuneSelf || wordByte(c) || strings.IndexByte("._%+", c) >= 0 {
			return false
		}
	}
	if after == "" {
		return true
	}
	if after[0] == '.' && len(after) > 1 { // the end of a sentence, or more of the domain
		after = after[1:]
	}
	return after[0] < utf8.RuneSelf && !wordByte(after[0])
}

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-'
}

func holdsAddress(text string, addresses []string) bool {
	_, _, ok := nextAddress(text, addresses)
	return ok
}

// blankAddresses takes the addresses out of a text.
func blankAddresses(text string, addresses []string) string {
	for {
		from, to, ok := nextAddress(text, addresses)
		if !ok {
			return text
		}
		text = text[:from] + "(erased)" + text[to:]
	}
}

// blankJSON takes the addresses out of a JSON value; a field that is nothing else becomes
// empty. changed is false when none stands in it.
func blankJSON(raw string, addresses []string) (out string, changed bool) {
	var v any
	d := json.NewDecoder(strings.NewReader(raw))
	d.UseNumber() // a number stays as it was written
	if raw == "" || d.Decode(&v) != nil || !holdsAddress(flatText([]byte(raw)), addresses) {
		return raw, false
	}
	v = eachText(v, func(s string) string {
		if s = blankAddresses(s, addresses); s == "(erased)" {
			return ""
		}
		return s
	})
	b, err := json.Marshal(v)
	return string(b), err == nil
}

// handedInFlight is returned where a row of the outbox is being taken in just now.
func handedInFlight() error {
	return bellhop.Errorf(bellhop.CodeStateConflict, "Wait a few seconds and try again.",
		"What was handed over about this person is being taken in at this moment.")
}

// checkWaiting returns an error where rows of the outbox are in the way.
func (e *erasing) checkWaiting() error {
	if n := len(e.scope.waiting); n > 0 && !e.opts.DropOpen {
		return bellhop.Errorf(bellhop.CodeStateConflict,
			"Wait until they are taken in, or erase with --force: it deletes them, and the receipt says so.",
			"There are rows of the outbox about this person that were not taken in yet: %d.", n)
	}
	return nil
}

// redactHanded deletes what waits of the person, and takes their address out of what waits
// of others. A row that somebody has leased may be taken in at any moment.
func (e *erasing) redactHanded(ctx context.Context, now time.Time) error {
	const free = " AND (leased_until IS NULL OR leased_until < $2)"
	for _, w := range e.scope.waiting {
		n, err := e.t.exec(ctx, "DELETE FROM bellhop.outbox WHERE id = $1"+free, w.id, now)
		if err != nil || n == 0 {
			return errOr(err, handedInFlight())
		}
		e.rec.Removed["outbox"]++
	}
	for _, w := range e.scope.waitingOthers {
		payload, changed := blankJSON(string(w.payload), e.scope.addresses)
		if !changed {
			continue
		}
		n, err := e.t.exec(ctx, "UPDATE bellhop.outbox SET payload = $3 WHERE id = $1"+free, w.id, now, payload)
		if err != nil || n == 0 {
			return errOr(err, handedInFlight())
		}
		e.rec.Removed["outbox"]++
	}
	return nil
}

func errOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}
