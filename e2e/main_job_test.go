package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"bellhop/internal/sandbox"
	"bellhop/internal/store/storetest"
)

// each runs a scenario against a server on each kind of database.
func each(t *testing.T, o worldOpts, fn func(t *testing.T, w *world)) {
	t.Helper()
	for _, kind := range storetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, kind, o)
			w.t = t
			fn(t, w)
		})
	}
}

// visitor is a browser with a conversation.
type visitor struct {
	w           *world
	token, conv string
}

func (w *world) visitor() *visitor {
	w.t.Helper()
	_, v := w.mustCall("POST", "/v1/visitors", "", nil)
	out := &visitor{w: w, token: v["token"].(string)}
	_, c := w.mustCall("POST", "/v1/conversations", out.token, nil)
	out.conv = c["id"].(string)
	return out
}

func (v *visitor) say(id, text string) map[string]any {
	v.w.t.Helper()
	code, out := v.w.mustCall("POST", "/v1/conversations/"+v.conv+"/messages", v.token, map[string]string{"id": id, "text": text})
	if code != http.StatusOK {
		v.w.t.Fatalf("message %q: %d %v", text, code, out)
	}
	return out
}

// leadScripts are five conversations with everything a lead tells, and what must arrive.
func leadScripts() []struct {
	texts  []string
	expect map[string]string
} {
	return []struct {
		texts  []string
		expect map[string]string
	}{
		{[]string{"Hi! I'm Ana Ruiz from Acme and I'd like a quote for the team plan", "ana.ruiz@acme.test", "my phone is +34 600 123 456"},
			map[string]string{"email": "ana.ruiz@acme.test", "firstname": "Ana", "lastname": "Ruiz", "company": "Acme", "phone": "+34600123456"}},
		{[]string{"Hola, me llamo Luis Ortega, estoy interesado en contratar el plan de equipo", "mi correo es luis@ortega.test"},
			map[string]string{"email": "luis@ortega.test", "firstname": "Luis", "lastname": "Ortega"}},
		{[]string{"we want to buy 20 seats, can someone give me a demo?", "Dana Scully, dana@fbi.test"},
			map[string]string{"email": "dana@fbi.test", "firstname": "Dana", "lastname": "Scully"}},
		{[]string{"Olá, meu nome é João Silva e quero um orçamento para a minha empresa", "joao@silva.test"},
			map[string]string{"email": "joao@silva.test", "firstname": "João", "lastname": "Silva"}},
		{[]string{"interested in pricing for our company, contact me at Kim.Lee@Example.TEST"},
			map[string]string{"email": "kim.lee@example.test"}},
	}
}

// Promise: five of five lead conversations reach the CRM as exactly one contact each with
// every field right and one note whose transcript link opens; all sent again with the
// same message ids, nothing changes anywhere.
func TestFiveLeadConversations(t *testing.T) {
	t.Parallel()
	each(t, worldOpts{}, func(t *testing.T, w *world) {
		var visitors []*visitor
		play := func() {
			for n, l := range leadScripts() {
				if len(visitors) <= n {
					visitors = append(visitors, w.visitor())
				}
				for i, text := range l.texts {
					visitors[n].say(fmt.Sprintf("lead-%d-%d", n, i), text)
				}
			}
		}
		play()
		w.until("contacts and notes", time.Minute, func() bool {
			c := w.box.Counts()
			return c.Contacts == 5 && c.Notes == 5 && w.drained()
		})
		first := w.box.Snapshot()
		byEmail := map[string]map[string]string{}
		for _, c := range first.Contacts {
			byEmail[c.Properties["email"]] = c.Properties
		}
		for _, l := range leadScripts() {
			got := byEmail[l.expect["email"]]
			for k, want := range l.expect {
				if g := got[k]; strings.ReplaceAll(g, " ", "") != strings.ReplaceAll(want, " ", "") {
					t.Errorf("%s: %s is %q, want %q", l.expect["email"], k, g, want)
				}
			}
		}
		for _, n := range first.Notes {
			w.openLink(n.Body)
		}
		play()
		w.until("the repeats to settle", time.Minute, w.drained)
		if again := w.box.Snapshot(); again.Version != first.Version {
			t.Errorf("the repeats changed something at a vendor: version %d, then %d", first.Version, again.Version)
		}
	})
}

// Promise: a customer who corrects their e-mail is one contact, with the right one.
func TestACorrectedEmailIsOneContact(t *testing.T) {
	t.Parallel()
	each(t, worldOpts{}, func(t *testing.T, w *world) {
		v := w.visitor()
		v.say("m1", "Hi, I'm Sam Porter, I'd like a quote for the team plan. My email is sam@brightwel.test")
		v.say("m2", "sorry, I mistyped, it's sam@brightwell.test not sam@brightwel.test")
		v.say("m3", "my phone is +44 20 7946 0000")
		w.until("the contact", time.Minute, func() bool { c := w.box.Counts(); return c.Contacts >= 1 && c.Notes >= 1 && w.drained() })
		s := w.box.Snapshot()
		if len(s.Contacts) != 1 || s.Contacts[0].Properties["email"] != "sam@brightwell.test" || len(s.Notes) != 1 ||
			!strings.Contains(s.Contacts[0].Properties["phone"], "7946") {
			t.Errorf("contacts %+v, %d notes; want one contact with the right e-mail and phone, and one note", s.Contacts, len(s.Notes))
		}
	})
}

