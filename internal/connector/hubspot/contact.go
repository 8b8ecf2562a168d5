package hubspot

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"bellhop"
	"bellhop/internal/connector"
)

// batchAnswer is the answer of the batch upsert. Status 207 is a mixed outcome: with
// one input it means that this one failed.
// Source: BatchResponseSimplePublicUpsertObjectWithErrors.
type batchAnswer struct {
	Results []struct {
		ID  string `json:"id"`
		New *bool  `json:"new"`
	} `json:"results"`
	NumErrors int               `json:"numErrors"`
	Errors    []json.RawMessage `json:"errors"`
}

func (c *Connector) upsertContact(ctx context.Context, call connector.Call) (connector.Result, error) {
	var in bellhop.ContactInput
	if err := connector.DecodeInput(call, &in); err != nil {
		return connector.Result{}, err
	}
	if in.Email == "" {
		return connector.Result{}, connector.Rejectf("a contact without an e-mail address cannot be kept in HubSpot")
	}
	props := c.properties(in)
	if id := call.Refs[refMade]; in.PreviousEmail != "" && id != "" && id == call.Refs["contact"] {
		if res, done, err := c.rename(ctx, id, props); done || err != nil {
			return res, err
		}
	}
	body := map[string]any{"inputs": []any{map[string]any{
		"id": in.Email, "idProperty": "email", "properties": props, "objectWriteTraceId": call.Marker,
	}}}
	resp, err := c.call(ctx, http.MethodPost, "/crm/v3/objects/contacts/batch/upsert", body)
	if err != nil {
		return connector.Result{}, err
	}
	if resp.Status == http.StatusConflict {
		return c.resolveConflict(ctx, in.Email, props, c.fail(resp))
	}
	if err := c.fail(resp); err != nil {
		return connector.Result{}, err
	}
	var ans batchAnswer
	if err := json.Unmarshal(resp.Body, &ans); err != nil {
		return connector.Result{}, connector.Malformed(resp, "HubSpot's answer is not the JSON that was expected")
	}
	if ans.NumErrors > 0 || len(ans.Errors) > 0 {
		return c.batchFailure(ctx, resp, ans, call.Marker, in.Email, props)
	}
	if len(ans.Results) != 1 || ans.Results[0].ID == "" {
		return connector.Result{}, connector.Malformed(resp, "HubSpot's answer names no contact")
	}
	id := ans.Results[0].ID
	res := c.contactResult(id, ans.Results[0].New != nil && !*ans.Results[0].New, resp)
	if ans.Results[0].New != nil && *ans.Results[0].New {
		res.Refs[refMade] = id
	}
	return res, nil
}

// refMade names the contact that this connection made itself: only such a one is renamed
// when a customer corrects their e-mail, because any other is somebody.
const refMade = "contact_made"

// rename gives a contact that we made for a mistyped address the right one. done is false
// when there is nothing to rename any more, or the right address has a contact already:
// then the ordinary upsert is what is left to do. Repeating it changes nothing.
func (c *Connector) rename(ctx context.Context, id string, props map[string]string) (res connector.Result, done bool, err error) {
	resp, err := c.call(ctx, http.MethodPatch, "/crm/v3/objects/contacts/"+url.PathEscape(id), map[string]any{"properties": props})
	if err != nil {
		return res, false, err
	}
	if resp.Status == http.StatusNotFound || resp.Status == http.StatusConflict {
		return res, false, nil
	}
	if err := c.fail(resp); err != nil {
		return res, false, err
	}
	var renamed struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(resp.Body, &renamed); err != nil || renamed.ID != id {
		return res, false, connector.Malformed(resp, "HubSpot's answer names no contact")
	}
	res = c.contactResult(id, true, resp)
	res.Refs[refMade] = id
	return res, true, nil
}

// batchFailure reads the one entry of errors[] that is about our input.
func (c *Connector) batchFailure(ctx context.Context, resp *connector.Response, ans batchAnswer, marker, email string,
	props map[string]string) (connector.Result, error) {
	var ours apiError
	for i, raw := range ans.Errors {
		e := parseError(raw)
		ids := e.Context["objectWriteTraceId"]
		if i == 0 || (len(ids) > 0 && ids[0] == marker) {
			ours = e
		}
	}
	fail := &connector.Error{Class: bellhop.ClassRejected, Status: resp.Status, Message: ours.text(),
		VendorRequestID: connector.RequestID(resp.Header)}
	switch ours.Category {
	case "CONFLICT":
		return c.resolveConflict(ctx, email, props, fail)
	case "RATE_LIMITS", "RATE_LIMIT":
		fail.Class = bellhop.ClassRateLimited
		fail.Quota = strings.EqualFold(ours.PolicyName, "DAILY")
	case "":
		fail.Class = bellhop.ClassMalformed
		fail.Message = "HubSpot counted an error and did not say which"
	}
	return connector.Result{}, fail
}

// resolveConflict handles a 409: the address belongs to a contact that the upsert did
// not match, because two upserts raced or because it is a second address of somebody.
// The contact is found by the address (the id in the message may be that of another
// unique property's holder) and updated without its e-mail, so that the main address
// of a contact is never replaced by its second one.
func (c *Connector) resolveConflict(ctx context.Context, email string, props map[string]string, conflict error) (connector.Result, error) {
	id, err := c.contactByEmail(ctx, email)
	if err != nil {
		return connector.Result{}, err
	}
	if id == "" {
		return connector.Result{}, conflict // another unique property clashed: a person's matter
	}
	rest := make(map[string]string, len(props))
	for k, v := range props {
		if k != "email" {
			rest[k] = v
		}
	}
	var updated struct {
		ID string `json:"id"`
	}
	resp, err := c.callJSON(ctx, http.MethodPatch, "/crm/v3/objects/contacts/"+url.PathEscape(id),
		map[string]any{"properties": rest}, &updated)
	if err != nil {
		return connector.Result{}, err
	}
	return c.contactResult(id, true, resp), nil
}

// properties returns what is sent; empty fields are left out, so that they never
// overwrite what the CRM knows.
func (c *Connector) properties(in bellhop.ContactInput) map[string]string {
	props := map[string]string{}
	set := func(field, prop, value string) {
		if mapped, ok := c.fieldMap[field]; ok {
			prop = mapped
		}
		if prop != "" && value != "" {
			props[prop] = connector.CutText(value, maxPropertyText)
		}
	}
	for field, value := range in.Extra {
		set(field, field, value)
	}
	set("first_name", "firstname", in.FirstName)
	set("last_name", "lastname", in.LastName)
	set("phone", "phone", in.Phone)
	set("company", "company", in.Company)
	// HubSpot moves a stage only forward: a customer who asks again stays a customer.
	// Source: https://developers.hubspot.com/docs/api-reference/legacy/crm/objects/contacts/v1/post-contacts-v1-contact-email-email-profile
	set("lifecycle_stage", "lifecyclestage", strings.ToLower(in.LifecycleStage))
	props["email"] = in.Email
	return props
}

// maxPropertyText is HubSpot's limit for text properties, in characters.
const maxPropertyText = 65536

func (c *Connector) contactResult(id string, existing bool, resp *connector.Response) connector.Result {
	return connector.Result{VendorID: id, URL: c.contactURL(id), Refs: map[string]string{"contact": id},
		Existing: existing, VendorRequestID: connector.RequestID(resp.Header)}
}
