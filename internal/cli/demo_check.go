package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"
	"time"

	"bellhop"
	"bellhop/internal/sandbox"
)

// row is one line of the table: what was asked, what is expected and what is there.
type row struct {
	Asked      string  `json:"asked"`
	Expected   string  `json:"expected"`
	Found      string  `json:"found"`
	Duplicates int     `json:"duplicates"`
	Lost       int     `json:"lost"`
	Seconds    float64 `json:"seconds,omitempty"` // until it was there
	OK         bool    `json:"ok"`
}

// judged completes a row whose parts must be equal.
func judged(asked, expected, found string, duplicates, lost int, took time.Duration) row {
	return row{Asked: asked, Expected: expected, Found: found, Duplicates: duplicates, Lost: lost,
		Seconds: max(took, 0).Seconds(), OK: expected == found && duplicates == 0 && lost == 0}
}

// check compares what the vendors hold with what was asked.
func (p *play) check(ctx context.Context) ([]row, error) {
	support, err := p.api.support(ctx)
	if err != nil {
		return nil, err
	}
	incidents, err := p.api.incidents(ctx)
	if err != nil {
		return nil, err
	}
	snap := p.box.Snapshot()
	var rows []row
	for i, l := range leadTalks() {
		rows = append(rows, p.checkLead(ctx, snap, l, p.leads[i], i))
	}
	rows = append(rows, p.checkPayment(snap))
	for i, h := range helpTalks() {
		rows = append(rows, p.checkHelp(ctx, snap, support, h, p.helps[i]))
	}
	return append(rows, p.checkOutage(snap, support, incidents), p.checkAgain(), p.checkTotals(snap, support)), nil
}

// checkLead looks for one contact with every field right and one note whose link opens.
// The first lead has paid since, so its stage has moved on.
func (p *play) checkLead(ctx context.Context, snap sandbox.Snapshot, l leadTalk, t *talk, n int) row {
	if n == 0 {
		l.want["lifecyclestage"] = "customer"
	}
	contacts, notes, right, link := 0, 0, 0, "no link"
	var wrong []string
	var there time.Time
	for _, c := range snap.Contacts {
		if c.Properties["email"] != l.want["email"] {
			continue
		}
		contacts++
		for name, want := range l.want {
			if c.Properties[name] == want {
				right++
			} else {
				wrong = append(wrong, fmt.Sprintf("%s is %q", name, c.Properties[name]))
			}
		}
		for _, note := range snap.Notes {
			if note.ContactID != c.ID {
				continue
			}
			notes++
			there = note.CreatedAt
			if p.linkOpens(ctx, note.Body, t.id) {
				link = "link opens"
			}
		}
	}
	say := func(contacts, right, notes int, link string) string {
		return fmt.Sprintf("%s, %d/%d fields, %s, %s", count(contacts, "contact"), right, len(l.want), count(notes, "note"), link)
	}
	found := say(contacts, right, notes, link)
	if len(wrong) > 0 {
		slices.Sort(wrong)
		found += ": " + strings.Join(wrong, ", ")
	}
	return judged("Lead: "+l.label, say(1, len(l.want), 1, "link opens"), found,
		max(contacts-1, 0)+max(notes-1, 0), max(1-contacts, 0)+max(1-notes, 0), there.Sub(t.began))
}

// linkOpens reports whether a text holds the transcript's link of a conversation and the
// link opens.
func (p *play) linkOpens(ctx context.Context, text, conversationID string) bool {
	for _, link := range regexp.MustCompile(`https?://[^\s"'<>]+`).FindAllString(html.UnescapeString(text), -1) {
		if strings.Contains(link, conversationID) && p.api.opens(ctx, link) {
			return true
		}
	}
	return false
}

// checkPayment looks for one CRM update out of nine deliveries.
func (p *play) checkPayment(snap sandbox.Snapshot) row {
	accepted, duplicate, other, writes, stage := 0, 0, 0, 0, "no contact"
	for _, d := range p.deliveries {
		var body struct{ Status string }
		_ = json.Unmarshal([]byte(d.Body), &body) // what cannot be read counts as something else
		switch {
		case d.OK() && body.Status == "accepted":
			accepted++
		case d.OK() && body.Status == "duplicate":
			duplicate++
		default:
			other++
		}
	}
	for _, c := range snap.Contacts {
		if c.Properties["email"] == leadTalks()[0].want["email"] {
			writes, stage = c.Writes-p.paidWrites, c.Properties["lifecyclestage"]
		}
	}
	say := func(accepted, duplicate, other, writes int, stage string) string {
		return fmt.Sprintf("%d events, %d repeats, %d refused; %s, %s", accepted, duplicate, other, count(writes, "CRM update"), stage)
	}
	return judged("Checkout of 49 EUR, events 3 times, shuffled", say(3, 6, 0, 1, "customer"),
		say(accepted, duplicate, other, writes, stage), max(writes-1, 0), max(1-writes, 0), 0)
}

