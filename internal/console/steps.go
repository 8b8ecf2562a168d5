package console

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/engine"
	"bellhop/internal/store"
)

// stepView is a step as the pages show it: in words, with the buttons that its state has.
type stepView struct {
	bellhop.Step
	What    string
	Payload string
	Form    form
}

func viewOf(s bellhop.Step, f form) stepView {
	what, payload := engine.Describe(s)
	return stepView{Step: s, What: sentence(what), Payload: payload, Form: f}
}

func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// CanRetry reports whether Retry makes sense: not for what is finished, running or due anyway.
func (s stepView) CanRetry() bool {
	switch s.State {
	case bellhop.StepManual, bellhop.StepParked, bellhop.StepRetrying, bellhop.StepUnknown:
		return true
	default:
		return false
	}
}

// CanFinish reports whether a person can still say that it is done or not needed.
func (s stepView) CanFinish() bool { return s.State != "" && !s.State.Final() }

type stepsPage struct {
	page
	Filter   store.StepFilter
	States   []choice
	Kinds    []bellhop.Action
	Steps    []stepView
	Filtered bool
	Pager    pager
}

func (c *console) listSteps(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f := store.StepFilter{State: oneOf(q, "state", bellhop.StepStates()), Kind: string(oneOf(q, "kind", bellhop.Actions())),
		Connection: text(q, "connection"), CorrelationID: text(q, "correlation_id"), Before: before(q), Limit: listLength + 1}
	if v := q.Get("task"); isID(v) {
		f.TaskID = v
	}
	if v := q.Get("incident"); isID(v) {
		f.IncidentID = v
	}
	p := stepsPage{page: c.page(r, "Steps", "steps"), Filter: f, Kinds: bellhop.Actions(),
		Filtered: f.State != "" || f.Kind != "" || f.Connection != "" || f.CorrelationID != "" || f.TaskID != "" || f.IncidentID != ""}
	p.States = choices("/console/steps", q, "state", "any", bellhop.StepStates(), func(s bellhop.StepState) string { return stateChip(s).Text })
	steps, err := c.o.DB.Steps(r.Context(), f)
	if err != nil {
		return err
	}
	last := ""
	if len(steps) > listLength {
		steps = steps[:listLength]
		last = steps[listLength-1].ID
	}
	for _, s := range steps {
		p.Steps = append(p.Steps, viewOf(s, p.form()))
	}
	p.Pager = pages("/console/steps", q, last)
	return c.render(w, http.StatusOK, viewSteps, p)
}

type stepPage struct {
	page
	Step     stepView
	Attempts []bellhop.Attempt
	Result   *connector.Result
	// ResultURL is where the vendor shows it, when that is an ordinary web address.
	ResultURL string
	Raw       string // the input as it is stored
	// Removed is when retention removed the tries; zero when it did not.
	Removed time.Time
}

// showStep shows one step: what it is to do, every try, and what came back.
func (c *console) showStep(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "step")
	if err != nil {
		return err
	}
	s, err := c.o.DB.Step(r.Context(), id)
	if err != nil {
		return err
	}
	p := stepPage{page: c.page(r, "Step", "steps"), Raw: indent(s.Input)}
	p.Step = viewOf(s, p.form())
	p.Title = p.Step.What
	if p.Attempts, err = c.o.DB.Attempts(r.Context(), id); err != nil {
		return err
	}
	if len(p.Attempts) == 0 && s.Attempts > 0 {
		if p.Removed, err = c.o.DB.RemovedAt(r.Context(), "attempts", s.CreatedAt); err != nil {
			return err
		}
	}
	var res connector.Result
	if len(s.Result) > 0 && json.Unmarshal(s.Result, &res) == nil {
		p.Result = &res
		if u, err := url.Parse(res.URL); err == nil && (u.Scheme == "https" || u.Scheme == "http") {
			p.ResultURL = res.URL
		}
	}
	return c.render(w, http.StatusOK, viewStep, p)
}

func indent(data []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, data, "", "  ") != nil {
		return string(data)
	}
	return b.String()
}

// settleStep does to one step what the operator pressed.
func (c *console) settleStep(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "step")
	if err != nil {
		return err
	}
	a, err := actionOf(r)
	if err != nil {
		return err
	}
	if _, err := c.o.Desk.Settle(r.Context(), id, a, by(r)); err != nil {
		return err
	}
	c.note(r, store.SecurityOperator, string(a)+" of step "+id)
	back := "/console/steps/" + id
	if v := r.PostFormValue("back"); v != "" {
		back = localPath(v)
	}
	sep := "?"
	if strings.Contains(back, "?") {
		sep = "&"
	}
	http.Redirect(w, r, back+sep+"said="+string(a), http.StatusSeeOther)
	return nil
}

func sampleSteps() stepsPage {
	return stepsPage{States: []choice{{}}, Kinds: bellhop.Actions(), Steps: []stepView{{}}, Pager: pager{Older: "/", Newest: "/"}}
}

func sampleStep() stepPage {
	s := stepView{Step: bellhop.Step{State: bellhop.StepManual, Error: "x", RequestID: "x", TaskID: "x"}}
	return stepPage{Step: s, Attempts: []bellhop.Attempt{{}}, Result: &connector.Result{Note: "x"}, ResultURL: "https://example.com"}
}
