//go:build unix

package chaos

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"bellhop/internal/sandbox"
	"bellhop/internal/store"
)

// plan is everything that a seed decides.
type plan struct {
	seed    uint64
	kind    store.Kind
	nodes   int           // server processes on the one database
	window  time.Duration // in which things are asked for and break
	retry   string        // YAML of the retry section
	patient bool          // nobody restarts anything at the end: it has to heal by itself
	gentle  bool          // the restart at the end is orderly
	faults  []breakage
	asks    []ask
	presses []press
}

// breakage is one thing that breaks.
type breakage struct {
	at, lasts time.Duration
	what      string
	node      int
	vendor    sandbox.Vendor
	fault     sandbox.Fault
	jump      time.Duration
	hard      bool
}

func (b breakage) String() string {
	s := fmt.Sprintf("%4d ms: %s node %d, for %d ms", b.at.Milliseconds(), b.what, b.node, b.lasts.Milliseconds())
	if b.vendor != "" {
		s += fmt.Sprintf(", %s %+v", b.vendor, b.fault)
	}
	if b.jump != 0 {
		s += fmt.Sprintf(", clock by %s", b.jump)
	}
	return s
}

// ask is one thing that somebody wants.
type ask struct {
	at     time.Duration
	what   string // "lead", "support", "payment", "chat"
	name   string // unique
	email  string
	node   int
	copies int  // of what can be sent twice
	refund bool // of a payment, afterwards
	again  bool // sent again after it was accepted
}

// press is an operator's hand on a step.
type press struct {
	at     time.Duration
	who    int
	node   int
	pick   []int // of the list of steps, by position
	action string
	bulk   bool
}

const (
	operators = 2
	persons   = 4
)

func newPlan(seed uint64) *plan {
	r := rand.New(rand.NewPCG(seed, 0xbe11))
	p := &plan{seed: seed, kind: store.SQLite, nodes: 1, window: time.Duration(700+r.IntN(700)) * time.Millisecond,
		patient: seed%50 == 49, gentle: r.IntN(2) == 0}
	if seed%2 == 1 {
		p.kind = store.Postgres
		if r.IntN(2) == 0 {
			p.nodes = 2
		}
	}
	p.retry = []string{"{attempts: 3, backoff: [20ms, 60ms]}", "{attempts: 3, backoff: [50ms, 100ms, 200ms]}",
		"{attempts: 2, backoff: [30ms]}"}[r.IntN(3)]
	for range 3 + r.IntN(5) {
		p.faults = append(p.faults, p.breakage(r))
	}
	slices.SortFunc(p.faults, func(a, b breakage) int { return cmp.Compare(a.at, b.at) })
	for n := range 10 + r.IntN(7) {
		p.asks = append(p.asks, p.ask(r, n))
	}
	for range 2 + r.IntN(5) {
		p.presses = append(p.presses, p.press(r)...)
	}
	slices.SortStableFunc(p.presses, func(a, b press) int { return cmp.Compare(a.at, b.at) })
	return p
}

func (p *plan) moment(r *rand.Rand) time.Duration {
	return time.Duration(r.Int64N(p.window.Milliseconds())) * time.Millisecond
}

func between(r *rand.Rand, from, to int) time.Duration {
	return time.Duration(from+r.IntN(to-from)) * time.Millisecond
}

