package zendesk

import (
	"encoding/json"
	"net/http"
	"sort"
	"strings"

	"bellhop"
	"bellhop/internal/connector"
)

// apiError is Zendesk's error body. It comes in several forms: {"error","description",
// "details"}, {"error":{"title","message"}} and {"errors":[{"title","detail"}]}.
// Source: https://developer.zendesk.com/api-reference/introduction/requests/#400-range
type apiError struct {
	Name string // "RecordInvalid", "IdempotentRequestError", …
	Text string // the reason in words, "" when the body cannot be read
}

func parseError(body []byte) apiError {
	var raw struct {
		Error       json.RawMessage            `json:"error"`
		Description json.RawMessage            `json:"description"`
		Details     map[string]json.RawMessage `json:"details"`
		Errors      json.RawMessage            `json:"errors"`
	}
	if json.Unmarshal(body, &raw) != nil {
		var loose struct {
			Error       json.RawMessage `json:"error"`
			Description json.RawMessage `json:"description"`
		}
		if json.Unmarshal(body, &loose) != nil {
			return apiError{}
		}
		raw.Error, raw.Description = loose.Error, loose.Description
	}
	e := apiError{Name: str(raw.Error)}
	parts := []string{str(raw.Description)}
	var obj struct {
		Title   string `json:"title"`
		Message string `json:"message"`
	}
	if json.Unmarshal(raw.Error, &obj) == nil {
		e.Name = obj.Title
		parts = append(parts, obj.Message)
	}
	var list []struct {
		Title  string `json:"title"`
		Detail string `json:"detail"`
	}
	if json.Unmarshal(raw.Errors, &list) == nil {
		for _, x := range list {
			parts = append(parts, x.Title, x.Detail)
		}
	}
	parts = append(parts, details(raw.Details)...)
	e.Text = joinParts(append([]string{e.Name}, parts...))
	return e
}

// details lists the field errors of a RecordInvalid, by field name.
func details(m map[string]json.RawMessage) []string {
	fields := make([]string, 0, len(m))
	for f := range m {
		fields = append(fields, f)
	}
	sort.Strings(fields)
	var out []string
	for _, f := range fields {
		var list []struct {
			Description string `json:"description"`
		}
		if json.Unmarshal(m[f], &list) != nil {
			continue
		}
		for _, x := range list {
			if x.Description != "" && len(out) < 5 {
				out = append(out, f+": "+x.Description)
			}
		}
	}
	return out
}

func joinParts(parts []string) string {
	var kept []string
	for _, p := range parts {
		if p = strings.TrimSpace(p); p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "; ")
}

func str(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// fail returns nil for a good answer and the classified error for any other.
func (c *Connector) fail(resp *connector.Response) error {
	e := c.env.HTTP.Classify(resp, parseError(resp.Body).Text)
	if e == nil {
		return nil
	}
	switch {
	case resp.Status == http.StatusConflict:
		// Two updates of one ticket met, or a request with the same key is still under
		// way: send it again later.
		e.Class = bellhop.ClassUnavailable
	case resp.Status == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "":
		// "Zendesk is down for maintenance or a database timeout": with the header it
		// asks to be called again. Only that form says the request was turned away.
		// Source: https://developer.zendesk.com/api-reference/introduction/requests/#500-range
		e.Class = bellhop.ClassUnavailable
	}
	return e
}
