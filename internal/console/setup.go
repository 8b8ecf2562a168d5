package console

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"bellhop/internal/store"

	"bellhop"
)

// SetupURL returns the address of the first-run link with its secret.
func SetupURL(publicURL, secret string) string {
	return strings.TrimRight(publicURL, "/") + "/console/setup?t=" + url.QueryEscape(secret)
}

type setupPage struct {
	page
	Secret  string
	Name    string
	Problem string
}

// showSetup shows the form that makes the first owner to whoever holds the first-run link.
func (c *console) showSetup(w http.ResponseWriter, r *http.Request) error {
	secret := r.URL.Query().Get("t")
	if err := c.o.Operators.CheckSetup(secret); err != nil {
		return err
	}
	p := setupPage{page: c.page(r, "Welcome", ""), Secret: secret}
	return c.render(w, http.StatusOK, viewSetup, p)
}

// makeOwner makes the first owner and signs them in. The link dies with it.
func (c *console) makeOwner(w http.ResponseWriter, r *http.Request) error {
	p := setupPage{page: c.page(r, "Welcome", ""), Secret: r.PostFormValue("t"), Name: strings.TrimSpace(r.PostFormValue("name"))}
	if r.PostFormValue("password") != r.PostFormValue("again") {
		if err := c.o.Operators.CheckSetup(p.Secret); err != nil {
			return err
		}
		p.Problem = "The two passwords are not the same."
		return c.render(w, bellhop.CodeInvalid.Status(), viewSetup, p)
	}
	s, token, err := c.o.Operators.FirstOwner(r.Context(), p.Secret, p.Name, r.PostFormValue("password"))
	var told *bellhop.Error
	if errors.As(err, &told) && told.Code == bellhop.CodeInvalid {
		p.Problem = told.Message + " " + told.NextStep
		return c.render(w, told.Code.Status(), viewSetup, p)
	}
	if err != nil {
		return err
	}
	c.noteBy(r, actorOf(s.Principal), store.SecurityOperators, "made the first owner by the first-run link")
	c.enter(w, r, s, token)
	http.Redirect(w, r, "/console", http.StatusSeeOther)
	return nil
}
