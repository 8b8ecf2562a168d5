package console

import (
	"errors"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"bellhop"
	"bellhop/internal/identity"
	"bellhop/internal/store"
)

type loginPage struct {
	page
	Next    string
	Name    string
	Problem string
}

func (c *console) showLogin(w http.ResponseWriter, r *http.Request) error {
	next := localPath(r.URL.Query().Get("next"))
	if _, ok := sessionOf(r.Context()); ok {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
	p := loginPage{page: c.page(r, "Sign in", ""), Next: next}
	p.Bare = true
	return c.render(w, http.StatusOK, viewLogin, p)
}

// signIn begins a session. With a name the secret is a password, without one it is the
// operator key of the environment.
func (c *console) signIn(w http.ResponseWriter, r *http.Request) error {
	next := localPath(r.PostFormValue("next"))
	name, secret, address := strings.TrimSpace(r.PostFormValue("name")), r.PostFormValue("key"), identity.OneOf(c.o.Proxies.Client(r))
	var s identity.Session
	var token string
	var err error
	if name == "" {
		s, token, err = c.o.Operators.LoginWithKey(r.Context(), strings.TrimSpace(secret), address)
	} else {
		s, token, err = c.o.Operators.Login(r.Context(), name, secret, address)
	}
	if err != nil {
		return c.refuseLogin(w, r, next, name, err)
	}
	c.enter(w, r, s, token)
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

// enter gives the browser its session.
func (c *console) enter(w http.ResponseWriter, r *http.Request, s identity.Session, token string) {
	http.SetCookie(w, c.cookie(token, s.ExpiresAt))
	c.noteBy(r, actorOf(s.Principal), store.SecurityLogin, "signed in")
	c.o.Logger.InfoContext(r.Context(), "console: an operator signed in", "who", s.Principal)
}

// refuseLogin shows the page again with what was wrong; what is not the operator's mistake
// is an error like any other.
func (c *console) refuseLogin(w http.ResponseWriter, r *http.Request, next, name string, err error) error {
	var told *bellhop.Error
	if !errors.As(err, &told) || told.Code.Status() >= http.StatusInternalServerError {
		return err
	}
	p := loginPage{page: c.page(r, "Sign in", ""), Next: next, Name: name, Problem: told.Message + " " + told.NextStep}
	p.Bare = true
	var many *identity.Throttled
	if errors.As(err, &many) {
		c.note(r, store.SecurityLimited, "too many failed logins at the console")
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(many.Wait.Seconds()))))
		p.Problem = "Too many logins failed. Wait " + roughly(many.Wait) + ", then try again."
	} else {
		c.note(r, store.SecurityLoginFailed, "not an operator, or the wrong password or key")
		c.o.Logger.WarnContext(r.Context(), "console: a login was refused")
	}
	return c.render(w, told.Code.Status(), viewLogin, p)
}

func (c *console) signOut(w http.ResponseWriter, r *http.Request) error {
	if s, ok := sessionOf(r.Context()); ok {
		if err := c.o.Operators.End(r.Context(), s); err != nil {
			return err
		}
		c.note(r, store.SecurityLogin, "signed out")
	}
	http.SetCookie(w, c.cookie("", time.Unix(1, 0)))
	http.Redirect(w, r, "/console/login", http.StatusSeeOther)
	return nil
}

// localPath lets a form or link lead back into the console and nowhere else.
func localPath(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || strings.ContainsAny(s, "\\\r\n") {
		return "/console"
	}
	if u.Path != "/console" && !strings.HasPrefix(u.Path, "/console/") {
		return "/console"
	}
	return u.RequestURI()
}
