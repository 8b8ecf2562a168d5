// Package watch looks at what happened: the story of one correlation id, success rates
// and durations, the busywork figure. It only reads the store.
package watch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"bellhop"
	"bellhop/internal/engine"
	"bellhop/internal/store"
)

// StoryLine is one moment of a story.
type StoryLine struct {
	At     time.Time `json:"at"`
	What   string    `json:"what"`             // "event", "message", "reply", "step", "attempt", "support_request", "incident", "request", "retention"
	ID     string    `json:"id,omitempty"`     // of the thing
	Where  string    `json:"where,omitempty"`  // connection or source
	State  string    `json:"state,omitempty"`  // of the thing now
	Detail string    `json:"detail,omitempty"` // in words
}

// Story is everything that carries one correlation id, in time order, ending in one
// sentence: what stopped, why, what to do.
type Story struct {
	CorrelationID string      `json:"correlation_id"`
	Lines         []StoryLine `json:"lines"`
	Sentence      string      `json:"sentence"`
	Stopped       bool        `json:"stopped"` // something waits for a person or a vendor
}

// Tell reads a story; CodeNotFound when nothing carries the id.
func Tell(ctx context.Context, db *store.DB, correlationID string) (Story, error) {
	st, err := db.Story(ctx, correlationID)
	if err != nil {
		return Story{}, err
	}
	out := Story{CorrelationID: correlationID}
	add := func(at time.Time, what, id, where, state, detail string) {
		out.Lines = append(out.Lines, StoryLine{At: at, What: what, ID: id, Where: where, State: state, Detail: detail})
	}
	for _, e := range st.Events {
		detail := cmp.Or(e.VendorType, string(e.Kind)) + " came in"
		add(e.ReceivedAt, "event", e.ID, e.Source, string(e.Kind), detail)
	}
	for _, m := range st.Messages {
		if m.Role == bellhop.RoleCustomer {
			add(m.CreatedAt, "message", m.ID, "chat", "", decisionWords(m.Decision))
		} else {
			add(m.CreatedAt, "reply", m.ID, "chat", "", "the "+string(m.Role)+" answered")
		}
	}
	for _, s := range st.Steps {
		what, _ := engine.Describe(s)
		add(s.CreatedAt, "step", s.ID, s.Connection, string(s.State), what)
	}
	kinds := map[string]bellhop.Step{}
	for _, s := range st.Steps {
		kinds[s.ID] = s
	}
	for _, a := range st.Attempts {
		s := kinds[a.StepID]
		add(a.StartedAt.Add(a.Duration), "attempt", a.StepID, s.Connection, string(a.Class), attemptWords(a, s))
	}
	for _, s := range st.Support {
		add(s.CreatedAt, "support_request", s.ID, "desk", string(s.Status), s.Subject)
	}
	for _, i := range st.Incidents {
		add(i.OpenedAt, "incident", i.ID, i.Connection, string(i.Class), "opened: "+i.Detail)
		if !i.ClosedAt.IsZero() {
			add(i.ClosedAt, "incident", i.ID, i.Connection, string(i.Class), "over")
		}
	}
	out.Lines = append(out.Lines, goneLines(st)...)
	slices.SortStableFunc(out.Lines, func(a, b StoryLine) int { return a.At.Compare(b.At) })
	out.Sentence, out.Stopped = sentence(st)
	return out, nil
}

func decisionWords(d *bellhop.Decision) string {
	if d == nil {
		return "the customer wrote"
	}
	return fmt.Sprintf("the customer wrote; understood as %s with confidence %.2f", d.Intent, d.Confidence)
}

func attemptWords(a bellhop.Attempt, s bellhop.Step) string {
	took := a.Duration.Round(time.Millisecond)
	if a.Class == "" {
		return fmt.Sprintf("try %d of %s succeeded in %s", a.Number, s.Kind, took)
	}
	status := ""
	if a.Status != 0 {
		status = fmt.Sprintf(" (HTTP %d)", a.Status)
	}
	return strings.TrimSpace(fmt.Sprintf("try %d of %s failed after %s: %s%s %s", a.Number, s.Kind, took, a.Class, status, a.Error))
}

// goneLines tells what retention removed of a story, and what it left of it.
func goneLines(st store.Story) []StoryLine {
	var out []StoryLine
	for _, r := range st.Requests {
		out = append(out, StoryLine{At: r.CreatedAt, What: "request", ID: r.ID, Where: "desk", State: string(r.Kind),
			Detail: "it became a " + string(r.Kind) + " request"})
	}
	for _, g := range st.Gone {
		out = append(out, StoryLine{At: g.RemovedAt, What: "retention", Detail: goneWords(g)})
	}
	return out
}

// goneWords says what retention took from a story.
func goneWords(g store.Gone) string {
	what := map[string]string{"events": "what came in on %s was", "messages": "what was written on %s was",
		"attempts": "the tries of %s were"}[g.What]
	return fmt.Sprintf(what+" removed by retention on %s", day(g.At), day(g.RemovedAt))
}

func day(t time.Time) string { return t.Format("2 January 2006") }

// incidentReason is why a parked step waits: what its incident knows of the vendor.
func incidentReason(st store.Story, s bellhop.Step) string {
	for _, i := range st.Incidents {
		if i.ID == s.IncidentID && i.Detail != "" {
			return i.Detail
		}
	}
	return s.Error
}

// sentence says how a story stands: the first thing that stops it, why and what to do;
// else what is still on its way; else that all is done.
func sentence(st store.Story) (string, bool) {
	done, moving := 0, 0
	for _, s := range st.Steps {
		what, _ := engine.Describe(s)
		switch s.State {
		case bellhop.StepManual:
			return fmt.Sprintf("Stopped at %s: could not %s, because: %s. Next: open support request %s and press Retry, Done by hand or Drop.",
				s.Connection, what, strings.TrimSuffix(s.Error, "."), s.TaskID), true
		case bellhop.StepParked:
			return fmt.Sprintf("Waiting for %s to work again to %s, because: %s. Next: nothing; it is carried out by itself when the vendor is back.",
				s.Connection, what, strings.TrimSuffix(incidentReason(st, s), ".")), true
		case bellhop.StepUnknown:
			return fmt.Sprintf("It is not known yet whether %s did %s: it is being looked up before anything is sent again. Next: nothing.",
				s.Connection, s.Kind), true
		case bellhop.StepRetrying:
			return fmt.Sprintf("Trying again at %s to %s, at %s, because: %s. Next: nothing.", s.Connection, what,
				s.DueAt.Format(time.RFC3339), strings.TrimSuffix(s.Error, ".")), true
		case bellhop.StepDone, bellhop.StepDropped:
			done++
		default:
			moving++
		}
	}
	for _, r := range st.Support {
		if r.Status != bellhop.SupportResolved {
			return fmt.Sprintf("With a person: support request %s is %s (%s). Next: answer the customer, then resolve it.",
				r.ID, r.Status, r.Subject), true
		}
	}
	switch {
	case moving > 0:
		return fmt.Sprintf("On its way: %d of %d steps are done. Next: nothing.", done, done+moving), false
	case done > 0:
		return fmt.Sprintf("Finished: all %d steps are done. Next: nothing.", done), false
	case len(st.Gone) > 0:
		// Nothing that is unfinished is ever removed.
		return fmt.Sprintf("Finished: its details were removed by retention on %s. Next: nothing; retention in bellhop.yaml "+
			"says how long they are kept.", day(st.Gone[0].RemovedAt)), false
	default:
		return "Finished: it was stored, and nothing had to follow from it. Next: nothing.", false
	}
}
