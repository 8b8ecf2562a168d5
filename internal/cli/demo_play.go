package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"bellhop"
	"bellhop/internal/sandbox"
)

// play is one run of the demo: what is asked, and what came back.
type play struct {
	api      *apiClient
	box      *sandbox.Server
	clock    bellhop.Clock
	progress *progress
	patience time.Duration // how long each wait may last before it counts as lost

	leads, helps  []*talk
	deliveries    []sandbox.DeliveryResult
	paidWrites    int      // how often the payer's contact was written before the payment
	duringOutage  []string // what the customers saw while the CRM was down
	before, after sandbox.Snapshot
	stepsBefore   map[string]int
	stepsAfter    map[string]int
	sameAnswers   bool
	began, paidAt time.Time
	downFor       time.Duration
}

// earlyLeads are the leads that come while all is well; the others come in the outage.
const earlyLeads = 3

// run plays everything. A wait that is not fulfilled in time is no error: the table
// shows what is missing.
func (p *play) run(ctx context.Context) error {
	p.began = p.clock.Now()
	p.leads, p.helps = make([]*talk, len(leadTalks())), make([]*talk, len(helpTalks()))
	for _, act := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"Three customers tell who they are, turn by turn", func(ctx context.Context) error { return p.talkLeads(ctx, 0, earlyLeads) }},
		{"Three ask what nobody wrote down, two ask about money", p.askForHelp},
		{"The CRM goes down; two more leads and a payment come in", p.outage},
		{"The CRM is back; what waited is carried out", p.settle},
		{"Every message is sent again with the same ids", p.sayAgain},
	} {
		p.progress.begin(act.name)
		err := act.do(ctx)
		p.progress.end(err == nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// talkLeads has some of the lead conversations, at the same time, and waits until the
// CRM can have them all.
func (p *play) talkLeads(ctx context.Context, from, to int) error {
	g, gctx := errgroup.WithContext(ctx)
	for i := from; i < to; i++ {
		g.Go(func() (err error) {
			p.leads[i], err = p.converse(gctx, leadTalks()[i].turns)
			return err
		})
	}
	if err := g.Wait(); err != nil || to > earlyLeads {
		return err
	}
	return p.wait(ctx, func(ctx context.Context) (bool, error) { return p.quiet(ctx) })
}

func (p *play) converse(ctx context.Context, texts []string) (*talk, error) {
	t, err := p.api.begin(ctx, p.clock.Now())
	if err != nil {
		return t, err
	}
	for n, text := range texts {
		a, err := p.api.say(ctx, t, n, text)
		if err != nil {
			return t, err
		}
		t.texts, t.answers = append(t.texts, text), append(t.answers, a)
	}
	return t, nil
}

func (p *play) askForHelp(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	for i, h := range helpTalks() {
		g.Go(func() (err error) {
			p.helps[i], err = p.converse(gctx, []string{h.text})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return p.wait(ctx, func(ctx context.Context) (bool, error) { return p.quiet(ctx) })
}

// outage takes the CRM away, lets things come in, and gives it back after the customers
// have been told that a person has it.
func (p *play) outage(ctx context.Context) error {
	payer := leadTalks()[0].want
	for _, c := range p.box.Snapshot().Contacts {
		if c.Properties["email"] == payer["email"] {
			p.paidWrites = c.Writes
		}
	}
	down := p.clock.Now()
	p.box.SetFaults(sandbox.HubSpot, sandbox.Fault{Mode: sandbox.FaultDown})
	defer p.box.ClearFaults(sandbox.HubSpot)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.talkLeads(gctx, earlyLeads, len(p.leads)) })
	g.Go(func() error { return p.pay(gctx, payer) })
	if err := g.Wait(); err != nil {
		return err
	}
	err := p.wait(ctx, func(ctx context.Context) (bool, error) {
		p.duringOutage = nil
		held := true
		for _, t := range p.leads[earlyLeads:] {
			state, err := p.api.requestState(ctx, t, "lead")
			if err != nil {
				return false, err
			}
			p.duringOutage = append(p.duringOutage, state)
			held = held && state == string(bellhop.RequestManual)
		}
		return held, nil
	})
	p.downFor = p.clock.Now().Sub(down)
	return err
}

// pay is a checkout whose three events come three times each, in any order.
func (p *play) pay(ctx context.Context, payer map[string]string) (err error) {
	p.paidAt = p.clock.Now()
	events := p.box.Stripe().PayCheckout(sandbox.CheckoutParams{Email: payer["email"],
		Name: payer["firstname"] + " " + payer["lastname"], Amount: 4900, Currency: "eur", Description: "Fernly Grove, one month"})
	p.deliveries, err = p.box.Deliver(ctx, p.api.base+"/webhooks/stripe", events,
		sandbox.DeliverOpts{Copies: 3, Shuffle: true, Concurrency: 4})
	return err
}

func (p *play) settle(ctx context.Context) error {
	return p.wait(ctx, func(ctx context.Context) (bool, error) {
		incidents, err := p.api.incidents(ctx)
		if err != nil {
			return false, err
		}
		for _, i := range incidents {
			if i.ClosedAt == nil {
				return false, nil
			}
		}
		return p.quiet(ctx)
	})
}

// sayAgain sends every message again. When the steps are all finished before and no new
// one is there after, nothing can change any more.
func (p *play) sayAgain(ctx context.Context) (err error) {
	p.before = p.box.Snapshot()
	if p.stepsBefore, err = p.api.steps(ctx); err != nil {
		return err
	}
	p.sameAnswers = true
	for _, t := range append(append([]*talk{}, p.leads...), p.helps...) {
		for n, text := range t.texts {
			a, err := p.api.say(ctx, t, n, text)
			if err != nil {
				return err
			}
			p.sameAnswers = p.sameAnswers && a.Reply == t.answers[n].Reply && a.CorrelationID == t.answers[n].CorrelationID
		}
	}
	if p.stepsAfter, err = p.api.steps(ctx); err != nil {
		return err
	}
	p.after = p.box.Snapshot()
	return nil
}

// quiet reports whether every step is finished.
func (p *play) quiet(ctx context.Context) (bool, error) {
	states, err := p.api.steps(ctx)
	if err != nil {
		return false, err
	}
	for state, n := range states {
		if n > 0 && !bellhop.StepState(state).Final() {
			return false, nil
		}
	}
	return true, nil
}

// wait asks every 50 ms whether cond holds, until it does or patience ends.
func (p *play) wait(ctx context.Context, cond func(context.Context) (bool, error)) error {
	limit, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := cond(limit)
		if ok {
			return nil
		}
		if err != nil && limit.Err() == nil {
			return fmt.Errorf("the demo could not look: %w", err)
		}
		select {
		case <-tick.C:
		case <-limit.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return nil // the table tells what is missing
		}
	}
}
