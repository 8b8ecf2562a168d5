package assistant

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxRunes bounds how much of a message is looked at. Who writes more than this has
// said what they want near the beginning or at the end, and contact details in a
// signature are at the end; so the middle is what is left out.
const maxRunes = 4000

// clip returns s as valid UTF-8 with at most n runes: the head and a third at the tail.
func clip(s string, n int) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, " ")
	}
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)
	tail := n / 3
	return string(r[:n-tail]) + "\n" + string(r[len(r)-tail:])
}

// fold returns s in lower case without diacritics, the form in which all word lists
// are written: "Não" and "nao" are one word to somebody typing on a phone.
func fold(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		if r < 0x80 {
			if 'A' <= r && r <= 'Z' {
				r += 'a' - 'A'
			}
			b.WriteByte(byte(r))
			continue
		}
		if unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Cf, r) {
			continue
		}
		b.WriteString(foldRune(unicode.ToLower(r)))
	}
	return b.String()
}

// foldRune maps a lower-case letter of Latin-1 and Latin Extended-A to its base.
func foldRune(r rune) string {
	const from = "àáâãäåāăąçćĉċčďđèéêëēĕėęěĝğġģĥħìíîïĩīĭįıĵķĺļľŀłñńņňòóôõöøōŏőŕŗřśŝşšșţťŧțùúûüũūŭůűųŵýÿŷźżž"
	const to = "aaaaaaaaacccccddeeeeeeeeegggghhiiiiiiiiijklllllnnnnooooooooorrrsssssttttuuuuuuuuuuwyyyzzz"
	switch r {
	case 'ß':
		return "ss"
	case 'æ':
		return "ae"
	case 'œ':
		return "oe"
	case '’', '‘', 'ʼ', '´', '`':
		return "'"
	}
	i := 0
	for _, f := range from {
		if f == r {
			return to[i : i+1]
		}
		i++
	}
	if r >= 0xFF01 && r <= 0xFF5E { // full-width forms
		return strings.ToLower(string(r - 0xFEE0))
	}
	return string(r)
}

// breakKind says what stands between a word and the one before it.
type breakKind int

const (
	breakNone     breakKind = iota
	breakClause             // comma, dash, bracket, colon
	breakSentence           // full stop, question or exclamation mark
	breakLine
)

// word is one word of a text. Start and end are byte offsets into the text.
type word struct {
	raw, fold  string
	start, end int
	before     breakKind
	sentence   int // index of the sentence it belongs to
}

// words splits s. An e-mail address, a number with its separators and a word with
// an apostrophe stay one word each.
func words(s string) []word {
	var out []word
	brk, sentence := breakNone, 0
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !wordRune(r) {
			if !(r == '.' && i > 0 && initial(out, i)) {
				brk = max(brk, breakOf(r, s[i+n:]))
			}
			i += n
			continue
		}
		j := wordEnd(s, i)
		if brk >= breakSentence {
			sentence++
		}
		for _, w := range splitApostrophe(s[i:j], i) {
			w.before, w.sentence = brk, sentence
			out = append(out, w)
			brk = breakNone
		}
		i = j
	}
	return out
}

// initial reports whether the word that ends at byte i is a single capital letter, as
// in "K. Larsson", where the full stop ends nothing.
func initial(ws []word, i int) bool {
	if len(ws) == 0 || ws[len(ws)-1].end != i {
		return false
	}
	r, n := utf8.DecodeRuneInString(ws[len(ws)-1].raw)
	return n == len(ws[len(ws)-1].raw) && unicode.IsUpper(r)
}

func wordRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || r == '_' || r == '@'
}

// wordEnd returns where the word that starts at i ends. Joining characters belong
// to a word only between two of its letters.
func wordEnd(s string, i int) int {
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		if wordRune(r) || unicode.Is(unicode.Cf, r) {
			i += n
			continue
		}
		next, _ := utf8.DecodeRuneInString(s[i+n:])
		if strings.ContainsRune("'’.@+%&", r) && wordRune(next) {
			i += n
			continue
		}
		break
	}
	return i
}

func breakOf(r rune, rest string) breakKind {
	switch r {
	case '\n', '\r', '\u2028', '\u2029':
		return breakLine
	case '!', '?', '¡', '¿', '。', '？', '！', '…':
		return breakSentence
	case '.':
		if rest == "" || rest[0] == ' ' || rest[0] == '\n' || rest[0] == '.' || rest[0] == ')' {
			return breakSentence
		}
		return breakClause
	case ',', ';', ':', '(', ')', '[', ']', '<', '>', '"', '“', '”', '|', '–', '—', '/', '=':
		return breakClause
	case '-':
		if rest == "" || rest[0] == ' ' {
			return breakClause
		}
	}
	return breakNone
}

// splitApostrophe makes one word of "can't" and two of "j'ai": an English ending
// belongs to its word, a French or Italian article is a word of its own.
func splitApostrophe(raw string, at int) []word {
	f := fold(raw)
	cut := strings.IndexByte(f, '\'')
	if cut < 0 {
		return []word{{raw: raw, fold: squeeze(f), start: at, end: at + len(raw)}}
	}
	switch f[cut+1:] {
	case "m", "re", "ve", "ll", "d", "s", "t", "em", "all":
		return []word{{raw: raw, fold: squeeze(strings.ReplaceAll(f, "'", "")), start: at, end: at + len(raw)}}
	}
	i := strings.IndexAny(raw, "'’‘ʼ´`")
	if i <= 0 {
		return []word{{raw: raw, fold: strings.ReplaceAll(f, "'", ""), start: at, end: at + len(raw)}}
	}
	_, n := utf8.DecodeRuneInString(raw[i:])
	head := word{raw: raw[:i], fold: fold(raw[:i]), start: at, end: at + i}
	tail := word{raw: raw[i+n:], start: at + i + n, end: at + len(raw)}
	tail.fold = squeeze(strings.ReplaceAll(fold(tail.raw), "'", ""))
	if tail.raw == "" {
		return []word{head}
	}
	return []word{head, tail}
}

// squeeze shortens three and more of one letter to one: "hellooo" is "hello".
// Digits keep their number: "1000" is not "10".
func squeeze(s string) string {
	run := 0
	for i := 1; i < len(s); i++ {
		if s[i] == s[i-1] && s[i] >= 'a' && s[i] <= 'z' {
			if run++; run >= 2 {
				return squeezeRuns(s)
			}
		} else {
			run = 0
		}
	}
	return s
}

func squeezeRuns(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		j := i
		for j < len(s) && s[j] == s[i] {
			j++
		}
		if n := j - i; n >= 3 && s[i] >= 'a' && s[i] <= 'z' {
			b.WriteByte(s[i])
		} else {
			b.WriteString(s[i:j])
		}
		i = j
	}
	return b.String()
}
