package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bellhop"
	"bellhop/internal/assistant"
	"bellhop/internal/desk"
	"bellhop/internal/intake"
	"bellhop/internal/store"
)

// assistantTime is how long the assistant may think before the turn goes on without it.
const assistantTime = 25 * time.Second

type messageIn struct {
	ID     string `path:"id" maxLength:"100"`
	Accept string `header:"Accept"`
	Body   struct {
		_    struct{} `additionalProperties:"true"`
		ID   string   `json:"id" minLength:"1" maxLength:"200" doc:"An id of the client's own; the same id again changes nothing."`
		Text string   `json:"text" minLength:"1" doc:"At most 8,000 characters."`
	}
}

type decisionBody struct {
	Intent     string  `json:"intent" enum:"lead,billing,support,question,other"`
	Confidence float64 `json:"confidence" minimum:"0" maximum:"1"`
	Escalated  bool    `json:"escalated" doc:"A person has it."`
}

type turnBody struct {
	Reply struct {
		ID   string `json:"id"`
		Text string `json:"text"`
	} `json:"reply"`
	Decision      decisionBody  `json:"decision"`
	Requests      []requestBody `json:"requests"`
	CorrelationID string        `json:"correlation_id"`
}

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// sendMessage checks who asks and what before it decides in which form to answer: an
// error is a problem in both.
func (a *API) sendMessage(ctx context.Context, in *messageIn) (*huma.StreamResponse, error) {
	conv, err := a.checkMessage(ctx, in)
	if err != nil {
		p := problemOf(ctx, err)
		a.logProblem(ctx, p)
		return nil, p
	}
	if strings.Contains(in.Accept, "text/event-stream") {
		return &huma.StreamResponse{Body: func(hc huma.Context) { a.streamTurn(hc, conv, in) }}, nil
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	turn, err := a.turn(ctx, conv, in, nil)
	if err != nil {
		p := problemOf(ctx, err)
		a.logProblem(ctx, p)
		return nil, p
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", "application/json")
		hc.SetStatus(http.StatusOK)
		_ = json.NewEncoder(hc.BodyWriter()).Encode(turn) // the client is gone if it fails
	}}, nil
}

func (a *API) checkMessage(ctx context.Context, in *messageIn) (store.ConversationState, error) {
	var none store.ConversationState
	o, err := owner(ctx)
	if err != nil {
		return none, err
	}
	if err := checkID(in.ID, "conversation"); err != nil {
		return none, err
	}
	if err := intake.CheckClientID(in.Body.ID); err != nil {
		return none, err
	}
	if err := intake.CheckMessage(in.Body.Text); err != nil {
		return none, err
	}
	if err := a.limitMessages(o); err != nil {
		return none, err
	}
	return a.customer(ctx).Conversation(ctx, in.ID)
}

// turn answers one message: what was answered before is answered the same; else the
// assistant proposes, intake commits, and only then is anything told.
func (a *API) turn(ctx context.Context, conv store.ConversationState, in *messageIn, delta func(string)) (*turnBody, error) {
	if old, came, err := a.customer(ctx).TurnByClientID(ctx, conv.ID, in.Body.ID); err != nil || came {
		if err != nil {
			return nil, err
		}
		return a.told(ctx, conv, old)
	}
	ans, err := a.ask(ctx, conv, in.Body.Text, delta)
	if err != nil {
		return nil, err
	}
	t := intake.Turn{ConversationID: conv.ID, Owner: conv.Owner, ClientID: in.Body.ID, Text: in.Body.Text, Reply: ans.Text,
		EventID:  store.NewID(),
		Decision: ans.Decision, CorrelationID: correlationOf(ctx)}
	t.ReplyID = store.NewID()
	if ans.Escalate {
		t.Ask = &bellhop.SupportAsk{Reason: ans.EscalateReason, Body: ans.Decision.Summary}
	}
	acc, err := a.o.Intake.Turn(ctx, t)
	if err != nil {
		return nil, err
	}
	if !acc.Duplicate {
		return a.told(ctx, conv, t.Messages())
	}
	stored, err := a.customer(ctx).Turn(ctx, conv.ID, acc.EventID)
	if err != nil {
		return nil, err
	}
	return a.told(ctx, conv, stored)
}

