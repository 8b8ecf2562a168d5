//go:build unix

package chaos

// Long file: the oracle, one invariant after the other.

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/engine"
	"bellhop/internal/sandbox"
	"bellhop/internal/store"
)

// lateAfter is how long after an operator was told that a step is settled a call for it
// may still arrive: it was on its way.
const lateAfter = time.Second

// ledger is what the store and the vendors hold at the end.
type ledger struct {
	unnamed int            // tasks for payments that named nobody for too long, by a clock that jumped
	steps   []bellhop.Step // oldest first
	snap    sandbox.Snapshot
	calls   []sandbox.CallRecord
}

// check compares what was accepted, what the store says and what the vendors hold.
func (s *site) check() {
	l, err := s.readLedger()
	if err != nil {
		s.errf("the store cannot be read: %v", err)
		return
	}
	asks := s.o.all()
	s.tally.add("requests checked", len(asks))
	s.tally.add("steps checked", len(l.steps))
	s.tally.count("seeds on " + string(s.p.kind))
	if s.p.nodes > 1 {
		s.tally.count("seeds with two servers")
	}
	s.checkEffects(l)
	s.checkNothingTwice(l)
	s.checkSettled(l)
	s.checkLanes(l, asks)
	for _, a := range asks {
		s.checkKept(l, a)
	}
	s.checkManual(l)
	s.checkStories(l, asks)
}

func (s *site) readLedger() (*ledger, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	db, err := store.Open(ctx, store.Opts{URL: s.dsn})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	l := &ledger{snap: s.box.Snapshot(), calls: s.box.Calls()}
	tasks, err := db.SupportRequests(ctx, store.SupportFilter{Reason: bellhop.ReasonSyncFailed, Limit: 1000})
	if err != nil {
		return nil, err
	}
	for _, x := range tasks {
		if strings.Contains(x.Subject, "names no customer") {
			l.unnamed++
		}
	}
	if l.steps, err = db.Steps(ctx, store.StepFilter{Limit: 1000}); err != nil {
		return nil, err
	}
	slices.Reverse(l.steps)
	return l, nil
}

// input is what the checks need of a step's input.
type input struct {
	Email          string `json:"email"`
	LifecycleStage string `json:"lifecycle_stage"`
	Subject        string `json:"subject"`
}

func inputOf(st bellhop.Step) (in input) {
	_ = json.Unmarshal(st.Input, &in) // what is not there is empty
	return in
}

// effects counts a step's effects at its vendor, by the reference that its call carries;
// ok is false for actions whose effect cannot be told apart.
func (l *ledger) effects(st bellhop.Step) (n int, ok bool) {
	key, marker := engine.CallKey(st.Key), engine.CallMarker(st.Key)
	switch bellhop.Action(st.Kind) {
	case bellhop.ActionUpsertContact:
		for _, c := range l.snap.Contacts {
			if c.Properties["email"] == inputOf(st).Email {
				n++
			}
		}
	case bellhop.ActionAddNote:
		for _, x := range l.snap.Notes {
			if connector.HasMarker(x.Body, marker) {
				n++
			}
		}
	case bellhop.ActionCreateTicket:
		for _, x := range l.snap.Tickets {
			if x.ExternalID == marker || x.IdempotencyKey == key {
				n++
			}
		}
	case bellhop.ActionSendWebhook:
		for _, x := range l.snap.Webhooks {
			if x.ID == key {
				n++
			}
		}
	default:
		return 0, false
	}
	return n, true
}

// checkEffects holds every step against its vendor: done by the engine is there once,
// anything else at most once, and every end says why.
func (s *site) checkEffects(l *ledger) {
	for _, st := range l.steps {
		s.tally.count("step ended " + string(st.State))
		n, ok := l.effects(st)
		byEngine := st.State == bellhop.StepDone && st.DoneBy == "engine"
		switch {
		case ok && n > 1:
			s.errf("twice: %s of %s has %d effects", st.Kind, st.ID, n)
		case ok && byEngine && n != 1:
			s.errf("lost: %s of %s says done and has no effect", st.Kind, st.ID)
		case st.State == bellhop.StepManual && (st.TaskID == "" || st.Error == ""):
			s.errf("%s of %s is with a person without a task or a reason", st.Kind, st.ID)
		case st.State.Final() && st.DoneBy == "":
			s.errf("%s of %s ended and nobody ended it", st.Kind, st.ID)
		}
	}
}

