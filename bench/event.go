package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"time"

	"bellhop/internal/sandbox"
)

// eventSize is the size of a webhook body in bytes: that of a charge as Stripe sends it.
const eventSize = 2700

// eventText is a charge.succeeded with the fields that Stripe sends; every # is replaced
// by the number of the event, so that each names a payment and a customer of its own.
const eventText = `{
  "id": "evt_#",
  "object": "event",
  "api_version": "2026-08-26.dahlia",
  "created": ~,
  "data": {
    "object": {
      "id": "ch_#",
      "object": "charge",
      "amount": 4900,
      "amount_captured": 4900,
      "amount_refunded": 0,
      "application": null,
      "application_fee": null,
      "application_fee_amount": null,
      "balance_transaction": "txn_#",
      "billing_details": {
        "address": {"city": "Lyon", "country": "FR", "line1": "12 rue des Halles", "line2": null, "postal_code": "69002", "state": null},
        "email": "customer#@example.com",
        "name": "Customer Number #",
        "phone": null,
        "tax_id": null
      },
      "calculated_statement_descriptor": "FERNLY PLANTS",
      "captured": true,
      "created": ~,
      "currency": "eur",
      "customer": "cus_#",
      "description": "Pro plan, monthly",
      "destination": null,
      "dispute": null,
      "disputed": false,
      "failure_balance_transaction": null,
      "failure_code": null,
      "failure_message": null,
      "fraud_details": {},
      "livemode": false,
      "metadata": {"order": "#", "plan": "pro", "seats": "3"},
      "on_behalf_of": null,
      "outcome": {"advice_code": null, "network_advice_code": null, "network_decline_code": null, "network_status": "approved_by_network", "reason": null, "risk_level": "normal", "risk_score": 12, "seller_message": "Payment complete.", "type": "authorized"},
      "paid": true,
      "payment_intent": "pi_#",
      "payment_method": "pm_#",
      "payment_method_details": {
        "card": {"amount_authorized": 4900, "brand": "visa", "checks": {"address_line1_check": null, "address_postal_code_check": "pass", "cvc_check": "pass"}, "country": "FR", "exp_month": 11, "exp_year": 2029, "fingerprint": "Xt5EWLLDS7FJjR1c", "funding": "credit", "installments": null, "last4": "4242", "mandate": null, "network": "visa", "three_d_secure": null, "wallet": null},
        "type": "card"
      },
      "receipt_email": null,
      "receipt_number": null,
      "receipt_url": "https://pay.stripe.com/receipts/payment/CAcaFwoVYWNjdF8#",
      "refunded": false,
      "review": null,
      "shipping": null,
      "source": null,
      "source_transfer": null,
      "statement_descriptor": null,
      "statement_descriptor_suffix": null,
      "status": "succeeded",
      "transfer_data": null,
      "transfer_group": null
    }
  },
  "livemode": false,
  "pending_webhooks": 1,
  "request": {"id": "req_#", "idempotency_key": "%"},
  "type": "charge.succeeded"
}`

// events makes signed Stripe webhooks.
type events struct {
	path, host string
	prefix     string // sets the events of one round apart from another's
	distinct   func(n int64) int64
	parts      [][]byte
	mac        hash.Hash
	body, out  []byte
	sum        []byte
}

// newEvents makes the webhooks of one worker for a target. distinct maps the number of a
// request to that of its event, for loads with repeats; nil means every one is new.
func newEvents(path, host, prefix string, distinct func(int64) int64) *events {
	now := strconv.FormatInt(time.Now().Unix(), 10)
	text := strings.ReplaceAll(eventText, "~", now)
	numbers := strings.Count(text, "#") * (len(prefix) + 8)
	text = strings.Replace(text, "%", strings.Repeat("k", max(1, eventSize-len(text)-numbers)), 1)
	return &events{path: path, host: host, prefix: prefix, distinct: distinct, parts: bytes.Split([]byte(text), []byte("#")),
		mac: hmac.New(sha256.New, []byte(sandbox.DefaultStripeWebhookSecret))}
}

func (e *events) next(n int64) []byte {
	if e.distinct != nil {
		n = e.distinct(n)
	}
	id := append([]byte(e.prefix), fmt.Sprintf("%08d", n)...)
	e.body = e.body[:0]
	for i, p := range e.parts {
		if i > 0 {
			e.body = append(e.body, id...)
		}
		e.body = append(e.body, p...)
	}
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	e.mac.Reset()
	e.mac.Write([]byte(stamp))
	e.mac.Write([]byte{'.'})
	e.mac.Write(e.body)
	e.sum = e.mac.Sum(e.sum[:0])
	e.out = post(e.out[:0], e.path, e.host, e.body, "Stripe-Signature", "t="+stamp+",v1="+hex.EncodeToString(e.sum))
	return e.out
}

func (e *events) check(status int, body []byte) error {
	if status != 200 {
		return fmt.Errorf("status %d: %.200s", status, body)
	}
	return nil
}
