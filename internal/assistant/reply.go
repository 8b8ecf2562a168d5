package assistant

import (
	"context"
	"fmt"
	"strings"

	"bellhop"
)

// The coverage from which a section of the knowledge answers. Money has to be
// answered more surely, and so has a problem, where a near miss is a nuisance.
const (
	answersQuestion = 0.6
	answersBilling  = 0.72
	answersSupport  = 0.8
)

// talk is one turn while it is being answered.
type talk struct {
	o      *Offline
	turn   Turn
	a      analysis
	lang   string
	ask    asked // what the message before asked for
	told   bool  // this turn told a field
	conf   float64
	intent bellhop.Intent
	fields bellhop.LeadFields
	found  hit
	some   bool              // found is a section that shares words with the text
	own    []bellhop.Request // read when the turn asks for them
	answer Answer
}

// Reply answers t by rules; see Assistant.
func (o *Offline) Reply(ctx context.Context, t Turn, delta func(string)) (Answer, error) {
	if err := ctx.Err(); err != nil {
		return Answer{}, err
	}
	t.Text = clip(t.Text, maxRunes)
	k := &talk{o: o, turn: t, a: o.lx.analyse(t.Text)}
	k.understand()
	var err error
	if k.found, k.some, err = o.lookup(ctx, k.a.words); err != nil {
		return Answer{}, err
	}
	if k.a.has["status"] && t.Own != nil {
		if k.own, err = t.Own(ctx); err != nil {
			return Answer{}, err
		}
	}
	k.decide()
	k.answer.Decision = bellhop.Decision{Intent: k.intent, Confidence: k.conf, Fields: k.fields, AskedForHuman: k.a.human,
		Language: k.lang}
	k.answer.Decision.Summary = k.summary()
	if delta != nil {
		for _, piece := range sentences(k.answer.Text) {
			if err := ctx.Err(); err != nil {
				return Answer{}, err
			}
			delta(piece)
		}
	}
	return k.answer, nil
}

// understand finds language, fields and intent, with what went before.
func (k *talk) understand() {
	lx, h := k.o.lx, k.turn.History
	if n := len(h); n > 0 && h[n-1].Role != bellhop.RoleCustomer {
		k.ask = lx.askedBy(h[n-1].Text)
	}
	k.lang = lx.detectLanguage(k.turn.Text, k.a.words, k.spokenBefore())
	before := lx.extractFields(h, "", analysis{}, k.turn.Known)
	k.fields = lx.mergeTurn(before, k.turn.Text, k.ask, k.a)
	k.told = k.fields.Name != before.Name || k.fields.Email != before.Email || k.fields.Phone != before.Phone ||
		k.fields.Company != before.Company
	k.intent, k.conf = k.a.intent, confidence(k.a.margin)
	if k.a.human && k.intent == bellhop.IntentOther {
		k.intent = bellhop.IntentSupport
	}
	k.continueSubject()
}

// continueSubject keeps the subject when the turn only answers a question: "Dana
// Scully" is about what the conversation was about.
func (k *talk) continueSubject() {
	if !k.ask.any() || !k.told || k.a.human || k.a.scores[billing] >= moneyFloor || k.a.scores[support] >= moneyFloor {
		return
	}
	k.intent = bellhop.IntentLead
	for i := len(k.turn.History) - 1; i >= 0 && i >= len(k.turn.History)-12; i-- {
		m := k.turn.History[i]
		if m.Role != bellhop.RoleCustomer {
			continue
		}
		a := k.o.lx.analyse(m.Text)
		if a.intent == bellhop.IntentBilling || a.intent == bellhop.IntentSupport || a.intent == bellhop.IntentLead {
			k.intent = a.intent
			break
		}
	}
	k.conf = max(k.conf, confidence(weightSmalltalk))
}

// spokenBefore returns the language of the customer's last messages, "" when there
// are none.
func (k *talk) spokenBefore() string {
	lang, seen := "", 0
	for i := len(k.turn.History) - 1; i >= 0 && seen < 3; i-- {
		m := k.turn.History[i]
		if m.Role != bellhop.RoleCustomer {
			continue
		}
		seen++
		text := clip(m.Text, maxRunes)
		if l := k.o.lx.detectLanguage(text, words(text), "-"); l != "-" {
			if lang == "" || l != "en" {
				lang = l
			}
		}
	}
	return lang
}

