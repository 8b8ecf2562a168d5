package console

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"bellhop"
	"bellhop/internal/desk"
)

// chip is a word with a tone; the word says everything, the colour only repeats it.
type chip struct {
	Tone string // "good", "bad", "warn", "busy", "calm"
	Text string
	Help string // what it means, in a sentence
}

func stateChip(s bellhop.StepState) chip {
	switch s {
	case bellhop.StepWaiting:
		return chip{"calm", "waiting", "Behind another step of the same person."}
	case bellhop.StepReady:
		return chip{"busy", "ready", "Due now; it is carried out in a moment."}
	case bellhop.StepRunning:
		return chip{"busy", "running", "The call is being made right now."}
	case bellhop.StepRetrying:
		return chip{"warn", "retrying", "It failed and is tried again by itself."}
	case bellhop.StepUnknown:
		return chip{"warn", "unknown", "The call may have happened: it is looked up before anything is sent again."}
	case bellhop.StepParked:
		return chip{"warn", "parked", "Its connection is down; it is carried out by itself when the connection is back."}
	case bellhop.StepManual:
		return chip{"bad", "with a person", "A person has to decide: retry, done by hand, or drop."}
	case bellhop.StepDone:
		return chip{"good", "done", "It was carried out."}
	case bellhop.StepDropped:
		return chip{"calm", "dropped", "A person said that it is not needed."}
	default:
		return chip{"calm", string(s), ""}
	}
}

func statusChip(s bellhop.SupportStatus) chip {
	switch s {
	case bellhop.SupportNew:
		return chip{"bad", "new", "Nobody has looked at it yet."}
	case bellhop.SupportTriaged:
		return chip{"warn", "triaged", "Looked at; nobody works on it yet."}
	case bellhop.SupportAssigned:
		return chip{"busy", "assigned", "Somebody works on it."}
	case bellhop.SupportResolved:
		return chip{"good", "resolved", "Nothing is left to do."}
	default:
		return chip{"calm", string(s), ""}
	}
}

func priorityChip(p bellhop.Priority) chip {
	switch p {
	case bellhop.PriorityUrgent, bellhop.PriorityHigh:
		return chip{"bad", string(p), ""}
	case bellhop.PriorityNormal:
		return chip{"busy", string(p), ""}
	default:
		return chip{"calm", string(p), ""}
	}
}

func requestChip(s bellhop.RequestState) chip {
	switch s {
	case bellhop.RequestDone:
		return chip{"good", "done", ""}
	case bellhop.RequestManual:
		return chip{"warn", "with a person", ""}
	case bellhop.RequestSaved:
		return chip{"busy", "saved, on its way", ""}
	default:
		return chip{"calm", "something is missing", ""}
	}
}

func reasonWords(r bellhop.Reason) string {
	switch r {
	case bellhop.ReasonRequested:
		return "asked for support"
	case bellhop.ReasonAskedForHuman:
		return "asked for a person"
	case bellhop.ReasonLowConfidence:
		return "the assistant was not sure"
	case bellhop.ReasonBilling:
		return "about money"
	case bellhop.ReasonDispute:
		return "a payment is disputed"
	case bellhop.ReasonSyncFailed:
		return "could not be carried out"
	case bellhop.ReasonOutage:
		return "a connection is down"
	case bellhop.ReasonLeadNoEmail:
		return "a lead without e-mail"
	case bellhop.ReasonErasure:
		return "to delete at a vendor"
	default:
		return strings.ReplaceAll(string(r), "_", " ")
	}
}

func actionWords(kind string) string {
	switch bellhop.Action(kind) {
	case bellhop.ActionUpsertContact:
		return "Put a contact into the CRM"
	case bellhop.ActionAddNote:
		return "Write a note to a contact"
	case bellhop.ActionCreateTicket:
		return "Open a ticket"
	case bellhop.ActionUpdateTicket:
		return "Update a ticket"
	case bellhop.ActionSendAlert:
		return "Send an alert"
	case bellhop.ActionSendWebhook:
		return "Send a webhook"
	case bellhop.ActionDeletePerson:
		return "Delete a person"
	default:
		return kind
	}
}

