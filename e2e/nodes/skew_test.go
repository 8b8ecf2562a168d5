//go:build unix

package nodes

import (
	"net/http"
	"testing"
	"time"

	"bellhop/internal/sandbox"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// Promise: nodes whose clocks are an hour apart work together. Neither takes the other for
// dead or its calls for given up, retries wait as long as they should, and a person's
// steps keep their order whichever node they came in at.
func TestNodesWhoseClocksAreAnHourApart(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOpts{database: storetest.URL(t, store.Postgres), nodes: 2, retry: "{attempts: 5, backoff: [2s, 2s]}",
		clocks: []time.Duration{time.Hour, -30 * time.Minute}})
	fast, slow := s.nodes[0], s.nodes[1]
	// One person's name changes at nodes whose clocks differ, while their lane is held up.
	s.box.SetFaults(sandbox.HubSpot, sandbox.Fault{Mode: sandbox.FaultSlow, Count: 1, Delay: 6 * time.Second, Path: "POST /crm/v3/objects/contacts/batch/upsert"})
	for i, name := range []string{"First One", "Second One", "Third One", "Fourth One"} {
		s.nodes[i%2].must("POST", "/v1/leads", serverKey, map[string]string{"email": "ada@example.com", "name": name}, "Idempotency-Key", name)
	}
	// A ticket that fails twice waits two seconds each time, by everybody's watch.
	s.box.SetFaults(sandbox.Zendesk, sandbox.Fault{Mode: sandbox.FaultServerErrorBefore, Status: http.StatusServiceUnavailable, Count: 2, Path: "POST /api/v2/tickets.json"})
	slow.must("POST", "/v1/support-requests", serverKey, map[string]string{"email": "bob@example.com", "subject": "Late", "message": "x"}, "Idempotency-Key", "late")
	took := s.until("the ticket", 90*time.Second, func() bool { return s.box.Counts().Tickets == 1 })
	if took < 2*time.Second {
		t.Errorf("two retries took %s, they were not waited for", took)
	}
	s.until("everything", 90*time.Second, func() bool { return fast.drained() && slow.drained() })
	contact := s.box.Snapshot().Contacts
	if len(contact) != 1 || contact[0].Properties["firstname"] != "Fourth" {
		t.Errorf("contacts %+v, want one, with what was said last", contact)
	}
	// Long calls at both nodes for longer than a silent node is waited for.
	s.box.SetFaults(sandbox.Zendesk, sandbox.Fault{Mode: sandbox.FaultSlow, Delay: 8 * time.Second, Path: "POST /api/v2/tickets.json"})
	for i := range 8 {
		id := string(rune('a' + i))
		s.nodes[i%2].must("POST", "/v1/support-requests", serverKey, map[string]string{"email": id + "@example.com", "subject": "Long " + id, "message": "x"}, "Idempotency-Key", id)
	}
	s.until("the long calls", time.Minute, func() bool { return s.box.Counts().Tickets == 9 && fast.drained() && slow.drained() })
	wait(12 * time.Second) // a round of maintenance of each
	for _, st := range slow.steps("helpdesk") {
		if n := st["attempts"].(float64); n != 1 && n != 3 {
			t.Errorf("a ticket took %v attempts; a living node was relieved of it", n)
		}
	}
	if n := s.box.Counts().Tickets; n != 9 {
		t.Errorf("%d tickets, want 9", n)
	}
	s.quiet()
}
