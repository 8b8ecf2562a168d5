package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"bellhop"
)

// isID reports whether s has the form of our ids. Anything else is not looked up: it names
// nothing, and a database with native ids would not even take it.
func isID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, r := range s {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if r != '-' {
				return false
			}
			continue
		}
		if !strings.ContainsRune("0123456789abcdef", r) {
			return false
		}
	}
	return true
}

// pathID returns the id in a path; what cannot be one is not found.
func pathID(r *http.Request, what string) (string, error) {
	id := r.PathValue("id")
	if !isID(id) {
		return "", bellhop.Errorf(bellhop.CodeNotFound, "Check the address; it must be copied whole.", "There is no such %s.", what)
	}
	return id, nil
}

// text returns a value of the address that may be looked for: ordinary text of a sane
// length, without what a database cannot take.
func text(q url.Values, name string) string {
	v := strings.TrimSpace(q.Get(name))
	if len(v) > 200 || !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
		return ""
	}
	return v
}

// before returns the id that a page of a list ends before, "" for the first page.
func before(q url.Values) string {
	if v := q.Get("before"); isID(v) {
		return v
	}
	return ""
}

// oneOf returns the value of the address if it is in the list, else "".
func oneOf[T ~string](q url.Values, name string, list []T) T {
	v := T(q.Get(name))
	if slices.Contains(list, v) {
		return v
	}
	return ""
}

// choice is a link of a filter.
type choice struct {
	Text    string
	URL     string
	Current bool
}

// choices makes the links of one filter: each keeps the rest of the address and begins at
// the first page.
func choices[T ~string](path string, q url.Values, name, all string, list []T, words func(T) string) []choice {
	link := func(v string) string {
		c := url.Values{}
		for k, vs := range q {
			if k != "before" && k != "said" && k != "n" && k != "failed" && k != name {
				c[k] = vs
			}
		}
		if v != "" {
			c.Set(name, v)
		}
		if len(c) == 0 {
			return path
		}
		return path + "?" + c.Encode()
	}
	current := oneOf(q, name, list)
	out := []choice{{Text: all, URL: link(""), Current: current == ""}}
	for _, v := range list {
		out = append(out, choice{Text: words(v), URL: link(string(v)), Current: v == current})
	}
	return out
}

// pager leads to older entries and back to the newest.
type pager struct {
	Older  string
	Newest string
}

// pages makes the links of a list; last is the id of its last entry when there are more.
func pages(path string, q url.Values, last string) pager {
	c := url.Values{}
	for k, vs := range q {
		if k != "before" && k != "said" {
			c[k] = vs
		}
	}
	var p pager
	if q.Get("before") != "" {
		p.Newest = path + "?" + c.Encode()
	}
	if last != "" {
		c.Set("before", last)
		p.Older = path + "?" + c.Encode()
	}
	return p
}
