package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"bellhop"
	"bellhop/internal/desk"
	"bellhop/internal/store"
)

type conversationOut struct {
	Body conversationBody
}

type conversationBody struct {
	ID        string    `json:"id"`
	Status    string    `json:"status" enum:"open,with_person,closed"`
	CreatedAt time.Time `json:"created_at"`
}

type messageBody struct {
	ID        string    `json:"id"`
	ClientID  string    `json:"client_id" doc:"The id the client chose; the reply to it has the same with reply: before it."`
	Role      string    `json:"role" enum:"customer,assistant,agent"`
	Text      string    `json:"text"`
	CreatedAt time.Time `json:"created_at"`
}

// requestBody is a request as its customer sees it.
type requestBody struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind" enum:"lead,support,payment"`
	State     string    `json:"state" enum:"pending,saved,done,manual"`
	Message   string    `json:"message"`
	NextStep  string    `json:"next_step"`
	UpdatedAt time.Time `json:"updated_at"`
}

type transcriptOut struct {
	Body struct {
		conversationBody
		Messages []messageBody `json:"messages"`
		Requests []requestBody `json:"requests"`
	}
}

type idIn struct {
	ID string `path:"id" maxLength:"100"`
}

func (a *API) conversationRoutes() {
	huma.Register(a.huma, op(http.MethodPost, "/v1/conversations", "create-conversation", "Begin a conversation.",
		http.StatusCreated, "conversations"), wrap(a, a.createConversation))
	huma.Register(a.huma, op(http.MethodGet, "/v1/conversations/{id}", "get-conversation",
		"The transcript and the requests of a conversation.", http.StatusOK, "conversations"), wrap(a, a.getConversation))
	o := op(http.MethodPost, "/v1/conversations/{id}/messages", "send-message",
		"Send a message. The same id again changes nothing and is answered the same. With Accept: text/event-stream the "+
			"answer streams: delta…, request…, done.", http.StatusOK, "conversations")
	schema := a.huma.OpenAPI().Components.Schemas.Schema(typeOf[turnBody](), true, "Turn")
	o.Responses = map[string]*huma.Response{"200": {Description: "The reply, the decision and the requests.",
		Content: map[string]*huma.MediaType{"application/json": {Schema: schema},
			"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}}}}
	huma.Register(a.huma, o, a.sendMessage)
}

func (a *API) createConversation(ctx context.Context, _ *struct{}) (*conversationOut, error) {
	o, err := owner(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.limitMessages(o); err != nil {
		return nil, err
	}
	c, err := a.o.DB.CreateConversation(ctx, o)
	if err != nil {
		return nil, unavailable(err)
	}
	return &conversationOut{Body: conversationBody{c.ID, string(c.Status), c.CreatedAt}}, nil
}

// unavailable is the error of a write that the database did not take.
func unavailable(err error) error {
	why := strings.TrimSpace("It could not be stored just now. " + store.Outage(err))
	return &bellhop.Error{Code: bellhop.CodeUnavailable, Message: why,
		NextStep: "Send the same request again in a few seconds.", Err: err}
}

// checkID refuses what cannot be an id before a database is asked for it.
func checkID(id, what string) error {
	if _, err := uuid.Parse(id); err != nil || len(id) != 36 {
		return bellhop.Errorf(bellhop.CodeNotFound, "Check the id.", "There is no such %s.", what)
	}
	return nil
}

func (a *API) getConversation(ctx context.Context, in *idIn) (*transcriptOut, error) {
	if _, err := owner(ctx); err != nil {
		return nil, err
	}
	if err := checkID(in.ID, "conversation"); err != nil {
		return nil, err
	}
	c, msgs, facts, err := a.customer(ctx).Transcript(ctx, in.ID, 1000)
	if err != nil {
		return nil, err
	}
	out := &transcriptOut{}
	out.Body.conversationBody = conversationBody{c.ID, string(c.Status), c.CreatedAt}
	out.Body.Messages, out.Body.Requests = messageBodies(msgs), requestBodies(facts)
	return out, nil
}

// customer reads what is the asker's own, with the asker's rights.
func (a *API) customer(ctx context.Context) store.Customer {
	p := principalOf(ctx)
	return a.o.DB.For(p.Owner(), p.Claims)
}

func messageBodies(msgs []store.StoredMessage) []messageBody {
	out := make([]messageBody, len(msgs))
	for i, m := range msgs {
		out[i] = messageBody{m.ID, m.ClientID, string(m.Role), m.Text, m.CreatedAt}
	}
	return out
}

func (a *API) conversationRequests(ctx context.Context, conversationID string) ([]requestBody, error) {
	facts, err := a.customer(ctx).RequestsByConversation(ctx, conversationID)
	return requestBodies(facts), err
}

func requestBodies(facts []store.RequestFacts) []requestBody {
	out := make([]requestBody, len(facts))
	for i, f := range facts {
		out[i] = requestBodyOf(f)
	}
	return out
}

func requestBodyOf(f store.RequestFacts) requestBody {
	r := desk.View(f)
	return requestBody{r.ID, string(r.Kind), string(r.State), r.Message, r.NextStep, r.UpdatedAt}
}
