//go:build unix

package chaos

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"bellhop"
	"bellhop/e2e/world"
)

// runSeed runs one seed and returns what is wrong.
func runSeed(seed uint64, l *lab, t *tally) []string {
	p := newPlan(seed)
	s, err := newSite(p, l, t)
	if s != nil {
		defer s.close()
	}
	if err != nil {
		return []string{fmt.Sprintf("the installation cannot be set up: %v", err)}
	}
	for _, n := range s.nodes {
		if err := n.start(); err != nil {
			return []string{err.Error() + "\n" + n.tail()}
		}
	}
	s.storm()
	if s.settle() {
		s.check()
	}
	for _, n := range s.nodes {
		s.errs = append(s.errs, world.LogLeaks(n.log.Name(), operatorKey, serverKey)...)
	}
	if len(s.errs) > 0 {
		for _, n := range s.nodes {
			s.errs = append(s.errs, n.tail())
		}
	}
	return s.errs
}

// storm lets everything of the plan happen at its moment.
func (s *site) storm() {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	s.began = time.Now()
	at := func(wg *sync.WaitGroup, d time.Duration, fn func()) {
		wg.Go(func() {
			pause(time.Until(s.began.Add(d)))
			fn()
		})
	}
	var asks, breaks sync.WaitGroup
	for _, a := range s.p.asks {
		at(&asks, a.at, func() { s.carry(ctx, a) })
	}
	for _, b := range s.p.faults {
		at(&breaks, b.at, func() { s.do(b) })
	}
	for _, p := range s.p.presses {
		at(&breaks, p.at, func() { s.press(p) })
	}
	breaks.Wait()
	s.lift()
	asks.Wait()
}

const (
	soon     = 2500 * time.Millisecond
	bounced  = 40 * time.Second
	patience = 4 * time.Minute // an open circuit is looked at again within one
)

// settle waits until nothing is on its way any more. What is not over soon waits for a
// circuit's next look, a lease or the sweep; a restart makes that short, as it does for
// somebody who restarts when all is over. A patient plan waits for it.
func (s *site) settle() bool {
	limit := bounced
	if s.p.patient {
		limit = patience
	} else if s.calm(soon) {
		s.tally.count("settled without a restart")
		return true
	} else {
		s.bounce()
	}
	if s.calm(limit) {
		return true
	}
	s.errf("after %s there is still something on its way: %v", limit, s.open())
	s.explain()
	return false
}

// calm waits until nothing is on its way, or the time is up.
func (s *site) calm(limit time.Duration) bool {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); pause(50 * time.Millisecond) {
		if len(s.open()) == 0 {
			return true
		}
	}
	return false
}

// open counts the steps that neither ended nor are with a person.
func (s *site) open() map[string]int {
	code, out, err := s.call(0, "GET", "/v1/ops/stats?window=1h", operatorKey, nil, nil)
	if err != nil || code != http.StatusOK {
		return map[string]int{"no answer": 1}
	}
	open := map[string]int{}
	states, _ := out["steps_by_state"].(map[string]any)
	for state, n := range states {
		if st := bellhop.StepState(state); !st.Final() && st != bellhop.StepManual {
			open[state] = int(n.(float64))
		}
	}
	return open
}

// explain notes the steps that are still on their way.
func (s *site) explain() {
	_, out, err := s.call(0, "GET", "/v1/ops/steps?limit=1000", operatorKey, nil, nil)
	if err != nil {
		return
	}
	list, _ := out["steps"].([]any)
	for _, x := range list {
		st := x.(map[string]any)
		if v := bellhop.StepState(st["state"].(string)); v.Final() || v == bellhop.StepManual {
			continue
		}
		s.errf("step %v: %v %v %v, due %v, updated %v, %v tries, %v %v", st["id"], st["connection"], st["kind"], st["state"],
			st["due_at"], st["updated_at"], st["attempts"], st["error_class"], st["error"])
	}
}
