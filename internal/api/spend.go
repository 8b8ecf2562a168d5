package api

import (
	"context"
	"time"

	"bellhop"
	"bellhop/internal/assistant"
	"bellhop/internal/store"
)

// Spend caps what a hosted model may cost in a day (UTC), in millionths of a dollar. It
// is looked at before each turn and counted after it, so turns that run at the same
// moment can go over it by what they cost together. 0 is no cap.
type Spend struct {
	PerPerson int64 // one visitor or user
	PerDay    int64 // everybody together, on all nodes
}

// spendTime bounds writing down what a turn has cost.
const spendTime = 5 * time.Second

// spent returns which of the caps is reached, "" when none is.
func (a *API) spent(ctx context.Context, o bellhop.Owner) (string, error) {
	if a.o.Spend == (Spend{}) {
		return "", nil
	}
	one, all, err := a.o.DB.Spent(ctx, o)
	switch {
	case err != nil:
		return "", err
	case a.o.Spend.PerPerson > 0 && one >= a.o.Spend.PerPerson:
		return "limits.spend_per_person is reached", nil
	case a.o.Spend.PerDay > 0 && all >= a.o.Spend.PerDay:
		return "limits.spend_per_day is reached", nil
	default:
		return "", nil
	}
}

// capped is the answer when the money is used up: nothing is asked of the model, and a
// person gets the question.
func capped(delta func(string)) assistant.Answer {
	ans := assistant.Answer{Text: "I have reached my limit for today and cannot answer this myself. Below you see who has your message.",
		Escalate: true, EscalateReason: bellhop.ReasonLowConfidence, Decision: bellhop.Decision{Intent: bellhop.IntentOther,
			Summary: "The day's money for the model is used up, so nobody has answered this message yet.", Escalated: true}}
	if delta != nil {
		delta(ans.Text)
	}
	return ans
}

// paid writes down what a turn has cost, also when its customer has left meanwhile.
func (a *API) paid(ctx context.Context, o bellhop.Owner, u assistant.Usage) {
	if u.Cost <= 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), spendTime)
	defer cancel()
	if err := a.o.DB.AddSpent(ctx, o, u.Cost); err != nil {
		a.o.Logger.ErrorContext(ctx, "what the model cost could not be counted", "error", err.Error(),
			"correlation_id", correlationOf(ctx))
	}
}

// askWithin asks the assistant, unless the day's money is used up.
func (a *API) askWithin(ctx context.Context, o bellhop.Owner, t assistant.Turn, delta func(string)) (assistant.Answer, error) {
	reached, err := a.spent(ctx, o)
	if err != nil {
		return assistant.Answer{}, err
	}
	if reached != "" {
		a.note(ctx, store.SecuritySpend, reached)
		return capped(delta), nil
	}
	ans, err := a.reply(ctx, t, delta)
	a.paid(ctx, o, ans.Usage)
	return ans, err
}
