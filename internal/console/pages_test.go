package console

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"bellhop"
	"bellhop/internal/desk"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// external finds what a page would load from, or send to, somewhere else.
var external = regexp.MustCompile(`(?i)(src|href|action|content)="\s*(https?:)?//|url\(`)

// inline finds what the policy of the pages would refuse.
var inline = regexp.MustCompile(`(?i)<script|<style|\sstyle=|\son[a-z]+="`)

func checkPage(t *testing.T, path, text string) {
	t.Helper()
	if m := external.FindString(text); m != "" {
		t.Errorf("%s leads elsewhere: %q", path, m)
	}
	if m := inline.FindString(text); m != "" {
		t.Errorf("%s has something inline: %q", path, m)
	}
	if strings.Count(text, "<h1>") != 1 || !strings.Contains(text, `<main id="main"`) || !strings.Contains(text, `<html lang="en">`) {
		t.Errorf("%s: one h1, a main landmark and a language are needed", path)
	}
	if strings.Contains(text, "<img src=x") || strings.Contains(text, "alert(1)</script>") {
		t.Errorf("%s lets a customer's markup through", path)
	}
}

func TestEmptyPagesTeach(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		b := start(t, db).browser().signIn()
		for path, want := range map[string]string{
			"/console":                      "Nothing is stuck.",
			"/console/inbox":                "Nobody waits for an answer.",
			"/console/inbox?reason=billing": "No request is like this.",
			"/console/steps":                "There are no steps yet.",
			"/console/steps?state=manual":   "No step is like this.",
			"/console/story":                "One id follows a request",
			"/console/connections":          "Nothing is known of any connection yet.",
		} {
			text := b.page(path)
			checkPage(t, path, text)
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q", path, want)
			}
		}
	})
}

func TestPagesWithDataSayWhatIsStuck(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		h := start(t, db)
		conv, req := h.chat(evil)
		task := h.outage(3)
		b := h.browser().signIn()
		steps := h.wait("steps", store.StepFilter{State: bellhop.StepParked}, atLeast(3))
		tried := steps[slices.IndexFunc(steps, func(s bellhop.Step) bool { return s.Attempts > 0 })] // others joined without a try
		for path, want := range map[string][]string{
			"/console":                           {"crm refuses the credentials", "Cause: credentials refused", "Put a valid token", "Billing: &lt;script&gt;", "parked", `href="/console/inbox/` + task.ID},
			"/console/inbox":                     {"Billing: &lt;script&gt;", "a connection is down"},
			"/console/inbox?status=new":          {"Billing: &lt;script&gt;"},
			"/console/inbox?priority=high":       {"a connection is down"},
			"/console/inbox?reason=outage":       {"a connection is down"},
			"/console/inbox/" + req.ID:           {"&lt;img src=x", "dana@acme.test", "Understood as billing, 42 % sure", "Open the whole transcript", "Resolve"},
			"/console/inbox/" + task.ID:          {"3 steps wait", "Done by hand", "Drop for good", "All done by hand", "a@acme.test"},
			"/console/steps":                     {"Put the contact a@acme.test into the CRM", "token expired"},
			"/console/steps?state=parked":        {"Put the contact"},
			"/console/steps?task=" + task.ID:     {"Only the steps of one request"},
			"/console/steps?connection=crm":      {"Put the contact"},
			"/console/steps/" + tried.ID:         {"credentials refused", "401", "req-8", "Idempotency key", "The input as it is stored"},
			"/console/story/" + correlation:      {"Waiting for crm to work again", "In the order of time"},
			"/console/connections":               {"crm", "down", "refuses the credentials"},
			TranscriptURL("", h.tokens, conv):    {"&lt;script&gt;alert(1)", "A person will look at it.", "Understood as billing, 42 % sure", "with a person"},
			"/console/steps?kind=alert.send":     {"No step is like this."},
			"/console/steps?before=not-an-id":    {"Put the contact"},
			"/console/steps?connection=%00%ff":   {"Put the contact"},
			"/console/inbox?status=nonsense":     {"Billing"},
			"/console/story?again=1":             {"Tell"},
			"/console/inbox/" + task.ID + "?x=1": {task.ID},
		} {
			text := b.page(path)
			checkPage(t, path, text)
			for _, s := range want {
				if !strings.Contains(text, s) {
					t.Errorf("%s does not say %q", path, s)
				}
			}
		}
		for _, path := range []string{"/console/nothing", "/console/inbox/1", "/console/inbox/" + store.NewID(), "/console/steps/x", "/console/steps/" + store.NewID(),
			"/console/story/unknown", "/console/story/%00", "/console/assets/console-0.css"} {
			status, text := b.get(path)
			if status != http.StatusNotFound {
				t.Errorf("%s: %d, want 404", path, status)
			}
			checkPage(t, path, text)
		}
	})
}