// decide picks what to answer. The order is that of what must not be missed.
func (k *talk) decide() {
	switch {
	case k.a.human:
		k.escalate(bellhop.ReasonAskedForHuman, sayHuman)
	case k.ask.any() && k.told:
		k.afterAnswer()
	case k.declines():
		k.intent, k.conf = bellhop.IntentOther, max(k.conf, k.o.opts.Threshold)
		k.say(sayDeclined)
	case k.a.has["status"] && k.a.scores[billing] < moneyFloor && k.intent != bellhop.IntentBilling:
		k.ownRequests()
	case k.intent == bellhop.IntentBilling:
		k.billing()
	case k.conf < k.o.opts.Threshold:
		k.unsure()
	case k.intent == bellhop.IntentLead:
		k.lead()
	case k.intent == bellhop.IntentSupport:
		k.support()
	case k.intent == bellhop.IntentQuestion:
		k.question()
	default:
		k.other()
	}
}

// say makes the text of the answer, below what is there already.
func (k *talk) say(s say) {
	name := firstName(k.fields.Name)
	if s == sayScope || s == sayAbout {
		if name = k.turn.PublicName; name == "" {
			name = phrases(k.lang)[sayThisProduct]
		}
	}
	text := phrase(k.lang, s, clipWords(name, 60))
	if k.answer.Text != "" {
		text = k.answer.Text + "\n\n" + text
	}
	k.answer.Text = text
}

// firstName returns the first word of a name; a title alone is no address.
func firstName(name string) string {
	first, rest, _ := strings.Cut(name, " ")
	if strings.HasSuffix(first, ".") && rest != "" {
		return name
	}
	return first
}

func (k *talk) escalate(reason bellhop.Reason, s say) {
	k.answer.Escalate, k.answer.EscalateReason = true, reason
	k.say(s)
}

// known reports whether the knowledge answers with at least this coverage, by more
// than one chance word.
func (k *talk) known(coverage float64) bool {
	return k.some && k.found.coverage >= coverage && (k.found.matched >= 2 || k.found.inHead >= 1)
}

// quote answers from the knowledge and names the source.
func (k *talk) quote() {
	src := k.found.Source
	label := src.Title
	if src.Section != "" && src.Section != src.Title {
		label += ", “" + src.Section + "”"
	}
	k.answer.Text = excerpt(k.found.Body, k.o.lx.terms(k.a.words)) + "\n\n" + phrases(k.lang)[saySource] + " " + label
	k.answer.Sources = []Source{src}
}

// billing answers what can be looked up and leaves everything else about money to a
// person: a general question may be answered from the knowledge, a case never.
func (k *talk) billing() {
	general := k.a.asks && !k.a.has["wrong_money"] && !k.a.has["declined"] && !k.a.has["status"] && !k.a.has["broken"] &&
		!k.a.has["not_received"] && !k.a.has["complaint"] && !k.a.has["injection"] && !k.a.has["fault"] && !k.ownMoney()
	if general && k.conf >= k.o.opts.Threshold && k.known(answersBilling) {
		k.quote()
		return
	}
	if k.a.has["status"] && len(k.own) > 0 {
		k.answer.Text = ownText(k.lang, k.own)
	}
	k.escalate(bellhop.ReasonBilling, sayBilling)
}

// ownMoney reports whether the question is about a refund or charge of the asker:
// "when will I get my refund?" is a case, "how long do refunds take?" is not.
func (k *talk) ownMoney() bool {
	if !k.a.has["refund"] && !k.a.has["charge"] {
		return false
	}
	for _, w := range k.a.words {
		switch w.fold {
		case "my", "our", "mi", "mis", "nuestro", "nuestra", "meu", "minha", "nosso", "nossa", "mein", "meine", "unsere", "mon", "ma", "notre":
			return true
		}
	}
	return false
}

func (k *talk) support() {
	if !k.a.has["complaint"] && k.known(answersSupport) && k.found.matched >= 2 {
		k.quote()
		return
	}
	k.escalate(bellhop.ReasonRequested, saySupport)
}

func (k *talk) question() {
	switch {
	case k.known(answersQuestion):
		k.quote()
	case k.a.has["about_bot"]:
		k.say(sayAbout)
	default:
		k.escalate(bellhop.ReasonLowConfidence, sayNothingFound)
	}
}

