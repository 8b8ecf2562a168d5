package sandbox

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// eraseContact deletes a contact for good, with what is associated with it. An address that
// nobody has is answered the same; HubSpot then only keeps it from being used.
// Source: https://developers.hubspot.com/docs/api-reference/crm-contacts-v3/basic/post-crm-v3-objects-contacts-gdpr-delete
func (b *hubspotBackend) eraseContact(r *request) answer {
	var in struct {
		ObjectID   string `json:"objectId"`
		IDProperty string `json:"idProperty"`
	}
	if err := json.Unmarshal(r.body, &in); err != nil {
		return b.fail(hsInvalidJSON())
	}
	id := in.ObjectID
	switch {
	case id == "":
		return b.fail(hsInvalid("", "Invalid input JSON: objectId must not be empty", ""))
	case in.IDProperty == "email":
		if id = b.byEmail[strings.ToLower(id)]; id == "" {
			return answer{status: http.StatusNoContent}
		}
	}
	o, ok := b.contacts.byID[id]
	if !ok {
		return b.fail(hsNotFound("resource not found"))
	}
	b.contacts.remove(id)
	delete(b.byEmail, o.props()["email"])
	for _, note := range o.noteIDs {
		b.notes.remove(note)
	}
	b.erased = append(b.erased, id)
	return answer{status: http.StatusNoContent}
}

func (s *hsObjects) remove(id string) {
	delete(s.byID, id)
	s.all = slices.DeleteFunc(s.all, func(o *hsObject) bool { return o.id == id })
}
