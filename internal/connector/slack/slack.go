// Package slack sends alerts to a Slack channel through an incoming webhook.
//
// Facts: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and
// https://docs.slack.dev/reference/block-kit/blocks.
package slack

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"bellhop"
	"bellhop/internal/connector"
)

//go:embed manifest.json
var manifestJSON []byte

//go:embed setup.md
var setup string

// Vendor returns what the list of connectors holds.
func Vendor() connector.Vendor {
	return connector.Vendor{Manifest: connector.MustParseManifest(manifestJSON), Setup: setup, New: newConnector}
}

// Connector is one incoming webhook. Its URL is the secret.
type Connector struct {
	env connector.Env
	url bellhop.Secret
}

var _ connector.Connector = (*Connector)(nil)

func newConnector(s connector.Settings, env connector.Env) (connector.Connector, error) {
	u, err := connector.Rebase(s.Secret("url").Reveal(), s.BaseURL)
	if err != nil {
		return nil, errors.New("url: is not a valid URL")
	}
	return &Connector{env: env, url: bellhop.Secret(u)}, nil
}

// Do sends an alert. Slack has no key and gives no id back, so an unknown outcome
// stays unknown.
func (c *Connector) Do(ctx context.Context, call connector.Call) (connector.Result, error) {
	if call.Action != bellhop.ActionSendAlert {
		return connector.Result{}, connector.Rejectf("Slack has no action " + string(call.Action))
	}
	var in bellhop.AlertInput
	if err := connector.DecodeInput(call, &in); err != nil {
		return connector.Result{}, err
	}
	if in.Title == "" && in.Text == "" {
		return connector.Result{}, connector.Rejectf("the alert has neither title nor text")
	}
	body, err := json.Marshal(render(in))
	if err != nil {
		return connector.Result{}, connector.Rejectf("the alert cannot be written: " + err.Error())
	}
	resp, err := c.env.HTTP.Do(ctx, connector.Request{Method: http.MethodPost, URL: c.url.Reveal(), Body: body,
		Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}})
	if err != nil {
		return connector.Result{}, err
	}
	if err := c.fail(resp); err != nil {
		return connector.Result{}, err
	}
	return connector.Result{VendorRequestID: resp.Header.Get("X-Slack-Req-Id")}, nil
}

// fail classifies an answer. Success is status 200 with the body "ok" and nothing else.
func (c *Connector) fail(resp *connector.Response) error {
	text := strings.TrimSpace(string(resp.Body[:min(len(resp.Body), 200)]))
	e := c.env.HTTP.Classify(resp, text)
	if e == nil {
		if text == "ok" {
			return nil
		}
		return connector.Malformed(resp, "Slack answered with something other than ok")
	}
	switch {
	case resp.Status == http.StatusServiceUnavailable:
		e.Class = bellhop.ClassUnavailable // turned away, not posted
	case deadWebhook(text):
		// The webhook itself is gone or forbidden: every later alert would fail the
		// same way, so it is the connection's error and not this alert's.
		e.Class = bellhop.ClassUnauthorized
	}
	return e
}

// deadWebhook knows the answers that are about the webhook and not about the message.
// Source: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#errors
func deadWebhook(text string) bool {
	switch text {
	case "invalid_token", "action_prohibited", "no_service", "no_service_id", "no_active_hooks", "no_team", "team_disabled",
		"channel_not_found", "channel_is_archived", "user_not_found", "posting_to_general_channel_denied":
		return true
	}
	return false
}

// escape makes text harmless in Slack's mrkdwn: without it a customer could write
// <!channel> or a link that looks like something else.
// Source: https://docs.slack.dev/messaging/formatting-message-text#escaping
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// link makes a mrkdwn link; the URL must not contain what ends one.
func link(u, text string) string {
	u = strings.NewReplacer("|", "%7C", ">", "%3E", "<", "%3C", "&", "&amp;").Replace(u)
	return "<" + u + "|" + escape(text) + ">"
}

// webLink returns an alert's link when it is one and not too long to be shown whole.
func webLink(s string) string {
	if u := connector.WebLink(s); len(u) <= 2000 {
		return u
	}
	return ""
}
