package console

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"bellhop"
	"bellhop/internal/store"
)

type inboxPage struct {
	page
	Status     []choice
	Priorities []choice
	Reasons    []choice
	Requests   []bellhop.SupportRequest
	Filtered   bool
	ByReason   bool
	Pager      pager
}

// everyStatus and the statuses of the lifecycle are what the inbox can be filtered by;
// without a filter it shows what waits.
const everyStatus bellhop.SupportStatus = "all"

func (c *console) listRequests(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	statuses := append(bellhop.SupportStatuses(), everyStatus)
	f := store.SupportFilter{Status: oneOf(q, "status", statuses), Priority: oneOf(q, "priority", bellhop.Priorities()),
		Reason: oneOf(q, "reason", bellhop.Reasons()), Before: before(q), Limit: listLength + 1}
	p := inboxPage{page: c.page(r, "Inbox", "inbox"), Filtered: f.Status != "" || f.Priority != "" || f.Reason != "",
		ByReason: f.Reason != ""}
	p.Status = choices("/console/inbox", q, "status", "open", statuses, func(s bellhop.SupportStatus) string { return string(s) })
	p.Priorities = choices("/console/inbox", q, "priority", "any", bellhop.Priorities(), func(s bellhop.Priority) string { return string(s) })
	p.Reasons = choices("/console/inbox", q, "reason", "any", bellhop.Reasons(), reasonWords)
	var err error
	if p.Requests, err = c.requests(r.Context(), f); err != nil {
		return err
	}
	last := ""
	if len(p.Requests) > listLength {
		p.Requests = p.Requests[:listLength]
		last = p.Requests[listLength-1].ID
	}
	p.Pager = pages("/console/inbox", q, last)
	return c.render(w, http.StatusOK, viewInbox, p)
}

// requests lists newest first. What waits is in several statuses, each of which is listed
// by itself and put together: a page then still continues where the last one ended.
func (c *console) requests(ctx context.Context, f store.SupportFilter) ([]bellhop.SupportRequest, error) {
	switch f.Status {
	case everyStatus:
		f.Status = ""
		return c.o.DB.SupportRequests(ctx, f)
	case "":
		var out []bellhop.SupportRequest
		for _, s := range openStatuses() {
			f.Status = s
			some, err := c.o.DB.SupportRequests(ctx, f)
			if err != nil {
				return nil, err
			}
			out = append(out, some...)
		}
		slices.SortFunc(out, func(a, b bellhop.SupportRequest) int { return cmp.Compare(b.ID, a.ID) })
		return out[:min(len(out), f.Limit)], nil
	default:
		return c.o.DB.SupportRequests(ctx, f)
	}
}

func sampleInbox() inboxPage {
	return inboxPage{Status: []choice{{}}, Priorities: []choice{{}}, Reasons: []choice{{}}, Requests: []bellhop.SupportRequest{{}},
		Pager: pager{Older: "/", Newest: "/"}}
}