func classWords(c bellhop.ErrorClass) string {
	switch c {
	case "":
		return "worked"
	case bellhop.ClassNotSent:
		return "did not reach the vendor"
	case bellhop.ClassRejected:
		return "refused by the vendor"
	case bellhop.ClassUnauthorized:
		return "credentials refused"
	case bellhop.ClassRateLimited:
		return "too many calls for the vendor"
	case bellhop.ClassUnavailable:
		return "the vendor was not available"
	case bellhop.ClassUnknownOutcome:
		return "not known whether it happened"
	case bellhop.ClassMalformed:
		return "the answer was not understood"
	default:
		return string(c)
	}
}

// causeWords says what an incident is and what to do about it.
func causeWords(i bellhop.Incident) (what, next string) {
	switch i.Class {
	case bellhop.ClassUnauthorized:
		return i.Connection + " refuses the credentials", "Put a valid token into the configuration and restart Bellhop."
	case bellhop.ClassRateLimited:
		return i.Connection + " says the quota is used up", "Wait until the vendor's quota is back, or ask the vendor for more."
	case bellhop.ClassRejected:
		return i.Connection + " refuses what it is sent", "Open the requests it left in the inbox, put right what the vendor complains about and press Retry."
	case bellhop.ClassUnknownOutcome, bellhop.ClassMalformed:
		return "It is not known what " + i.Connection + " did", "Look there whether it was done, then press Done by hand or Retry."
	default:
		return i.Connection + " does not answer", "Look at the vendor's status page. Everything is kept and sent by itself when it is back."
	}
}

// settled says what an action did to one step.
func settled(a desk.Action) string {
	switch a {
	case desk.ActionRetry:
		return "The step is due again and is being tried."
	case desk.ActionDone:
		return "Recorded as done by hand: nothing will repeat it."
	default:
		return "Dropped: nothing will try it again."
	}
}

// notice is what the last form did. The address carries only a code and two numbers, so
// that no link can put words of its own on a page.
func notice(q url.Values) string {
	n, _ := strconv.Atoi(q.Get("n")) // a number that cannot be read is none
	failed, _ := strconv.Atoi(q.Get("failed"))
	switch said := q.Get("said"); said {
	case "retry", "done", "drop":
		return settled(desk.Action(said))
	case "all-retry", "all-done", "all-drop":
		what := map[string]string{"all-retry": "due again", "all-done": "recorded as done by hand", "all-drop": "dropped"}[said]
		out := plural(max(n, 0), "step", "steps") + " " + what + "."
		if failed > 0 {
			out += " " + plural(failed, "step", "steps") + " could not be changed, because of the state that each is in by now."
		}
		return out
	case "saved":
		return "Saved."
	case "unchanged":
		return "Nothing was different, so nothing was changed."
	default:
		return ""
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// percent never rounds a failure away: 100 % means that all went well.
func percent(rate float64) string {
	p := rate * 100
	if p < 100 && p > 99.9 {
		p = 99.9
	}
	return strings.TrimSuffix(strconv.FormatFloat(math.Floor(p*10)/10, 'f', 1, 64), ".0") + " %"
}

func millis(ms float64) string {
	return durationWords(time.Duration(ms * float64(time.Millisecond)))
}

func durationWords(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "< 1 ms"
	case d < time.Second:
		return strconv.FormatInt(d.Round(time.Millisecond).Milliseconds(), 10) + " ms"
	case d < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	default:
		return roughly(d)
	}
}

// roughly says a time span in its largest unit.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return plural(max(int(math.Ceil(d.Seconds())), 1), "second", "seconds")
	case d < time.Hour:
		return plural(int(d/time.Minute), "minute", "minutes")
	case d < 48*time.Hour:
		return plural(int(d/time.Hour), "hour", "hours")
	default:
		return plural(int(d/(24*time.Hour)), "day", "days")
	}
}

func ago(now, t time.Time) string {
	if t.After(now) {
		return "in " + roughly(t.Sub(now))
	}
	return fmt.Sprintf("%s ago", roughly(now.Sub(t)))
}