// told is the answer to a stored turn.
func (a *API) told(ctx context.Context, conv store.ConversationState, turn []store.StoredMessage) (*turnBody, error) {
	out := &turnBody{CorrelationID: correlationOf(ctx)}
	if len(turn) == 0 {
		// Sent again after retention removed the turn: still no new message.
		out.Reply.Text, out.Decision.Intent = "This message was answered before; what was said is not kept any more.", string(bellhop.IntentOther)
	}
	for _, m := range turn {
		if m.CorrelationID != "" {
			out.CorrelationID = m.CorrelationID
		}
		if m.Role != bellhop.RoleCustomer {
			out.Reply.ID, out.Reply.Text = m.ID, m.Text
			continue
		}
		if m.Decision != nil {
			out.Decision = decisionBody{string(m.Decision.Intent), m.Decision.Confidence, m.Decision.Escalated}
		}
	}
	var err error
	out.Requests, err = a.conversationRequests(ctx, conv.ID)
	return out, err
}

// ask lets the assistant answer. When it fails the customer is answered honestly and a
// person gets the question: a broken assistant must not break the chat. A database that
// does not answer and a client that went away are errors: what the assistant would have
// said is still to be said when the message is sent again.
func (a *API) ask(ctx context.Context, conv store.ConversationState, text string, delta func(string)) (assistant.Answer, error) {
	t := assistant.Turn{ConversationID: conv.ID, Text: text, Known: conv.Fields}
	var err, failed error
	if t.History, err = a.customer(ctx).History(ctx, conv.ID, 40); err != nil {
		return assistant.Answer{}, err
	}
	t.Own = func(ctx context.Context) ([]bellhop.Request, error) {
		var facts []store.RequestFacts
		facts, failed = a.customer(ctx).Requests(ctx, 20)
		own := make([]bellhop.Request, len(facts))
		for i, f := range facts {
			own[i] = desk.View(f)
		}
		return own, failed
	}
	box, cancel := context.WithTimeout(ctx, assistantTime)
	defer cancel()
	ans, err := a.askWithin(box, conv.Owner, t, delta)
	switch {
	case ctx.Err() != nil:
		return ans, ctx.Err()
	case failed != nil && box.Err() == nil:
		return ans, failed
	}
	if err != nil {
		a.o.Logger.ErrorContext(ctx, "assistant failed", "error", err.Error(), "correlation_id", correlationOf(ctx))
		ans = assistant.Answer{Text: "I cannot answer this just now. Below you see who has your message.", Escalate: true,
			EscalateReason: bellhop.ReasonLowConfidence, Decision: bellhop.Decision{Intent: bellhop.IntentOther,
				Summary: "The assistant failed, so nobody has answered this message yet."}}
		if delta != nil {
			delta(ans.Text)
		}
	}
	ans.Decision.Escalated = ans.Escalate
	return ans, nil
}

func (a *API) reply(ctx context.Context, t assistant.Turn, delta func(string)) (ans assistant.Answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("the assistant: " + panicWords(p))
		}
	}()
	return a.o.Assistant.Reply(ctx, t, delta)
}

// streamTurn answers as server-sent events: the text as it is made, then, after the
// commit, each request and the whole answer.
func (a *API) streamTurn(hc huma.Context, conv store.ConversationState, in *messageIn) {
	a.streams.Add(1)
	defer a.streams.Done()
	hc.SetHeader("Content-Type", "text/event-stream; charset=utf-8")
	hc.SetHeader("X-Accel-Buffering", "no")
	hc.SetStatus(http.StatusOK)
	ctx, cancel := bounded(hc.Context())
	defer cancel()
	w := newEventWriter(hc.BodyWriter())
	var once sync.Mutex
	turn, err := a.turn(ctx, conv, in, func(piece string) {
		once.Lock()
		defer once.Unlock()
		w.send("delta", map[string]string{"text": piece})
	})
	if err != nil {
		p := problemOf(ctx, err)
		a.logProblem(ctx, p)
		w.send("error", p)
		return
	}
	for _, r := range turn.Requests {
		w.send("request", r)
	}
	w.send("done", turn)
}
