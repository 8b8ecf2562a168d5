package assistant

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"bellhop"
)

// historyTurns bounds how many earlier messages are read for fields.
const historyTurns = 60

// extractFields returns what the customer told of themselves: known, then the
// history, then text, where the newer wins. Messages of the assistant are only read
// for what they ask; no field is ever taken from them.
func (lx *lexicon) extractFields(history []bellhop.Message, text string, now analysis, known bellhop.LeadFields) bellhop.LeadFields {
	out, ask := known, asked{}
	if len(history) > historyTurns {
		history = history[len(history)-historyTurns:]
	}
	for _, m := range history {
		if m.Role != bellhop.RoleCustomer {
			ask = lx.askedBy(m.Text)
			continue
		}
		out = lx.mergeTurn(out, m.Text, ask, lx.analyse(m.Text))
		ask = asked{}
	}
	return lx.mergeTurn(out, text, ask, now)
}

// mergeTurn puts the fields of one turn over those known before it.
func (lx *lexicon) mergeTurn(known bellhop.LeadFields, text string, ask asked, a analysis) bellhop.LeadFields {
	f, sure := lx.fieldsOf(text, ask, a, known)
	if known.Name != "" && !sure && !strings.HasPrefix(fold(f.Name), fold(known.Name)) {
		f.Name = "" // "this is Bob's laptop" does not rename Ana
	}
	return known.Merge(f)
}

// reader reads the fields of one text.
type reader struct {
	lx       *lexicon
	text     string
	ws       []word
	ask      asked
	emails   []emailHit
	phones   []phoneHit
	shouting bool // all in capitals, so that a capital letter says nothing
	name     string
	nameFrom int  // word index where the name begins
	nameTo   int  // and the index after its end
	sure     bool // the name was told as one
	company  string
}

// fieldsOf returns what one text tells. sure is whether the name was told outright
// and not concluded from "I'm …".
func (lx *lexicon) fieldsOf(text string, ask asked, a analysis, known bellhop.LeadFields) (f bellhop.LeadFields, sure bool) {
	text = clip(text, maxRunes)
	r := &reader{lx: lx, text: text, ws: words(text), ask: ask, shouting: shouting(text)}
	r.emails = append(findEmails(text), lx.findSpelled(text, r.ws)...)
	r.phones = findPhones(text, ask.phone)
	r.readIntroductions()
	r.readAnswers()
	r.readCard()
	name := r.name
	if name == "" {
		name = known.Name
	}
	if hit, ok := ownEmail(r.emails, text, name); ok {
		f.Email = hit.email
	}
	if n := len(r.phones); n > 0 {
		f.Phone = r.phones[n-1].phone
	}
	f.Name, f.Company = titled(bounded(r.name)), bounded(r.company)
	if a.intent == bellhop.IntentLead {
		f.Wants = r.wants(a)
	}
	return f, r.sure
}

// maxField bounds a name in runes; what is longer is none.
const maxField = 100

// bounded returns v on one line, or "" when it is too long to be a name.
func bounded(v string) string {
	v = strings.Join(strings.Fields(v), " ")
	if utf8.RuneCountInString(v) > maxField {
		return ""
	}
	return v
}

// shouting reports whether text has letters and hardly any small one.
func shouting(text string) bool {
	upper, lower := 0, 0
	for _, r := range text {
		switch {
		case unicode.IsUpper(r):
			upper++
		case unicode.IsLower(r):
			lower++
		}
	}
	return upper >= 8 && lower*4 < upper
}

// titled gives a name that was typed all small its capitals.
func titled(name string) string {
	if name != strings.ToLower(name) {
		return name
	}
	parts := strings.Fields(name)
	for i, p := range parts {
		r, n := utf8.DecodeRuneInString(p)
		if !particle(p) {
			parts[i] = string(unicode.ToUpper(r)) + p[n:]
		}
	}
	return strings.Join(parts, " ")
}

// inContact reports whether w belongs to an address or a phone number.
func (r *reader) inContact(w word) bool {
	for _, e := range r.emails {
		if w.start < e.end && e.start < w.end {
			return true
		}
	}
	for _, p := range r.phones {
		if w.start < p.end && p.start < w.end {
			return true
		}
	}
	return strings.Contains(w.raw, "@") && len(w.raw) > 1
}

