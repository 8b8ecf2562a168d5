package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"bellhop"
)

// maxBatch is how many inputs a HubSpot batch takes.
const maxBatch = 100

// hsInvalidJSON is the answer to a body that is not the JSON HubSpot expects.
func hsInvalidJSON() *hsError {
	return hsInvalid("", "Invalid input JSON: the request body could not be read", "")
}

// checkContact checks the properties of a contact; email is the one it will have.
func (b *hubspotBackend) checkContact(props hsProps) *hsError {
	for name, value := range props {
		if !b.properties[name] {
			return hsProperty("PROPERTY_DOESNT_EXIST", name, fmt.Sprintf("Property %q does not exist", name))
		}
		switch name {
		case "hs_object_id", "createdate", "lastmodifieddate":
			return hsProperty("READ_ONLY_VALUE", name, fmt.Sprintf("%q is a read only property; its value cannot be set.", name))
		case "lifecyclestage":
			if value != "" && !lifecycleStage(value) {
				return hsProperty("INVALID_OPTION", name, value+" was not one of the allowed options")
			}
		case "email":
			if _, ok := bellhop.NormalizeEmail(value); value != "" && !ok {
				return hsProperty("INVALID_EMAIL", name, fmt.Sprintf("Email address %s is invalid", value))
			}
		}
		if len(value) > 65_536 {
			return hsProperty("PROPERTY_VALUE_TOO_LONG", name, "The value is too long")
		}
	}
	return nil
}

// lifecycleStages are the stages in their order; "other" stands outside of it.
func lifecycleStages() []string {
	return []string{"subscriber", "lead", "marketingqualifiedlead", "salesqualifiedlead", "opportunity", "customer",
		"evangelist", "other"}
}

func lifecycleStage(v string) bool { return slices.Contains(lifecycleStages(), v) }

// keepStage takes a stage that lies before the contact's own out of a change: HubSpot
// moves a stage forward only, and ignores the other direction without a word. Emptying
// it first is how it is moved back.
// Source: https://developers.hubspot.com/docs/api-reference/legacy/crm/objects/contacts/v1/post-contacts-v1-contact-email-email-profile
// ("The Lifecycle stage is not designed to move backwards").
func keepStage(props, set hsProps) {
	has, wants := slices.Index(lifecycleStages(), props["lifecyclestage"]), slices.Index(lifecycleStages(), set["lifecyclestage"])
	if has > wants && wants >= 0 {
		delete(set, "lifecyclestage")
	}
}

// hsProperty is a refused property value, in the wording of the real API: the message
// itself holds a JSON list.
func hsProperty(code, name, message string) *hsError {
	list, err := json.Marshal([]map[string]any{{"isValid": false, "message": message, "error": code, "name": name}})
	if err != nil { // cannot be: strings and a bool
		list = nil
	}
	e := hsInvalid(code, message, name)
	e.Message = "Property values were not valid: " + string(list)
	return e
}

func (b *hubspotBackend) createContact(r *request) answer {
	var in struct {
		Properties hsProps `json:"properties"`
	}
	if err := json.Unmarshal(r.body, &in); err != nil {
		return b.fail(hsInvalidJSON())
	}
	if e := b.checkContact(in.Properties); e != nil {
		return b.fail(e)
	}
	email := strings.ToLower(strings.TrimSpace(in.Properties["email"]))
	if id, ok := b.byEmail[email]; ok && email != "" {
		return b.fail(hsExists(id))
	}
	o := b.addContact(email, in.Properties)
	return jsonAnswer(http.StatusCreated, o.view(nil))
}

func hsExists(id string) *hsError {
	return &hsError{httpStatus: http.StatusConflict, Category: "CONFLICT",
		Message: "Contact already exists. Existing ID: " + id}
}

// addContact makes a contact; the e-mail has been checked to be free.
func (b *hubspotBackend) addContact(email string, props hsProps) *hsObject {
	now := b.opts.Clock.Now()
	o := &hsObject{id: strconv.FormatInt(b.ids.number(), 10), created: now, createdKey: "createdate",
		modifiedKey: "lastmodifieddate"}
	set := cloneMap(props)
	set["hs_object_id"], set[o.createdKey] = o.id, rfc3339(now)
	if email != "" {
		set["email"] = email
		b.byEmail[email] = o.id
	}
	o.write(set, now, b.opts.SearchLag)
	b.contacts.add(o)
	return o
}

// updateContact lays properties over a contact; a new e-mail must be free.
func (b *hubspotBackend) updateContact(o *hsObject, props hsProps) *hsError {
	set := cloneMap(props)
	keepStage(o.props(), set)
	if email, ok := props["email"]; ok {
		email = strings.ToLower(strings.TrimSpace(email))
		if id, taken := b.byEmail[email]; taken && id != o.id && email != "" {
			return hsExists(id)
		}
		delete(b.byEmail, o.props()["email"])
		if email != "" {
			b.byEmail[email] = o.id
		}
		set["email"] = email
	}
	o.write(set, b.opts.Clock.Now(), b.opts.SearchLag)
	return nil
}

func (b *hubspotBackend) getContact(r *request, id string) answer {
	o, e := b.findContact(r, id)
	if e != nil {
		return b.fail(e)
	}
	return jsonAnswer(http.StatusOK, o.view(propertyList(r, "email", "firstname", "lastname")))
}

func (b *hubspotBackend) patchContact(r *request, id string) answer {
	var in struct {
		Properties hsProps `json:"properties"`
	}
	if err := json.Unmarshal(r.body, &in); err != nil {
		return b.fail(hsInvalidJSON())
	}
	o, e := b.findContact(r, id)
	if e == nil {
		e = b.checkContact(in.Properties)
	}
	if e == nil {
		e = b.updateContact(o, in.Properties)
	}
	if e != nil {
		return b.fail(e)
	}
	return jsonAnswer(http.StatusOK, o.view(nil))
}