// unsure is for what the rules do not understand well: the knowledge may answer it
// all the same, else a person does. Money that may be meant is money.
func (k *talk) unsure() {
	switch {
	case k.a.scores[billing] >= moneyFloor:
		k.escalate(bellhop.ReasonBilling, sayBilling)
	case k.known(answersSupport):
		k.quote()
	case k.intent == bellhop.IntentOther && len(k.a.words) <= 1:
		k.say(sayRephrase) // one unknown word is no case for a person
	default:
		k.escalate(bellhop.ReasonLowConfidence, sayUnsure)
	}
}

// lead asks for the one thing without which no CRM can be given the lead, then for a
// name, and then says that it is enough.
func (k *talk) lead() {
	if k.a.asks && k.known(answersQuestion) {
		k.quote()
	}
	switch {
	case k.fields.Email == "" && k.fields.Name != "" && k.told:
		k.say(sayAskEmailNamed)
	case k.fields.Email == "":
		k.say(sayAskEmail)
	case k.fields.Name == "" && !k.askedForName():
		k.say(sayAskName)
	case k.fields.Name == "":
		k.say(sayLead)
	default:
		k.say(sayLeadNamed)
	}
}

// askedForName reports whether the name was asked for before; twice is once too often.
func (k *talk) askedForName() bool {
	for _, m := range k.turn.History {
		if m.Role != bellhop.RoleCustomer && k.o.lx.askedBy(m.Text).name {
			return true
		}
	}
	return false
}

// afterAnswer goes on after a question of the assistant was answered. A person has
// the case already when it is about money or trouble.
func (k *talk) afterAnswer() {
	switch k.intent {
	case bellhop.IntentLead:
		k.lead()
	case bellhop.IntentBilling:
		if k.a.scores[billing] >= moneyFloor {
			k.billing()
			return
		}
		k.say(sayNoted)
	case bellhop.IntentSupport:
		if k.a.scores[support] >= moneyFloor {
			k.support()
			return
		}
		k.say(sayNoted)
	default:
		k.say(sayNoted)
	}
}

// declines reports whether the customer will not answer the question before.
func (k *talk) declines() bool {
	if !k.ask.any() || k.told || len(k.a.words) == 0 || len(k.a.words) > 14 || k.a.scores[billing] >= moneyFloor {
		return false
	}
	for _, w := range k.a.words {
		switch w.fold {
		case "no", "not", "dont", "wont", "rather", "nope", "later", "nao", "nein", "nicht", "non", "pas", "prefer", "skip", "prefiero",
			"lieber", "never", "nunca", "private", "why":
			return !k.a.asks || len(k.a.words) <= 3
		}
	}
	return false
}

func (k *talk) other() {
	switch {
	case k.a.empty, len(k.a.words) == 0:
		k.say(sayRephrase)
	case k.a.has["chitchat"], k.a.has["injection"]:
		k.say(sayScope)
	case k.a.has["bye"]:
		k.say(sayBye)
	case k.a.has["thanks"]:
		k.say(sayWelcome)
	case k.a.has["greeting"]:
		k.say(sayHello)
	case k.a.smalltalk:
		k.say(sayFine)
	case k.known(answersSupport):
		k.quote()
	default:
		k.say(sayScope)
	}
}

// ownRequests tells how the asking person's own requests stand. Nothing is taken
// from anywhere else, and one that does not exist is not invented.
func (k *talk) ownRequests() {
	if k.intent == bellhop.IntentOther || k.intent == bellhop.IntentQuestion {
		k.intent = bellhop.IntentSupport
	}
	if len(k.own) == 0 {
		k.escalate(bellhop.ReasonLowConfidence, sayOwnNone)
		return
	}
	k.answer.Text = ownText(k.lang, k.own)
}

// maxOwn is how many requests are told of; the newest are what people ask about.
const maxOwn = 5

func ownText(lang string, own []bellhop.Request) string {
	newest := append([]bellhop.Request(nil), own...)
	sortNewest(newest)
	lines := []string{phrases(lang)[sayOwn]}
	for _, r := range newest[:min(len(newest), maxOwn)] {
		kind, state := requestWords(lang, r)
		line := fmt.Sprintf("- %s: %s.", kind, state)
		if r.Message != "" {
			line += " " + r.Message
		}
		if r.NextStep != "" {
			line += " " + phrases(lang)[sayNextStep] + " " + r.NextStep
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}
