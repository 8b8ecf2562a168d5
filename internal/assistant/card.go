package assistant

import "strings"

// segment is a run of words between commas or line ends: words[from:to].
type segment struct {
	from, to int
	before   breakKind
}

// readCard reads what stands like on a visiting card: a signature below a message, or
// "Ana, CTO @ Nubela — ana@nubela.test".
func (r *reader) readCard() {
	segs := r.segments()
	if i := r.signoff(segs); i >= 0 && i < len(segs) {
		r.readSignature(segs[i:])
		return
	}
	if r.ask.any() && r.name != "" && r.company != "" || len(r.emails)+len(r.phones) == 0 || r.shouting {
		return
	}
	for i, s := range segs {
		if r.namelike(s) && r.leadsToContact(segs, i) {
			r.readSignature(segs[i:])
			return
		}
	}
}

func (r *reader) segments() []segment {
	var out []segment
	for i, w := range r.ws {
		if i == 0 || w.before >= breakClause {
			out = append(out, segment{from: i, to: i + 1, before: w.before})
			continue
		}
		out[len(out)-1].to = i + 1
	}
	return out
}

// signoff returns the place of the segment after a sign-off ("Best regards,"), or -1.
func (r *reader) signoff(segs []segment) int {
	for i := len(segs) - 1; i >= 0 && i >= len(segs)-8; i-- {
		s := segs[i]
		if s.to-s.from > 4 {
			continue
		}
		for _, m := range r.lx.fields.patterns.find(r.ws[s.from:s.to]) {
			if m.tag == tagSignoff && m.from == 0 && m.to == s.to-s.from && i+1 < len(segs) && r.namelike(segs[i+1]) {
				return i + 1
			}
		}
	}
	return -1
}

// namelike reports whether a segment is one to four words that are written like the
// name of a person or company and nothing else.
func (r *reader) namelike(s segment) bool {
	if s.to-s.from > 4 || !r.capital(r.ws[s.from]) {
		return false
	}
	for _, w := range r.ws[s.from:s.to] {
		legal := r.lx.fields.legal[w.fold]
		if r.inContact(w) || r.lx.fields.notName[w.fold] || !plain(w) && !legal || !legal && !r.capital(w) && !particle(w.fold) {
			return false
		}
		if r.lx.stop[w.fold] && s.to-s.from == 1 || len(w.raw) < 2 && s.to-s.from == 1 {
			return false
		}
	}
	return true
}

// leadsToContact reports whether between segment i and the first address or number
// there are only a few short segments, as on a card.
func (r *reader) leadsToContact(segs []segment, i int) bool {
	for j := i + 1; j < len(segs) && j <= i+4; j++ {
		s := segs[j]
		if r.inContact(r.ws[s.from]) || r.inContact(r.ws[s.to-1]) && s.to-s.from <= 3 {
			return true
		}
		if s.to-s.from > 5 {
			return false
		}
	}
	return false
}

// readSignature takes name and company from the segments of a card.
func (r *reader) readSignature(segs []segment) {
	for i, s := range segs {
		if i >= 5 || !r.namelike(s) {
			if i > 0 {
				return
			}
			continue
		}
		value := r.text[r.ws[s.from].start:r.ws[s.to-1].end]
		switch {
		case r.company == "" && (r.endsLegal(s) || r.name != "" && i > 0 && !strings.EqualFold(r.name, value)):
			r.company = r.withFullStop(s.from, s.to)
		case r.name == "" && !r.endsLegal(s) && !r.lx.fields.places[r.ws[s.from].fold]:
			r.name, r.nameFrom, r.nameTo = value, s.from, s.to
			r.sure = true
		}
	}
}

func (r *reader) endsLegal(s segment) bool {
	return r.lx.fields.legal[r.ws[s.to-1].fold]
}
