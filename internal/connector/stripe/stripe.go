// Package stripe takes in Stripe's events: it checks their signature, translates them
// into Bellhop's words and lists what never arrived. It writes nothing to Stripe.
//
// Facts: https://docs.stripe.com/webhooks and https://docs.stripe.com/api/events.
package stripe

import (
	"context"
	_ "embed"
	"errors"
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

// Connector is one connection to a Stripe account, in live or in test mode.
type Connector struct {
	env        connector.Env
	connection string
	base       string
	key        bellhop.Secret
	secrets    []bellhop.Secret // of the webhook endpoints, any of which may have signed
	live       bool
}

var (
	_ connector.Connector = (*Connector)(nil)
	_ connector.Verifier  = (*Connector)(nil)
	_ connector.Lister    = (*Connector)(nil)
)

func newConnector(s connector.Settings, env connector.Env) (connector.Connector, error) {
	c := &Connector{env: env, connection: s.Connection, base: s.BaseURL, key: s.Secret("secret_key"),
		secrets: s.Secrets("webhook_secrets")}
	// The mode is part of the key. Source: https://docs.stripe.com/keys
	switch key := c.key.Reveal(); {
	case strings.HasPrefix(key, "sk_live_"), strings.HasPrefix(key, "rk_live_"):
		c.live = true
	case strings.HasPrefix(key, "sk_test_"), strings.HasPrefix(key, "rk_test_"):
	default:
		return nil, errors.New("secret_key: must begin with sk_live_, rk_live_, sk_test_ or rk_test_")
	}
	return c, nil
}

// Do refuses: Stripe is only listened to.
func (c *Connector) Do(_ context.Context, call connector.Call) (connector.Result, error) {
	return connector.Result{}, connector.Rejectf("Stripe has no action " + string(call.Action))
}

// Verify checks the signature over the raw body and translates the event.
func (c *Connector) Verify(d connector.Delivery) (bellhop.Inbound, error) {
	now := d.ReceivedAt
	if now.IsZero() {
		now = c.env.Clock.Now()
	}
	if err := checkSignature(d.Header.Values("Stripe-Signature"), d.Body, c.secrets, now); err != nil {
		return bellhop.Inbound{}, err
	}
	return c.translate(d.Body)
}
