// Package hubspot carries contacts and notes to HubSpot's CRM.
//
// Facts about the API: https://developers.hubspot.com/docs/api/crm/contacts,
// …/crm/notes, …/crm/associations and …/usage-details.
package hubspot

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"

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

// Connector is one connection to a HubSpot account.
type Connector struct {
	env      connector.Env
	base     string
	token    bellhop.Secret
	portalID string
	fieldMap map[string]string // Bellhop's field → the account's property, "" to leave it out
}

var (
	_ connector.Connector = (*Connector)(nil)
	_ connector.Looker    = (*Connector)(nil)
)

// propertyName is HubSpot's rule for internal property names: lower case, digits and
// underscores, beginning with a letter (app-made ones begin with their prefix).
var propertyName = regexp.MustCompile(`\A[a-z][a-z0-9_]{0,99}\z`)

func newConnector(s connector.Settings, env connector.Env) (connector.Connector, error) {
	for field, prop := range s.Map("field_map") {
		if prop != "" && !propertyName.MatchString(prop) {
			return nil, fmt.Errorf("field_map: %s: %q is not an internal property name (lower case, digits, _)", field, prop)
		}
	}
	return &Connector{env: env, base: s.BaseURL, token: s.Secret("token"), portalID: s.Str("portal_id"),
		fieldMap: s.Map("field_map")}, nil
}

// Do carries out one action.
func (c *Connector) Do(ctx context.Context, call connector.Call) (connector.Result, error) {
	switch call.Action {
	case bellhop.ActionUpsertContact:
		return c.upsertContact(ctx, call)
	case bellhop.ActionAddNote:
		return c.addNote(ctx, call)
	case bellhop.ActionDeletePerson:
		return c.deletePerson(ctx, call)
	default:
		return connector.Result{}, connector.Rejectf("HubSpot has no action " + string(call.Action))
	}
}

// Lookup finds the note of an earlier try. An upsert needs none: it is repeated.
func (c *Connector) Lookup(ctx context.Context, call connector.Call) (connector.Result, bool, error) {
	if call.Action != bellhop.ActionAddNote {
		return connector.Result{}, false, connector.Rejectf("HubSpot has no look-up for " + string(call.Action))
	}
	return c.findNote(ctx, call)
}

// call sends one request and returns the answer of any status.
func (c *Connector) call(ctx context.Context, method, path string, body any) (*connector.Response, error) {
	req := connector.Request{Method: method, URL: c.base + path, Header: http.Header{
		"Authorization": {"Bearer " + c.token.Reveal()},
		"Accept":        {"application/json"},
	}}
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
	resp, err := c.call(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	if err := c.fail(resp); err != nil {
		return resp, err
	}
	if err := json.Unmarshal(resp.Body, dst); err != nil {
		return resp, connector.Malformed(resp, "HubSpot's answer is not the JSON that was expected")
	}
	return resp, nil
}

// contactByEmail returns the id of the contact with an address, "" when there is none.
// Unlike search this reads the record itself and does not lag.
func (c *Connector) contactByEmail(ctx context.Context, email string) (string, error) {
	var found struct {
		ID string `json:"id"`
	}
	path := "/crm/v3/objects/contacts/" + url.PathEscape(email) + "?idProperty=email&properties=email"
	resp, err := c.callJSON(ctx, http.MethodGet, path, nil, &found)
	if resp != nil && resp.Status == http.StatusNotFound {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if found.ID == "" {
		return "", connector.Malformed(resp, "HubSpot's contact has no id")
	}
	return found.ID, nil
}

// contactURL returns where a person looks at the contact; it needs the account's id.
func (c *Connector) contactURL(id string) string {
	if c.portalID == "" {
		return ""
	}
	return "https://app.hubspot.com/contacts/" + c.portalID + "/record/0-1/" + url.PathEscape(id)
}
