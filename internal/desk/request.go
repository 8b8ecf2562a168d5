package desk

import (
	"bellhop"
	"bellhop/internal/store"
)

// View is a request as its customer may see it: the state is derived from what has been
// done, with a sentence and a next step.
func View(f store.RequestFacts) bellhop.Request {
	r := f.Request
	r.State = stateOf(f)
	r.Message, r.NextStep = words(r.Kind, r.State, f.Support)
	return r
}

// stateOf derives the state. Somebody has it when a step is with a person, or waits
// inside an incident whose task a person has.
func stateOf(f store.RequestFacts) bellhop.RequestState {
	if f.Kind == bellhop.RequestSupport || f.Support != nil {
		if f.Support != nil && f.Support.Status == bellhop.SupportResolved {
			return bellhop.RequestDone
		}
		if f.Support != nil {
			return bellhop.RequestManual // a person has the request itself, ticket or not
		}
	}
	open := 0
	for state, n := range f.Steps {
		if !state.Final() {
			open += n
		}
	}
	switch {
	case f.Steps[bellhop.StepManual] > 0, f.HeldByTask:
		return bellhop.RequestManual
	case open > 0:
		return bellhop.RequestSaved
	case f.Kind == bellhop.RequestLead && len(f.Steps) == 0 && !f.PersonHasEmail:
		return bellhop.RequestPending
	default:
		return bellhop.RequestDone
	}
}

func words(k bellhop.RequestKind, s bellhop.RequestState, sup *bellhop.SupportRequest) (message, next string) {
	switch k {
	case bellhop.RequestLead:
		switch s {
		case bellhop.RequestPending:
			return "We do not have your e-mail yet.", "Tell us your e-mail so that we can reach you."
		case bellhop.RequestSaved:
			return "Your details are saved and on their way to our team's system.", "You do not have to do anything."
		case bellhop.RequestManual:
			return "Your details are saved, and a person on our team is finishing this by hand.", "You do not have to send them again."
		default:
			return "Your details have reached our team.", "You do not have to do anything."
		}
	case bellhop.RequestPayment:
		switch s {
		case bellhop.RequestManual:
			return "Your payment arrived, and a person on our team is updating our records.", "You do not have to pay again."
		case bellhop.RequestDone:
			return "Your payment is in our records.", "You do not have to do anything."
		default:
			return "Your payment arrived and is being put into our records.", "You do not have to pay again."
		}
	default:
		if s == bellhop.RequestDone {
			return "Your request is resolved.", "Write again if something is still open."
		}
		if sup != nil && sup.Status == bellhop.SupportAssigned {
			return "A person on our team is working on your request.", "Please wait for the answer; you can add details here."
		}
		return "Your request is with our team.", "Please wait for the answer; you can add details here."
	}
}
