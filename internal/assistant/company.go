package assistant

import "strings"

// takeCompany takes the company that begins at word i. Without a capital letter it
// takes an address at that company to believe it.
func (r *reader) takeCompany(i int, strong bool) {
	if r.company != "" && !strong {
		return
	}
	if i+1 < len(r.ws) && article(r.ws[i].fold) && r.capital(r.ws[i+1]) && !r.capital(r.ws[i]) {
		i++
	}
	if i+1 < len(r.ws) && r.ws[i].before == breakNone && companyNoun(r.ws[i].fold) && r.ws[i+1].before <= breakClause {
		i++
	}
	if i >= len(r.ws) || r.ws[i].before > breakClause || !r.couldBeginCompany(i) {
		return
	}
	end := r.companyEnd(i)
	if !r.capital(r.ws[i]) && !r.likeDomain(r.ws[i].fold) {
		return
	}
	r.company = r.withFullStop(i, end)
}

func (r *reader) couldBeginCompany(i int) bool {
	w := r.ws[i]
	next := ""
	if i+1 < len(r.ws) && r.ws[i+1].before == breakNone {
		next = r.ws[i+1].fold
	}
	if r.inContact(w) || r.lx.fields.places[w.fold] && !r.lx.fields.legal[next] || r.lx.fields.places[next] && next != w.fold {
		return false
	}
	return !r.lx.fields.notName[w.fold] && !(r.lx.stop[w.fold] && !r.capital(w)) && len(w.raw) > 1
}

// companyEnd returns the index after the last word of the company at i.
func (r *reader) companyEnd(i int) int {
	end := i + 1
	for end < len(r.ws) && end-i < 6 {
		w := r.ws[end]
		legal := r.lx.fields.legal[w.fold] && w.before <= breakClause
		switch {
		case legal:
		case w.before != breakNone || r.inContact(w) || w.fold == "i" || w.fold == "im":
			return end
		case r.capital(w) || w.raw[0] >= '0' && w.raw[0] <= '9' && r.capital(r.ws[i]):
			if r.lx.stop[w.fold] && w.fold == "we" {
				return end
			}
		case companyLink(w.fold) && end+1 < len(r.ws) && r.ws[end+1].before == breakNone && r.capital(r.ws[end+1]) &&
			!r.lx.stop[r.ws[end+1].fold] && !r.inContact(r.ws[end+1]):
		default:
			return end
		}
		end++
	}
	return end
}

// withFullStop returns the text of the words, with the full stop that belongs to an
// abbreviated legal form at the end of a line; elsewhere it ends the sentence.
func (r *reader) withFullStop(from, to int) string {
	end := r.ws[to-1].end
	switch r.ws[to-1].fold {
	case "inc", "ltd", "co", "corp", "ltda":
		rest := r.text[end:]
		if strings.HasPrefix(rest, ".") && (len(rest) == 1 || rest[1] != ' ') {
			end++
		}
	}
	return strings.Join(strings.Fields(r.text[r.ws[from].start:end]), " ")
}

func article(w string) bool {
	switch w {
	case "the", "la", "el", "o", "a", "der", "die", "das", "le", "los", "las":
		return true
	}
	return false
}

func companyNoun(w string) bool {
	switch w {
	case "empresa", "firma", "societe", "company", "entreprise", "unternehmen", "agencia", "agency":
		return true
	}
	return false
}

func companyLink(w string) bool {
	switch w {
	case "y", "e", "and", "und", "et", "of", "de", "do", "da", "del", "du", "des", "&":
		return true
	}
	return false
}

// likeDomain reports whether an address in the text is at w.
func (r *reader) likeDomain(w string) bool {
	for _, e := range r.emails {
		_, domain, _ := strings.Cut(e.email, "@")
		if len(w) >= 3 && strings.HasPrefix(fold(domain), w) {
			return true
		}
	}
	return false
}
