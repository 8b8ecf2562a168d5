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
				Name: "crm.upsert_contact_corrected", Action: bellhop.ActionUpsertContact, Write: "PATCH /crm/v3/objects/contacts/",
				Input:   bellhop.ContactInput{Email: "ada@example.com", PreviousEmail: "ada@exampel.com", FirstName: "Ada"},
				Prepare: prepareContact(bellhop.ContactInput{Email: "ada@exampel.com"}),
				Refs:    map[string]string{"contact": "551", "contact_made": "551"},
				Count:   renamed,
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
			{
				Action: bellhop.ActionDeletePerson, Write: "POST /crm/v3/objects/contacts/gdpr-delete",
				Input:   bellhop.DeletePersonInput{},
				Prepare: prepareContact(contact),
				Refs:    map[string]string{"contact": "551"},
				Count:   func(s sandbox.Snapshot) int { return len(s.ErasedContacts) },
			},
		},
	})
}

// renamed counts the contacts of the corrected address, and any beside it twice.
func renamed(s sandbox.Snapshot) int {
	n := 0
	for _, c := range s.Contacts {
		if c.Properties["email"] == "ada@example.com" {
			n += len(s.Contacts)
		}
	}
	return n
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

// Only a contact that we made is renamed, and only to an address that nobody has.
func TestRenameTakesNobodysContact(t *testing.T) {
	t.Parallel()
	box := sandbox.New(sandbox.Options{SearchLag: -1})
	run, err := box.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.Close() })
	c := connect(t, sandbox.BaseURL(run.URL, "hubspot"))
	do := func(key string, in bellhop.ContactInput, refs map[string]string) map[string]string {
		t.Helper()
		res, err := c.Do(context.Background(), conntest.Call(t, bellhop.ActionUpsertContact, key, in, refs))
		if err != nil {
			t.Fatal(err)
		}
		return res.Refs
	}
	do("k0", bellhop.ContactInput{Email: "boss@corp.test"}, nil)
	known := do("k1", bellhop.ContactInput{Email: "boss@corp.test"}, nil) // not new: somebody
	do("k2", bellhop.ContactInput{Email: "mallory@evil.test", PreviousEmail: "boss@corp.test"}, known)
	made := do("k3", bellhop.ContactInput{Email: "sam@brightwel.test"}, nil)
	do("k4", bellhop.ContactInput{Email: "boss@corp.test", PreviousEmail: "sam@brightwel.test"}, made)
	emails := map[string]int{}
	for _, x := range box.Snapshot().Contacts {
		emails[x.Properties["email"]]++
	}
	if len(emails) != 3 || emails["boss@corp.test"] != 1 || emails["mallory@evil.test"] != 1 || emails["sam@brightwel.test"] != 1 {
		t.Errorf("contacts %v", emails)
	}
}

func connect(t *testing.T, base string) connector.Connector {
	t.Helper()
	v := Vendor()
	s, err := connector.ParseSettings(v.Manifest, "crm", map[string]any{"base_url": base, "token": sandbox.Token})
	if err != nil {
		t.Fatal(err)
	}
	c, err := v.New(s, connector.Env{HTTP: connector.NewClient(connector.ClientOpts{AllowPrivate: true}), Clock: bellhop.SystemClock{}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
