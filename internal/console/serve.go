package console

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"bellhop"
	"bellhop/internal/identity"
)

// contentPolicy lets a page load what this server serves and nothing else: no inline script or
// style, no frame around it, no form that leads elsewhere.
const contentPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// handler puts the headers on every answer, also on those that no page made.
func (c *console) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		// Not no-referrer: with it a browser sends "Origin: null" with a form, and the
		// check of where a form comes from would have nothing to look at.
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
		h.Set("X-Robots-Tag", "noindex, nofollow")
		h.Set("Cache-Control", "no-store")
		if c.secure {
			h.Set("Strict-Transport-Security", identity.HSTS)
		}
		if strings.HasPrefix(r.URL.Path, "/t/") {
			h.Set("Referrer-Policy", "no-referrer") // the address itself is the permission
		}
		c.mux.ServeHTTP(w, r)
	})
}

// serve wraps a route: who may call it, then the page, then what became of it.
func (c *console) serve(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, ok, err := c.admit(w, r, rt)
		if err == nil && ok {
			err = rt.do(w, r)
		}
		if err != nil {
			c.showError(w, r, rt, err)
		}
	})
}

// admit decides whether the route's page is shown. ok is false when the answer has been
// given already.
func (c *console) admit(w http.ResponseWriter, r *http.Request, rt route) (_ *http.Request, ok bool, err error) {
	if rt.access == open {
		return r, true, nil
	}
	if rt.access == firstRun {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			err = c.readForm(w, r)
		}
		return r, err == nil, err
	}
	s, known, err := c.readSession(r)
	if err != nil {
		return r, false, err
	}
	if !known {
		if err := c.checkOpen(r); err != nil {
			return r, false, err
		}
	}
	if known {
		r = r.WithContext(context.WithValue(r.Context(), sessionKey{}, s))
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		if err := c.checkForm(w, r, rt, s, known); err != nil {
			return r, false, err
		}
	}
	if known && rt.access == agent {
		if err := needRole(r, bellhop.OperatorAgent); err != nil {
			return r, false, err
		}
	}
	if known || rt.access == signedOut {
		return r, true, nil
	}
	c.askToSignIn(w, r)
	return r, false, nil
}

// checkOpen says how to begin when nobody can sign in.
func (c *console) checkOpen(r *http.Request) error {
	some, err := c.o.Operators.Any(r.Context())
	if err != nil || some {
		return err
	}
	return bellhop.Errorf(bellhop.CodeUnavailable, "Open the link that the server printed when it started, or make an operator with "+
		"bellhop operator add, or set the environment variable BELLHOP_OPERATOR_KEY to a long random text, for example the "+
		"output of openssl rand -hex 32, and start Bellhop again.", "The console is closed, because this server has no operator.")
}

func foreignForm() error {
	return bellhop.Errorf(bellhop.CodeForbidden, "Open the page here, on this server, and press the button again.",
		"This form was not sent from the console.")
}

// readForm refuses a form that another site sent, and reads any other.
func (c *console) readForm(w http.ResponseWriter, r *http.Request) error {
	if err := c.origin.Check(r); err != nil {
		return foreignForm()
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return bellhop.Errorf(bellhop.CodeTooLarge, "Send a shorter text.", "The form is larger than this server takes.")
		}
		return bellhop.Errorf(bellhop.CodeMalformed, "Open the page again and send the form from there.", "The form cannot be read.")
	}
	return nil
}

// checkForm also refuses a form that was not made for the session.
func (c *console) checkForm(w http.ResponseWriter, r *http.Request, rt route, s identity.Session, known bool) error {
	if err := c.readForm(w, r); err != nil {
		return err
	}
	if rt.access == signedOut {
		return nil // nothing to protect yet; the key itself is the proof
	}
	if !known {
		return bellhop.Errorf(bellhop.CodeUnauthenticated, "Sign in again, then repeat what you did: nothing was changed.",
			"Your session has ended.")
	}
	if !s.CheckForm(r.PostFormValue("csrf")) {
		return foreignForm()
	}
	return nil
}

// askToSignIn sends a visitor without a session to the login page. A link from a chat or
// a mail arrives without the session's cookie, because the cookie is SameSite=Strict: such
// a request is sent once more from here, where the browser adds it.
func (c *console) askToSignIn(w http.ResponseWriter, r *http.Request) {
	site := r.Header.Get("Sec-Fetch-Site")
	if (site == "cross-site" || site == "same-site") && !r.URL.Query().Has("again") {
		u := *r.URL
		q := u.Query()
		q.Set("again", "1")
		u.RawQuery = q.Encode()
		p := bouncePage{page: c.page(r, "Opening the console", "")}
		p.Refresh = u.RequestURI()
		if err := c.render(w, http.StatusOK, viewBounce, p); err != nil {
			c.o.Logger.ErrorContext(r.Context(), "console: page not shown", "view", string(viewBounce), "error", err)
		}
		return
	}
	q := r.URL.Query()
	q.Del("again")
	next := r.URL.Path
	if len(q) > 0 {
		next += "?" + q.Encode()
	}
	target := "/console/login"
	if next != "/console" {
		target += "?next=" + url.QueryEscape(next)
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
}

type bouncePage struct{ page }

// render writes a page. It is made in memory first: a page that fails half-way never
// reaches anybody.
func (c *console) render(w http.ResponseWriter, status int, v view, data any) error {
	var b bytes.Buffer
	if err := c.views[v].ExecuteTemplate(&b, "layout", data); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the reader has gone; nobody is left to tell
	return nil
}

type errorPage struct {
	page
	Status   int
	Message  string
	NextStep string
	Login    bool // signing in is what helps
}

// showError is the one place where an error becomes a status and a page. What is not
// meant for callers is logged and shown without its text.
func (c *console) showError(w http.ResponseWriter, r *http.Request, rt route, err error) {
	var e *bellhop.Error
	if !errors.As(err, &e) {
		if r.Context().Err() == nil {
			c.o.Logger.ErrorContext(r.Context(), "console: page failed", "route", rt.pattern, "error", err)
		}
		e = bellhop.Errorf(bellhop.CodeInternal, "Try again in a moment. If it stays, look at the server's log.",
			"Something went wrong on this server.")
	}
	c.noteError(r, e)
	p := errorPage{page: c.page(r, titleOf(e.Code), ""), Status: e.Code.Status(), Message: e.Message, NextStep: e.NextStep,
		Login: e.Code == bellhop.CodeUnauthenticated}
	p.Bare = p.Bare || rt.access == open
	if err := c.render(w, p.Status, viewError, p); err != nil {
		c.o.Logger.ErrorContext(r.Context(), "console: page not shown", "view", string(viewError), "error", err)
		http.Error(w, "Something went wrong on this server.", http.StatusInternalServerError)
	}
}

func titleOf(code bellhop.Code) string {
	switch code {
	case bellhop.CodeNotFound:
		return "Not found"
	case bellhop.CodeForbidden:
		return "Refused"
	case bellhop.CodeUnauthenticated:
		return "Please sign in again"
	case bellhop.CodeStateConflict:
		return "That move does not exist any more"
	case bellhop.CodeInvalid, bellhop.CodeMalformed, bellhop.CodeTooLarge:
		return "That cannot be taken"
	case bellhop.CodeRateLimited:
		return "Too many tries"
	case bellhop.CodeUnavailable:
		return "Not available"
	default:
		return "Something went wrong"
	}
}
