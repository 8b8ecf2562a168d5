package assistant

import (
	"sort"
	"strings"
	"unicode"
)

// maxTerms bounds how many words of a question are searched for.
const maxTerms = 16

// term is a word of a question that says something, with what means the same.
type term struct {
	stems []string // beginnings of words; the question's own comes first
}

// in reports whether a sorted list of tokens has a word of the term.
func (t term) in(tokens []string) bool {
	for _, s := range t.stems {
		i := sort.SearchStrings(tokens, s)
		if i < len(tokens) && (tokens[i] == s || len(s) >= 4 && strings.HasPrefix(tokens[i], s)) {
			return true
		}
	}
	return false
}

// terms picks from ws what to search for.
func (lx *lexicon) terms(ws []word) []term {
	var out []term
	seen := map[string]bool{}
	for _, w := range ws {
		f := strings.TrimFunc(w.fold, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		if len(f) < 2 || len(f) > 40 || lx.stop[f] || strings.ContainsAny(f, "@.") || smalltalkWord(f) {
			continue
		}
		t := term{stems: []string{stem(f)}}
		if g, ok := lx.groups[f]; ok {
			for _, s := range lx.synonyms[g] {
				if st := stem(s); indexOf(t.stems, st) < 0 {
					t.stems = append(t.stems, st)
				}
			}
			f = lx.synonyms[g][0]
		}
		if key := stem(f); !seen[key] {
			seen[key] = true
			out = append(out, t)
		}
		if len(out) == maxTerms {
			break
		}
	}
	return out
}

// smalltalkWord reports whether w is a word of politeness that is no stop word.
func smalltalkWord(w string) bool {
	switch w {
	case "morning", "evening", "afternoon", "buenas", "buenos", "dias", "tardes", "bom", "boa", "tarde", "noite", "guten", "salut",
		"wondering", "question", "quick", "exactly", "explain", "tell", "describe", "usually", "currently", "actually":
		return true
	}
	return false
}

// stem takes the ending of number and tense off a word. It is crude on purpose: what
// is left is searched for as the beginning of a word.
func stem(w string) string {
	for _, end := range []string{"ations", "ation", "ings", "ing", "ies", "ed", "es", "s", "e", "y"} {
		if rest, ok := strings.CutSuffix(w, end); ok && len(rest) >= 4 {
			if n := len(rest); n > 4 && rest[n-1] == rest[n-2] {
				rest = rest[:n-1]
			}
			return rest
		}
	}
	return w
}

// matchQuery makes an FTS5 query of terms. Every word is quoted and holds only
// letters and digits, so that nothing a stranger writes is read as syntax; "" when
// nothing is left to search for.
func matchQuery(terms []term) string {
	var parts []string
	for _, t := range terms {
		for _, s := range t.stems {
			s = strings.Map(func(r rune) rune {
				if unicode.IsLetter(r) || unicode.IsDigit(r) {
					return r
				}
				return -1
			}, s)
			switch {
			case s == "":
			case len(s) >= 4:
				parts = append(parts, `"`+s+`"*`)
			default:
				parts = append(parts, `"`+s+`"`)
			}
		}
	}
	return strings.Join(parts, " OR ")
}