// capital reports whether w is written like a name.
func (r *reader) capital(w word) bool {
	c, _ := utf8.DecodeRuneInString(w.raw)
	return !r.shouting && (unicode.IsUpper(c) || unicode.Is(unicode.Lo, c))
}

// plain reports whether w has the letters of a name: no digit, no sign of a URL.
func plain(w word) bool {
	for _, c := range w.raw {
		if !unicode.IsLetter(c) && !unicode.IsMark(c) && c != '\'' && c != '’' && c != '.' {
			return false
		}
	}
	return !strings.Contains(strings.TrimSuffix(w.raw, "."), ".") && w.raw != ""
}

// particle reports whether w may stand within a name.
func particle(w string) bool {
	switch fold(w) {
	case "da", "de", "do", "dos", "das", "del", "di", "du", "la", "le", "van", "von", "der", "den", "al", "el", "bin", "ibn", "y", "e", "st":
		return true
	}
	return false
}

// readIntroductions follows "my name is", "I work at" and their like.
func (r *reader) readIntroductions() {
	for _, m := range r.lx.fields.patterns.find(r.ws) {
		switch m.tag {
		case tagNameStrong:
			r.takeName(m.to, true)
		case tagNameWeak:
			r.takeName(m.to, false)
		case tagNameLabel:
			if r.labelled(m) {
				r.takeName(m.to, true)
			}
		case tagCompany:
			r.takeCompany(m.to, true)
		case tagCompanyWe:
			r.takeCompany(m.to, false)
		case tagCompanyLabel:
			if r.labelled(m) {
				r.takeCompany(m.to, true)
			}
		}
	}
	r.readHere()
	r.readFrom()
	r.readNameWithCompany()
}

// labelled reports whether m is followed by a colon: "name: Yuki".
func (r *reader) labelled(m match) bool {
	rest := strings.TrimLeft(r.text[r.ws[m.to-1].end:], " \t*_")
	return strings.HasPrefix(rest, ":") || strings.HasPrefix(rest, "=")
}

// readHere understands "Ben here".
func (r *reader) readHere() {
	for i := 1; i < len(r.ws) && r.name == ""; i++ {
		w := r.ws[i-1]
		first := i == 1 || r.ws[i-1].before >= breakClause
		if r.ws[i].fold == "here" && r.ws[i].before == breakNone && first && r.capital(w) && r.couldBeName(w) {
			r.name, r.nameFrom, r.nameTo, r.sure = w.raw, i-1, i+1, true
		}
	}
}

// readFrom understands "Thomas Müller from BMW" at the beginning of a clause. One
// capital letter alone may just begin the sentence, so it takes two.
func (r *reader) readFrom() {
	for i := 0; i+3 < len(r.ws) && r.name == ""; i++ {
		if i > 0 && r.ws[i].before < breakClause {
			continue
		}
		end := i
		for end < len(r.ws) && end-i < 4 && r.capital(r.ws[end]) && r.couldBeName(r.ws[end]) && (end == i || r.ws[end].before == breakNone) {
			end++
		}
		if end-i < 2 || end+1 >= len(r.ws) || r.ws[end].before != breakNone || !companyFollows(r.ws[end].fold) {
			continue
		}
		if r.takeCompany(end+1, false); r.company != "" {
			r.name, r.nameFrom, r.nameTo, r.sure = r.text[r.ws[i].start:r.ws[end-1].end], i, end, true
		}
	}
}

// companyFollows reports whether w leads from a person to where they work.
func companyFollows(w string) bool {
	switch w {
	case "from", "at", "of", "with", "de", "da", "do", "del", "von", "bei", "chez", "@", "por", "pela":
		return true
	}
	return false
}

// readNameWithCompany understands what follows a name: "… from Acme", "…, de Flores".
func (r *reader) readNameWithCompany() {
	i := r.nameTo
	if r.name == "" || r.company != "" || i >= len(r.ws) || r.ws[i].before > breakClause {
		return
	}
	if companyFollows(r.ws[i].fold) {
		r.takeCompany(i+1, false)
	}
}
