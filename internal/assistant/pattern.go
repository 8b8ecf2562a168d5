package assistant

import (
	"fmt"
	"strings"
)

// gapWords is how many words ".." in a pattern may stand for.
const gapWords = 3

// A pattern is a row of elements that have to follow each other in one sentence:
// "cancel*" is any word with this beginning, "a/b" either word, ".." up to gapWords
// words. A leading "^" ties it to the beginning of a sentence.
type pattern struct {
	tag    int
	elems  []element
	anchor bool
}

type element struct {
	alts []alternative // empty: a gap
}

type alternative struct {
	text   string
	prefix bool
}

func (e element) matches(w string) bool {
	for _, a := range e.alts {
		if a.prefix && strings.HasPrefix(w, a.text) || a.text == w {
			return true
		}
	}
	return false
}

// matcher finds many patterns in one pass: they are filed under the first two bytes
// of their first word, so that a word is compared with few of them.
type matcher struct {
	files map[string][]pattern
}

func newMatcher() *matcher { return &matcher{files: map[string][]pattern{}} }

// add files one pattern under tag.
func (m *matcher) add(tag int, line string) error {
	p := pattern{tag: tag}
	if rest, ok := strings.CutPrefix(line, "^"); ok {
		p.anchor, line = true, rest
	}
	for _, f := range strings.Fields(line) {
		e := element{}
		if f != ".." {
			for a := range strings.SplitSeq(f, "/") {
				text, prefix := strings.CutSuffix(a, "*")
				if text == "" || text != fold(text) {
					return fmt.Errorf("pattern %q: %q is not a folded word", line, a)
				}
				e.alts = append(e.alts, alternative{text: text, prefix: prefix})
			}
		}
		p.elems = append(p.elems, e)
	}
	if len(p.elems) == 0 || len(p.elems[0].alts) == 0 {
		return fmt.Errorf("pattern %q does not begin with a word", line)
	}
	for _, a := range p.elems[0].alts {
		if a.prefix && len(a.text) < 2 {
			return fmt.Errorf("pattern %q: the first word is too short a prefix", line)
		}
		key := fileKey(a.text)
		if file := m.files[key]; len(file) == 0 || !samePattern(file[len(file)-1], p) {
			m.files[key] = append(file, p)
		}
	}
	return nil
}

// samePattern reports whether a and b are one pattern that two of its alternatives
// would file under the same key.
func samePattern(a, b pattern) bool { return &a.elems[0] == &b.elems[0] }

func fileKey(w string) string {
	if len(w) > 2 {
		return w[:2]
	}
	return w
}

// match is one place where a pattern was found: words[from:to].
type match struct{ tag, from, to int }

// find returns every match in ws, for each pattern and place at most one.
func (m *matcher) find(ws []word) []match {
	var out []match
	for i, w := range ws {
		for _, p := range m.files[fileKey(w.fold)] {
			if p.anchor && i > 0 && ws[i-1].sentence == w.sentence {
				continue
			}
			if end := matchAt(p.elems, ws, i, w.sentence); end > 0 {
				out = append(out, match{tag: p.tag, from: i, to: end})
			}
		}
	}
	return out
}

// matchAt returns the index after the last word of a match that begins at i, or 0.
func matchAt(elems []element, ws []word, i, sentence int) int {
	if len(elems) == 0 {
		return i
	}
	if len(elems[0].alts) == 0 {
		for skip := 0; skip <= gapWords && i+skip <= len(ws); skip++ {
			if end := matchAt(elems[1:], ws, i+skip, sentence); end > 0 {
				return end
			}
		}
		return 0
	}
	if i >= len(ws) || ws[i].sentence != sentence || !elems[0].matches(ws[i].fold) {
		return 0
	}
	return matchAt(elems[1:], ws, i+1, sentence)
}
