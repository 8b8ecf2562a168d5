package assistant

import "strings"

// couldBeName reports whether w alone may be a name.
func (r *reader) couldBeName(w word) bool {
	if !plain(w) || r.inContact(w) || len(w.fold) < 2 || len(w.fold) > 24 || r.lx.fields.notName[w.fold] {
		return false
	}
	if r.capital(w) {
		return true // "Will" and "May" are words too, but written as names
	}
	return !r.lx.stop[w.fold]
}

// takeName takes the name that begins at word i. After a weak introduction ("I'm")
// anything may follow, so it takes a capital letter, or an address that begins with
// the same word.
func (r *reader) takeName(i int, strong bool) {
	if i >= len(r.ws) || r.sure && r.name != "" && !strong {
		return
	}
	first := r.ws[i]
	if first.before > breakClause || !r.couldBeName(first) || !strong && (first.before != breakNone || r.lx.fields.places[first.fold]) {
		return
	}
	if !strong && !r.capital(first) && !r.likeAddress(first.fold) {
		return
	}
	from := i
	if honorific(first.fold) && i+1 < len(r.ws) && r.capital(r.ws[i+1]) && r.couldBeName(r.ws[i+1]) {
		i++
	}
	end := r.nameEnd(i, strong)
	if end < len(r.ws) && !strong && !r.capital(first) && r.ws[end].before == breakNone && !linkWord(r.ws[end].fold) {
		return
	}
	r.name, r.nameFrom, r.nameTo, r.sure = r.text[first.start:r.ws[end-1].end], from, end, strong
}

// honorific reports whether w is a title that stands before a name.
func honorific(w string) bool {
	switch w {
	case "dr", "prof", "mr", "mrs", "ms", "sr", "sra", "herr", "frau", "mme", "dra", "ing":
		return true
	}
	return false
}

// nameEnd returns the index after the last word of the name that begins at i.
func (r *reader) nameEnd(i int, strong bool) int {
	capital := r.capital(r.ws[i])
	end := i + 1
	for end < len(r.ws) && end-i < 4 && r.ws[end].before == breakNone {
		w := r.ws[end]
		switch {
		case particle(w.fold) && strong && r.nameAfterParticle(end):
			end += 2
			continue
		case r.lx.fields.notName[w.fold] || linkWord(w.fold) || !plain(w) || r.inContact(w):
			return end
		case capital && r.capital(w):
		case !capital && !r.lx.stop[w.fold] && end == i+1 && r.endsClause(end):
		default:
			return end
		}
		end++
	}
	return end
}

// nameAfterParticle reports whether the particle at i goes on with a name, not with
// a company: "João da Silva", but "de la empresa".
func (r *reader) nameAfterParticle(i int) bool {
	if i+1 >= len(r.ws) {
		return false
	}
	w := r.ws[i+1]
	return w.before == breakNone && r.capital(w) && r.couldBeName(w) && !r.lx.fields.legal[w.fold]
}

// endsClause reports whether nothing of weight follows word i in its clause.
func (r *reader) endsClause(i int) bool {
	if i+1 >= len(r.ws) || r.ws[i+1].before != breakNone {
		return true
	}
	next := r.ws[i+1]
	return linkWord(next.fold) || r.lx.stop[next.fold] || r.inContact(next)
}

// linkWord reports whether w leads from a name to the next thing.
func linkWord(w string) bool {
	switch w {
	case "and", "from", "at", "with", "und", "et", "here", "speaking", "y", "e", "of", "de", "da", "do", "von", "bei", "chez", "i":
		return true
	}
	return false
}

// likeAddress reports whether an address in the text begins with w.
func (r *reader) likeAddress(w string) bool {
	for _, e := range r.emails {
		if len(w) >= 3 && strings.HasPrefix(fold(e.email), w) {
			return true
		}
	}
	return false
}

// readAnswers takes a bare answer to the question before it: "What's your name?",
// "Dana Scully".
func (r *reader) readAnswers() {
	if len(r.ws) == 0 || strings.Contains(r.text, "?") {
		return
	}
	from, to := r.answer()
	if to <= from || to-from > 5 {
		return
	}
	for _, w := range r.ws[from:to] {
		if r.lx.fields.notName[w.fold] || r.inContact(w) {
			return
		}
	}
	value := r.text[r.ws[from].start:r.ws[to-1].end]
	switch {
	case r.ask.name && r.name == "" && to-from <= 4 && r.allPlain(from, to) && !r.lx.stop[r.ws[from].fold]:
		r.name, r.nameFrom, r.nameTo, r.sure = value, from, to, true
	case r.ask.company && !r.ask.name && r.company == "" && !r.lx.stop[r.ws[from].fold]:
		r.company = r.withFullStop(from, to)
	}
}

// answer returns the words of the first clause without what leads in to it.
func (r *reader) answer() (from, to int) {
	for from < len(r.ws) && from < 4 {
		switch r.ws[from].fold {
		case "its", "im", "i", "am", "the", "name", "is", "my", "soy", "es", "sou", "sure", "ok", "okay", "yes", "well", "hi",
			"hello", "bin", "ich", "it", "were", "we", "are", "work", "for", "at", "c", "est", "me", "llamo", "chamo", "of", "course", "je", "suis":
			from++
			continue
		}
		break
	}
	to = from
	for to < len(r.ws) && (to == from || r.ws[to].before == breakNone) && !r.inContact(r.ws[to]) {
		to++
	}
	return from, to
}

func (r *reader) allPlain(from, to int) bool {
	for _, w := range r.ws[from:to] {
		if !plain(w) {
			return false
		}
	}
	return true
}