// findContact finds by id, or by e-mail with ?idProperty=email; strongly consistent.
func (b *hubspotBackend) findContact(r *request, id string) (*hsObject, *hsError) {
	switch p := r.query.Get("idProperty"); p {
	case "", "hs_object_id":
	case "email":
		id = b.byEmail[strings.ToLower(id)]
	default:
		return nil, hsInvalid("", "Property "+strconv.Quote(p)+" is not a unique property", "")
	}
	o, ok := b.contacts.byID[id]
	if !ok {
		return nil, hsNotFound("resource not found")
	}
	return o, nil
}

// hsBatchError is one failed input of a batch.
type hsBatchError struct {
	*hsError
	traceID, id string
}

type hsUpsertInput struct {
	ID         string  `json:"id"`
	IDProperty string  `json:"idProperty"`
	TraceID    string  `json:"objectWriteTraceId"`
	Properties hsProps `json:"properties"`
}

// upsertContacts is the batch upsert: 200 when all inputs succeed, 207 with errors
// when some do, the first error when none does.
func (b *hubspotBackend) upsertContacts(r *request) answer {
	var in struct {
		Inputs []hsUpsertInput `json:"inputs"`
	}
	if err := json.Unmarshal(r.body, &in); err != nil {
		return b.fail(hsInvalidJSON())
	}
	if e := checkBatch(in.Inputs); e != nil {
		return b.fail(e)
	}
	started := b.opts.Clock.Now()
	results := make([]map[string]any, 0, len(in.Inputs))
	var failed []hsBatchError
	for _, input := range in.Inputs {
		o, created, e := b.upsert(input)
		if e != nil {
			failed = append(failed, hsBatchError{hsError: e, traceID: input.TraceID, id: input.ID})
			continue
		}
		v := o.view(nil)
		v["new"] = created
		if input.TraceID != "" {
			v["objectWriteTraceId"] = input.TraceID
		}
		results = append(results, v)
	}
	if len(results) == 0 {
		return b.fail(failed[0].hsError)
	}
	return b.batchAnswer(http.StatusOK, results, failed, started)
}

// batchAnswer is the common shape of batch answers; errors turn it into a 207.
func (b *hubspotBackend) batchAnswer(status int, results []map[string]any, failed []hsBatchError, started time.Time) answer {
	body := map[string]any{"status": "COMPLETE", "results": results, "startedAt": rfc3339(started),
		"completedAt": rfc3339(b.opts.Clock.Now())}
	if len(failed) > 0 {
		status = http.StatusMultiStatus
		for _, f := range failed {
			f.Status, f.CorrelationID, f.Context = "error", b.ids.uuid(), map[string]any{"ids": []string{f.id}}
			if f.traceID != "" {
				f.Context["objectWriteTraceId"] = []string{f.traceID}
			}
		}
		body["numErrors"], body["errors"] = len(failed), failed
	}
	return jsonAnswer(status, body)
}

func checkBatch(inputs []hsUpsertInput) *hsError {
	if len(inputs) == 0 {
		return hsInvalid("", "Invalid input JSON: inputs must not be empty", "")
	}
	if len(inputs) > maxBatch {
		return hsInvalid("", fmt.Sprintf("Batch size %d exceeds the limit of %d", len(inputs), maxBatch), "")
	}
	seen := map[string]bool{}
	for _, in := range inputs {
		id := strings.ToLower(in.ID)
		if seen[id] {
			return hsInvalid("", "Duplicate IDs found in batch input", "")
		}
		seen[id] = true
	}
	return nil
}

func (b *hubspotBackend) upsert(in hsUpsertInput) (o *hsObject, created bool, e *hsError) {
	if in.IDProperty != "email" {
		return nil, false, hsInvalid("", "idProperty must name a unique property: email", "")
	}
	email, ok := bellhop.NormalizeEmail(in.ID)
	if !ok {
		return nil, false, hsProperty("INVALID_EMAIL", "email", fmt.Sprintf("Email address %s is invalid", in.ID))
	}
	if e := b.checkContact(in.Properties); e != nil {
		return nil, false, e
	}
	if id, ok := b.byEmail[email]; ok {
		o = b.contacts.byID[id]
		return o, false, b.updateContact(o, in.Properties)
	}
	if other := strings.ToLower(in.Properties["email"]); other != "" {
		if id, taken := b.byEmail[other]; taken {
			return nil, false, hsExists(id)
		}
		email = other
	}
	return b.addContact(email, in.Properties), true, nil
}

// view is an object as the API shows it; names are the wanted properties, nil for all.
func (o *hsObject) view(names []string) map[string]any {
	return viewOf(o, o.props(), names)
}

func viewOf(o *hsObject, props map[string]string, names []string) map[string]any {
	out := map[string]any{}
	if names == nil {
		for k, v := range props {
			out[k] = v
		}
	} else {
		for _, n := range slices.Concat(names, []string{"hs_object_id", o.createdKey, o.modifiedKey}) {
			if v, ok := props[n]; ok {
				out[n] = v
			} else {
				out[n] = nil
			}
		}
	}
	return map[string]any{"id": o.id, "properties": out, "createdAt": rfc3339(o.created),
		"updatedAt": props[o.modifiedKey], "archived": false}
}

// propertyList is ?properties=a,b or repeated; without it the defaults are shown.
func propertyList(r *request, defaults ...string) []string {
	var out []string
	for _, v := range r.query["properties"] {
		for _, n := range strings.Split(v, ",") {
			if n = strings.TrimSpace(n); n != "" {
				out = append(out, n)
			}
		}
	}
	if out == nil {
		out = defaults
	}
	return out
}