// openLink opens the transcript link in a text.
func (w *world) openLink(text string) {
	w.t.Helper()
	i := strings.Index(text, w.url+"/t/")
	if i < 0 {
		w.t.Errorf("no transcript link in %q", text)
		return
	}
	link := text[i:]
	if end := strings.IndexAny(link, "\"< \n)'"); end >= 0 {
		link = link[:end]
	}
	resp, err := w.http.Get(strings.ReplaceAll(link, "&amp;", "&"))
	if err != nil {
		w.t.Error(err)
		return
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		w.t.Errorf("the transcript link answers %d: %s", resp.StatusCode, link)
	}
}

// Promise: one Stripe event posted 50 times at once, and again after a restart, is one
// event, one payment, one CRM update; so are the several events of one purchase.
func TestOnePurchaseIsOnePayment(t *testing.T) {
	t.Parallel()
	each(t, worldOpts{}, func(t *testing.T, w *world) {
		evs := w.box.Stripe().PayCheckout(sandbox.CheckoutParams{Email: "ada@example.com", Name: "Ada Byron", Amount: 4900, Currency: "eur"})
		send := func(copies int) {
			res, err := w.box.Deliver(context.Background(), w.url+"/webhooks/stripe", evs, sandbox.DeliverOpts{Copies: copies, Shuffle: true, Concurrency: 25})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range res {
				if r.Status != http.StatusOK {
					t.Errorf("%s: %d %s", r.Type, r.Status, r.Body)
				}
			}
		}
		send(50)
		w.until("the CRM update", time.Minute, func() bool { return w.box.Counts().Contacts == 1 && w.drained() })
		w.stop()
		w.start()
		send(2)
		w.until("the repeats to settle", time.Minute, w.drained)
		s := w.box.Snapshot()
		if len(s.Contacts) != 1 || s.Contacts[0].Writes != 1 || s.Contacts[0].Properties["lifecyclestage"] != "customer" {
			t.Errorf("contacts %+v, want one written once", s.Contacts)
		}
	})
}

// Promise: three low-confidence and two billing questions make five support requests,
// billing ones high, each with a transcript link that opens and one ticket.
func TestQuestionsReachAPerson(t *testing.T) {
	t.Parallel()
	each(t, worldOpts{}, func(t *testing.T, w *world) {
		for n, text := range []string{"the frobnicator blinks purple since the eclipse, what now", "does it work with zorgle mark seven",
			"can the thing do the other thing we talked about", "why was I charged twice this month?", "I want a refund for my last invoice"} {
			v := w.visitor()
			out := v.say(fmt.Sprintf("q-%d", n), text)
			reqs, _ := out["requests"].([]any)
			if len(reqs) != 1 || reqs[0].(map[string]any)["state"] != "manual" {
				t.Errorf("%q: requests %v", text, out["requests"])
			}
		}
		w.until("five tickets", time.Minute, func() bool { return w.box.Counts().Tickets == 5 && w.drained() })
		_, out := w.mustCall("GET", "/v1/ops/support-requests", operatorKey, nil)
		list := out["support_requests"].([]any)
		if len(list) != 5 {
			t.Fatalf("%d support requests, want 5", len(list))
		}
		high := 0
		for _, x := range list {
			r := x.(map[string]any)
			if r["priority"] == "high" && r["reason"] == "billing" {
				high++
			}
			w.openLink(r["transcript_url"].(string))
		}
		if high != 2 {
			t.Errorf("%d billing requests of high priority, want 2", high)
		}
		for _, tk := range w.box.Snapshot().Tickets {
			if !strings.Contains(tk.Body, w.url+"/t/") {
				t.Errorf("ticket %d has no transcript link", tk.ID)
			}
		}
	})
}

