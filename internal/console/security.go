package console

import (
	"net/http"
	"strings"

	"bellhop"
	"bellhop/internal/identity"
	"bellhop/internal/store"
)

type securityPage struct {
	page
	Kinds    []choice
	Records  []store.SecurityRecord
	Filtered bool
	Pager    pager
}

// listSecurity shows the security log, newest first.
func (c *console) listSecurity(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f := store.SecurityFilter{Kind: oneOf(q, "kind", store.SecurityKinds()), Before: before(q), Limit: listLength + 1}
	p := securityPage{page: c.page(r, "Security log", "security"), Filtered: f.Kind != ""}
	p.Kinds = choices("/console/security", q, "kind", "any", store.SecurityKinds(), func(k store.SecurityKind) string {
		return strings.ReplaceAll(string(k), "_", " ")
	})
	c.o.Security.Flush(r.Context()) // so that what just happened is in it
	var err error
	if p.Records, err = c.o.DB.SecurityLog(r.Context(), f); err != nil {
		return err
	}
	last := ""
	if len(p.Records) > listLength {
		p.Records = p.Records[:listLength]
		last = p.Records[listLength-1].ID
	}
	p.Pager = pages("/console/security", q, last)
	return c.render(w, http.StatusOK, viewSecurity, p)
}

// note tells the security log what the operator of a session did, or a stranger tried.
func (c *console) note(r *http.Request, kind store.SecurityKind, detail string) {
	s, known := sessionOf(r.Context())
	if !known {
		c.noteBy(r, "", kind, detail)
		return
	}
	c.noteBy(r, actorOf(s.Principal), kind, detail)
}

// actorOf names an operator without their e-mail: by the id, or by the key's name.
func actorOf(p identity.Principal) string {
	if p.OperatorID != "" {
		return p.OperatorID
	}
	return p.KeyName
}

func (c *console) noteBy(r *http.Request, operator string, kind store.SecurityKind, detail string) {
	rec := store.SecurityRecord{Kind: kind, Role: string(identity.RoleAnonymous), Actor: operator,
		Address: identity.Network(c.o.Proxies.Client(r)), Route: r.Pattern, Detail: detail}
	if operator != "" {
		rec.Role = string(identity.RoleOperator)
	}
	c.o.Security.Note(rec)
}

// noteError tells the security log of a page that was refused.
func (c *console) noteError(r *http.Request, e *bellhop.Error) {
	switch e.Code {
	case bellhop.CodeForbidden:
		c.note(r, store.SecurityForbidden, e.Message)
	case bellhop.CodeUnauthenticated:
		c.note(r, store.SecurityUnknown, e.Message)
	}
}

func sampleSecurity() securityPage {
	return securityPage{Kinds: []choice{{}}, Records: []store.SecurityRecord{{Kind: store.SecurityOperator, Count: 2, Actor: "a",
		CorrelationID: "a"}}, Pager: pager{Older: "/", Newest: "/"}}
}
