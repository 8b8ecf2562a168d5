//go:build unix

package nodes

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	"bellhop/internal/sandbox"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// held is how long the vendors hold an answer back: longer than any time box.
const held = 5 * time.Minute

// Promise: a node that is frozen in the middle of its calls, and one that is killed, are
// relieved by the others; when the frozen one wakes up it neither repeats a call nor
// overwrites a result.
//
// The node is caught in four calls: a ticket and a note that the vendor has made and not
// answered; a look-up behind which a note would be made; a contact whose name has changed
// when the node wakes.
func TestAFrozenNodeIsRelievedAndDoesNoHarmWhenItWakes(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"frozen", "killed"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, siteOpts{database: storetest.URL(t, store.Postgres), nodes: 2, idle: true})
			victim, other := s.nodes[0], s.nodes[1]
			victim.start()
			calls := s.catch(victim)
			if how == "killed" {
				victim.end(syscall.SIGKILL)
			} else {
				victim.signal(syscall.SIGSTOP)
			}
			began := time.Now()
			other.start()
			// The person says another name meanwhile, at the node that lives.
			other.must("POST", "/v1/leads", serverKey, map[string]string{"email": "contact@example.com", "name": "New Name"}, "Idempotency-Key", "new")
			done := func() bool { return other.drained() }
			s.until("the other node to take over", time.Minute, done)
			t.Logf("%d calls of the %s node were settled after %s", calls, how, time.Since(began).Round(time.Second))
			s.checkCaught()
			version, steps := s.box.Snapshot().Version, other.steps("")
			if how == "frozen" {
				victim.signal(syscall.SIGCONT)
				s.until("the woken node to answer", 90*time.Second, func() bool { return victim.ready() == http.StatusOK })
				wait(8 * time.Second) // two of its polls, and whatever its timers want
				// It is a node like any other again.
				victim.must("POST", "/v1/support-requests", serverKey, map[string]string{"email": "d@example.com", "subject": "After", "message": "x"}, "Idempotency-Key", "after")
				s.until("the woken node to work", 90*time.Second, func() bool { return s.box.Counts().Tickets == 2 && victim.drained() })
				if after := s.box.Snapshot(); after.Version != version+1 {
					t.Errorf("the vendors changed %d times after the node woke, want 1 for the new ticket", after.Version-version)
				}
				s.checkUnchanged(steps)
			}
			s.checkCaught()
			if n := s.box.Counts().Messages; n != 0 {
				t.Errorf("the founder was told of %d incidents; a node that stood still is none", n)
			}
		})
	}
}

// catch gets the node into the middle of its calls and returns how many.
func (s *site) catch(n *node) int {
	s.t.Helper()
	lead := func(email, name, message string) {
		n.must("POST", "/v1/leads", serverKey, map[string]string{"email": email, "name": name, "message": message}, "Idempotency-Key", email+name)
	}
	hubspot := func(f ...sandbox.Fault) { s.box.SetFaults(sandbox.HubSpot, f...) }
	hold := func(path string) sandbox.Fault {
		return sandbox.Fault{Mode: sandbox.FaultSlow, Count: 1, Delay: held, Path: path}
	}
	caught := func(path string, times int) {
		s.t.Helper()
		s.until("the call of "+path, 90*time.Second, func() bool {
			c := 0
			for _, r := range s.box.Calls() {
				if r.Method+" "+r.Path == path {
					c++
				}
			}
			return c >= times || s.heldCalls(path) >= times
		})
	}
	// A look-up that is held, behind a note that was refused without a word.
	hubspot(sandbox.Fault{Mode: sandbox.FaultServerErrorBefore, Count: 1, Path: "POST /crm/v3/objects/notes$"}, hold("/associations/notes"))
	lead("lookup@example.com", "Look Up", "a demo")
	caught("GET /crm/v3/objects/contacts/{id}/associations/notes", 1)
	// A note that is made and not answered.
	hubspot(hold("POST /crm/v3/objects/notes$"))
	lead("note@example.com", "No Te", "a demo")
	s.until("the note at the vendor", 90*time.Second, func() bool { return s.box.Counts().Notes == 1 })
	// A ticket that is made and not answered.
	s.box.SetFaults(sandbox.Zendesk, hold("POST /api/v2/tickets.json"))
	n.must("POST", "/v1/support-requests", serverKey, map[string]string{"email": "t@example.com", "subject": "Caught", "message": "x"}, "Idempotency-Key", "t")
	s.until("the ticket at the vendor", 90*time.Second, func() bool { return s.box.Counts().Tickets == 1 })
	// A contact that is written and not answered.
	hubspot(hold("POST /crm/v3/objects/contacts/batch/upsert"))
	lead("contact@example.com", "Old Name", "")
	s.until("the contact at the vendor", 90*time.Second, func() bool { return s.box.Counts().Contacts == 3 })
	return 4
}

// heldCalls counts the calls that a fault holds: the sandbox logs them when it answers.
func (s *site) heldCalls(string) int {
	n := 0
	for _, st := range s.nodes[0].steps("crm") {
		if st["kind"] == "crm.add_note" && st["state"] == "running" && st["attempts"].(float64) == 1 {
			n++
		}
	}
	return n
}

// checkCaught holds the vendors against what was asked for.
func (s *site) checkCaught() {
	s.t.Helper()
	snap := s.box.Snapshot()
	names, ids, notes := map[string]string{}, map[string]string{}, map[string]int{}
	for _, c := range snap.Contacts {
		names[c.Properties["email"]] = c.Properties["firstname"] + " " + c.Properties["lastname"]
		ids[c.Properties["email"]] = c.ID
	}
	for _, n := range snap.Notes {
		notes[n.ContactID]++
	}
	for email, want := range map[string]string{"lookup@example.com": "Look Up", "note@example.com": "No Te", "contact@example.com": "New Name"} {
		if names[email] != want {
			s.t.Errorf("%s is called %q, want %q", email, names[email], want)
		}
	}
	if notes[ids["lookup@example.com"]] != 1 || notes[ids["note@example.com"]] != 1 || len(snap.Contacts) != 3 {
		s.t.Errorf("%d contacts with notes %v; want three, and one note for each of two", len(snap.Contacts), notes)
	}
	caught := 0
	for _, x := range snap.Tickets {
		if x.Subject == "Caught" {
			caught++
		}
	}
	if caught != 1 {
		s.t.Errorf("%d tickets, want 1", caught)
	}
}

// checkUnchanged compares the steps that were done before the node woke with what they
// are now.
func (s *site) checkUnchanged(before []map[string]any) {
	s.t.Helper()
	now := map[string]map[string]any{}
	for _, st := range s.nodes[1].steps("") {
		now[st["id"].(string)] = st
	}
	for _, b := range before {
		a := now[b["id"].(string)]
		for _, field := range []string{"state", "done_by", "attempts", "updated_at"} {
			if a[field] != b[field] {
				s.t.Errorf("%v of %v was %v before the frozen node woke and is %v now", field, b["kind"], b[field], a[field])
			}
		}
	}
}
