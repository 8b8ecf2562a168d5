package slack

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
		Fake:     sandbox.Slack,
		Settings: func(base string) map[string]any { return map[string]any{"url": base} },
		Classes: map[sandbox.FaultMode]bellhop.ErrorClass{
			sandbox.FaultDown: bellhop.ClassUnavailable, // 503: turned away
		},
		Reject: conntest.Refusal{Status: 400, Body: "invalid_payload", Reason: "invalid_payload"},
		Cases: []conntest.Case{{
			Action: bellhop.ActionSendAlert, Write: "POST ",
			Input: bellhop.AlertInput{Title: "HubSpot is down", Text: "3 steps wait", Severity: bellhop.SeverityError, Link: "https://chat.example.com/console"},
			Count: func(s sandbox.Snapshot) int { return len(s.Messages) },
		}},
	})
}
