package hubspot

import (
	"context"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"bellhop"
	"bellhop/internal/connector"
)

const (
	// noteToContact is HubSpot's own association type from a note to a contact.
	// Source: https://developers.hubspot.com/docs/api/crm/associations (202).
	noteToContact = 202
	// maxNoteHTML is the limit of hs_note_body, in characters.
	// Source: https://developers.hubspot.com/docs/api/crm/notes
	maxNoteHTML = 65536
	// maxNotesRead bounds a look-up to what fits in its time box.
	maxNotesRead = 1000
	// batchRead is how many notes are read at a time. HubSpot takes 100; fewer keep an
	// answer of the longest notes under connector.MaxAnswer.
	batchRead = 50
)

func (c *Connector) addNote(ctx context.Context, call connector.Call) (connector.Result, error) {
	in, contact, err := c.noteTarget(ctx, call)
	if err != nil {
		return connector.Result{}, err
	}
	body := map[string]any{
		"properties": map[string]string{
			"hs_timestamp": c.noteTime(in.At),
			"hs_note_body": noteHTML(in, call.Marker),
		},
		"associations": []any{map[string]any{
			"to": map[string]string{"id": contact},
			"types": []any{map[string]any{"associationCategory": "HUBSPOT_DEFINED",
				"associationTypeId": noteToContact}},
		}},
	}
	var note struct {
		ID string `json:"id"`
	}
	resp, err := c.callJSON(ctx, http.MethodPost, "/crm/v3/objects/notes", body, &note)
	if err != nil {
		return connector.Result{}, err
	}
	if note.ID == "" {
		return connector.Result{}, connector.Malformed(resp, "HubSpot's note has no id")
	}
	return connector.Result{VendorID: note.ID, URL: c.contactURL(contact),
		Refs: map[string]string{"contact": contact}, VendorRequestID: connector.RequestID(resp.Header)}, nil
}

// noteTarget reads the input and finds the contact that the note belongs to.
func (c *Connector) noteTarget(ctx context.Context, call connector.Call) (bellhop.NoteInput, string, error) {
	var in bellhop.NoteInput
	if err := connector.DecodeInput(call, &in); err != nil {
		return in, "", err
	}
	if id := call.Refs["contact"]; id != "" {
		return in, id, nil
	}
	if in.ContactEmail == "" {
		return in, "", connector.Rejectf("the note names no contact")
	}
	id, err := c.contactByEmail(ctx, in.ContactEmail)
	if err != nil {
		return in, "", connector.BeforeWrite(err)
	}
	if id == "" {
		return in, "", connector.Rejectf("HubSpot has no contact with this e-mail address, so the note has nowhere to go")
	}
	return in, id, nil
}

func (c *Connector) noteTime(at string) string {
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		t = c.env.Clock.Now()
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// noteHTML makes the note: the escaped text, the link and the reference by which a
// look-up finds it. Link and reference survive whatever has to be cut.
func noteHTML(in bellhop.NoteInput, marker string) string {
	tail := ""
	if link := connector.WebLink(in.Link); link != "" && len(link) <= 2000 {
		text := in.LinkText
		if text == "" {
			text = "Open the conversation"
		}
		tail = `<p><a href="` + html.EscapeString(link) + `">` + html.EscapeString(connector.CutText(text, 200)) + `</a></p>`
	}
	tail += `<p><small>Ref ` + html.EscapeString(marker) + `</small></p>`
	room := maxNoteHTML - len([]rune(tail)) - len("<p></p>")
	text := connector.CutText(in.Text, room)
	for n := room; ; n = n * 3 / 4 { // escaping makes text longer, so cut until it fits
		text = connector.CutText(text, n)
		h := strings.ReplaceAll(html.EscapeString(text), "\n", "<br>")
		if len([]rune(h)) <= room {
			return "<p>" + h + "</p>" + tail
		}
	}
}

// findNote looks for the marker in the contact's notes. The notes are listed through
// the contact's associations and read by id: both read the records, while search is
// an index that lags writes by seconds and could not prove absence.
func (c *Connector) findNote(ctx context.Context, call connector.Call) (connector.Result, bool, error) {
	_, contact, err := c.noteTarget(ctx, call)
	if err != nil {
		return connector.Result{}, false, err
	}
	ids, err := c.noteIDs(ctx, contact)
	if err != nil {
		return connector.Result{}, false, err
	}
	for len(ids) > 0 {
		n := min(batchRead, len(ids))
		id, err := c.noteWithMarker(ctx, ids[:n], call.Marker)
		if err != nil {
			return connector.Result{}, false, err
		}
		if id != "" {
			return connector.Result{VendorID: id, URL: c.contactURL(contact), Existing: true,
				Refs: map[string]string{"contact": contact}}, true, nil
		}
		ids = ids[n:]
	}
	return connector.Result{}, false, nil
}

// noteIDs lists the ids of all notes of a contact.
// Source: https://developers.hubspot.com/docs/api/crm/associations
func (c *Connector) noteIDs(ctx context.Context, contact string) ([]string, error) {
	base := "/crm/v3/objects/contacts/" + url.PathEscape(contact) + "/associations/notes?limit=500"
	var ids []string
	after := ""
	for {
		path := base
		if after != "" {
			path += "&after=" + url.QueryEscape(after)
		}
		var page struct {
			Results []struct {
				ID string `json:"id"`
			} `json:"results"`
			Paging struct {
				Next struct {
					After string `json:"after"`
				} `json:"next"`
			} `json:"paging"`
		}
		if _, err := c.callJSON(ctx, http.MethodGet, path, nil, &page); err != nil {
			return nil, err
		}
		for _, r := range page.Results {
			if !slices.Contains(ids, r.ID) { // several labels of one association list it several times
				ids = append(ids, r.ID)
			}
		}
		if len(ids) > maxNotesRead {
			return nil, connector.Rejectf("the contact has too many notes to look through; a person has to look whether the note is there")
		}
		if page.Paging.Next.After == "" || page.Paging.Next.After == after {
			return ids, nil
		}
		after = page.Paging.Next.After
	}
}

// noteWithMarker reads up to batchRead notes and returns the id of the one that
// carries the marker.
func (c *Connector) noteWithMarker(ctx context.Context, ids []string, marker string) (string, error) {
	inputs := make([]map[string]string, 0, len(ids))
	for _, id := range ids {
		inputs = append(inputs, map[string]string{"id": id})
	}
	var ans struct {
		Results []struct {
			ID         string             `json:"id"`
			Properties map[string]*string `json:"properties"`
		} `json:"results"`
		Errors []apiError `json:"errors"`
	}
	body := map[string]any{"properties": []string{"hs_note_body"}, "inputs": inputs}
	if _, err := c.callJSON(ctx, http.MethodPost, "/crm/v3/objects/notes/batch/read", body, &ans); err != nil {
		return "", err
	}
	for _, n := range ans.Results {
		if text := n.Properties["hs_note_body"]; text != nil && connector.HasMarker(*text, marker) {
			return n.ID, nil
		}
	}
	for _, e := range ans.Errors {
		if e.Category != "OBJECT_NOT_FOUND" { // one that was deleted cannot be ours; one that was not read can
			return "", &connector.Error{Class: bellhop.ClassUnavailable, Message: e.text()}
		}
	}
	return "", nil
}
