package zendesk

import (
	"context"
	"net/http"
	"strconv"

	"bellhop"
	"bellhop/internal/connector"
)

// maxCommentPages bounds a look-up, at 100 comments a page.
const maxCommentPages = 10

type ticketUpdate struct {
	Status  string   `json:"status,omitempty"`
	Comment *comment `json:"comment,omitempty"`
}

func (c *Connector) updateTicket(ctx context.Context, call connector.Call) (connector.Result, error) {
	in, id, err := updateTarget(call)
	if err != nil {
		return connector.Result{}, err
	}
	status, err := ticketStatus(in.Status)
	if err != nil {
		return connector.Result{}, err
	}
	path := "/api/v2/tickets/" + id
	if t := tags(in.AddTags); len(t) > 0 {
		// PUT adds to what is there, POST would replace it; adding twice is harmless.
		// It goes first, so that a failure here leaves the rest unsent.
		// Source: https://developer.zendesk.com/api-reference/ticketing/ticket-management/tags/
		resp, err := c.call(ctx, http.MethodPut, path+"/tags.json", "", map[string]any{"tags": t})
		if err != nil {
			return connector.Result{}, err
		}
		if err := c.fail(resp); err != nil {
			return connector.Result{}, err
		}
	}
	up := ticketUpdate{Status: status}
	if in.Comment != "" {
		tail := "\n\nRef " + call.Marker
		up.Comment = &comment{Body: connector.CutText(in.Comment, maxBody-len(tail)) + tail, Public: in.Public}
	}
	if up.Status == "" && up.Comment == nil {
		return c.ticketResult(id, false), nil
	}
	var ans struct {
		Ticket struct {
			ID int64 `json:"id"`
		} `json:"ticket"`
	}
	resp, err := c.callJSON(ctx, http.MethodPut, path+".json", map[string]any{"ticket": up}, &ans)
	if err != nil {
		return connector.Result{}, err
	}
	if ans.Ticket.ID == 0 {
		return connector.Result{}, connector.Malformed(resp, "Zendesk's answer names no ticket")
	}
	res := c.ticketResult(id, false)
	res.VendorRequestID = connector.RequestID(resp.Header)
	return res, nil
}

func updateTarget(call connector.Call) (bellhop.TicketUpdateInput, string, error) {
	var in bellhop.TicketUpdateInput
	if err := connector.DecodeInput(call, &in); err != nil {
		return in, "", err
	}
	id := call.Refs["ticket"]
	if n, err := strconv.ParseInt(id, 10, 64); err != nil || n <= 0 {
		return in, "", connector.Rejectf("the update names no Zendesk ticket; its ticket was never made, or was filed as suspended")
	}
	if in.Status == "" && len(in.AddTags) == 0 && in.Comment == "" {
		return in, "", connector.Rejectf("the update changes nothing")
	}
	return in, id, nil
}

// ticketStatus maps Bellhop's lifecycle to Zendesk's.
func ticketStatus(s bellhop.SupportStatus) (string, error) {
	switch s {
	case "":
		return "", nil
	case bellhop.SupportNew:
		return "new", nil
	case bellhop.SupportTriaged, bellhop.SupportAssigned:
		return "open", nil
	case bellhop.SupportResolved:
		return "solved", nil
	default:
		return "", connector.Rejectf("Zendesk has no status for " + strconv.Quote(string(s)))
	}
}

// findUpdate looks for our reference in the ticket's comments, newest first. Comments
// are read from the ticket's own record and not from an index; the delay in the
// manifest is for replicas. An update without a comment leaves no trace to look for and
// needs none: setting a status or adding tags again changes nothing.
// Source: https://developer.zendesk.com/api-reference/ticketing/tickets/ticket_comments/
func (c *Connector) findUpdate(ctx context.Context, call connector.Call) (connector.Result, bool, error) {
	in, id, err := updateTarget(call)
	if err != nil {
		return connector.Result{}, false, err
	}
	if in.Comment == "" {
		return connector.Result{}, false, nil
	}
	for n := 1; n <= maxCommentPages; n++ {
		var page struct {
			Comments []struct {
				Body string `json:"body"`
			} `json:"comments"`
			NextPage *string `json:"next_page"` // a URL, which is not followed
		}
		path := "/api/v2/tickets/" + id + "/comments.json?sort_order=desc&per_page=100&page=" + strconv.Itoa(n)
		if _, err := c.callJSON(ctx, http.MethodGet, path, nil, &page); err != nil {
			return connector.Result{}, false, err
		}
		for _, cm := range page.Comments {
			if connector.HasMarker(cm.Body, call.Marker) {
				return c.ticketResult(id, true), true, nil
			}
		}
		if page.NextPage == nil || *page.NextPage == "" {
			return connector.Result{}, false, nil
		}
	}
	return connector.Result{}, false, connector.Rejectf(
		"the ticket has too many comments to look through; a person has to look whether this one is there")
}

func formatID(id int64) string { return strconv.FormatInt(id, 10) }
