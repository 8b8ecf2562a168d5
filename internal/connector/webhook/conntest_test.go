package webhook

import (
	"testing"

	"bellhop"
	"bellhop/internal/connector/conntest"
	"bellhop/internal/sandbox"
)

func TestConnector(t *testing.T) {
	t.Parallel()
	conntest.Run(t, conntest.Harness{
		Vendor:   Vendor(),
		Fake:     sandbox.Webhook,
		Settings: func(base string) map[string]any { return map[string]any{"url": base, "secret": vectorSecret} },
		// The specification: 2xx is success, whatever the body.
		AnyAnswerIsDone: true,
		Reject:          conntest.Refusal{Status: 410, Body: "gone", Reason: "the endpoint said it is gone"},
		Cases: []conntest.Case{{
			Action: bellhop.ActionSendWebhook, Write: "POST ",
			Input: bellhop.WebhookInput{Type: "lead.captured", Timestamp: "2026-03-01T12:00:00Z", Data: map[string]any{"id": 1}},
			Count: func(s sandbox.Snapshot) int { return len(s.Webhooks) },
		}},
	})
}
