package hubspot

import (
	"context"
	"testing"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/connector/conntest"
	"bellhop/internal/sandbox"
)

func TestConnector(t *testing.T) {
	t.Parallel()
	contact := bellhop.ContactInput{Email: "ada@example.com", FirstName: "Ada", LastName: "Byron", Phone: "+44 1", Company: "Engines",
		LifecycleStage: "lead"}
	conntest.Run(t, conntest.Harness{
		Vendor: Vendor(),
		Fake:   sandbox.HubSpot,
		Settings: func(base string) map[string]any {
			return map[string]any{"base_url": base, "token": sandbox.Token, "portal_id": "42"}
		},
		DailyQuota: true,
		Reject: conntest.Refusal{Status: 400, Reason: `Property "x" does not exist`,
			Body: `{"status":"error","category":"VALIDATION_ERROR","message":"Property \"x\" does not exist","correlationId":"c"}`},
		Cases: []conntest.Case{
			{
				Action: bellhop.ActionUpsertContact, Input: contact, Write: "POST /crm/v3/objects/contacts/batch/upsert",
				Count: func(s sandbox.Snapshot) int { return len(s.Contacts) },
			},
			{
				Action: bellhop.ActionAddNote, Write: "POST /crm/v3/objects/notes$",
				Input:   bellhop.NoteInput{ContactEmail: "ada@example.com", Text: "wants <b>a demo</b>", Link: "https://chat.example.com/c/1", At: "2026-03-01T11:00:00Z"},
				Prepare: prepareContact(contact),
				Refs:    map[string]string{"contact": "551"},
				Count:   func(s sandbox.Snapshot) int { return len(s.Notes) },
			},
			{
				Name: "crm.add_note_by_email", Action: bellhop.ActionAddNote, Write: "POST /crm/v3/objects/notes$",
				Input: bellhop.NoteInput{ContactEmail: "ada@example.com", Text: "wants a demo", At: "2026-03-01T11:00:00Z"},
				Prepare: func(t *testing.T, c connector.Connector) map[string]string {
					prepareContact(contact)(t, c)
					return nil
				},
				Refs:  map[string]string{"contact": "551"},
				Count: func(s sandbox.Snapshot) int { return len(s.Notes) },
			},
		},
	})
}

func prepareContact(in bellhop.ContactInput) func(*testing.T, connector.Connector) map[string]string {
	return func(t *testing.T, c connector.Connector) map[string]string {
		t.Helper()
		res, err := c.Do(context.Background(), conntest.Call(t, bellhop.ActionUpsertContact, "prepare", in, nil))
		if err != nil {
			t.Fatal(err)
		}
		return res.Refs
	}
}
