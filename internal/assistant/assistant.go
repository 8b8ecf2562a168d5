// Package assistant answers a customer's turn and concludes a decision from it.
//
// The interface Assistant is what offline and hosted models share. An assistant
// proposes and never writes: it reads the knowledge it was given and the asking
// person's own requests, and returns text and a bellhop.Decision; the API passes the
// decision to intake, and only then is anything true. So no text that is made here
// says that something was saved, sent or created, or that somebody will call back:
// the API adds the committed state of the request below the text. Promises finds
// sentences that break this rule.
//
// Offline is an assistant that needs no key and no network: it finds intent and
// lead fields by rules (the word lists are in lexicon/), answers from a folder of
// Markdown by full-text search, and hands over to a person when it is not sure.
package assistant

import (
	"context"

	"bellhop"
)

// Assistant answers one turn and concludes a decision. It proposes and never writes.
type Assistant interface {
	// Reply answers t. delta, which may be nil, is called with the pieces of the
	// text in order as they are made; together they are Answer.Text.
	Reply(ctx context.Context, t Turn, delta func(string)) (Answer, error)
}

// Turn is what a customer just wrote, with all that the assistant may know of them.
type Turn struct {
	ConversationID string
	History        []bellhop.Message  // earlier turns, oldest first
	Text           string             // what the customer just wrote
	Known          bellhop.LeadFields // fields told in earlier turns
	PublicName     string             // the product's name, may be ""
	// Own reads the asking person's own requests, and nobody else's. Most turns need none,
	// so they are read when they are; nil where there are none.
	Own func(context.Context) ([]bellhop.Request, error)
}

// Answer is the text for the customer and the decision behind it.
type Answer struct {
	Text           string
	Sources        []Source // what the text was taken from
	Decision       bellhop.Decision
	Escalate       bool           // a person should take over
	EscalateReason bellhop.Reason // why, when Escalate is set
	// Usage is what the answer took of a hosted model; zero for the offline one. It also
	// counts when Reply returns an error.
	Usage Usage
}

// Usage is what one turn took of a hosted model.
type Usage struct {
	InputTokens  int64
	OutputTokens int64
	Cost         int64 // in millionths of a dollar
}

// Source names the place in the knowledge that an answer was taken from.
type Source struct {
	Title   string // of the document
	File    string // its path within the knowledge
	Section string // the heading, "" for what stands before the first one
}