// Promise: while the CRM is down a customer is told that a person has their request and
// a support request names them; 200 leads during one outage make one incident and one
// alert; when it is back all arrive once and the tasks close themselves.
func TestOutageOfTheCRM(t *testing.T) {
	t.Parallel()
	each(t, worldOpts{}, func(t *testing.T, w *world) {
		w.box.SetFaults(sandbox.HubSpot, sandbox.Fault{Mode: sandbox.FaultDown})
		code, first := w.mustCall("POST", "/v1/leads", serverKey, map[string]string{"email": "first@example.com", "name": "First One"}, "Idempotency-Key", "first")
		if code != http.StatusAccepted || first["state"] != "saved" {
			t.Errorf("accepted with %d %v", code, first)
		}
		w.until("the customer to be told that a person has it", time.Minute, func() bool {
			_, r := w.mustCall("GET", "/v1/requests/"+first["id"].(string), serverKey, nil)
			return r["state"] == "manual"
		})
		_, sup := w.mustCall("GET", "/v1/ops/support-requests?status=new", operatorKey, nil)
		if list := sup["support_requests"].([]any); len(list) != 1 || !strings.Contains(fmt.Sprint(list[0]), "first@example.com") {
			t.Errorf("no support request names the customer: %v", list)
		}
		var wg sync.WaitGroup
		for n := range 200 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				email := fmt.Sprintf("p%d@example.com", n)
				if code, _, err := w.call("POST", "/v1/leads", serverKey, map[string]string{"email": email, "message": "a demo"}, "Idempotency-Key", email); err != nil || code != http.StatusAccepted {
					t.Errorf("lead %d: %d %v", n, code, err)
				}
			}()
		}
		wg.Wait()
		w.until("all to be parked", time.Minute, func() bool { o := w.openSteps(); return o["parked"] == 201 && o["ready"]+o["retrying"] == 0 })
		_, inc := w.mustCall("GET", "/v1/ops/incidents", operatorKey, nil)
		if list := inc["incidents"].([]any); len(list) != 1 || list[0].(map[string]any)["steps"] != float64(201) {
			t.Errorf("incidents %v, want one that holds 201 steps", list)
		}
		if n := w.box.Counts().Messages; n != 1 {
			t.Errorf("%d alerts, want 1", n)
		}
		w.box.ClearFaults(sandbox.HubSpot)
		w.until("everything to be carried out", 2*time.Minute, func() bool { return w.box.Counts().Contacts == 201 && w.drained() })
		s := w.box.Snapshot()
		for _, c := range s.Contacts {
			if c.Writes != 1 {
				t.Errorf("contact %s was written %d times", c.Properties["email"], c.Writes)
			}
		}
		if len(s.Notes) != 200 || len(s.Messages) != 2 {
			t.Errorf("%d notes and %d alerts, want 200 and 2 (one at the start, one at the end)", len(s.Notes), len(s.Messages))
		}
		_, sup = w.mustCall("GET", "/v1/ops/support-requests", operatorKey, nil)
		for _, x := range sup["support_requests"].([]any) {
			if r := x.(map[string]any); r["status"] != "resolved" {
				t.Errorf("a task did not close itself: %v", r["subject"])
			}
		}
		_, r := w.mustCall("GET", "/v1/requests/"+first["id"].(string), serverKey, nil)
		if r["state"] != "done" {
			t.Errorf("the customer is told %v, want done", r["state"])
		}
	})
}

// Promise: a time-out, reset or cut answer after the vendor did the work leaves exactly
// one record, for every write action that the policy plans.
func TestWorkDoneWithoutAnAnswerIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, mode := range []sandbox.FaultMode{sandbox.FaultResetAfter, sandbox.FaultResetMid, sandbox.FaultMalformed, sandbox.FaultServerErrorAfter} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			each(t, worldOpts{}, func(t *testing.T, w *world) {
				w.box.SetFaults(sandbox.HubSpot, sandbox.Fault{Mode: mode, Count: 1, Path: "POST /crm/v3/objects/contacts/batch/upsert"},
					sandbox.Fault{Mode: mode, Count: 1, Path: "POST /crm/v3/objects/notes$"})
				w.box.SetFaults(sandbox.Zendesk, sandbox.Fault{Mode: mode, Count: 1, Path: "POST /api/v2/tickets.json"})
				w.mustCall("POST", "/v1/leads", serverKey, map[string]string{"email": "ada@example.com", "message": "a demo"}, "Idempotency-Key", "l1")
				w.mustCall("POST", "/v1/support-requests", serverKey, map[string]string{"email": "bob@example.com", "message": "help"}, "Idempotency-Key", "s1")
				w.until("everything to be carried out", time.Minute, func() bool {
					c := w.box.Counts()
					return c.Contacts >= 1 && c.Notes >= 1 && c.Tickets >= 1 && w.drained()
				})
				if c := w.box.Counts(); c.Contacts != 1 || c.Notes != 1 || c.Tickets != 1 {
					t.Errorf("%d contacts, %d notes, %d tickets; want one of each", c.Contacts, c.Notes, c.Tickets)
				}
			})
		})
	}
}

// Promise: SIGTERM finishes or returns what is running and loses nothing.
func TestShutdownLosesNothing(t *testing.T) {
	t.Parallel()
	each(t, worldOpts{latency: 200 * time.Millisecond}, func(t *testing.T, w *world) {
		for n := range 30 {
			email := fmt.Sprintf("p%d@example.com", n)
			w.mustCall("POST", "/v1/leads", serverKey, map[string]string{"email": email, "message": "a demo"}, "Idempotency-Key", email)
		}
		w.stop()
		w.start()
		w.until("everything to be carried out", time.Minute, func() bool { return w.drained() && w.box.Counts().Notes == 30 })
		if c := w.box.Counts(); c.Contacts != 30 || c.Notes != 30 {
			t.Errorf("%d contacts, %d notes; want 30", c.Contacts, c.Notes)
		}
		log, err := os.ReadFile(w.log.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{operatorKey, serverKey, sandbox.Token, sandbox.StripeKey, "p1@example.com"} {
			if strings.Contains(string(log), secret) {
				t.Errorf("the log holds %q", secret)
			}
		}
	})
}
