package console

import (
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

// signIn takes an operator key and begins a session. Keys are compared in constant time,
// and one address can fail only so often.
func (c *console) signIn(w http.ResponseWriter, r *http.Request) error {
	address := identity.OneOf(c.o.Proxies.Client(r))
	next := localPath(r.PostFormValue("next"))
	if wait, ok := c.logins.take(address); !ok {
		seconds := int(math.Ceil(wait.Seconds()))
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		c.note(r, store.SecurityLimited, "too many wrong keys at the console")
		return c.refuseLogin(w, r, http.StatusTooManyRequests, next,
			"Too many wrong keys came from your address. Wait "+roughly(wait)+", then try again.")
	}
	who, ok := c.o.Keys.Find(strings.TrimSpace(r.PostFormValue("key")))
	if !ok || who.Role != identity.RoleOperator {
		c.o.Logger.WarnContext(r.Context(), "console: a login was refused")
		c.note(r, store.SecurityLoginFailed, "not an operator key")
		return c.refuseLogin(w, r, bellhop.CodeUnauthenticated.Status(), next,
			"That is not an operator key of this server. It is the value of BELLHOP_OPERATOR_KEY that the server was started with.")
	}
	c.logins.giveBack(address)
	s, value := c.sessions.begin(operatorName(who))
	http.SetCookie(w, c.cookie(value, s.expires))
	c.noteBy(r, s.operator, store.SecurityLogin, "signed in")
	c.o.Logger.InfoContext(r.Context(), "console: an operator signed in", "operator", s.operator)
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

func (c *console) refuseLogin(w http.ResponseWriter, r *http.Request, status int, next, problem string) error {
	p := loginPage{page: c.page(r, "Sign in", ""), Next: next, Problem: problem}
	p.Bare = true
	return c.render(w, status, viewLogin, p)
}

func (c *console) signOut(w http.ResponseWriter, r *http.Request) error {
	if s, ok := sessionOf(r.Context()); ok {
		c.sessions.end(s)
		c.note(r, store.SecurityLogin, "signed out")
	}
	http.SetCookie(w, c.cookie("", time.Unix(1, 0)))
	http.Redirect(w, r, "/console/login", http.StatusSeeOther)
	return nil
}

// operatorName is how an operator appears in what is recorded: the key of the environment
// has no name of its own.
func operatorName(p identity.Principal) string {
	if p.KeyName == "" || p.KeyName == "BELLHOP_OPERATOR_KEY" {
		return "operator"
	}
	return p.KeyName
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
