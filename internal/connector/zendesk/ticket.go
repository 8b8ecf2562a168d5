package zendesk

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"bellhop"
	"bellhop/internal/connector"
)

const (
	// keyLife is how long an Idempotency-Key is trusted. Zendesk keeps it two hours;
	// the rest is room for clocks and a slow call.
	// Source: https://developer.zendesk.com/api-reference/ticketing/introduction/#idempotency
	keyLife = 100 * time.Minute
	// maxBody is the limit of a comment, in characters (unconfirmed).
	maxBody = 65535
	// maxSubject is where agents' lists end a subject anyway.
	maxSubject = 255
)

type comment struct {
	Body   string `json:"body"`
	Public bool   `json:"public"`
}

type requester struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

type newTicket struct {
	Subject    string     `json:"subject"`
	Comment    comment    `json:"comment"`
	Requester  *requester `json:"requester,omitempty"`
	Priority   string     `json:"priority"`
	Status     string     `json:"status"`
	Tags       []string   `json:"tags"`
	ExternalID string     `json:"external_id"`
}

func (c *Connector) createTicket(ctx context.Context, call connector.Call) (connector.Result, error) {
	var in bellhop.TicketInput
	if err := connector.DecodeInput(call, &in); err != nil {
		return connector.Result{}, err
	}
	if in.Subject == "" && in.Body == "" {
		return connector.Result{}, connector.Rejectf("the ticket has neither subject nor body")
	}
	if !call.FirstAttemptAt.IsZero() && c.env.Clock.Now().Sub(call.FirstAttemptAt) > keyLife {
		// The vendor may have forgotten the key: sending it again could make a second
		// ticket, so the first is looked for.
		res, found, err := c.findTicket(ctx, call.Marker)
		if err != nil {
			return connector.Result{}, connector.BeforeWrite(err)
		}
		if found {
			return res, nil
		}
	}
	body := map[string]any{"ticket": ticketOf(in, call.Marker)}
	resp, err := c.call(ctx, http.MethodPost, "/api/v2/tickets.json", call.Key, body)
	if err != nil {
		return connector.Result{}, err
	}
	if e := parseError(resp.Body); resp.Status >= 400 && e.Name == "IdempotentRequestError" {
		// The key is known: with another body (400), so an earlier form of this step
		// went through, or still under way (409). Either way the ticket may be there.
		res, found, err := c.findTicket(ctx, call.Marker)
		if err == nil && found {
			return res, nil
		}
	}
	if err := c.fail(resp); err != nil {
		return connector.Result{}, err
	}
	return c.created(resp)
}

// created reads the answer of a create.
func (c *Connector) created(resp *connector.Response) (connector.Result, error) {
	var ans struct {
		Ticket struct {
			ID json.Number `json:"id"`
		} `json:"ticket"`
		Suspended struct {
			ID json.Number `json:"id"`
		} `json:"suspended_ticket"`
	}
	if err := json.Unmarshal(resp.Body, &ans); err != nil {
		return connector.Result{}, connector.Malformed(resp, "Zendesk's answer is not the JSON that was expected")
	}
	if id := ans.Suspended.ID.String(); id != "" && ans.Ticket.ID == "" {
		// Nothing else has this id, so it is no "ticket" ref (unconfirmed form).
		return connector.Result{VendorID: id, VendorRequestID: connector.RequestID(resp.Header),
			Note: "Zendesk filed it among the suspended tickets; an agent has to recover it"}, nil
	}
	if ans.Ticket.ID == "" || ans.Ticket.ID == "0" {
		return connector.Result{}, connector.Malformed(resp, "Zendesk's ticket has no id")
	}
	existing := resp.Header.Get("X-Idempotency-Lookup") == "hit"
	res := c.ticketResult(ans.Ticket.ID.String(), existing)
	res.VendorRequestID = connector.RequestID(resp.Header)
	return res, nil
}

// ticketOf makes the ticket. The first comment is private: it holds what an agent
// needs, causes and next actions among it, and a public one is mailed to the customer.
func ticketOf(in bellhop.TicketInput, marker string) newTicket {
	t := newTicket{
		Subject:    connector.CutText(strings.Join(strings.Fields(in.Subject), " "), maxSubject),
		Priority:   priority(in.Priority),
		Status:     "new",
		Tags:       tags(append([]string{"bellhop"}, in.Tags...)),
		ExternalID: marker,
	}
	if t.Subject == "" {
		t.Subject = "Support request"
	}
	head := ""
	if in.RequesterEmail != "" {
		name := in.RequesterName
		if name == "" {
			name = in.RequesterEmail
		}
		t.Requester = &requester{Name: connector.CutText(name, 255), Email: in.RequesterEmail}
	} else if in.RequesterName != "" {
		// Without an address Zendesk would need an invented one, so the agent's own
		// account stays the requester and the body says who it is about.
		head = "Customer: " + connector.CutText(in.RequesterName, 255) + " (no e-mail address is known)\n\n"
	} else {
		head = "Customer: unknown (no e-mail address is known)\n\n"
	}
	tail := ""
	if l := connector.WebLink(in.Link); l != "" && len(l) <= 2000 {
		tail += "\n\nConversation: " + l
	}
	tail += "\n\nRef " + marker
	room := maxBody - len([]rune(head)) - len([]rune(tail))
	t.Comment = comment{Body: head + connector.CutText(in.Body, room) + tail}
	return t
}

func priority(p bellhop.Priority) string {
	switch p {
	case bellhop.PriorityUrgent, bellhop.PriorityHigh, bellhop.PriorityLow:
		return string(p)
	default:
		return string(bellhop.PriorityNormal)
	}
}

// tags returns what Zendesk takes as tags: lower case, and one word each, because a
// space would make two of one.
func tags(in []string) []string {
	var out []string
	for _, t := range in {
		t = strings.Map(func(r rune) rune {
			if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789_-:/.", r) {
				return r
			}
			return '_'
		}, strings.ToLower(strings.TrimSpace(t)))
		if t != "" && len(t) <= 80 && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

// findTicket looks a ticket up by its external id, which reads the table and does not
// lag. The id is not unique at Zendesk: of several the oldest counts.
func (c *Connector) findTicket(ctx context.Context, marker string) (connector.Result, bool, error) {
	var ans struct {
		Tickets []struct {
			ID         int64  `json:"id"`
			ExternalID string `json:"external_id"`
		} `json:"tickets"`
	}
	path := "/api/v2/tickets.json?external_id=" + url.QueryEscape(marker)
	resp, err := c.callJSON(ctx, http.MethodGet, path, nil, &ans)
	if err != nil {
		return connector.Result{}, false, err
	}
	var oldest int64
	for _, t := range ans.Tickets {
		if t.ExternalID == marker && t.ID > 0 && (oldest == 0 || t.ID < oldest) {
			oldest = t.ID
		}
	}
	if oldest == 0 {
		return connector.Result{}, false, nil
	}
	res := c.ticketResult(formatID(oldest), true)
	res.VendorRequestID = connector.RequestID(resp.Header)
	return res, true, nil
}
