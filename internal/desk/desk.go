// Package desk is what people do: the lifecycle of support requests, the three ways to
// settle a step by hand, and what a customer is told of their request.
package desk

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"bellhop"
	"bellhop/internal/engine"
	"bellhop/internal/store"
)

// Desk carries out what operators decide.
type Desk struct {
	db       *store.DB
	eng      *engine.Engine
	helpdesk string // the connection whose tickets follow the status, "" for none
}

// New makes a desk. helpdesk is the connection that takes support.update_ticket.
func New(db *store.DB, eng *engine.Engine, helpdesk string) *Desk {
	return &Desk{db: db, eng: eng, helpdesk: helpdesk}
}

// Edit is what an operator changes at a support request; empty fields are left.
type Edit struct {
	Status   bellhop.SupportStatus
	Assignee *string
	Priority bellhop.Priority
	Note     string
}

// Edit changes a support request. Only moves that the lifecycle has are made; any other
// is CodeStateConflict. Giving an assignee to a new or triaged request assigns it. A
// ticket at the helpdesk follows the status.
func (d *Desk) Edit(ctx context.Context, id string, e Edit, by string) (bellhop.SupportRequest, error) {
	if err := checkEdit(e); err != nil {
		return bellhop.SupportRequest{}, err
	}
	return d.db.EditSupport(ctx, id, func(s bellhop.SupportRequest, holds bool) (store.SupportEdit, []bellhop.PlannedStep, error) {
		to := e.Status
		if to == "" && e.Assignee != nil && *e.Assignee != "" &&
			(s.Status == bellhop.SupportNew || s.Status == bellhop.SupportTriaged) {
			to = bellhop.SupportAssigned
		}
		if to == s.Status {
			to = ""
		}
		if to != "" && !s.Status.CanMove(to) {
			return store.SupportEdit{}, nil, bellhop.Errorf(bellhop.CodeStateConflict,
				"Reload the request; from "+string(s.Status)+" it can go to "+moves(s.Status)+".",
				"A request that is %s cannot become %s.", s.Status, to)
		}
		if to == bellhop.SupportResolved && holds {
			return store.SupportEdit{}, nil, bellhop.Errorf(bellhop.CodeStateConflict,
				"Settle its steps first: Retry, Done by hand or Drop; it then closes itself.",
				"The request still holds steps that nobody has settled.")
		}
		return store.SupportEdit{Status: to, Assignee: e.Assignee, Priority: e.Priority, Note: e.Note, By: by},
			d.follow(s, to), nil
	})
}

// follow plans the ticket's update when a request with a ticket changes its status.
func (d *Desk) follow(s bellhop.SupportRequest, to bellhop.SupportStatus) []bellhop.PlannedStep {
	if d.helpdesk == "" || to == "" || s.PersonID == "" || s.Reason == bellhop.ReasonSyncFailed ||
		s.Reason == bellhop.ReasonOutage || s.Reason == bellhop.ReasonLeadNoEmail || s.Reason == bellhop.ReasonErasure {
		return nil
	}
	return []bellhop.PlannedStep{{Connection: d.helpdesk, Action: bellhop.ActionUpdateTicket, RequestID: s.ID,
		Key:   "ticket-status:" + d.helpdesk + ":" + s.ID + ":" + store.NewID(),
		Input: bellhop.TicketUpdateInput{Status: to}}}
}

func moves(s bellhop.SupportStatus) string {
	var out []string
	for _, to := range bellhop.SupportStatuses() {
		if s.CanMove(to) {
			out = append(out, string(to))
		}
	}
	return strings.Join(out, " or ")
}

func checkEdit(e Edit) error {
	invalid := func(next, format string, args ...any) error {
		return bellhop.Errorf(bellhop.CodeInvalid, next, format, args...)
	}
	if e.Status != "" && !contains(bellhop.SupportStatuses(), e.Status) {
		return invalid(fmt.Sprintf("Send one of %v.", bellhop.SupportStatuses()), "There is no such status.")
	}
	if e.Priority != "" && !contains(bellhop.Priorities(), e.Priority) {
		return invalid(fmt.Sprintf("Send one of %v.", bellhop.Priorities()), "There is no such priority.")
	}
	if utf8.RuneCountInString(e.Note) > 10_000 || strings.ContainsRune(e.Note, 0) || !utf8.ValidString(e.Note) {
		return invalid("Send a shorter note of ordinary text.", "The note cannot be stored.")
	}
	if e.Assignee != nil && (len(*e.Assignee) > 200 || strings.ContainsRune(*e.Assignee, 0) || !utf8.ValidString(*e.Assignee)) {
		return invalid("Send a name of at most 200 characters.", "The assignee cannot be stored.")
	}
	return nil
}

func contains[T comparable](list []T, v T) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return false
}

// Action is one of the three ways to settle a step.
type Action string

// The ways.
const (
	ActionRetry Action = "retry"
	ActionDone  Action = "done" // by hand: recorded, so that no retry repeats it
	ActionDrop  Action = "drop"
)

// Settle does to a step what an operator decided.
func (d *Desk) Settle(ctx context.Context, stepID string, a Action, by string) (bellhop.Step, error) {
	switch a {
	case ActionRetry:
		return d.eng.Retry(ctx, stepID)
	case ActionDone:
		return d.eng.Finish(ctx, stepID, bellhop.StepDone, by)
	case ActionDrop:
		return d.eng.Finish(ctx, stepID, bellhop.StepDropped, by)
	default:
		return bellhop.Step{}, bellhop.Errorf(bellhop.CodeInvalid, "Send retry, done or drop.", "There is no such action.")
	}
}

// BulkResult is what became of one step of a bulk action.
type BulkResult struct {
	ID    string
	State bellhop.StepState
	Err   error
}

// MaxBulk bounds the steps of one bulk action.
const MaxBulk = 1000

// SettleAll does the same to many steps; each succeeds or fails by itself.
func (d *Desk) SettleAll(ctx context.Context, ids []string, a Action, by string) []BulkResult {
	out := make([]BulkResult, len(ids))
	for i, id := range ids {
		s, err := d.Settle(ctx, id, a, by)
		out[i] = BulkResult{ID: id, State: s.State, Err: err}
	}
	return out
}
