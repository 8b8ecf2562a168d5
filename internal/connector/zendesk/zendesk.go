// Package zendesk carries support requests to Zendesk as tickets.
//
// Facts: https://developer.zendesk.com/api-reference/ticketing/tickets/tickets/ and
// https://developer.zendesk.com/api-reference/ticketing/introduction/ (idempotency).
package zendesk

import (
	"context"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"bellhop"
	"bellhop/internal/connector"
)

//go:embed manifest.json
var manifestJSON []byte

//go:embed setup.md
var setup string

// Vendor returns what the list of connectors holds.
func Vendor() connector.Vendor {
	return connector.Vendor{Manifest: connector.MustParseManifest(manifestJSON), Setup: setup, New: newConnector}
}

// Connector is one connection to a Zendesk account.
type Connector struct {
	env  connector.Env
	base string
	auth bellhop.Secret // the whole Authorization value
}

var (
	_ connector.Connector = (*Connector)(nil)
	_ connector.Looker    = (*Connector)(nil)
)

func newConnector(s connector.Settings, env connector.Env) (connector.Connector, error) {
	base := s.BaseURL
	if base == "" && s.Str("subdomain") != "" {
		base = "https://" + s.Str("subdomain") + ".zendesk.com"
	}
	// Source: https://developer.zendesk.com/api-reference/introduction/security-and-auth/
	pair := strings.TrimSpace(s.Str("email")) + "/token:" + s.Secret("token").Reveal()
	auth := "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
	return &Connector{env: env, base: base, auth: bellhop.Secret(auth)}, nil
}

var _ connector.Incomplete = (*Connector)(nil)

// Missing tells that the account's address is not configured. The server starts all the
// same: what is taken in waits in one incident until the address is there.
func (c *Connector) Missing() string {
	if c.base == "" {
		return "subdomain: is required (the part before .zendesk.com), unless base_url is given"
	}
	return ""
}

// Do carries out one action.
func (c *Connector) Do(ctx context.Context, call connector.Call) (connector.Result, error) {
	switch call.Action {
	case bellhop.ActionCreateTicket:
		return c.createTicket(ctx, call)
	case bellhop.ActionUpdateTicket:
		return c.updateTicket(ctx, call)
	default:
		return connector.Result{}, connector.Rejectf("Zendesk has no action " + string(call.Action))
	}
}

// Lookup finds the ticket of an earlier create by its external id, or an earlier
// update by the reference in the ticket's audits.
func (c *Connector) Lookup(ctx context.Context, call connector.Call) (connector.Result, bool, error) {
	switch call.Action {
	case bellhop.ActionCreateTicket:
		return c.findTicket(ctx, call.Marker)
	case bellhop.ActionUpdateTicket:
		return c.findUpdate(ctx, call)
	default:
		return connector.Result{}, false, connector.Rejectf("Zendesk has no look-up for " + string(call.Action))
	}
}

// call sends one request and returns the answer of any status.
func (c *Connector) call(ctx context.Context, method, path, key string, body any) (*connector.Response, error) {
	if m := c.Missing(); m != "" {
		return nil, &connector.Error{Class: bellhop.ClassUnauthorized, Message: m}
	}
	req := connector.Request{Method: method, URL: c.base + path, Header: http.Header{
		"Authorization": {c.auth.Reveal()},
		"Accept":        {"application/json"},
	}}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, connector.Rejectf("the request cannot be written: " + err.Error())
		}
		req.Body = data
		req.Header.Set("Content-Type", "application/json")
	}
	return c.env.HTTP.Do(ctx, req)
}

// callJSON sends one request and reads a good answer into dst.
func (c *Connector) callJSON(ctx context.Context, method, path string, body, dst any) (*connector.Response, error) {
	resp, err := c.call(ctx, method, path, "", body)
	if err != nil {
		return nil, err
	}
	if err := c.fail(resp); err != nil {
		return resp, err
	}
	if err := json.Unmarshal(resp.Body, dst); err != nil {
		return resp, connector.Malformed(resp, "Zendesk's answer is not the JSON that was expected")
	}
	return resp, nil
}

// ticketURL returns where an agent looks at the ticket.
func (c *Connector) ticketURL(id string) string { return c.base + "/agent/tickets/" + id }

func (c *Connector) ticketResult(id string, existing bool) connector.Result {
	return connector.Result{VendorID: id, URL: c.ticketURL(id), Refs: map[string]string{"ticket": id}, Existing: existing}
}
