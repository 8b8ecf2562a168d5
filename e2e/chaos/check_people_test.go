//go:build unix

package chaos

import (
	"net/http"
	"slices"

	"bellhop"
	"bellhop/internal/store"
)

// checkManual looks whether a person can act upon every step that is with one.
func (s *site) checkManual(l *ledger) {
	for _, st := range l.steps {
		if st.State != bellhop.StepManual {
			continue
		}
		s.tally.count("tasks checked")
		code, out, err := s.call(0, "GET", "/v1/ops/support-requests/"+st.TaskID, operatorKey, nil, nil)
		if err != nil || code != http.StatusOK || out["status"] == "resolved" {
			s.errf("step %s is with a person and its task %s is %v (%d %v)", st.ID, st.TaskID, out["status"], code, err)
			continue
		}
		held, _ := out["steps"].([]any)
		if !slices.ContainsFunc(held, func(x any) bool {
			m := x.(map[string]any)
			actions, _ := m["actions"].([]any)
			return m["id"] == st.ID && slices.Contains(actions, any("retry")) && slices.Contains(actions, any("done")) &&
				slices.Contains(actions, any("drop"))
		}) {
			s.errf("task %s does not offer step %s", st.TaskID, st.ID)
		}
	}
}

// checkStories looks whether the story of every correlation id tells of every step and,
// where something is with a person, says so.
func (s *site) checkStories(l *ledger, asks []accepted) {
	steps := map[string][]bellhop.Step{}
	for _, a := range asks {
		if a.what != "payment" {
			steps[a.correlation] = nil
		}
	}
	for _, st := range l.steps {
		if st.CorrelationID != store.NoCorrelation {
			steps[st.CorrelationID] = append(steps[st.CorrelationID], st)
		}
	}
	for corr, own := range steps {
		s.tally.count("stories checked")
		code, out, err := s.call(0, "GET", "/v1/ops/story/"+corr, operatorKey, nil, nil)
		if err != nil || code != http.StatusOK {
			s.errf("no story of %s: %d %v", corr, code, err)
			continue
		}
		lines, _ := out["lines"].([]any)
		told := map[string]string{}
		for _, x := range lines {
			if m := x.(map[string]any); m["what"] == "step" {
				told[m["id"].(string)], _ = m["state"].(string)
			}
		}
		manual := false
		for _, st := range own {
			manual = manual || st.State == bellhop.StepManual
			if told[st.ID] != string(st.State) {
				s.errf("the story of %s says that step %s is %q; it is %s", corr, st.ID, told[st.ID], st.State)
			}
		}
		if sentence, _ := out["sentence"].(string); sentence == "" || (manual && out["stopped"] != true) {
			s.errf("the story of %s ends with %q", corr, sentence)
		}
	}
}
