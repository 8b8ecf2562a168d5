package assistant

import "strings"

// maxWants bounds what is kept of what somebody is after.
const maxWants = 160

// wants returns what the writer is after, in their words: what follows "interested
// in" and the like, or else the sentence that made it a lead.
func (r *reader) wants(a analysis) string {
	for _, m := range r.lx.fields.patterns.find(r.ws) {
		if m.tag != tagWants || m.to >= len(r.ws) || r.ws[m.to].before > breakNone {
			continue
		}
		if v := r.wantedFrom(m.to); v != "" {
			return v
		}
	}
	return r.wantedSentence(a)
}

// wantedFrom takes the words from i to the end of their clause, without contact
// details. Fewer than one word of weight is nothing.
func (r *reader) wantedFrom(i int) string {
	end, weight := i, 0
	for end < len(r.ws) && (end == i || r.ws[end].before == breakNone) && !r.inContact(r.ws[end]) {
		if f := r.ws[end].fold; !r.lx.stop[f] && !r.lx.fields.notName[f] || wantedThing(f) {
			weight++
		}
		end++
	}
	for end > i && r.lx.stop[r.ws[end-1].fold] && !wantedThing(r.ws[end-1].fold) {
		end--
	}
	if weight == 0 || end <= i {
		return ""
	}
	return clipWords(r.text[r.ws[i].start:r.ws[end-1].end], maxWants)
}

// wantedThing reports whether w is something that one may want although it is no
// name for a person.
func wantedThing(w string) bool {
	switch w {
	case "demo", "quote", "help", "support", "call", "info", "information", "details", "order":
		return true
	}
	return false
}

// wantedSentence returns the sentence with the first word that says what is wanted.
func (r *reader) wantedSentence(a analysis) string {
	for _, m := range r.lx.patterns.find(a.words) {
		switch r.lx.concepts[m.tag].name {
		case "demo", "quote", "buy", "trial", "signup", "seeking", "plan_wanted", "more_info", "partner", "interest", "evaluating", "price":
			return r.sentence(a.words, m.from)
		}
	}
	return ""
}

// sentence returns the text of the sentence around word i, up to an address.
func (r *reader) sentence(ws []word, i int) string {
	from, to := i, i+1
	for from > 0 && ws[from-1].sentence == ws[i].sentence && !r.inContact(ws[from-1]) {
		from--
	}
	for to < len(ws) && ws[to].sentence == ws[i].sentence && !r.inContact(ws[to]) {
		to++
	}
	if ws[to-1].end > len(r.text) {
		return ""
	}
	return clipWords(r.text[ws[from].start:ws[to-1].end], maxWants)
}

// clipWords shortens s to n runes at the end of a word, on one line.
func clipWords(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	short := string(r[:n])
	if i := strings.LastIndexByte(short, ' '); i > n/2 {
		short = short[:i]
	}
	return short + "…"
}
