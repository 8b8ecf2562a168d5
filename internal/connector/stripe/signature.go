package stripe

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"bellhop"
)

const (
	// tolerance is how far a signature's time may be from ours, both ways. Stripe's own
	// libraries check only the past; a time in the future is no more trustworthy.
	// Source: https://docs.stripe.com/webhooks#replay-attacks
	tolerance = 300 * time.Second
	// maxHeader and maxSignatures bound the work that an unsigned request can cause.
	maxHeader     = 4096
	maxSignatures = 16
)

// signature is the parsed Stripe-Signature header.
type signature struct {
	stamp string // t as it stands in the header: it is part of what is signed
	at    time.Time
	v1    [][]byte
}

// parseSignature reads "t=…,v1=…,v1=…,v0=…". Unknown schemes and values that cannot be
// decoded are passed over: a rolled secret adds signatures, and later schemes may come.
// Source: https://docs.stripe.com/webhooks#verify-manually
func parseSignature(header string) (signature, bool) {
	var sig signature
	if len(header) > maxHeader {
		return sig, false
	}
	for _, part := range strings.Split(header, ",") {
		k, v, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return signature{}, false
		}
		switch k {
		case "t":
			if sig.stamp != "" || !digits(v) {
				return signature{}, false
			}
			secs, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				return signature{}, false
			}
			sig.stamp, sig.at = v, time.Unix(secs, 0).UTC()
		case "v1":
			mac, err := hex.DecodeString(v)
			if err == nil && len(mac) == sha256.Size && len(sig.v1) < maxSignatures {
				sig.v1 = append(sig.v1, mac)
			}
		}
	}
	return sig, sig.stamp != "" && len(sig.v1) > 0
}

// digits takes a Unix time of 1 to 11 digits, which ends in the year 5138.
func digits(s string) bool {
	return s != "" && len(s) <= 11 && strings.Trim(s, "0123456789") == ""
}

// checkSignature tells whether one of the secrets signed the body, and lately. The
// signature is checked before the time, so that "stale" is only said of what Stripe
// has really sent.
func checkSignature(headers []string, body []byte, secrets []bellhop.Secret, now time.Time) error {
	const next = "Compare the endpoint's signing secret in Stripe's dashboard (Developers, Webhooks) with webhook_secrets in bellhop.yaml."
	if len(headers) == 0 || headers[0] == "" {
		return bellhop.Errorf(bellhop.CodeSignatureInvalid, next, "the request carries no Stripe-Signature")
	}
	sig, ok := parseSignature(headers[0])
	if !ok || len(headers) > 1 {
		return bellhop.Errorf(bellhop.CodeSignatureInvalid, next, "the Stripe-Signature header cannot be read")
	}
	match := false
	for _, secret := range secrets {
		if secret == "" {
			continue // an empty key would let anybody sign
		}
		mac := hmac.New(sha256.New, []byte(secret.Reveal()))
		mac.Write([]byte(sig.stamp + "."))
		mac.Write(body)
		want := mac.Sum(nil)
		for _, got := range sig.v1 {
			if hmac.Equal(want, got) {
				match = true
			}
		}
	}
	if !match {
		return bellhop.Errorf(bellhop.CodeSignatureInvalid, next, "no configured secret made this signature")
	}
	if d := now.Sub(sig.at); d > tolerance || d < -tolerance {
		return bellhop.Errorf(bellhop.CodeTimestampStale,
			"Check this machine's clock. Stripe sends the event again with a new time; Resend in its dashboard does so at once.",
			"the signature's time is more than %d seconds from ours", int(tolerance.Seconds()))
	}
	return nil
}
