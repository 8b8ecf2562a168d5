package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"bellhop"
	"bellhop/internal/store"
)

// eventWriter writes server-sent events and sends each at once.
type eventWriter struct {
	w     io.Writer
	flush func()
	err   error
}

func newEventWriter(w io.Writer) *eventWriter {
	e := &eventWriter{w: w, flush: func() {}}
	if rw, ok := w.(http.ResponseWriter); ok {
		rc := http.NewResponseController(rw)
		e.flush = func() { _ = rc.Flush() } // a broken connection shows at the next write
	}
	return e
}

// streamWrite is how long a reader may take for one piece. The server's limit is for a
// whole answer, and a stream has no end.
const streamWrite = 30 * time.Second

// allowTime gives the next piece of a long answer its time.
func allowTime(w io.Writer) {
	if rw, ok := w.(http.ResponseWriter); ok {
		_ = http.NewResponseController(rw).SetWriteDeadline(bellhop.SystemClock{}.Now().Add(streamWrite)) // not all can
	}
}

func (e *eventWriter) send(event string, v any) {
	if e.err != nil {
		return
	}
	data, err := json.Marshal(v)
	allowTime(e.w)
	if err == nil {
		_, err = fmt.Fprintf(e.w, "event: %s\ndata: %s\n\n", event, data)
	}
	e.err = err
	e.flush()
}

// comment keeps proxies from closing a silent stream.
func (e *eventWriter) comment() {
	if e.err == nil {
		allowTime(e.w)
		_, e.err = io.WriteString(e.w, ": still here\n\n")
		e.flush()
	}
}

const (
	streamBeat = 15 * time.Second
	streamRead = 5 * time.Second // another node's changes are seen by looking
)

// streamConversation sends the owner every new message and every changed request.
func (a *API) streamConversation(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	o, err := owner(ctx)
	if err == nil {
		err = checkID(r.PathValue("id"), "conversation")
	}
	var conv store.ConversationState
	if err == nil {
		conv, err = a.customer(ctx).Conversation(ctx, r.PathValue("id"))
	}
	if err == nil {
		err = a.limits.enter("stream:"+o.VisitorID+"/"+o.UserID, a.o.Limits.Streams)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	defer a.limits.leave("stream:" + o.VisitorID + "/" + o.UserID)
	a.streams.Add(1)
	defer a.streams.Done()
	if sw, ok := w.(*statusWriter); ok {
		sw.stream = true
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	ev := newEventWriter(w)
	ev.comment() // the headers go out now, not with the first change
	a.follow(ctx, ev, conv.ID, o)
}

// follow sends changes until the client leaves or the server closes.
func (a *API) follow(ctx context.Context, w *eventWriter, conversationID string, o bellhop.Owner) {
	seen := map[string]string{} // request → what was sent of it
	told := map[string]bool{}   // message ids: one that was committed later may sort before
	beat := time.NewTicker(streamBeat)
	defer beat.Stop()
	look := time.NewTicker(streamRead)
	defer look.Stop()
	for w.err == nil {
		topics := []string{store.ConversationTopic(conversationID)}
		for id := range seen {
			topics = append(topics, store.RequestTopic(id))
		}
		changed, cancel := a.o.DB.Hub().Subscribe(topics...) // before reading, so that nothing falls between
		var err error
		// It may have passed to a user who signed in: then the visitor is told nothing more.
		if _, err = a.o.DB.Conversation(ctx, conversationID, o); err == nil {
			err = a.sendChanges(ctx, w, conversationID, seen, told)
		}
		if err != nil {
			cancel()
			w.send("error", problemOf(ctx, err))
			return
		}
		stop := false
		select {
		case <-changed:
		case <-look.C:
		case <-beat.C:
			w.comment()
		case <-ctx.Done():
			stop = true
		case <-a.closing:
			stop = true
		}
		cancel()
		if stop {
			return
		}
	}
}

func (a *API) sendChanges(ctx context.Context, w *eventWriter, conversationID string, seen map[string]string,
	told map[string]bool) error {
	msgs, err := a.customer(ctx).Messages(ctx, conversationID, 200)
	if err != nil {
		return err
	}
	for _, m := range msgs {
		if !told[m.ID] {
			told[m.ID] = true
			w.send("message", messageBodies([]store.StoredMessage{m})[0])
		}
	}
	reqs, err := a.conversationRequests(ctx, conversationID)
	if err != nil {
		return err
	}
	for _, r := range reqs {
		if mark := r.State + r.Message; seen[r.ID] != mark {
			seen[r.ID] = mark
			w.send("request", r)
		}
	}
	return nil
}
