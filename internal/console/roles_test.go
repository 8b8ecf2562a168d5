package console

import (
	"context"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/identity"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// row is a console line of the table "Who may call what".
type row struct {
	pattern string
	drop    bool
	least   bellhop.OperatorRole // "" when anyone may
}

func rolesTable(t *testing.T) []row {
	t.Helper()
	data, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []row
	line := regexp.MustCompile("(?m)^\\| `([^`]+)`( drop)? \\| (anyone|no) \\| (?:anyone|no) \\| (?:anyone|no) \\| (?:anyone|no) \\| (\\S+) \\|$")
	for _, m := range line.FindAllStringSubmatch(string(data), -1) {
		if !strings.Contains(m[1], "/console") && !strings.Contains(m[1], "/t/") {
			continue
		}
		r := row{pattern: m[1], drop: m[2] != "", least: bellhop.OperatorRole(m[4])}
		if m[3] == "anyone" {
			r.least = ""
		}
		out = append(out, r)
	}
	return out
}

// caller is somebody at the console; role is "" for whoever has no session that counts.
type caller struct {
	name   string
	b      *browser
	role   bellhop.OperatorRole
	bearer string
}

func (h *harness) everybody() []caller {
	h.t.Helper()
	ctx := context.Background()
	out := []caller{{name: "anonymous", b: h.browser()}, {name: "operator key", b: h.browser().signIn(), role: bellhop.OperatorOwner},
		{name: "operator key as a bearer", b: h.browser(), bearer: operatorKey}, {name: "server key as a bearer", b: h.browser(), bearer: serverKey}}
	visitor, _ := h.tokens.Issue("v1", time.Hour)
	out = append(out, caller{name: "visitor", b: h.browser(), bearer: visitor})
	for _, role := range bellhop.OperatorRoles() {
		out = append(out, caller{name: string(role), b: h.browser().signInAs(role), role: role})
	}
	gone := h.browser()
	if _, err := h.operators.Add(ctx, "gone", password, bellhop.OperatorOwner); err != nil {
		h.t.Fatal(err)
	}
	gone.enter(gone.post("/console/login", "name", "gone", "key", password))
	old, _, err := h.db.Operator(ctx, "owner")
	if err != nil {
		h.t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("old"))
	if err := h.db.BeginSession(ctx, bellhop.OperatorSession{Digest: digest[:], Operator: old, CSRF: "c", CreatedAt: h.db.Now(),
		ExpiresAt: h.db.Now().Add(-time.Second)}, ""); err != nil {
		h.t.Fatal(err)
	}
	if err := h.db.DisableOperator(ctx, "gone"); err != nil {
		h.t.Fatal(err)
	}
	cookie := func(value string) *browser {
		b := h.browser()
		b.cookies, b.csrf = []*http.Cookie{{Name: cookiePlain, Value: value}}, "c"
		return b
	}
	return append(out, caller{name: "revoked", b: gone}, caller{name: "expired", b: cookie("old")}, caller{name: "forged", b: cookie("x" + gone.cookies[0].Value)})
}

// Promise: every page and form is open to exactly those whom docs/security.md names.
func TestEveryPageIsOpenToExactlyWhomTheTableNames(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		h := start(t, db)
		table := rolesTable(t)
		var rows, have []string
		for _, r := range table {
			rows = append(rows, r.pattern)
		}
		for _, rt := range h.con.routes() {
			have = append(have, rt.pattern)
		}
		slices.Sort(rows)
		slices.Sort(have)
		if rows = slices.Compact(rows); !slices.Equal(rows, have) {
			t.Fatalf("the table has\n%s\nthe console has\n%s", strings.Join(rows, "\n"), strings.Join(have, "\n"))
		}
		slices.SortStableFunc(table, func(a, b row) int { // signing out comes last
			return strings.Compare(strings.ReplaceAll(a.pattern, "/logout", "~"), strings.ReplaceAll(b.pattern, "/logout", "~"))
		})
		i := slices.IndexFunc(table, func(r row) bool { return strings.HasSuffix(r.pattern, "/logout") })
		table = append(append(table[:i:i], table[i+1:]...), table[i])
		for n, c := range h.everybody() {
			c.b.address = "192.0.2." + string(rune('1'+n%9)) + ":1"
			for _, r := range table {
				h.checkRow(c, r)
			}
		}
	})
}

