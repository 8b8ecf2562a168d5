package assistant

import "strings"

// The tags of the patterns of fields.txt.
const (
	tagNameStrong = iota
	tagNameWeak
	tagNameLabel
	tagCompany
	tagCompanyWe
	tagCompanyLabel
	tagWants
	tagAskName
	tagAskEmail
	tagAskPhone
	tagAskCompany
	tagSignoff
)

func fieldTags() []string {
	return []string{"[name_strong]", "[name_weak]", "[name_label]", "[company]", "[company_we]", "[company_label]", "[wants]",
		"[ask_name]", "[ask_email]", "[ask_phone]", "[ask_company]", "[signoff]"}
}

// fieldWords is what the extraction of lead fields knows of words.
type fieldWords struct {
	patterns *matcher
	notName  map[string]bool // words that are no names although they stand like one
	places   map[string]bool // what people are from that is no company
	legal    map[string]bool // legal forms, which make a company of the words before
}

func (lx *lexicon) loadFields() error {
	lines, err := readLexicon("fields.txt")
	if err != nil {
		return err
	}
	fw := &fieldWords{patterns: newMatcher(), notName: map[string]bool{}, places: map[string]bool{}, legal: map[string]bool{}}
	sets := map[string]map[string]bool{"[not_name]": fw.notName, "[places]": fw.places, "[legal]": fw.legal}
	for _, l := range lines {
		if l.text == "" {
			continue
		}
		if set, ok := sets[l.heading]; ok {
			for w := range strings.FieldsSeq(l.text) {
				set[w] = true
			}
			continue
		}
		if err := addPatterns(fw.patterns, indexOf(fieldTags(), l.heading), l.text); err != nil {
			return err
		}
	}
	lx.fields = fw
	return nil
}

// asked is what the message before the customer's asked for.
type asked struct{ name, email, phone, company bool }

func (a asked) any() bool { return a.name || a.email || a.phone || a.company }

// askedBy reads from a message of the assistant or an agent what it asks for. Only
// sentences that end in a question mark ask.
func (lx *lexicon) askedBy(text string) asked {
	var a asked
	text = clip(text, maxRunes)
	for part := range strings.SplitAfterSeq(text, "?") {
		if !strings.HasSuffix(part, "?") {
			continue
		}
		ws := words(part)
		if len(ws) == 0 {
			continue
		}
		last := ws[len(ws)-1].sentence
		for _, m := range lx.fields.patterns.find(ws) {
			if ws[m.from].sentence != last {
				continue
			}
			switch m.tag {
			case tagAskName:
				a.name = true
			case tagAskEmail:
				a.email = true
			case tagAskPhone:
				a.phone = true
			case tagAskCompany:
				a.company = true
			}
		}
	}
	return a
}