// checkNothingTwice counts the vendors' objects without asking the store, and looks for
// those that no step explains.
func (s *site) checkNothingTwice(l *ledger) {
	once := map[string]int{}
	for _, c := range l.snap.Contacts {
		once["contact "+c.Properties["email"]]++
	}
	for _, x := range l.snap.Tickets {
		if strings.HasPrefix(x.Subject, "Help ") {
			once["ticket "+x.Subject]++
		}
	}
	for _, x := range l.snap.Webhooks {
		once["webhook "+x.ID]++
		if x.Conflicts > 0 {
			s.errf("webhook %s came with different bodies", x.ID)
		}
	}
	for what, n := range once {
		if n > 1 {
			s.errf("twice: %d of %s", n, what)
		}
	}
	var notes, tickets, alerts int
	for _, st := range l.steps {
		n, _ := l.effects(st)
		switch bellhop.Action(st.Kind) {
		case bellhop.ActionAddNote:
			notes += n
		case bellhop.ActionCreateTicket:
			tickets += n
		case bellhop.ActionSendAlert:
			// An alert has no reference at its vendor. Nobody repeats one whose outcome is not
			// known, but an operator who pressed Retry.
			alerts++
			if s.o.retried[st.ID] {
				alerts += len(s.p.presses)
			}
		}
	}
	if len(l.snap.Notes) != notes || len(l.snap.Tickets) != tickets || len(l.snap.Messages) > alerts {
		s.errf("the vendors hold %d notes, %d tickets and %d alerts; the steps explain %d, %d and at most %d",
			len(l.snap.Notes), len(l.snap.Tickets), len(l.snap.Messages), notes, tickets, alerts)
	}
}

// checkSettled looks at what people settled: it stays so, and nothing is sent for it later.
func (s *site) checkSettled(l *ledger) {
	byID := map[string]bellhop.Step{}
	for _, st := range l.steps {
		byID[st.ID] = st
	}
	for id, done := range s.o.settled {
		st, want := byID[id], bellhop.StepDone
		if done.action == "drop" {
			want = bellhop.StepDropped
		}
		if st.State != want || st.DoneBy == "engine" || st.DoneBy == "" {
			s.errf("step %s was settled by hand (%s) and is %s by %q", id, done.action, st.State, st.DoneBy)
		}
		if _, only := l.only(st); !only {
			continue
		}
		for _, i := range l.writes(st) {
			if late := l.calls[i].Time.Sub(done.at); late > lateAfter {
				s.errf("%s of %s was sent %s after it was settled by hand", st.Kind, id, late)
			}
		}
	}
}

// only reports whether a step is the only one of its action and correlation id, so that
// the vendors' calls tell which are its own.
func (l *ledger) only(st bellhop.Step) (bellhop.Step, bool) {
	n := 0
	for _, x := range l.steps {
		if x.Kind == st.Kind && x.CorrelationID == st.CorrelationID {
			n++
		}
	}
	return st, n == 1 && st.CorrelationID != store.NoCorrelation
}

// writes returns the positions of the calls that took effect for a step.
func (l *ledger) writes(st bellhop.Step) []int {
	var out []int
	for i, c := range l.calls {
		if strings.Contains(c.Traceparent, st.CorrelationID) && actionOf(c) == bellhop.Action(st.Kind) &&
			(c.Fault.Done() || (c.Fault == "" && c.Status/100 == 2)) {
			out = append(out, i)
		}
	}
	return out
}

// actionOf says which action a vendor's call writes for, "" for one that only reads.
func actionOf(c sandbox.CallRecord) bellhop.Action {
	switch {
	case c.Vendor == sandbox.HubSpot && c.Path == "/crm/v3/objects/contacts/batch/upsert",
		c.Vendor == sandbox.HubSpot && c.Method == http.MethodPatch:
		return bellhop.ActionUpsertContact
	case c.Vendor == sandbox.HubSpot && c.Path == "/crm/v3/objects/notes":
		return bellhop.ActionAddNote
	case c.Vendor == sandbox.Zendesk && c.Method == http.MethodPost && c.Path == "/api/v2/tickets.json":
		return bellhop.ActionCreateTicket
	case c.Vendor == sandbox.Webhook:
		return bellhop.ActionSendWebhook
	default:
		return ""
	}
}

