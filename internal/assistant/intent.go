package assistant

import (
	"strings"
	"unicode"

	"bellhop"
)

// analysis is what the rules make of one text, before any context.
type analysis struct {
	words     []word
	has       map[string]bool // the concepts found
	human     bool            // asks for a person
	intent    bellhop.Intent
	scores    scores
	margin    float64 // by how much the best score leads
	contact   float64 // what contact details and introductions gave to lead
	form      float64 // what the form of a question gave
	price     float64 // what a word for a price gave
	asks      bool    // has the form of a question
	smalltalk bool    // nothing but greetings, thanks and the like
	empty     bool    // no words at all
	contacts  bool    // holds an e-mail address or phone number
}

// The weights of what is not a word.
const (
	weightQuestionMark = 0.8
	weightEmail        = 1.6
	weightPhone        = 1.3
	weightAmount       = 1.0
	weightSmalltalk    = 4.0
	weightCompound     = 2.1
	weightEmpty        = 3.5
	baseOther          = 0.9 // what nothing speaks for is most likely nothing
	politeness         = 0.8 // the score of a concern from which small talk around it is politeness
	moneyPull          = 0.8 // the share of trouble that counts for billing when money is meant
	moneyFloor         = 1.9 // the score from which a subject is meant
	moneyDoubt         = 0.3 // by how much another intent must lead to be preferred to billing
	contactDiscount    = 0.7 // the share of contact details that a problem takes away
	formDiscount       = 0.6 // the share of the form of a question that another subject takes away
)

// analyse reads text by rules. Its cost is linear in the length of text.
func (lx *lexicon) analyse(text string) analysis {
	text = clip(text, maxRunes)
	a := analysis{words: words(text), has: map[string]bool{}}
	for i := range a.words {
		a.words[i].fold = lx.typos.correct(a.words[i].fold)
	}
	covered := make([]bool, len(a.words))
	for _, m := range lx.patterns.find(a.words) {
		name := lx.concepts[m.tag].name
		if !a.has[name] {
			a.has[name] = true
			for i, w := range lx.concepts[m.tag].weights {
				a.scores[i] += w
			}
		}
		if smalltalkConcept(name) {
			for i := m.from; i < m.to; i++ {
				covered[i] = true
			}
		}
	}
	a.human = a.has["human"] && !a.has["sales"]
	if a.has["price"] {
		a.price = lx.concepts[lx.tags["price"]].weights[question]
	}
	a.addForm(lx, text, covered)
	a.settle()
	return a
}

func smalltalkConcept(name string) bool {
	switch name {
	case "greeting", "thanks", "bye", "ack", "laughter":
		return true
	}
	return false
}

// addForm scores what is not in single words: question marks, addresses, amounts,
// and whether there is anything beside small talk.
func (a *analysis) addForm(lx *lexicon, text string, covered []bool) {
	a.scores[other] += baseOther
	if strings.ContainsAny(text, "?¿？") {
		a.asks = true
		a.scores[question] += weightQuestionMark
		a.form += weightQuestionMark
	}
	for _, name := range []string{"contact_me", "intro"} {
		if a.has[name] {
			a.contact += lx.concepts[lx.tags[name]].weights[lead]
		}
	}
	for _, name := range []string{"qword", "howto"} {
		if a.has[name] {
			a.asks = true
			a.form += lx.concepts[lx.tags[name]].weights[question]
		}
	}
	if len(findEmails(text)) > 0 {
		a.contacts = true
		a.scores[lead] += weightEmail
		a.contact += weightEmail
	} else if len(findPhones(text, false)) > 0 {
		a.contacts = true
		a.scores[lead] += weightPhone
		a.contact += weightPhone
	}
	if strings.ContainsAny(text, "$€£¥") || strings.Contains(text, "R$") {
		a.scores[billing] += weightAmount
	}
	for _, w := range a.words {
		if moneyCompound(w.fold) {
			a.scores[billing] += weightCompound
			break
		}
	}
	a.empty = len(a.words) == 0
	if a.empty {
		a.scores[other] += weightEmpty
	}
	a.smalltalk = !a.empty && a.onlySmalltalk(lx, covered)
	if a.smalltalk {
		a.scores[other] += weightSmalltalk
	}
}