func (h *harness) checkRow(c caller, r row) {
	h.t.Helper()
	method, path := pathOf(r.pattern)
	req := httptest.NewRequest(method, path, nil)
	if method == http.MethodPost {
		action := "retry"
		if r.drop {
			action = "drop"
		}
		req = formRequest(path, url.Values{"csrf": {c.b.csrf}, "action": {action}, "note": {"x"}})
	}
	if c.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	res := c.b.send(req)
	toLogin := res.StatusCode == http.StatusSeeOther && strings.HasPrefix(res.Header.Get("Location"), "/console/login") &&
		!strings.HasSuffix(r.pattern, "/logout")
	refused := toLogin || res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden
	ok := res.StatusCode < 500
	switch {
	case r.least == "": // what proves itself; nobody is asked who they are
		ok = ok && !toLogin
	case c.role.Covers(r.least):
		ok = ok && !refused
	case c.role != "":
		ok = res.StatusCode == http.StatusForbidden
	case method == http.MethodPost:
		ok = res.StatusCode == http.StatusUnauthorized
	default:
		ok = toLogin
	}
	if !ok {
		h.t.Errorf("%s at %s (drop %v): %d %s, the table says %q", c.name, r.pattern, r.drop, res.StatusCode, res.Header.Get("Location"), r.least)
	}
}

func TestAViewerSeesNoButtons(t *testing.T) {
	t.Parallel()
	h := start(t, storetest.Open(t, store.SQLite, nil))
	task := h.outage(2)
	step := h.wait("parked", store.StepFilter{State: bellhop.StepParked}, atLeast(2))[0]
	for role, want := range map[bellhop.OperatorRole][2]bool{bellhop.OperatorViewer: {}, bellhop.OperatorAgent: {true, false}, bellhop.OperatorOwner: {true, true}} {
		b := h.browser().signInAs(role)
		page := b.page("/console/inbox/" + task.ID)
		if got := [2]bool{strings.Contains(page, "Done by hand</button>"), strings.Contains(page, "Drop all for good")}; got != want {
			t.Errorf("%s may act, may drop all: %v, want %v", role, got, want)
		}
		if got := strings.Contains(b.page("/console/steps/"+step.ID), "<button name=\"action\""); got != want[0] {
			t.Errorf("%s sees buttons at a step: %v", role, got)
		}
	}
}

func TestWhatAnOperatorDoesIsRecordedUnderTheirName(t *testing.T) {
	t.Parallel()
	h := start(t, storetest.Open(t, store.SQLite, nil))
	h.outage(1)
	step := h.wait("parked", store.StepFilter{State: bellhop.StepParked}, atLeast(1))[0]
	h.browser().signInAs(bellhop.OperatorAgent).post("/console/steps/"+step.ID, "action", "done")
	if s, err := h.db.Step(context.Background(), step.ID); err != nil || s.DoneBy != "agent" {
		t.Errorf("done by %q (%v)", s.DoneBy, err)
	}
}

func TestTheFirstRunLinkLeadsIntoTheConsole(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		h := start(t, db)
		h.operators = h.newOperators(identity.Keys{})
		h.con.o.Operators = h.operators
		secret, err := h.operators.OpenSetup(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		link, err := url.Parse(SetupURL("http://chat.example.com/", secret))
		if err != nil {
			t.Fatal(err)
		}
		b := h.browser()
		if page := b.page(link.RequestURI()); !strings.Contains(page, "Welcome to Bellhop") {
			t.Errorf("the link shows %s", page)
		}
		post := func(pairs ...string) int { return b.post("/console/setup", pairs...).StatusCode }
		for name, codes := range map[string][2]int{ // got, want
			"a wrong secret":       {post("t", "x", "name", "kim", "password", password, "again", password), http.StatusForbidden},
			"two passwords":        {post("t", secret, "name", "kim", "password", password, "again", "x"), http.StatusUnprocessableEntity},
			"a password too short": {post("t", secret, "name", "kim", "password", "x", "again", "x"), http.StatusUnprocessableEntity},
		} {
			if codes[0] != codes[1] {
				t.Errorf("%s: %d, want %d", name, codes[0], codes[1])
			}
		}
		r := formRequest("/console/setup", url.Values{"t": {secret}, "name": {"eve"}, "password": {password}, "again": {password}})
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		if got := b.send(r).StatusCode; got != http.StatusForbidden {
			t.Errorf("from another site: %d", got)
		}
		b.enter(b.post("/console/setup", "t", secret, "name", "Kim", "password", password, "again", password))
		if page := b.page("/console"); !strings.Contains(page, "Signed in as kim") {
			t.Error("the owner is not signed in")
		}
		if got := post("t", secret, "name", "eve", "password", password, "again", password); got != http.StatusForbidden {
			t.Errorf("the link works twice: %d", got)
		}
	})
}
