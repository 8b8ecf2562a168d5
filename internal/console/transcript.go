package console

import (
	"errors"
	"net/http"
	"time"

	"bellhop"
	"bellhop/internal/desk"
	"bellhop/internal/store"
)

// transcriptLength is as much of a conversation as one page shows: the newest messages.
const transcriptLength = 1000

type transcriptPage struct {
	page
	Conversation store.ConversationState
	Messages     []store.StoredMessage
	Requests     []bellhop.Request
	Cut          bool // older messages are not shown
	// Removed is when retention removed the oldest messages; zero when it did not.
	Removed time.Time
}

// showTranscript shows a conversation to whoever has its signed link, and to operators.
// A wrong link and a conversation that does not exist look the same.
func (c *console) showTranscript(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if !c.o.Tokens.CheckLink(linkTranscript, id, r.URL.Query().Get("s")) || !isID(id) {
		return c.missingTranscript(w, r)
	}
	conv, err := c.o.DB.ConversationForOperator(r.Context(), id)
	var known *bellhop.Error
	if errors.As(err, &known) && known.Code == bellhop.CodeNotFound {
		return c.missingTranscript(w, r)
	}
	if err != nil {
		return err
	}
	p := transcriptPage{page: c.page(r, "Conversation", ""), Conversation: conv}
	p.Bare = true
	if p.Messages, err = c.o.DB.Messages(r.Context(), id, transcriptLength); err != nil {
		return err
	}
	p.Cut = len(p.Messages) == transcriptLength
	if p.Removed, err = c.o.DB.RemovedAt(r.Context(), "messages", conv.CreatedAt); err != nil {
		return err
	}
	facts, err := c.o.DB.RequestsByConversation(r.Context(), id)
	if err != nil {
		return err
	}
	for _, f := range facts {
		p.Requests = append(p.Requests, desk.View(f))
	}
	return c.render(w, http.StatusOK, viewTranscript, p)
}

func (c *console) missingTranscript(http.ResponseWriter, *http.Request) error {
	return bellhop.Errorf(bellhop.CodeNotFound, "Copy the whole link from the ticket or message it stands in, with everything after "+
		"the question mark, and open it again. If it still does not open, ask whoever sent it for a new one.",
		"This link does not open a conversation.")
}

// transcriptPath is the address of a transcript on this server, for the console's own links.
func (c *console) transcriptPath(conversationID string) string {
	if conversationID == "" {
		return ""
	}
	return TranscriptURL("", c.o.Tokens, conversationID)
}

func sampleTranscript() transcriptPage {
	return transcriptPage{Messages: []store.StoredMessage{{Decision: &bellhop.Decision{}}}, Requests: []bellhop.Request{{}}, Cut: true, Removed: time.Unix(0, 0)}
}
