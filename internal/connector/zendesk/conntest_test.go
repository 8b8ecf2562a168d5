package zendesk

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
	ticket := bellhop.TicketInput{Subject: "Refund request", Body: "Ada wants her money back.", RequesterName: "Ada",
		RequesterEmail: "ada@example.com", Priority: bellhop.PriorityHigh, Tags: []string{"billing"}, Link: "https://chat.example.com/c/1"}
	noMail := ticket
	noMail.RequesterEmail = ""
	tickets := func(s sandbox.Snapshot) int { return len(s.Tickets) }
	conntest.Run(t, conntest.Harness{
		Vendor: Vendor(),
		Fake:   sandbox.Zendesk,
		Settings: func(base string) map[string]any {
			return map[string]any{"base_url": base, "email": "ops@example.com", "token": sandbox.Token}
		},
		Reject: conntest.Refusal{Status: 422, Reason: "Requester: Ada is suspended.",
			Body: `{"error":"RecordInvalid","description":"Record validation errors","details":{"requester":[{"description":"Requester: Ada is suspended."}]}}`},
		Cases: []conntest.Case{
			{Action: bellhop.ActionCreateTicket, Input: ticket, Write: "POST /api/v2/tickets.json", Count: tickets},
			{Name: "support.create_ticket_without_email", Action: bellhop.ActionCreateTicket, Input: noMail, Write: "POST /api/v2/tickets.json", Count: tickets},
			{
				Action: bellhop.ActionUpdateTicket, Write: "PUT /api/v2/tickets/", Refs: map[string]string{"ticket": "3"},
				Input: bellhop.TicketUpdateInput{Status: bellhop.SupportResolved, Comment: "Done by hand."},
				Prepare: func(t *testing.T, c connector.Connector) map[string]string {
					t.Helper()
					res, err := c.Do(context.Background(), conntest.Call(t, bellhop.ActionCreateTicket, "prepare", ticket, nil))
					if err != nil {
						t.Fatal(err)
					}
					return res.Refs
				},
				Count: func(s sandbox.Snapshot) int {
					n := 0
					for _, t := range s.Tickets {
						n += len(t.Comments) - 1
					}
					return n
				},
			},
		},
	})
}
