package assistant

import (
	"embed"
	"fmt"
	"strconv"
	"strings"

	"bellhop"
)

//go:embed lexicon/*.txt
var lexiconFiles embed.FS

// intents fixes the order in which scores are kept; a tie goes to the earlier one,
// and money is where a mistake costs most.
func intents() []bellhop.Intent {
	return []bellhop.Intent{bellhop.IntentBilling, bellhop.IntentLead, bellhop.IntentSupport, bellhop.IntentQuestion,
		bellhop.IntentOther}
}

// The places of the intents in a scores.
const (
	billing = iota
	lead
	support
	question
	other
	intentCount
)

// scores holds one number for each intent, in the order of intents.
type scores [intentCount]float64

// languages lists the languages that the word lists and the texts exist in.
func languages() []string { return []string{"en", "es", "pt", "de", "fr"} }

// concept is a group of patterns that mean the same for the intent.
type concept struct {
	name    string
	weights scores
}

// lexicon is everything the rules know of words. It is built once and only read.
type lexicon struct {
	concepts []concept
	tags     map[string]int // concept name to its place
	patterns *matcher
	typos    *typos
	stop     map[string]bool           // of all languages
	language map[string]map[string]int // word, language: how much it speaks for it
	groups   map[string]int            // word to its group of synonyms
	synonyms [][]string
	fields   *fieldWords
}

func newLexicon() (*lexicon, error) {
	lx := &lexicon{tags: map[string]int{}, patterns: newMatcher(), stop: map[string]bool{},
		language: map[string]map[string]int{}, groups: map[string]int{}}
	for _, load := range []func() error{lx.loadIntents, lx.loadHuman, lx.loadTypos, lx.loadLanguages, lx.loadSynonyms,
		lx.loadFields} {
		if err := load(); err != nil {
			return nil, fmt.Errorf("assistant: word lists: %w", err)
		}
	}
	return lx, nil
}

// lexiconLine is a line of a word list with the heading it stands under.
type lexiconLine struct{ heading, text string }

func readLexicon(name string) ([]lexiconLine, error) {
	b, err := lexiconFiles.ReadFile("lexicon/" + name)
	if err != nil {
		return nil, err
	}
	var out []lexiconLine
	heading := ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			heading = line
			out = append(out, lexiconLine{heading: heading})
		default:
			out = append(out, lexiconLine{heading: heading, text: line})
		}
	}
	return out, nil
}

func (lx *lexicon) loadIntents() error {
	lines, err := readLexicon("intents.txt")
	if err != nil {
		return err
	}
	hints, err := readLexicon("hints.txt")
	if err != nil {
		return err
	}
	for _, l := range append(lines, hints...) {
		if l.text == "" {
			c, err := parseConcept(l.heading)
			if err != nil {
				return err
			}
			lx.tags[c.name] = len(lx.concepts)
			lx.concepts = append(lx.concepts, c)
			continue
		}
		if err := addPatterns(lx.patterns, len(lx.concepts)-1, l.text); err != nil {
			return err
		}
	}
	return nil
}

// addPatterns files the patterns of one line, which "|" separates.
func addPatterns(m *matcher, tag int, line string) error {
	for p := range strings.SplitSeq(line, "|") {
		if err := m.add(tag, strings.TrimSpace(p)); err != nil {
			return err
		}
	}
	return nil
}

// parseConcept reads "[name] intent=weight …".
func parseConcept(heading string) (concept, error) {
	name, rest, ok := strings.Cut(strings.TrimPrefix(heading, "["), "]")
	if !ok {
		return concept{}, fmt.Errorf("heading %q", heading)
	}
	c := concept{name: name}
	for f := range strings.FieldsSeq(rest) {
		intent, weight, _ := strings.Cut(f, "=")
		w, err := strconv.ParseFloat(weight, 64)
		if err != nil {
			return concept{}, fmt.Errorf("heading %q: %w", heading, err)
		}
		i := indexOf(intents(), bellhop.Intent(intent))
		if i < 0 {
			return concept{}, fmt.Errorf("heading %q: no intent %q", heading, intent)
		}
		c.weights[i] = w
	}
	return c, nil
}

func indexOf[T comparable](list []T, v T) int {
	for i, x := range list {
		if x == v {
			return i
		}
	}
	return -1
}

func (lx *lexicon) loadHuman() error {
	lines, err := readLexicon("human.txt")
	if err != nil {
		return err
	}
	for _, l := range lines {
		if err := addPatterns(lx.patterns, lx.tags["human"], l.text); err != nil {
			return err
		}
	}
	return nil
}

func (lx *lexicon) loadTypos() error {
	lines, err := readLexicon("typos.txt")
	if err != nil {
		return err
	}
	var keys, known []string
	for _, l := range lines {
		for w := range strings.FieldsSeq(fold(l.text)) {
			if l.heading == "[keys]" {
				keys = append(keys, w)
			} else {
				known = append(known, w)
			}
		}
	}
	lx.typos = newTypos(keys, known)
	return nil
}

func (lx *lexicon) loadLanguages() error {
	for file, weight := range map[string]int{"stop.txt": 1, "languages.txt": 2} {
		lines, err := readLexicon(file)
		if err != nil {
			return err
		}
		for _, l := range lines {
			lang := strings.Trim(l.heading, "[]")
			for w := range strings.FieldsSeq(l.text) {
				if file == "stop.txt" {
					lx.stop[w] = true
				}
				if lx.language[w] == nil {
					lx.language[w] = map[string]int{}
				}
				lx.language[w][lang] = max(lx.language[w][lang], weight)
			}
		}
	}
	return nil
}

func (lx *lexicon) loadSynonyms() error {
	lines, err := readLexicon("synonyms.txt")
	if err != nil {
		return err
	}
	for _, l := range lines {
		group := strings.Fields(l.text)
		for _, w := range group {
			if _, taken := lx.groups[w]; !taken {
				lx.groups[w] = len(lx.synonyms)
			}
		}
		lx.synonyms = append(lx.synonyms, group)
	}
	return nil
}
