package assistant

import (
	"strings"
	"sync"
)

// Promises reports whether text holds a sentence that promises a person, a
// follow-up or a ticket: "someone will contact you", "I've created a ticket". A
// question ("shall I …?"), a denial and what the customer is asked to do are none.
// It understands English, Spanish, Portuguese, German and French.
func Promises(text string) bool {
	ws := words(clip(text, maxRunes))
	asks := questions(text, ws)
	p := promiseRules()
	denied := map[int]bool{}
	matches := p.find(ws)
	for _, m := range matches {
		if m.tag == tagDenial {
			denied[ws[m.from].sentence] = true
		}
	}
	for _, m := range matches {
		s := ws[m.from].sentence
		if m.tag == tagPromise && !denied[s] && !asks[s] {
			return true
		}
	}
	return false
}

const (
	tagPromise = iota
	tagDenial
)

// promiseRules is built at first use and only read after.
var promiseRules = sync.OnceValue(func() *matcher {
	lines, err := readLexicon("promises.txt")
	if err != nil {
		panic(err) // an embedded file: a test reads it
	}
	m, tag := newMatcher(), tagPromise
	for _, l := range lines {
		switch {
		case l.heading == "[denial]":
			tag = tagDenial
		default:
			tag = tagPromise
		}
		if l.text == "" {
			continue
		}
		if err := addPatterns(m, tag, l.text); err != nil {
			panic(err)
		}
	}
	return m
})

// questions returns the sentences that end in a question mark.
func questions(text string, ws []word) map[int]bool {
	out := map[int]bool{}
	for i, w := range ws {
		if i+1 < len(ws) && ws[i+1].sentence == w.sentence {
			continue
		}
		end := len(text)
		if i+1 < len(ws) {
			end = min(ws[i+1].start, len(text))
		}
		if w.end <= end && strings.ContainsAny(text[w.end:end], "?？") {
			out[w.sentence] = true
		}
	}
	return out
}
