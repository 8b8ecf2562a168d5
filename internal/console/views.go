package console

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strconv"
	"time"

	"bellhop"
	"bellhop/internal/watch"
)

//go:embed templates
var templateFiles embed.FS

// view names a page's template file.
type view string

// The views.
const (
	viewBounce      view = "bounce"
	viewConnections view = "connections"
	viewError       view = "error"
	viewInbox       view = "inbox"
	viewLogin       view = "login"
	viewRequest     view = "request"
	viewSetup       view = "setup"
	viewSecurity    view = "security"
	viewStep        view = "step"
	viewSteps       view = "steps"
	viewStory       view = "story"
	viewToday       view = "today"
	viewTranscript  view = "transcript"
)

// samples holds every view with the data it is rendered with, filled just enough that its
// loops and branches run once when the console is made.
func samples() map[view]any {
	return map[view]any{
		viewBounce: bouncePage{}, viewConnections: sampleConnections(), viewError: errorPage{}, viewInbox: sampleInbox(),
		viewLogin: loginPage{}, viewRequest: sampleRequest(), viewStep: sampleStep(), viewSteps: sampleSteps(),
		viewSecurity: sampleSecurity(), viewSetup: setupPage{}, viewStory: sampleStory(), viewToday: sampleToday(),
		viewTranscript: sampleTranscript(),
	}
}

// loadViews parses every view and renders it once.
func (c *console) loadViews() (map[view]*template.Template, error) {
	base, err := template.New("base").Funcs(c.funcs()).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	out := map[view]*template.Template{}
	for v, data := range samples() {
		t, err := base.Clone()
		if err != nil {
			return nil, fmt.Errorf("console: %w", err)
		}
		if t, err = t.ParseFS(templateFiles, "templates/"+string(v)+".html"); err != nil {
			return nil, fmt.Errorf("console: %w", err)
		}
		if err := t.ExecuteTemplate(io.Discard, "layout", data); err != nil {
			return nil, fmt.Errorf("console: %w", err)
		}
		out[v] = t
	}
	return out, nil
}

func (c *console) funcs() template.FuncMap {
	return template.FuncMap{
		"asset":     c.assets.url,
		"rfc3339":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"stamp":     func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04:05") + " UTC" },
		"short":     func(t time.Time) string { return t.UTC().Format("2 Jan, 15:04") },
		"ago":       func(t time.Time) string { return ago(c.o.Clock.Now(), t) },
		"overdue":   func(t time.Time) bool { return !t.IsZero() && c.o.Clock.Now().After(t) },
		"percent":   percent,
		"duration":  durationWords,
		"millis":    millis,
		"stateChip": stateChip, "statusChip": statusChip, "priorityChip": priorityChip, "requestChip": requestChip,
		"reason": reasonWords, "action": actionWords, "class": classWords, "plural": plural,
		"securityWords": watch.SecurityWords,
		"count":         func(n int) string { return strconv.Itoa(n) },
	}
}

// page is what the layout needs; every page's data embeds it.
type page struct {
	Title    string
	Product  string
	Section  string // which link of the navigation is the current one
	Bare     bool   // no navigation: nobody is signed in
	Operator string
	Act      bool // the operator may change things
	Own      bool // the operator is an owner
	CSRF     string
	Here     string // this page's own address, to come back to after a form
	Notice   string
	Refresh  string // send the browser on to this address at once
}

func (c *console) page(r *http.Request, title, section string) page {
	p := page{Title: title, Product: c.o.Product, Section: section, Bare: true, Here: r.URL.Path,
		Notice: notice(r.URL.Query())}
	if s, ok := sessionOf(r.Context()); ok {
		p.Bare, p.Operator, p.CSRF = false, operatorName(s.Principal), s.CSRF
		p.Act, p.Own = s.Principal.May(bellhop.OperatorAgent), s.Principal.May(bellhop.OperatorOwner)
	}
	return p
}

// form is what every form that changes something carries.
type form struct {
	CSRF string
	Back string
	Act  bool // whether to show it at all
}

func (p page) form() form { return form{CSRF: p.CSRF, Back: p.Here, Act: p.Act} }