func TestTranscriptOpensOnlyWithItsSignature(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		h := start(t, db)
		conv, _ := h.chat("hello")
		good := TranscriptURL("https://chat.example.com/", h.tokens, conv)
		if !strings.HasPrefix(good, "https://chat.example.com/t/"+conv+"?s=") {
			t.Errorf("address %s", good)
		}
		other, err := db.CreateConversation(context.Background(), bellhop.Owner{VisitorID: "v2"})
		if err != nil {
			t.Fatal(err)
		}
		b := h.browser()
		res := b.send(httptest.NewRequest(http.MethodGet, good, nil))
		if res.StatusCode != http.StatusOK || res.Header.Get("Referrer-Policy") != "no-referrer" || res.Header.Get("Cache-Control") != "no-store" ||
			!strings.Contains(res.Header.Get("X-Robots-Tag"), "noindex") {
			t.Errorf("good link: %d %v", res.StatusCode, res.Header)
		}
		if text := body(t, res); strings.Contains(text, "/console/inbox") {
			t.Error("a customer's page shows the console's navigation")
		}
		sig := h.tokens.SignLink(linkTranscript, conv)
		missing := store.NewID()
		for _, path := range []string{"/t/" + conv, "/t/" + conv + "?s=", "/t/" + conv + "?s=" + sig[1:], "/t/" + other.ID + "?s=" + sig, "/t/x?s=" + sig,
			"/t/" + conv + "?s=" + h.tokens.SignLink("session", conv), "/t/", "/t/a/b",
			"/t/not-an-id?s=" + h.tokens.SignLink(linkTranscript, "not-an-id"), "/t/" + missing + "?s=" + h.tokens.SignLink(linkTranscript, missing)} {
			status, text := b.get(path)
			if status != http.StatusNotFound || !strings.Contains(text, "Copy the whole link") {
				t.Errorf("%s: %d", path, status)
			}
			checkPage(t, path, text)
		}
	})
}

func TestActionsDoWhatTheySay(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		h := start(t, db)
		ctx := context.Background()
		task := h.outage(4)
		b := h.browser().signIn()
		parked := h.wait("parked", store.StepFilter{State: bellhop.StepParked}, atLeast(4))
		state := func(id string) bellhop.Step {
			t.Helper()
			s, err := db.Step(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		here := "/console/inbox/" + task.ID
		res := b.post("/console/steps/"+parked[0].ID, "action", "done", "back", here)
		if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != here+"?said=done" {
			t.Errorf("done: %d to %s", res.StatusCode, res.Header.Get("Location"))
		}
		if s := state(parked[0].ID); s.State != bellhop.StepDone || s.DoneBy != "operator" {
			t.Errorf("done by hand: %s by %s", s.State, s.DoneBy)
		}
		if !strings.Contains(b.page(here+"?said=done"), "Recorded as done by hand") {
			t.Error("the page does not say what was done")
		}
		if res := b.post("/console/steps/"+parked[0].ID, "action", "retry"); res.StatusCode != http.StatusConflict {
			t.Errorf("retry of a finished step: %d, want 409", res.StatusCode)
		}
		if res := b.post("/console/steps/"+parked[1].ID, "action", "burn"); res.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("unknown action: %d, want 422", res.StatusCode)
		}
		res = b.post("/console/steps/"+parked[1].ID, "action", "drop", "back", "//evil.example/x")
		if loc := res.Header.Get("Location"); !strings.HasPrefix(loc, "/console?") {
			t.Errorf("a form led to %s", loc)
		}
		if s := state(parked[1].ID); s.State != bellhop.StepDropped {
			t.Errorf("drop: %s", s.State)
		}
		h.crm.set(false, "")
		b.post("/console/steps/"+parked[2].ID, "action", "retry")
		h.wait("the retried step", store.StepFilter{State: bellhop.StepDone}, func(steps []bellhop.Step) bool {
			for _, s := range steps {
				if s.ID == parked[2].ID {
					return s.DoneBy == "engine"
				}
			}
			return false
		})
		res = b.post(here+"/steps", "action", "done")
		if loc := res.Header.Get("Location"); !strings.HasPrefix(loc, here+"?said=all-done&n=") {
			t.Errorf("all: %d to %q", res.StatusCode, loc)
		}
		if s := state(parked[3].ID); s.State != bellhop.StepDone {
			t.Errorf("all by hand: %s", s.State)
		}
	})
}

