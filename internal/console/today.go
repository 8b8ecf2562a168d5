package console

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"bellhop"
	"bellhop/internal/store"
	"bellhop/internal/watch"
)

const (
	todayWindow  = 24 * time.Hour
	todayWaiting = 20  // the most pressing requests; the inbox has them all
	incidentList = 100 // one line a cause, so this is many
)

type incidentView struct {
	bellhop.Incident
	What string
	Next string
}

type stateCount struct {
	State bellhop.StepState
	N     int
}

type todayPage struct {
	page
	Incidents []incidentView
	Waiting   []bellhop.SupportRequest
	Open      int // support requests that nobody resolved
	ByHand    int // steps that a person has
	Parked    int
	Steps     []stateCount
	Moving    int // steps on their way
	Stats     watch.Stats
	Empty     bool // nothing has ever come in
}

// Stuck reports whether somebody has to do something.
func (p todayPage) Stuck() bool { return len(p.Incidents) > 0 || p.ByHand > 0 || p.Open > 0 }

// showToday answers the one question of the morning: is anything stuck?
func (c *console) showToday(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	p := todayPage{page: c.page(r, "Today", "today")}
	incidents, err := c.o.DB.Incidents(ctx, true, incidentList)
	if err != nil {
		return err
	}
	for _, i := range incidents {
		what, next := causeWords(i)
		p.Incidents = append(p.Incidents, incidentView{Incident: i, What: what, Next: next})
	}
	if p.Waiting, err = c.mostPressing(ctx, todayWaiting); err != nil {
		return err
	}
	if p.Stats, err = watch.Read(ctx, c.o.DB, c.o.Functions, c.o.Clock.Now(), todayWindow); err != nil {
		return err
	}
	for _, s := range bellhop.StepStates() {
		n := p.Stats.StepsByState[string(s)]
		p.Steps = append(p.Steps, stateCount{s, n})
		if s.HoldsLane() && s != bellhop.StepParked {
			p.Moving += n
		}
	}
	p.ByHand, p.Parked = p.Stats.StepsByState[string(bellhop.StepManual)], p.Stats.StepsByState[string(bellhop.StepParked)]
	p.Open = p.Stats.Busywork.OpenForPeople
	if p.Stats.Events == 0 && len(p.Stats.Support) == 0 {
		any, err := c.o.DB.Steps(ctx, store.StepFilter{Limit: 1})
		if err != nil {
			return err
		}
		p.Empty = len(any) == 0
	}
	return c.render(w, http.StatusOK, viewToday, p)
}

// openStatuses are those in which a request waits for somebody.
func openStatuses() []bellhop.SupportStatus {
	return slices.DeleteFunc(bellhop.SupportStatuses(), func(s bellhop.SupportStatus) bool { return s == bellhop.SupportResolved })
}

// mostPressing returns the open requests that come first: by priority, then by due time.
// It reads one priority after the other and stops when there are enough.
func (c *console) mostPressing(ctx context.Context, n int) ([]bellhop.SupportRequest, error) {
	var out []bellhop.SupportRequest
	for _, p := range bellhop.Priorities() {
		var same []bellhop.SupportRequest
		for _, s := range openStatuses() {
			some, err := c.o.DB.SupportRequests(ctx, store.SupportFilter{Status: s, Priority: p, Limit: 200})
			if err != nil {
				return nil, err
			}
			same = append(same, some...)
		}
		slices.SortFunc(same, func(a, b bellhop.SupportRequest) int {
			return cmp.Or(a.DueAt.Compare(b.DueAt), cmp.Compare(a.ID, b.ID))
		})
		if out = append(out, same...); len(out) >= n {
			return out[:n], nil
		}
	}
	return out, nil
}

func sampleToday() todayPage {
	return todayPage{Incidents: []incidentView{{}}, Waiting: []bellhop.SupportRequest{{}}, Open: 2, Steps: []stateCount{{bellhop.StepReady, 1}},
		Stats: watch.Stats{Steps: []watch.Row{{}}, Functions: []watch.Row{{}}}}
}
