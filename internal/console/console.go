// Package console is the face of Bellhop for the people who run it: server-rendered
// pages that say what is stuck, why, and what to do, and the transcript that a signed
// link opens. It works without JavaScript, loads nothing from anywhere else, and writes
// only through the desk.
package console

import (
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"bellhop"
	"bellhop/internal/desk"
	"bellhop/internal/identity"
	"bellhop/internal/store"
	"bellhop/internal/watch"
)

// Opts is what the console stands on. DB, Desk, Tokens and Operators are required.
type Opts struct {
	DB        *store.DB
	Desk      *desk.Desk
	Tokens    *identity.Tokens
	Operators *identity.Operators
	Functions *watch.Functions // nil: no endpoint was measured
	Security  *watch.Security  // nil: there is no security log
	Proxies   identity.Proxies
	Clock     bellhop.Clock // nil: the machine's
	Logger    *slog.Logger  // nil: silent
	PublicURL string        // where customers and operators reach this server; "" when nobody said
	Product   string        // what the product is called; "" means Bellhop
}

// console is the handler that New makes.
type console struct {
	o      Opts
	mux    *http.ServeMux
	views  map[view]*template.Template
	assets assets
	origin *http.CrossOriginProtection
	secure bool // the public address is https: cookies never travel in the clear
}

// New makes the handler of /console, /console/… and /t/{id}. Every page is rendered once
// without data, so that a missing view or a wrong field is an error here and not in front
// of somebody.
func New(o Opts) (http.Handler, error) {
	c, err := newConsole(o)
	if err != nil {
		return nil, err
	}
	return c.handler(), nil
}

func newConsole(o Opts) (*console, error) {
	if o.DB == nil || o.Desk == nil || o.Tokens == nil || o.Operators == nil {
		return nil, errors.New("console: a store, a desk, tokens and operators are needed")
	}
	if o.Functions == nil {
		o.Functions = watch.NewFunctions()
	}
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Product == "" {
		o.Product = "Bellhop"
	}
	o.PublicURL = strings.TrimRight(o.PublicURL, "/")
	c := &console{o: o, mux: http.NewServeMux(), secure: strings.HasPrefix(strings.ToLower(o.PublicURL), "https://"),
		origin: http.NewCrossOriginProtection()}
	if err := c.trustPublicURL(); err != nil {
		return nil, err
	}
	var err error
	if c.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	if c.views, err = c.loadViews(); err != nil {
		return nil, err
	}
	for _, rt := range c.routes() {
		c.mux.Handle(rt.pattern, c.serve(rt))
	}
	return c, nil
}

// trustPublicURL lets forms be sent from the public address, because a proxy in between
// may call this server by another name.
func (c *console) trustPublicURL() error {
	if c.o.PublicURL == "" {
		return nil
	}
	u, err := url.Parse(c.o.PublicURL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("console: the public URL must be of the form https://chat.example.com")
	}
	return c.origin.AddTrustedOrigin(u.Scheme + "://" + u.Host)
}

// access says who may call a route.
type access int

const (
	open       access = iota // anybody: it proves by itself who may see what
	firstRun                 // whoever holds the first-run link
	signedOut                // for operators who are not signed in yet
	viewer                   // a session of any operator; a POST also needs its form token
	agent                    // the same, of an agent or owner
	maxForm    = 64 << 10
	listLength = 50
)

type route struct {
	pattern string
	do      func(http.ResponseWriter, *http.Request) error
	access  access
}

// routes is the whole surface of the console.
func (c *console) routes() []route {
	return []route{
		{"GET /t/{id}", c.showTranscript, open},
		{"GET /console/assets/{name}", c.sendAsset, open},
		{"GET /console/login", c.showLogin, signedOut},
		{"POST /console/login", c.signIn, signedOut},
		{"GET /console/setup", c.showSetup, firstRun},
		{"POST /console/setup", c.makeOwner, firstRun},
		{"POST /console/logout", c.signOut, viewer},
		{"GET /console", c.showToday, viewer},
		{"GET /console/{$}", c.redirectToday, open},
		{"GET /console/inbox", c.listRequests, viewer},
		{"GET /console/inbox/{id}", c.showRequest, viewer},
		{"POST /console/inbox/{id}", c.editRequest, agent},
		{"POST /console/inbox/{id}/steps", c.settleHeld, agent},
		{"GET /console/steps", c.listSteps, viewer},
		{"GET /console/steps/{id}", c.showStep, viewer},
		{"POST /console/steps/{id}", c.settleStep, agent},
		{"GET /console/story", c.findStory, viewer},
		{"GET /console/story/{id}", c.showStory, viewer},
		{"GET /console/connections", c.listConnections, viewer},
		{"GET /console/security", c.listSecurity, viewer},
		{"/console/", c.missingPage, viewer},
		{"/t/", c.missingTranscript, open},
	}
}

func (c *console) redirectToday(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, "/console", http.StatusMovedPermanently)
	return nil
}

func (c *console) missingPage(http.ResponseWriter, *http.Request) error {
	return bellhop.Errorf(bellhop.CodeNotFound, "Go to Today and follow the links from there.", "There is no such page.")
}

// TranscriptURL returns the signed address of a conversation's transcript. Whoever holds
// it can read the conversation, and nothing else.
func TranscriptURL(publicURL string, t *identity.Tokens, conversationID string) string {
	return strings.TrimRight(publicURL, "/") + "/t/" + url.PathEscape(conversationID) + "?s=" +
		t.SignLink(linkTranscript, conversationID)
}

// linkTranscript is what a signature of Tokens is for.
const linkTranscript = "transcript"