// checkLanes holds the order in which a vendor saw a person's effects against the order
// of the commits: what was answered before something else was asked for came first.
func (s *site) checkLanes(l *ledger, asks []accepted) {
	when := map[string]accepted{}
	for _, a := range asks {
		when[a.correlation] = a
	}
	lanes := map[string][]bellhop.Step{}
	for _, st := range l.steps {
		// What a person retried had left its lane, and what they settled has no effect.
		if _, only := l.only(st); only && st.DoneBy == "engine" && !s.o.retried[st.ID] && st.PersonID != store.NoPerson {
			lanes[st.PersonID+" "+st.Connection] = append(lanes[st.PersonID+" "+st.Connection], st)
		}
	}
	for lane, steps := range lanes {
		for i, a := range steps {
			for _, b := range steps[i+1:] {
				s.tally.count("pairs of one lane checked")
				s.checkPair(l, lane, a, b, when)
			}
		}
	}
}

func (s *site) checkPair(l *ledger, lane string, a, b bellhop.Step, when map[string]accepted) {
	x, xok := when[a.CorrelationID]
	y, yok := when[b.CorrelationID]
	switch {
	case a.CorrelationID == b.CorrelationID: // one commit: in the order of the plan
	case !xok || !yok: // a webhook, whose commit nobody was told of
		return
	case y.done.Before(x.began):
		a, b = b, a
	case !x.done.Before(y.began):
		return // at the same time: either may be first
	}
	first, then := l.writes(a), l.writes(b)
	if len(first) == 0 || len(then) == 0 {
		return
	}
	last := first[0]
	if a.Kind == string(bellhop.ActionUpsertContact) {
		last = first[len(first)-1] // an old one sent again would undo the new one
	}
	if last > then[0] {
		s.errf("out of order in lane %s: %s %s (%s) was seen before %s %s (%s)", lane, b.Kind, b.ID,
			l.calls[then[0]].Time.Format(time.TimeOnly+".000"), a.Kind, a.ID, l.calls[last].Time.Format(time.TimeOnly+".000"))
	}
}

// checkKept looks whether what was accepted is in the store and has its steps.
func (s *site) checkKept(l *ledger, a accepted) {
	if a.requestID != "" {
		code, out, err := s.call(0, "GET", "/v1/requests/"+a.requestID, serverKey, nil, nil)
		if err != nil || code != http.StatusOK || out["state"] == "" {
			s.errf("lost: request %s of %s: %d %v", a.requestID, a.name, code, err)
		}
	}
	if a.conv != "" {
		s.checkConversation(a)
	}
	want, has := bellhop.ActionUpsertContact, func(st bellhop.Step) bool { return inputOf(st).Email == a.email }
	switch a.what {
	case "support":
		want, has = bellhop.ActionCreateTicket, func(st bellhop.Step) bool { return inputOf(st).Subject == "Help "+a.name }
	case "payment":
		has = func(st bellhop.Step) bool {
			return inputOf(st).Email == a.email && inputOf(st).LifecycleStage == "customer"
		}
	}
	found := slices.ContainsFunc(l.steps, func(st bellhop.Step) bool { return st.Kind == string(want) && has(st) })
	if !found && a.what == "payment" && l.unnamed > 0 {
		// Its first event named nobody, and the clock was put forward before the next one
		// came: after five minutes a person has it.
		l.unnamed--
		s.tally.count("payments that a person has")
		return
	}
	if !found {
		s.errf("lost: nothing follows from %s %s (%s)", a.what, a.name, a.email)
	}
	if a.what == "payment" {
		s.checkCustomer(l, a)
	}
}

// checkCustomer looks whether somebody who paid is a customer in the CRM, unless a person
// took that step over.
func (s *site) checkCustomer(l *ledger, a accepted) {
	for _, st := range l.steps {
		if in := inputOf(st); st.Kind == string(bellhop.ActionUpsertContact) && in.Email == a.email && in.LifecycleStage == "customer" &&
			st.DoneBy == "engine" {
			for _, c := range l.snap.Contacts {
				if c.Properties["email"] == a.email && c.Properties["lifecyclestage"] != "customer" {
					s.errf("%s paid and is %q in the CRM", a.email, c.Properties["lifecyclestage"])
				}
			}
			return
		}
	}
}

// checkConversation looks whether each message of an accepted chat is there once.
func (s *site) checkConversation(a accepted) {
	code, out, err := s.call(0, "GET", "/v1/conversations/"+a.conv, a.token, nil, nil)
	if err != nil || code != http.StatusOK {
		s.errf("lost: conversation %s: %d %v", a.conv, code, err)
		return
	}
	list, _ := out["messages"].([]any)
	seen := map[string]int{}
	for _, x := range list {
		m := x.(map[string]any)
		seen[m["role"].(string)+": "+m["text"].(string)]++
	}
	for _, text := range chatTexts(a.ask) {
		if n := seen["customer: "+text]; n != 1 {
			s.errf("message %q of %s is there %d times", text, a.name, n)
		}
	}
}
