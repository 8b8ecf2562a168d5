package console

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"bellhop"
	"bellhop/internal/desk"
	"bellhop/internal/store"
)

const (
	heldShown  = 50 // steps shown with a request; the rest is counted and behind a link
	recentChat = 20 // messages shown with a request; the transcript has them all
)

type requestPage struct {
	page
	Request    bellhop.SupportRequest
	Customer   customer
	Transcript string
	Messages   []store.StoredMessage
	Held       []stepView
	HeldCount  int  // open steps that the request holds
	HeldMore   bool // there are more than one action takes
	Moves      []move
	Priorities []bellhop.Priority
}

type customer struct {
	bellhop.LeadFields
	PersonID string
}

// move is a button of the lifecycle.
type move struct {
	To   bellhop.SupportStatus
	Text string
}

// showRequest shows one support request with everything that is needed to finish it.
func (c *console) showRequest(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "support request")
	if err != nil {
		return err
	}
	req, err := c.o.DB.SupportRequest(r.Context(), id)
	if err != nil {
		return err
	}
	p := requestPage{page: c.page(r, req.Subject, "inbox"), Request: req, Transcript: c.transcriptPath(req.ConversationID),
		Moves: movesOf(req), Priorities: bellhop.Priorities()}
	if err := c.addCustomer(r.Context(), &p); err != nil {
		return err
	}
	if err := c.addHeld(r.Context(), &p); err != nil {
		return err
	}
	return c.render(w, http.StatusOK, viewRequest, p)
}

// addCustomer adds who it is and what was said last.
func (c *console) addCustomer(ctx context.Context, p *requestPage) error {
	p.Customer.PersonID = p.Request.PersonID
	if p.Request.ConversationID != "" {
		conv, err := c.o.DB.ConversationForOperator(ctx, p.Request.ConversationID)
		if err != nil {
			return err
		}
		p.Customer.LeadFields = conv.Fields
		if p.Messages, err = c.o.DB.Messages(ctx, p.Request.ConversationID, recentChat); err != nil {
			return err
		}
	}
	if p.Request.PersonID == "" { // a task of ours
		return nil
	}
	person, err := c.o.DB.FindPerson(ctx, p.Request.PersonID)
	if bellhop.CodeOf(err) == bellhop.CodeNotFound { // erased
		return nil
	}
	if person.Email != "" {
		p.Customer.Email = person.Email
	}
	return err
}

// addHeld adds the steps that wait for this request.
func (c *console) addHeld(ctx context.Context, p *requestPage) error {
	steps, more, err := c.held(ctx, p.Request.ID)
	if err != nil {
		return err
	}
	p.HeldCount, p.HeldMore = len(steps), more
	for _, s := range steps[:min(len(steps), heldShown)] {
		p.Held = append(p.Held, viewOf(s, p.form()))
	}
	return nil
}

// held returns the steps of a request that are not finished, oldest first, as many as one
// action takes, and whether there are more. Each state is listed by itself, so that the
// finished ones of a long outage are not read.
func (c *console) held(ctx context.Context, taskID string) (out []bellhop.Step, more bool, err error) {
	for _, state := range bellhop.StepStates() {
		if state.Final() {
			continue
		}
		some, err := c.o.DB.Steps(ctx, store.StepFilter{TaskID: taskID, State: state, Limit: desk.MaxBulk})
		if err != nil {
			return nil, false, err
		}
		more = more || len(some) == desk.MaxBulk
		out = append(out, some...)
	}
	slices.SortFunc(out, func(a, b bellhop.Step) int { return strings.Compare(a.ID, b.ID) })
	if len(out) > desk.MaxBulk {
		return out[:desk.MaxBulk], true, nil
	}
	return out, more, nil
}

func movesOf(req bellhop.SupportRequest) []move {
	var out []move
	for _, to := range bellhop.SupportStatuses() {
		if req.Status.CanMove(to) {
			out = append(out, move{to, moveWords(req.Status, to)})
		}
	}
	return out
}

func moveWords(from, to bellhop.SupportStatus) string {
	switch {
	case from == bellhop.SupportResolved:
		return "Open again"
	case to == bellhop.SupportResolved:
		return "Resolve"
	case to == bellhop.SupportAssigned:
		return "Mark as assigned"
	case from == bellhop.SupportAssigned:
		return "Hand back to triage"
	default:
		return "Mark as triaged"
	}
}

// editRequest makes one change or several. What the form shows unchanged is not written,
// so that two people on one request do not overwrite each other.
func (c *console) editRequest(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "support request")
	if err != nil {
		return err
	}
	e := desk.Edit{Status: bellhop.SupportStatus(r.PostFormValue("status")), Note: strings.TrimSpace(r.PostFormValue("note"))}
	if v, was := strings.TrimSpace(r.PostFormValue("assignee")), r.PostFormValue("assignee_was"); r.PostForm.Has("assignee") && v != was {
		e.Assignee = &v
	}
	if v := r.PostFormValue("priority"); v != r.PostFormValue("priority_was") {
		e.Priority = bellhop.Priority(v)
	}
	back := "/console/inbox/" + id
	if e == (desk.Edit{}) {
		http.Redirect(w, r, back+"?said=unchanged", http.StatusSeeOther)
		return nil
	}
	if _, err := c.o.Desk.Edit(r.Context(), id, e, by(r)); err != nil {
		return err
	}
	c.note(r, store.SecurityOperator, e.Words(id))
	http.Redirect(w, r, back+"?said=saved", http.StatusSeeOther)
	return nil
}

// settleHeld does the same to every step that a request holds.
func (c *console) settleHeld(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "support request")
	if err != nil {
		return err
	}
	a, err := actionOf(r)
	if err != nil {
		return err
	}
	if a == desk.ActionDrop {
		if err := needRole(r, bellhop.OperatorOwner); err != nil {
			return err
		}
	}
	steps, _, err := c.held(r.Context(), id)
	if err != nil {
		return err
	}
	var ids []string
	for _, s := range steps {
		ids = append(ids, s.ID)
	}
	good, failed := 0, 0
	results := c.o.Desk.SettleAll(r.Context(), ids, a, by(r))
	c.note(r, store.SecurityOperator, desk.BulkWords(a, results)+" of support request "+id)
	for _, res := range results {
		switch {
		case res.Err == nil:
			good++
		case bellhop.CodeOf(res.Err) == bellhop.CodeInternal:
			return res.Err
		default:
			failed++
		}
	}
	http.Redirect(w, r, "/console/inbox/"+id+"?said=all-"+string(a)+"&n="+strconv.Itoa(good)+"&failed="+strconv.Itoa(failed),
		http.StatusSeeOther)
	return nil
}

func actionOf(r *http.Request) (desk.Action, error) {
	switch a := desk.Action(r.PostFormValue("action")); a {
	case desk.ActionRetry, desk.ActionDone, desk.ActionDrop:
		return a, nil
	default:
		return "", bellhop.Errorf(bellhop.CodeInvalid, "Use the buttons Retry, Done by hand and Drop.", "There is no such action.")
	}
}

func sampleRequest() requestPage {
	return requestPage{page: page{Act: true, Own: true}, Held: []stepView{{Step: bellhop.Step{State: bellhop.StepManual}, Form: form{Act: true}}}, HeldCount: 2, HeldMore: true, Moves: []move{{}}, Transcript: "/", Priorities: bellhop.Priorities(),
		Messages: []store.StoredMessage{{Decision: &bellhop.Decision{}}},
		Customer: customer{LeadFields: bellhop.LeadFields{Name: "a", Email: "a", Phone: "a", Company: "a", Wants: "a"}}}
}
