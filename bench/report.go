package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report gathers what was measured.
type report struct {
	Machine string    `json:"machine"`
	Began   time.Time `json:"began"`
	Rows    []*row    `json:"rows"`
	w       io.Writer // progress
}

// row is one figure of one subject over all rounds.
type row struct {
	Work    string    `json:"work"`
	Store   string    `json:"store"`
	Subject string    `json:"subject"`
	Figure  string    `json:"figure"` // with its unit
	Values  []float64 `json:"values"` // one for each round
}

func (r *report) add(work, store, subject, figure string, v float64) {
	for _, x := range r.Rows {
		if x.Work == work && x.Store == store && x.Subject == subject && x.Figure == figure {
			x.Values = append(x.Values, v)
			return
		}
	}
	r.Rows = append(r.Rows, &row{work, store, subject, figure, []float64{v}})
}

// ratio adds the figure of subject divided by the one of floor of the newest round.
func (r *report) ratio(work, store, subject, floor, figure string) {
	a, b := r.newest(work, store, subject, figure), r.newest(work, store, floor, figure)
	if b > 0 {
		r.add(work, store, subject, figure+", ratio to "+floor, a/b)
	}
}

func (r *report) newest(work, store, subject, figure string) float64 {
	for _, x := range r.Rows {
		if x.Work == work && x.Store == store && x.Subject == subject && x.Figure == figure {
			return x.Values[len(x.Values)-1]
		}
	}
	return 0
}

func (r *report) sample(work, store, subject string, s sample, used time.Duration) {
	if s.failed > 0 {
		r.add(work, store, subject, "failed requests", float64(s.failed))
		fmt.Fprintf(r.w, "  %s %s %s: %d failed, first: %v\n", work, store, subject, s.failed, s.firstErr)
	}
	r.add(work, store, subject, "requests/s", s.perSecond())
	r.latency(work, store, subject, s)
	if s.count > 0 {
		r.add(work, store, subject, "CPU s per 1,000", used.Seconds()*1000/float64(s.count))
	}
	fmt.Fprintf(r.w, "  %s %-8s %-24s %7.0f/s  p50 %s  p99 %s\n", work, store, subject, s.perSecond(), short(s.quantile(0.5)), short(s.quantile(0.99)))
}

func (r *report) latency(work, store, subject string, s sample) {
	for _, q := range []struct {
		name string
		at   float64
	}{{"p50 ms", 0.5}, {"p90 ms", 0.9}, {"p95 ms", 0.95}, {"p99 ms", 0.99}, {"p99.9 ms", 0.999}} {
		r.add(work, store, subject, q.name, float64(s.quantile(q.at).Microseconds())/1000)
	}
}

func short(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

// print writes the table.
func (r *report) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "work\tstore\tsubject\tfigure\tmedian\tlowest\thighest\trounds\t")
	for _, x := range r.Rows {
		v := slices.Sorted(slices.Values(x.Values))
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t\n", x.Work, x.Store, x.Subject, x.Figure, number(median(v)),
			number(v[0]), number(v[len(v)-1]), len(v))
	}
	t.Flush()
}

func median(sorted []float64) float64 {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

func number(v float64) string {
	switch {
	case v >= 1000:
		s := fmt.Sprintf("%.0f", v)
		return s[:len(s)-3] + "," + s[len(s)-3:]
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.3f", v), "0"), ".")
	}
}

func (r *report) save(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}