// moneyCompound reports whether w has a word for money inside: "overbilled",
// "Kreditkartenabrechnung". Words that begin with it are in the word lists.
func moneyCompound(w string) bool {
	for _, part := range []string{"billed", "billing", "charged", "charging", "payment", "refund", "invoic", "rechnung", "zahlung",
		"gebuhr", "buchung", "facturad", "cobrad", "cobranc", "pagament", "rembours", "prelev"} {
		if i := strings.Index(w, part); i > 0 {
			return true
		}
	}
	return false
}

// onlySmalltalk reports whether what small talk leaves over says nothing.
func (a *analysis) onlySmalltalk(lx *lexicon, covered []bool) bool {
	any := false
	for i, w := range a.words {
		switch {
		case covered[i]:
			any = true
		case lx.stop[w.fold] || !strings.ContainsFunc(w.raw, unicode.IsLetter):
		default:
			if len(a.words) > 1 && smallFiller(w.fold) {
				continue
			}
			return false
		}
	}
	return any && len(a.words) <= 12
}

// smallFiller reports whether w is a word that goes with greetings and thanks.
func smallFiller(w string) bool {
	switch w {
	case "much", "lot", "everyone", "team", "great", "day", "nice", "good", "helped", "helpful", "help", "well", "too", "friend",
		"again", "mate", "buddy", "dear", "sir", "madam", "dia", "tarde", "noche", "noite", "ayuda", "ajuda", "hilfe", "aide",
		"beaucoup", "vielmals", "mucho", "todos", "todo", "journee", "tag", "abend", "super", "perfect", "bot", "weekend", "cool", "ok", "okay", "oh", "wow", "yes", "sure", "fine", "there",
		"support", "info", "information", "time", "answer", "reply", "all", "assistance":
		return true
	}
	return false
}

// settle lets the concepts act on each other and picks the best intent.
func (a *analysis) settle() {
	// A problem with money is a matter of billing, however it is put.
	if a.scores[billing] >= moneyFloor {
		a.scores[billing] += moneyPull * max(a.scores[support], 0)
	}
	// Who reports a problem leaves an address for the answer, not to buy.
	if max(a.scores[billing], a.scores[support]) >= moneyFloor {
		a.scores[lead] -= contactDiscount * a.contact
	}
	// The form of a question says little when there is another subject.
	if subject := max(a.scores[billing], a.scores[lead], a.scores[support]); subject >= moneyFloor {
		a.scores[question] -= formDiscount * min(a.form, a.scores[question])
	}
	// Next to a word for money of one's own, a price is that of a bill.
	if a.has["price"] && a.scores[billing] >= moneyFloor && a.scores[lead] < moneyFloor {
		a.scores[question] -= formDiscount * a.price
		a.scores[billing] += (1 - formDiscount) * a.price
	}
	// Words meant for the machine do not make money a joke.
	if a.has["injection"] && a.scores[billing] >= moneyFloor {
		a.scores[other] = min(a.scores[other], baseOther)
	}
	// Small talk around a real concern is politeness.
	if !a.smalltalk && !a.has["chitchat"] && !a.has["injection"] && !a.has["idle"] && a.strongest() >= politeness {
		a.scores[other] = min(a.scores[other], baseOther)
	}
	best, second := 0, -1
	for i := range a.scores {
		if a.scores[i] > a.scores[best] {
			best = i
		}
	}
	// Where money may be meant, taking it for something else is the worse mistake.
	if a.scores[billing] >= moneyFloor && a.scores[best]-a.scores[billing] < moneyDoubt {
		best = billing
	}
	for i := range a.scores {
		if i != best && (second < 0 || a.scores[i] > a.scores[second]) {
			second = i
		}
	}
	a.intent = intents()[best]
	a.margin = max(0, a.scores[best]-max(a.scores[second], 0))
	if a.scores[best] <= baseOther {
		a.margin = 0 // nothing spoke for anything
	}
}

// strongest returns the best score of an intent other than other.
func (a *analysis) strongest() float64 {
	return max(a.scores[billing], a.scores[lead], a.scores[support], a.scores[question])
}
