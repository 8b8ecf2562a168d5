// Package webhook sends signed webhooks to an endpoint of the founder's own, by the
// Standard Webhooks 1.0.0 specification:
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
package webhook

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

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

// maxBody is the size in bytes that the specification advises to stay under.
const maxBody = 20 << 10

// minKey is the specification's smallest key, in bytes.
const minKey = 24

// Connector is one endpoint.
type Connector struct {
	env     connector.Env
	url     bellhop.Secret
	signers []*standardwebhooks.Webhook // newest secret first
}

var _ connector.Connector = (*Connector)(nil)

func newConnector(s connector.Settings, env connector.Env) (connector.Connector, error) {
	u, err := connector.Rebase(s.Secret("url").Reveal(), s.BaseURL)
	if err != nil {
		return nil, errors.New("url: is not a valid URL")
	}
	c := &Connector{env: env, url: bellhop.Secret(u)}
	secrets := append([]bellhop.Secret{s.Secret("secret")}, s.Secrets("secrets_old")...)
	for i, secret := range secrets {
		name := "secret"
		if i > 0 {
			name = fmt.Sprintf("secrets_old: number %d", i)
		}
		signer, err := newSigner(secret)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		c.signers = append(c.signers, signer)
	}
	return c, nil
}

func newSigner(secret bellhop.Secret) (*standardwebhooks.Webhook, error) {
	// Measured here: the library takes any length, even none.
	key, ok := decodeKey(secret.Reveal())
	if !ok {
		return nil, errors.New("must be whsec_ followed by base64")
	}
	if len(key) < minKey {
		return nil, fmt.Errorf("must hold at least %d bytes; it has %d", minKey, len(key))
	}
	return standardwebhooks.NewWebhookRaw(key)
}

// Do sends one webhook.
func (c *Connector) Do(ctx context.Context, call connector.Call) (connector.Result, error) {
	if call.Action != bellhop.ActionSendWebhook {
		return connector.Result{}, connector.Rejectf("a webhook has no action " + string(call.Action))
	}
	body, err := envelope(call, c.env.Clock.Now())
	if err != nil {
		return connector.Result{}, err
	}
	header, err := c.headers(webhookID(call), c.env.Clock.Now(), body)
	if err != nil {
		return connector.Result{}, connector.Rejectf("the webhook cannot be signed")
	}
	resp, err := c.env.HTTP.Do(ctx, connector.Request{Method: http.MethodPost, URL: c.url.Reveal(), Header: header, Body: body})
	if err != nil {
		return connector.Result{}, err
	}
	if e := c.env.HTTP.Classify(resp, ""); e != nil {
		explain(e)
		return connector.Result{}, e
	}
	return connector.Result{VendorID: header.Get(standardwebhooks.HeaderWebhookID),
		VendorRequestID: connector.RequestID(resp.Header)}, nil
}

// explain puts words to a failure. The endpoint's own text is not shown: it is not a
// vendor's message but whatever the receiving program prints.
func explain(e *connector.Error) {
	switch {
	case e.Status == http.StatusGone:
		e.Message = "the endpoint said it is gone (410); switch the connection off or give it another URL"
	case e.Status >= 300 && e.Status < 400:
		e.Message = fmt.Sprintf("the endpoint answered with a redirect (%d), which is never followed; give its final URL", e.Status)
	case e.Class == bellhop.ClassUnauthorized:
		e.Message = fmt.Sprintf("the endpoint refused the signature or the caller (%d); check that it has the same secret", e.Status)
	default:
		e.Message = fmt.Sprintf("the endpoint answered with status %d", e.Status)
	}
}

// envelope makes the body {"type","timestamp","data"}. Data is passed on as it is, so
// that its numbers keep every digit.
func envelope(call connector.Call, now time.Time) ([]byte, error) {
	var in struct {
		Type      string          `json:"type"`
		Timestamp string          `json:"timestamp"`
		Data      json.RawMessage `json:"data"`
	}
	if err := connector.DecodeInput(call, &in); err != nil {
		return nil, err
	}
	if in.Type == "" {
		return nil, connector.Rejectf("the webhook has no type")
	}
	if _, err := time.Parse(time.RFC3339, in.Timestamp); err != nil {
		at := now
		if !call.FirstAttemptAt.IsZero() {
			at = call.FirstAttemptAt // the body must be the same on every try
		}
		in.Timestamp = at.UTC().Format(time.RFC3339Nano)
	}
	if len(in.Data) == 0 || string(in.Data) == "null" {
		in.Data = json.RawMessage("{}")
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(in); err != nil {
		return nil, connector.Rejectf("the webhook cannot be written: " + err.Error())
	}
	body := bytes.TrimRight(buf.Bytes(), "\n")
	if len(body) > maxBody {
		return nil, connector.Rejectf(fmt.Sprintf("the webhook has %d bytes and receivers take at most %d; "+
			"it was not sent, because a part of it would be worse than none", len(body), maxBody))
	}
	return body, nil
}

// webhookID is the call's key where the key may be one. The signed string is
// id.timestamp.body, so an id with a dot in it would make two readings possible; such
// a key is sent in its opaque form, which is as unique and the same on every try.
func webhookID(call connector.Call) string {
	for _, r := range call.Key {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("-_:/", r):
		default:
			return call.Marker
		}
	}
	if call.Key == "" {
		return call.Marker
	}
	return call.Key
}

// headers signs with every secret, newest first: while the secret is being changed
// receivers accept any that matches. The time is that of this try, the id is not.
func (c *Connector) headers(id string, now time.Time, body []byte) (http.Header, error) {
	sigs := make([]string, 0, len(c.signers))
	for _, s := range c.signers {
		sig, err := s.Sign(id, now, body)
		if err != nil {
			return nil, err
		}
		sigs = append(sigs, sig)
	}
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set(standardwebhooks.HeaderWebhookID, id)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	h.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(sigs, " "))
	return h, nil
}

// decodeKey returns the bytes behind whsec_. Padding may be missing, as some tools
// leave it out.
func decodeKey(secret string) ([]byte, bool) {
	enc, ok := strings.CutPrefix(secret, "whsec_")
	if !ok {
		return nil, false
	}
	key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(enc, "="))
	return key, err == nil
}