func TestRequestsAreMovedAndEdited(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		h := start(t, db)
		_, req := h.chat("why was I charged twice?")
		b := h.browser().signIn()
		here := "/console/inbox/" + req.ID
		read := func() bellhop.SupportRequest {
			t.Helper()
			s, err := db.SupportRequest(context.Background(), req.ID)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		b.post(here, "status", "triaged")
		if s := read(); s.Status != bellhop.SupportTriaged {
			t.Errorf("status %s", s.Status)
		}
		b.post(here, "assignee", "Kim", "assignee_was", "", "priority", "urgent", "priority_was", "high", "note", "called "+evil)
		if s := read(); s.Status != bellhop.SupportAssigned || s.Assignee != "Kim" || s.Priority != bellhop.PriorityUrgent || !strings.Contains(s.Note, "called") {
			t.Errorf("edited: %+v", s)
		}
		// Another operator's page is older: what it shows unchanged is not written back.
		b.post(here, "assignee", "", "assignee_was", "", "priority", "high", "priority_was", "high", "note", "second")
		if s := read(); s.Assignee != "Kim" || s.Priority != bellhop.PriorityUrgent {
			t.Errorf("an old page overwrote: %+v", s)
		}
		checkPage(t, here, b.page(here))
		if res := b.post(here, "status", "new"); res.StatusCode != http.StatusConflict || !strings.Contains(body(t, res), "cannot become new") {
			t.Errorf("a move that does not exist: %d", res.StatusCode)
		}
		if res := b.post(here, "priority", "huge", "priority_was", "high"); res.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("a priority that does not exist: %d", res.StatusCode)
		}
		if res := b.post(here, "note", "  "); res.Header.Get("Location") != here+"?said=unchanged" {
			t.Errorf("an empty edit led to %s", res.Header.Get("Location"))
		}
		b.post(here, "status", "resolved")
		if s := read(); s.Status != bellhop.SupportResolved {
			t.Errorf("status %s", s.Status)
		}
		if strings.Contains(b.page("/console/inbox"), req.ID) || !strings.Contains(b.page("/console/inbox?status=resolved"), req.ID) ||
			!strings.Contains(b.page("/console/inbox?status=all"), req.ID) {
			t.Error("a resolved request is listed where it should not be, or not where it should")
		}
		if text := b.page(here); !strings.Contains(text, "Open again") || strings.Contains(text, ">Resolve<") {
			t.Error("the buttons are not those of a resolved request")
		}
	})
}

func TestListsContinueWhereTheyEnded(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		h := start(t, db)
		for range listLength + 5 {
			h.chat("hello")
		}
		b := h.browser().signIn()
		link := regexp.MustCompile(`href="/console/inbox/([0-9a-f-]{36})"`)
		next := regexp.MustCompile(`href="([^"]+)" rel="next"`)
		seen := map[string]int{}
		path, length := "/console/inbox", 0
		for path != "" {
			text := b.page(path)
			for _, m := range link.FindAllStringSubmatch(text, -1) {
				seen[m[1]]++
			}
			length++
			m := next.FindStringSubmatch(text)
			path = ""
			if m != nil {
				path = strings.ReplaceAll(m[1], "&amp;", "&")
			}
		}
		if len(seen) != listLength+5 || length != 2 {
			t.Errorf("%d requests on %d pages", len(seen), length)
		}
		for id, n := range seen {
			if n != 1 {
				t.Errorf("%s is listed %d times", id, n)
			}
		}
	})
}

func TestMissingPartsAreFoundAtTheStart(t *testing.T) {
	t.Parallel()
	if _, err := New(Opts{}); err == nil {
		t.Error("a console without a store was made")
	}
	db := storetest.Open(t, store.SQLite, nil)
	h := start(t, db)
	o := h.con.o
	o.PublicURL = "chat.example.com"
	if _, err := New(o); err == nil {
		t.Error("a public URL without scheme was taken")
	}
	if _, err := h.con.assets.url("missing.css"); err == nil {
		t.Error("an asset that is not there has an address")
	}
	for v := range samples() {
		if h.con.views[v] == nil {
			t.Errorf("view %s was not loaded", v)
		}
	}
	if settled(desk.ActionRetry) == settled(desk.ActionDrop) {
		t.Error("two actions say the same")
	}
}
