package watch

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"bellhop/internal/store"
)

// Row is one workflow step or function in a window.
type Row struct {
	Name        string  `json:"name"`                 // "crm.upsert_contact", "POST /webhooks/{connection}"
	Connection  string  `json:"connection,omitempty"` // steps only
	Count       int     `json:"count"`
	SuccessRate float64 `json:"success_rate"` // 0..1; 1 when nothing was tried
	P50         float64 `json:"p50_ms"`
	P95         float64 `json:"p95_ms"`
}

// Busywork is what people had to do by hand.
type Busywork struct {
	HandledByBellhop int     `json:"handled_by_bellhop"`
	HandledByHand    int     `json:"handled_by_hand"`
	Share            float64 `json:"share_by_hand"` // 0..1
	OpenForPeople    int     `json:"open_for_people"`
}

// Stats is the answer to "how is it going".
type Stats struct {
	Window        string         `json:"window"`
	Steps         []Row          `json:"steps"`
	Functions     []Row          `json:"functions"`
	StepsByState  map[string]int `json:"steps_by_state"`
	Events        int            `json:"events"`
	IncidentsOpen int            `json:"incidents_open"`
	Support       map[string]int `json:"support_requests_by_status"`
	Busywork      Busywork       `json:"busywork"`
}

// Read makes the statistics of a window that ends now.
func Read(ctx context.Context, db *store.DB, fn *Functions, now time.Time, window time.Duration) (Stats, error) {
	since := now.Add(-window)
	out := Stats{Window: window.String(), Steps: []Row{}, Functions: fn.Rows(now, window)}
	groups, err := db.AttemptStats(ctx, since)
	if err != nil {
		return out, err
	}
	for _, g := range groups {
		n := g.Succeeded + g.Failed
		out.Steps = append(out.Steps, Row{Name: g.Kind, Connection: g.Connection, Count: n,
			SuccessRate: rate(g.Succeeded, n), P50: ms(percentile(g.Durations, 50)), P95: ms(percentile(g.Durations, 95))})
	}
	c, err := db.Counts(ctx, since)
	if err != nil {
		return out, err
	}
	out.StepsByState, out.Events, out.IncidentsOpen, out.Support = c.StepsByState, c.Events, c.IncidentsOpen, c.SupportByState
	out.Busywork = Busywork{HandledByBellhop: c.DoneByEngine, HandledByHand: c.DoneByHand, OpenForPeople: c.SupportOpen,
		Share: 1 - rate(c.DoneByEngine, c.DoneByEngine+c.DoneByHand)}
	return out, nil
}

func rate(good, all int) float64 {
	if all == 0 {
		return 1
	}
	return float64(good) / float64(all)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// percentile returns the nearest-rank percentile of sorted durations, 0 for none.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min((len(sorted)*p+99)/100, len(sorted))-1]
}

// Functions remembers the calls of this process's endpoints, the newest of each.
type Functions struct {
	mu   sync.Mutex
	byFn map[string]*ring
}

// perFunction bounds what is remembered of one endpoint.
const perFunction = 4096

type callNote struct {
	at   time.Time
	took time.Duration
	ok   bool
}

type ring struct {
	calls []callNote
	next  int
}

// NewFunctions makes an empty memory.
func NewFunctions() *Functions { return &Functions{byFn: map[string]*ring{}} }

// Note remembers one call; ok is false for a failure of ours, not of the caller.
func (f *Functions) Note(name string, at time.Time, took time.Duration, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.byFn[name]
	if r == nil {
		r = &ring{}
		f.byFn[name] = r
	}
	n := callNote{at, took, ok}
	if len(r.calls) < perFunction {
		r.calls = append(r.calls, n)
		return
	}
	r.calls[r.next] = n
	r.next = (r.next + 1) % perFunction
}

// Rows returns the endpoints that were called in a window that ends now, by name.
func (f *Functions) Rows(now time.Time, window time.Duration) []Row {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := []Row{}
	for name, r := range f.byFn {
		var took []time.Duration
		good := 0
		for _, c := range r.calls {
			if now.Sub(c.at) > window {
				continue
			}
			took = append(took, c.took)
			if c.ok {
				good++
			}
		}
		if len(took) == 0 {
			continue
		}
		slices.Sort(took)
		out = append(out, Row{Name: name, Count: len(took), SuccessRate: rate(good, len(took)),
			P50: ms(percentile(took, 50)), P95: ms(percentile(took, 95))})
	}
	slices.SortFunc(out, func(a, b Row) int { return strings.Compare(a.Name, b.Name) })
	return out
}
