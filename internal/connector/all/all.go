// Package all is the list of the vendors that Bellhop knows. A test compares it with
// the folders.
package all

import (
	"bellhop/internal/connector"
	"bellhop/internal/connector/hubspot"
	"bellhop/internal/connector/slack"
	"bellhop/internal/connector/stripe"
	"bellhop/internal/connector/webhook"
	"bellhop/internal/connector/zendesk"
)

// Vendors returns every vendor, by name.
func Vendors() []connector.Vendor {
	return []connector.Vendor{
		hubspot.Vendor(),
		slack.Vendor(),
		stripe.Vendor(),
		webhook.Vendor(),
		zendesk.Vendor(),
	}
}