// breakage draws one thing that breaks, from those that can with this plan.
func (p *plan) breakage(r *rand.Rand) breakage {
	kinds := []string{"kill", "kill", "stop", "term", "vendor", "vendor", "vendor", "vendor", "clock", "clock",
		"vendor slow net", "vendor cut"}
	if p.kind == store.Postgres {
		kinds = append(kinds, "db restart", "db slow net", "db cut", "db away")
	}
	b := breakage{at: p.moment(r), lasts: between(r, 60, 500), node: r.IntN(p.nodes), what: kinds[r.IntN(len(kinds))],
		hard: r.IntN(2) == 0}
	vendors := []sandbox.Vendor{sandbox.HubSpot, sandbox.HubSpot, sandbox.Zendesk, sandbox.Webhook, sandbox.Slack}
	v := vendors[r.IntN(len(vendors))]
	switch b.what {
	case "vendor":
		modes := append(sandbox.FaultModes(), sandbox.FaultServerErrorBefore, sandbox.FaultServerErrorBefore)
		b.vendor, b.fault = v, sandbox.Fault{Mode: modes[r.IntN(len(modes))], Delay: between(r, 50, 300),
			Probability: 0.3 + 0.7*r.Float64()}
		if r.IntN(3) == 0 {
			b.fault.Probability, b.fault.Count = 0, 1+r.IntN(3)
		}
		if v == sandbox.Webhook && b.fault.Mode == sandbox.FaultMalformedBefore {
			b.fault.Mode = sandbox.FaultDown // to a webhook any 2xx says that it was taken
		}
		if b.fault.Mode == sandbox.FaultServerErrorBefore {
			b.fault.Status = []int{500, 400, 422}[r.IntN(3)] // the last two are for good
		}
		if b.fault.Mode == sandbox.FaultRateLimited || b.fault.Mode == sandbox.FaultDown {
			b.fault.RetryAfter = []string{"", "1", "httpdate:1s"}[r.IntN(3)]
		}
		b.what += ": " + string(b.fault.Mode)
	case "vendor slow net", "vendor cut":
		b.vendor = v
	case "stop":
		b.lasts = between(r, 60, 400)
		if r.IntN(2) == 0 { // so long that the others take it for dead
			b.what, b.jump = "long stop", time.Duration(40+r.IntN(600))*time.Second
		}
	case "clock":
		b.jump = time.Duration(60+r.IntN(6*3600)) * time.Second
		b.what = "clock forward"
		if r.IntN(2) == 0 {
			b.jump, b.what = -b.jump, "clock back"
		}
	}
	return b
}

func (p *plan) ask(r *rand.Rand, n int) ask {
	a := ask{at: p.moment(r), what: []string{"lead", "lead", "support", "support", "payment", "chat"}[r.IntN(6)],
		node: r.IntN(p.nodes), copies: 1 + r.IntN(3), refund: r.IntN(3) == 0, again: r.IntN(2) == 0}
	a.name = fmt.Sprintf("s%dn%d", p.seed, n)
	a.email = fmt.Sprintf("p%d@s%d.example.com", r.IntN(persons), p.seed)
	if a.what == "chat" {
		a.email = a.name + "@chat.example.com"
	}
	return a
}

// press draws what an operator does; half of the time another one does something to the
// same steps at the same moment.
func (p *plan) press(r *rand.Rand) []press {
	actions := []string{"retry", "retry", "done", "drop"}
	one := press{at: p.moment(r) + p.window/4, node: r.IntN(p.nodes), pick: []int{r.IntN(40)}, action: actions[r.IntN(4)]}
	if r.IntN(3) == 0 {
		one.bulk, one.pick = true, []int{r.IntN(40), r.IntN(40), r.IntN(40)}
	}
	out := []press{one}
	if r.IntN(2) == 0 {
		two := one
		two.who, two.action, two.node = 1, actions[r.IntN(4)], r.IntN(p.nodes)
		out = append(out, two)
	}
	return out
}

func (p *plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d server processes, %s, retry %s, patient %t, orderly restart %t", p.kind, p.nodes, p.window,
		p.retry, p.patient, p.gentle)
	for _, x := range p.faults {
		fmt.Fprintf(&b, "\n  %s", x)
	}
	for _, x := range p.asks {
		fmt.Fprintf(&b, "\n  %+v", x)
	}
	for _, x := range p.presses {
		fmt.Fprintf(&b, "\n  %+v", x)
	}
	return b.String()
}
