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

// Opts is what the console stands on. DB, Desk and Tokens are required.
type Opts struct {
	DB        *store.DB
	Desk      *desk.Desk
	Tokens    *identity.Tokens
	Keys      identity.Keys
	Functions *watch.Functions // nil: no endpoint was measured
	Security  *watch.Security  // nil: there is no security log
	Proxies   identity.Proxies
	Clock     bellhop.Clock // nil: the machine's
	Logger    *slog.Logger  // nil: silent
	PublicURL string        // where customers and operators reach this server; "" when nobody said
	Product   string        // what the product is called; "" means Bellhop
	// NoOperator says that Keys hold no operator key: nobody can sign in, and the pages
	// explain how to set one.
	NoOperator bool
}

// console is the handler that New makes.
type console struct {
	o        Opts
	mux      *http.ServeMux
	views    map[view]*template.Template
	assets   assets
	sessions *sessions
	logins   *throttle
	origin   *http.CrossOriginProtection
	secure   bool // the public address is https: cookies never travel in the clear
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
	if o.DB == nil || o.Desk == nil || o.Tokens == nil {
		return nil, errors.New("console: a store, a desk and tokens are needed")
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
		sessions: newSessions(o.Tokens, o.Clock), logins: newThrottle(o.Clock), origin: http.NewCrossOriginProtection()}
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
	signedOut                // for operators who are not signed in yet
	operator                 // a session is needed; a POST also needs its form token
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
		{"POST /console/logout", c.signOut, operator},
		{"GET /console", c.showToday, operator},
		{"GET /console/{$}", c.redirectToday, open},
		{"GET /console/inbox", c.listRequests, operator},
		{"GET /console/inbox/{id}", c.showRequest, operator},
		{"POST /console/inbox/{id}", c.editRequest, operator},
		{"POST /console/inbox/{id}/steps", c.settleHeld, operator},
		{"GET /console/steps", c.listSteps, operator},
		{"GET /console/steps/{id}", c.showStep, operator},
		{"POST /console/steps/{id}", c.settleStep, operator},
		{"GET /console/story", c.findStory, operator},
		{"GET /console/story/{id}", c.showStory, operator},
		{"GET /console/connections", c.listConnections, operator},
		{"GET /console/security", c.listSecurity, operator},
		{"/console/", c.missingPage, operator},
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

// What a signature of Tokens is for; one made for a link is never good as a session.
const (
	linkTranscript = "transcript"
	linkSession    = "session"
	linkForm       = "csrf"
)
