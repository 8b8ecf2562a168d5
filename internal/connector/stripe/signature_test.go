package stripe

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85/webhook"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/sandbox"
)

// Vector 6 of vendors.md section 8: secret and body as stripe-node publishes them.
const (
	vectorSecret = "whsec_test_secret"
	vectorTime   = 1614265330
	vectorBody   = "{\n  \"id\": \"evt_test_webhook\",\n  \"object\": \"event\"\n}"
	vectorV1     = "af4ead0627a34a8cca29808e8de9ada8e41a92e6237c63cef6eacf51d36cca34"
)

func checkVector(header, body string, now time.Time, secrets ...bellhop.Secret) error {
	if secrets == nil {
		secrets = []bellhop.Secret{vectorSecret}
	}
	return checkSignature([]string{header}, []byte(body), secrets, now)
}

func TestSignatureVector(t *testing.T) {
	t.Parallel()
	now := time.Unix(vectorTime, 0)
	good := fmt.Sprintf("t=%d,v1=%s", vectorTime, vectorV1)
	if len(vectorBody) != 51 {
		t.Fatalf("the vector's body has %d bytes", len(vectorBody))
	}
	for name, header := range map[string]string{
		"as published": good, "upper-case hex": fmt.Sprintf("t=%d,v1=%s", vectorTime, strings.ToUpper(vectorV1)),
		"bad one behind": good + ",v1=bad_signature", "bad one before": fmt.Sprintf("t=%d,v1=%064d,v1=%s", vectorTime, 0, vectorV1),
		"other schemes": fmt.Sprintf("v0=abc,t=%d,v2=xyz,v1=%s,v0=1", vectorTime, vectorV1), "spaces": fmt.Sprintf("t=%d, v1=%s", vectorTime, vectorV1),
	} {
		if err := checkVector(header, vectorBody, now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Vector 7, and what else must be refused.
	for name, header := range map[string]string{
		"not signed": "", "no value": "v1,t=1", "empty time": "t=", "scheme v0 only": fmt.Sprintf("t=%d,v0=%s", vectorTime, vectorV1),
		"no time": "v1=" + vectorV1, "two times": fmt.Sprintf("t=%d,t=%d,v1=%s", vectorTime, vectorTime, vectorV1),
		"signed time": fmt.Sprintf("t=+%d,v1=%s", vectorTime, vectorV1), "long time": fmt.Sprintf("t=%d0000000,v1=%s", vectorTime, vectorV1),
		"short mac": fmt.Sprintf("t=%d,v1=%s", vectorTime, vectorV1[:62]), "empty mac": fmt.Sprintf("t=%d,v1=", vectorTime),
		"huge": good + strings.Repeat(",v0=a", 2000), "text time": "t=hello,v1=" + vectorV1, "negative time": "t=-5,v1=" + vectorV1,
	} {
		if err := checkVector(header, vectorBody, now); bellhop.CodeOf(err) != bellhop.CodeSignatureInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := checkSignature([]string{good, good}, []byte(vectorBody), []bellhop.Secret{vectorSecret}, now); err == nil {
		t.Error("two headers were taken")
	}
	if err := checkSignature(nil, []byte(vectorBody), []bellhop.Secret{vectorSecret}, now); bellhop.CodeOf(err) != bellhop.CodeSignatureInvalid {
		t.Errorf("no header: %v", err)
	}
}

// TestEveryBitCounts flips each bit of time, signature and body.
func TestEveryBitCounts(t *testing.T) {
	t.Parallel()
	now := time.Unix(vectorTime, 0)
	header := fmt.Sprintf("t=%d,v1=%s", vectorTime, vectorV1)
	for i := range len(header) {
		for bit := range 8 {
			h := []byte(header)
			h[i] ^= 1 << bit
			if strings.EqualFold(string(h), header) && h[i] != header[i] && i >= len(header)-64 {
				continue // hex in the other case is the same signature
			}
			if err := checkVector(string(h), vectorBody, now); err == nil {
				t.Errorf("header byte %d bit %d: accepted %q", i, bit, h)
			}
		}
	}
	for i := range len(vectorBody) {
		for bit := range 8 {
			b := []byte(vectorBody)
			b[i] ^= 1 << bit
			if err := checkVector(header, string(b), now); bellhop.CodeOf(err) != bellhop.CodeSignatureInvalid {
				t.Errorf("body byte %d bit %d: %v", i, bit, err)
			}
		}
	}
	for _, body := range []string{"", vectorBody + "\n", vectorBody[1:], strings.ReplaceAll(vectorBody, "\n", "\r\n")} {
		if err := checkVector(header, body, now); err == nil {
			t.Errorf("body %q: accepted", body)
		}
	}
}

func TestSignatureTime(t *testing.T) {
	t.Parallel()
	header := fmt.Sprintf("t=%d,v1=%s", vectorTime, vectorV1)
	for off, want := range map[time.Duration]bellhop.Code{0: "", 300 * time.Second: "", -300 * time.Second: "",
		301 * time.Second: bellhop.CodeTimestampStale, -301 * time.Second: bellhop.CodeTimestampStale, 24 * time.Hour: bellhop.CodeTimestampStale} {
		err := checkVector(header, vectorBody, time.Unix(vectorTime, 0).Add(off))
		if (want == "") != (err == nil) || (err != nil && bellhop.CodeOf(err) != want) {
			t.Errorf("%s: %v, want %q", off, err, want)
		}
	}
	// An unsigned request is never told that it is only late.
	if err := checkVector("t=1,v1="+vectorV1, vectorBody, time.Unix(vectorTime, 0)); bellhop.CodeOf(err) != bellhop.CodeSignatureInvalid {
		t.Errorf("unsigned and old: %v", err)
	}
}

func TestSeveralSecrets(t *testing.T) {
	t.Parallel()
	now := time.Unix(vectorTime, 0)
	header := fmt.Sprintf("t=%d,v1=%s", vectorTime, vectorV1)
	for name, tt := range map[string]struct {
		secrets []bellhop.Secret
		ok      bool
	}{
		"new and old": {[]bellhop.Secret{"whsec_new", vectorSecret}, true}, "old and new": {[]bellhop.Secret{vectorSecret, "whsec_new"}, true},
		"other": {[]bellhop.Secret{"whsec_new"}, false}, "none": {[]bellhop.Secret{}, false}, "empty": {[]bellhop.Secret{""}, false},
		"without prefix": {[]bellhop.Secret{"test_secret"}, false},
	} {
		if err := checkVector(header, vectorBody, now, tt.secrets...); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The hash of an empty key must not open the door.
	empty := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(vectorBody), Secret: "", Timestamp: now})
	if err := checkVector(empty.Header, vectorBody, now, ""); err == nil {
		t.Error("a signature with the empty secret was taken")
	}
}

// TestAgreesWithStripeGo signs with stripe-go, the vendor's own library.
func TestAgreesWithStripeGo(t *testing.T) {
	t.Parallel()
	c := newTest(t, "sk_test_1", "whsec_old", "whsec_new")
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, body := range []string{string(file(t, "invoice_paid")), string(eventBody("x.y", `{"ünï":"✓"}`))} {
		signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(body), Secret: "whsec_new", Timestamp: now})
		d := connector.Delivery{Header: http.Header{"Stripe-Signature": {signed.Header}}, Body: []byte(body), ReceivedAt: now}
		if _, err := c.Verify(d); err != nil {
			t.Errorf("Verify: %v", err)
		}
		d.ReceivedAt = time.Time{} // falls back to the clock, which stands at the same time
		if _, err := c.Verify(d); err != nil {
			t.Errorf("Verify by the clock: %v", err)
		}
		d.Header.Set("Stripe-Signature", sandbox.SignStripe([]byte(body), "whsec_old", now))
		if _, err := c.Verify(d); err != nil {
			t.Errorf("Verify of the sandbox: %v", err)
		}
	}
	bad := connector.Delivery{Header: http.Header{}, Body: []byte("not even JSON"), ReceivedAt: now}
	_, err := c.Verify(bad)
	var e *bellhop.Error
	if !errors.As(err, &e) || e.Code != bellhop.CodeSignatureInvalid || e.NextStep == "" {
		t.Errorf("unsigned rubbish: %v", err)
	}
}

func FuzzParseSignature(f *testing.F) {
	for _, s := range []string{"", "t=1,v1=aa", "v1,t=1", "t=", fmt.Sprintf("t=%d,v1=%s,v1=bad", vectorTime, vectorV1), "t=1,t=2", ",,,", "==="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		sig, ok := parseSignature(header)
		if ok && (sig.stamp == "" || len(sig.v1) == 0 || len(sig.v1) > maxSignatures) {
			t.Errorf("%q: %+v", header, sig)
		}
		if err := checkVector(header, "another body", time.Unix(vectorTime, 0)); err == nil {
			t.Errorf("%q signs another body", header)
		}
	})
}
