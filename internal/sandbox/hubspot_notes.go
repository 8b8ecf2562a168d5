package sandbox

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// maxNoteBody is how many characters a note may have.
const maxNoteBody = 65_536

// noteToContact is the association type from a note to a contact.
const noteToContact = 202

type hsNoteInput struct {
	Properties   hsProps `json:"properties"`
	Associations []struct {
		To struct {
			ID json.RawMessage `json:"id"`
		} `json:"to"`
		Types []struct {
			Category string `json:"associationCategory"`
			TypeID   int    `json:"associationTypeId"`
		} `json:"types"`
	} `json:"associations"`
}

func (b *hubspotBackend) createNote(r *request) answer {
	var in hsNoteInput
	if err := json.Unmarshal(r.body, &in); err != nil {
		return b.fail(hsInvalidJSON())
	}
	if e := checkNote(in.Properties); e != nil {
		return b.fail(e)
	}
	contactIDs, e := b.noteContacts(in)
	if e != nil {
		return b.fail(e)
	}
	now := b.opts.Clock.Now()
	o := &hsObject{id: strconv.FormatInt(b.ids.number(), 10), created: now, contactIDs: contactIDs,
		createdKey: "hs_createdate", modifiedKey: "hs_lastmodifieddate"}
	set := cloneMap(in.Properties)
	set["hs_object_id"], set[o.createdKey] = o.id, rfc3339(now)
	o.write(set, now, b.opts.SearchLag)
	b.notes.add(o)
	for _, id := range contactIDs {
		c := b.contacts.byID[id]
		c.noteIDs = append(c.noteIDs, o.id)
	}
	return jsonAnswer(http.StatusCreated, o.view(nil))
}

func checkNote(props hsProps) *hsError {
	for name, value := range props {
		switch name {
		case "hs_timestamp", "hs_note_body", "hubspot_owner_id", "hs_attachment_ids":
		default:
			return hsProperty("PROPERTY_DOESNT_EXIST", name, "Property "+strconv.Quote(name)+" does not exist")
		}
		if len([]rune(value)) > maxNoteBody {
			return hsProperty("PROPERTY_VALUE_TOO_LONG", name, "The note body exceeds 65536 characters")
		}
	}
	ts := props["hs_timestamp"]
	if ts == "" {
		e := hsInvalid("REQUIRED_FIELD", "Error creating NOTE. Some required properties were not set.", "")
		e.Errors[0].Context = map[string][]string{"properties": {"hs_timestamp"}}
		return e
	}
	if _, err := strconv.ParseInt(ts, 10, 64); err == nil {
		return nil
	}
	if _, err := time.Parse(time.RFC3339, ts); err != nil {
		return hsProperty("INVALID_DATE", "hs_timestamp", ts+" was not a valid long or ISO 8601 time.")
	}
	return nil
}

// noteContacts checks a new note's associations.
func (b *hubspotBackend) noteContacts(in hsNoteInput) ([]string, *hsError) {
	var out []string
	for _, a := range in.Associations {
		id := string(a.To.ID) // a string or a number
		if s, err := strconv.Unquote(id); err == nil {
			id = s
		}
		if len(a.Types) == 0 {
			return nil, hsInvalid("", "Invalid input JSON: an association needs types", "")
		}
		for _, t := range a.Types {
			if t.Category != "HUBSPOT_DEFINED" || t.TypeID != noteToContact {
				return nil, hsInvalid("", "One or more association types are not valid for notes and contacts", "")
			}
		}
		if _, ok := b.contacts.byID[id]; !ok {
			return nil, hsNotFound("The contact to associate the note with does not exist")
		}
		out = append(out, id)
	}
	return out, nil
}

func (b *hubspotBackend) getObject(r *request, objs *hsObjects, id string) answer {
	o, ok := objs.byID[id]
	if !ok {
		return b.fail(hsNotFound("resource not found"))
	}
	return jsonAnswer(http.StatusOK, o.view(propertyList(r)))
}

// listAssociations lists the notes of a contact; immediate, unlike search.
func (b *hubspotBackend) listAssociations(r *request, id string) answer {
	c, ok := b.contacts.byID[id]
	if !ok {
		return b.fail(hsNotFound("resource not found"))
	}
	limit, after, e := hsPaging(r.query.Get("limit"), r.query.Get("after"), 500)
	if e != nil {
		return b.fail(e)
	}
	results := []map[string]string{}
	for i := after; i < len(c.noteIDs) && len(results) < limit; i++ {
		results = append(results, map[string]string{"id": c.noteIDs[i], "type": "contact_to_note"})
	}
	body := map[string]any{"results": results}
	if next := after + limit; next < len(c.noteIDs) {
		body["paging"] = hsNext(next)
	}
	return jsonAnswer(http.StatusOK, body)
}

func hsNext(after int) map[string]any {
	return map[string]any{"next": map[string]string{"after": strconv.Itoa(after)}}
}

// hsPaging reads limit and after; after is an offset in the fakes.
func hsPaging(limit, after string, most int) (n, offset int, e *hsError) {
	n = most
	if limit != "" {
		v, err := strconv.Atoi(limit)
		if err != nil || v < 1 || v > most {
			return 0, 0, hsInvalid("", "limit must be between 1 and "+strconv.Itoa(most), "")
		}
		n = v
	}
	if after != "" {
		v, err := strconv.Atoi(after)
		if err != nil || v < 0 || v > 1<<31 {
			return 0, 0, hsInvalid("", "after is not valid", "")
		}
		offset = v
	}
	return n, offset, nil
}

// batchRead reads up to 100 objects by id, contacts by e-mail too; 207 when some are
// missing.
func (b *hubspotBackend) batchRead(r *request, objs *hsObjects) answer {
	var in struct {
		Inputs     []hsUpsertInput `json:"inputs"`
		Properties []string        `json:"properties"`
		IDProperty string          `json:"idProperty"`
	}
	if err := json.Unmarshal(r.body, &in); err != nil {
		return b.fail(hsInvalidJSON())
	}
	if e := checkBatch(in.Inputs); e != nil {
		return b.fail(e)
	}
	byEmail := objs == b.contacts && in.IDProperty == "email"
	if !byEmail && in.IDProperty != "" && in.IDProperty != "hs_object_id" {
		return b.fail(hsInvalid("", "idProperty must name a unique property", ""))
	}
	if in.Properties == nil {
		in.Properties = []string{}
	}
	results, missing := []map[string]any{}, []string{}
	for _, i := range in.Inputs {
		id := i.ID
		if byEmail {
			id = b.byEmail[lower(id)]
		}
		o, ok := objs.byID[id]
		if !ok {
			missing = append(missing, i.ID)
			continue
		}
		results = append(results, o.view(in.Properties))
	}
	now := rfc3339(b.opts.Clock.Now())
	body := map[string]any{"status": "COMPLETE", "results": results, "startedAt": now, "completedAt": now}
	if len(missing) == 0 {
		return jsonAnswer(http.StatusOK, body)
	}
	body["numErrors"] = 1
	body["errors"] = []map[string]any{{"status": "error", "category": "OBJECT_NOT_FOUND",
		"message": "Could not get some objects, they may be deleted or not exist.", "context": map[string]any{"ids": missing}}}
	return jsonAnswer(http.StatusMultiStatus, body)
}
