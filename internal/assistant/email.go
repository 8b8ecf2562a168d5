package assistant

import (
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"bellhop"
)

// emailHit is an e-mail address in a text and how likely it is the writer's own.
type emailHit struct {
	start, end int
	email      string // normalised
	points     int    // grows with signs that it is the writer's own
}

// maxContacts bounds how many addresses and how many numbers of one text are looked
// at: nobody has more, and every word is compared with them.
const maxContacts = 16

// findEmails returns the addresses in text, in order. Looking left and right of each
// @ is bounded by the longest address there can be, so the cost is linear.
func findEmails(text string) []emailHit {
	var out []emailHit
	for i := 0; i < len(text) && len(out) < maxContacts; i++ {
		if text[i] != '@' {
			continue
		}
		start, end := localStart(text, i), domainEnd(text, i)
		if email, ok := bellhop.NormalizeEmail(text[start:end]); ok {
			out = append(out, emailHit{start: start, end: end, email: email})
			i = end - 1
		}
	}
	return out
}

func localStart(s string, at int) int {
	i := at
	for at-i < 64 && i > 0 {
		r, n := utf8.DecodeLastRuneInString(s[:i])
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._%+-'", r) {
			break
		}
		i -= n
	}
	for i < at && strings.IndexByte("._-'+%", s[i]) >= 0 {
		i++
	}
	return i
}

func domainEnd(s string, at int) int {
	j := at + 1
	for j < len(s) && j-at < 255 {
		r, n := utf8.DecodeRuneInString(s[j:])
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '.' && r != '-' {
			break
		}
		j += n
	}
	for j > at+1 && (s[j-1] == '.' || s[j-1] == '-') {
		j--
	}
	return j
}

// findSpelled returns addresses that were spelled out, "ana at acme dot io". The
// words are ordinary ones, so it takes a known ending and no ordinary word around
// them; brackets around "at" make it sure.
func (lx *lexicon) findSpelled(text string, ws []word) []emailHit {
	var out []emailHit
	for i := 1; i < len(ws)-1 && len(out) < maxContacts; i++ {
		if !atWord(ws[i].fold) || ws[i+1].before >= breakSentence {
			continue
		}
		bracketed := ws[i].start > 0 && strings.IndexByte("([{", text[ws[i].start-1]) >= 0
		first, local := spelledLocal(ws, i)
		last, domain := spelledDomain(ws, i)
		if domain == "" || local == "" {
			continue
		}
		if !bracketed && (lx.stop[ws[i-1].fold] || lx.stop[ws[i+1].fold] || ordinaryBeforeAt(ws[i-1].fold)) {
			continue
		}
		if email, ok := bellhop.NormalizeEmail(local + "@" + domain); ok {
			out = append(out, emailHit{start: ws[first].start, end: ws[last].end, email: email})
		}
	}
	return out
}

func atWord(w string) bool {
	return w == "at" || w == "arroba" || w == "klammeraffe" || w == "arobase"
}

func dotWord(w string) bool {
	switch w {
	case "dot", "punto", "ponto", "punkt", "point":
		return true
	}
	return false
}

// ordinaryBeforeAt reports whether w is a verb that "at" follows in plain speech.
func ordinaryBeforeAt(w string) bool {
	switch w {
	case "look", "looking", "meet", "work", "working", "write", "email", "mail", "reach", "call", "contact", "found", "me", "us",
		"here", "available", "visit", "person", "am", "is", "arrive", "staying", "live", "based":
		return true
	}
	return false
}

// spelledLocal joins "ana dot lopez" before the at-word ws[at].
func spelledLocal(ws []word, at int) (first int, local string) {
	first, local = at-1, ws[at-1].fold
	for first >= 2 && dotWord(ws[first-1].fold) && ws[first].before <= breakClause {
		first -= 2
		local = ws[first].fold + "." + local
	}
	return first, local
}

// spelledDomain joins "acme dot co dot uk" after the at-word ws[at]; "" unless it
// ends like a domain.
func spelledDomain(ws []word, at int) (last int, domain string) {
	last, domain = at+1, ws[at+1].fold
	for last+2 < len(ws) && last-at < 8 && dotWord(ws[last+1].fold) {
		last += 2
		domain += "." + ws[last].fold
	}
	end := domain[strings.LastIndexByte(domain, '.')+1:]
	if !strings.Contains(domain, ".") || !topLevel(end) {
		return last, ""
	}
	return last, domain
}

// topLevel reports whether w is an ending that people spell out. The list is short
// on purpose: endings that are words too ("in", "it", "is", "me") stay out.
func topLevel(w string) bool {
	switch w {
	case "com", "net", "org", "io", "co", "dev", "app", "ai", "de", "es", "fr", "pt", "br", "uk", "eu", "ch", "nl", "pl", "ca",
		"au", "mx", "ar", "cl", "info", "biz", "cloud", "tech", "shop", "store", "online", "edu", "gov", "test", "example":
		return true
	}
	return false
}

// ownEmail picks the writer's own address of those in one text: not the boss who is
// in copy, not the wrong one that is being corrected. Of equals the last one counts.
func ownEmail(hits []emailHit, text, name string) (emailHit, bool) {
	best := -1
	from := 0
	sort.SliceStable(hits, func(i, j int) bool { return hits[i].start < hits[j].start })
	for i := range hits {
		hits[i].points = emailPoints(text[min(from, hits[i].start):hits[i].start], hits[i].email, name)
		from = hits[i].end
		if best < 0 || hits[i].points >= hits[best].points {
			best = i
		}
	}
	if best < 0 || hits[best].points <= -2 {
		return emailHit{}, false
	}
	return hits[best], true
}

// emailPoints judges an address by the few words before it and by itself.
func emailPoints(before, email, name string) int {
	points := 0
	ws := words(lastBytes(before, 90))
	for back := 1; back <= 6 && back <= len(ws); back++ {
		w := ws[len(ws)-back]
		points += emailCue(w.fold, back)
		if w.before >= breakSentence {
			break
		}
	}
	local, _, _ := strings.Cut(email, "@")
	switch local {
	case "support", "info", "help", "sales", "noreply", "no-reply", "billing", "contact", "hello", "admin":
		points--
	}
	first, _, _ := strings.Cut(fold(name), " ")
	if len(first) >= 3 && strings.HasPrefix(fold(local), first) {
		points += 2
	}
	return points
}

// emailCue is what a word tells that stands back words before an address.
func emailCue(w string, back int) int {
	switch w {
	case "my", "mine", "me", "mi", "meu", "mein", "meine", "mon", "use", "reach", "should", "correct", "it's", "its":
		return 1
	case "not", "no", "nicht", "nao", "pas", "instead", "statt", "wrong":
		if back <= 2 || w == "instead" {
			return -4
		}
	case "cc", "bcc", "copy", "copia", "kopie", "boss", "manager", "colleague", "jefe", "chefe", "chef", "partner", "friend", "wife",
		"husband", "accountant", "assistant":
		return -3
	case "told", "emailed", "mailed", "wrote", "dijeron", "old":
		return -2
	}
	return 0
}

// lastBytes returns at most n bytes of the end of s, not cutting a rune.
func lastBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	i := len(s) - n
	for i < len(s) && !utf8.RuneStart(s[i]) {
		i++
	}
	return s[i:]
}
