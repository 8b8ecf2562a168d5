package hubspot

import (
	"cmp"
	"context"
	"net/http"

	"bellhop"
	"bellhop/internal/connector"
)

// deletePerson deletes a contact for good, with what is associated with it. It is named by
// its id and never by its address: HubSpot bars an address that it does not find from being
// used again, and the step would have to keep it. A contact that is gone is what was wanted.
// Source: https://developers.hubspot.com/docs/api-reference/crm-contacts-v3/basic/post-crm-v3-objects-contacts-gdpr-delete
func (c *Connector) deletePerson(ctx context.Context, call connector.Call) (connector.Result, error) {
	var in bellhop.DeletePersonInput
	if err := connector.DecodeInput(call, &in); err != nil {
		return connector.Result{}, err
	}
	id := cmp.Or(in.Refs["contact"], call.Refs["contact"])
	if id == "" {
		return connector.Result{}, connector.Rejectf("the step does not name the contact that is to be deleted")
	}
	resp, err := c.call(ctx, http.MethodPost, "/crm/v3/objects/contacts/gdpr-delete", map[string]any{"objectId": id})
	if err != nil {
		return connector.Result{}, err
	}
	res := connector.Result{VendorID: id, VendorRequestID: connector.RequestID(resp.Header)}
	switch resp.Status {
	case http.StatusNoContent:
		return res, nil
	case http.StatusNotFound:
		res.Existing = true
		return res, nil
	}
	if err := c.fail(resp); err != nil {
		return connector.Result{}, err
	}
	return connector.Result{}, connector.Malformed(resp, "HubSpot's answer is not the empty one that was expected")
}