// checkHelp looks for one support request of the right priority with one ticket.
func (p *play) checkHelp(ctx context.Context, snap sandbox.Snapshot, support []supportLine, h helpTalk, t *talk) row {
	requests, tickets, link := 0, 0, "no link"
	prio, reason := "-", "-"
	var there time.Time
	for _, s := range support {
		if s.ConversationID != t.id {
			continue
		}
		requests++
		prio, reason = s.Priority, s.Reason
		if p.linkOpens(ctx, s.TranscriptURL, t.id) {
			link = "link opens"
		}
	}
	for _, k := range snap.Tickets {
		if strings.Contains(k.Body, t.id) {
			tickets++
			there = k.CreatedAt
		}
	}
	say := func(requests int, reason, prio string, tickets int, link string) string {
		return fmt.Sprintf("%s (%s, %s), %s, %s", count(requests, "request"), reason, prio, count(tickets, "ticket"), link)
	}
	return judged("Question: "+h.label, say(1, h.reason, h.priority, 1, "link opens"), say(requests, reason, prio, tickets, link),
		max(requests-1, 0)+max(tickets-1, 0), max(1-requests, 0)+max(1-tickets, 0), there.Sub(t.began))
}

// checkOutage looks for one incident with one task, which closed itself, one alert and
// one word that it is over, and for customers who were told the truth meanwhile.
func (p *play) checkOutage(snap sandbox.Snapshot, support []supportLine, incidents []incidentLine) row {
	open, tasks, closed := 0, 0, 0
	for _, i := range incidents {
		if i.ClosedAt == nil {
			open++
		}
	}
	for _, s := range support {
		if s.Reason != string(bellhop.ReasonOutage) && s.Reason != string(bellhop.ReasonSyncFailed) {
			continue
		}
		tasks++
		if s.Status == string(bellhop.SupportResolved) {
			closed++
		}
	}
	alerts, over := 0, 0
	for _, m := range snap.Messages {
		if text := m.Text + string(m.Blocks); strings.Contains(text, "works again") {
			over++
		} else {
			alerts++
		}
	}
	say := func(incidents, open, tasks, closed, alerts, over int, told string) string {
		return fmt.Sprintf("%s (%d open), %s (%d closed), %s, %d all-clear; told: %s", count(incidents, "incident"), open,
			count(tasks, "task"), closed, count(alerts, "alert"), over, told)
	}
	return judged("CRM down for "+p.downFor.Round(100*time.Millisecond).String(), say(1, 0, 1, 1, 1, 1, "manual, manual"),
		say(len(incidents), open, tasks, closed, alerts, over, strings.Join(p.duringOutage, ", ")),
		max(len(incidents)-1, 0)+max(alerts-1, 0), 0, p.downFor)
}

// checkAgain compares the world before and after everything was said again.
func (p *play) checkAgain() row {
	n := 0
	for _, t := range append(append([]*talk{}, p.leads...), p.helps...) {
		n += len(t.texts)
	}
	found := "nothing changed, same answers"
	switch {
	case !same(held(p.before), held(p.after)):
		found = "a vendor holds something else"
	case !same(p.stepsBefore, p.stepsAfter):
		found = "steps were made or changed"
	case !p.sameAnswers:
		found = "answered differently"
	}
	return judged(fmt.Sprintf("All %d messages sent again", n), "nothing changed, same answers", found, 0, 0, 0)
}

// held is what vendors hold, without what counts calls.
func held(s sandbox.Snapshot) sandbox.Snapshot {
	s.Version, s.Requests = 0, nil
	return s
}

// same compares by what JSON shows.
func same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// checkTotals finds what belongs to nobody's question.
func (p *play) checkTotals(snap sandbox.Snapshot, support []supportLine) row {
	say := func(contacts, notes, tickets, messages, requests int) string {
		return fmt.Sprintf("%d contacts, %d notes, %d tickets, %d messages to the founder, %d support requests", contacts,
			notes, tickets, messages, requests)
	}
	leads, helps := len(leadTalks()), len(helpTalks())
	extra := max(len(snap.Contacts)-leads, 0) + max(len(snap.Notes)-leads, 0) + max(len(snap.Tickets)-helps, 0)
	lost := max(leads-len(snap.Contacts), 0) + max(leads-len(snap.Notes), 0) + max(helps-len(snap.Tickets), 0)
	return judged("In all", say(leads, leads, helps, 2, helps+1), say(len(snap.Contacts), len(snap.Notes), len(snap.Tickets),
		len(snap.Messages), len(support)), extra, lost, p.clock.Now().Sub(p.began))
}
