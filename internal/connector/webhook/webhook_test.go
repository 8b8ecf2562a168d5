package webhook

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/connector/conntest"
)

// Vectors 1 and 2 of vendors.md section 8, as the Standard Webhooks libraries publish
// them.
const (
	vectorSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID     = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorTime   = 1614265330
	vectorBody   = `{"test": 2432232314}`
	vectorSig    = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

const otherSecret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

func newTest(t *testing.T, url string, raw map[string]any) *Connector {
	t.Helper()
	all := map[string]any{"url": url, "secret": vectorSecret}
	for k, v := range raw {
		all[k] = v
	}
	s, err := connector.ParseSettings(Vendor().Manifest, "product", all)
	if err != nil {
		t.Fatal(err)
	}
	clock := conntest.NewClock()
	client := connector.NewClient(connector.ClientOpts{Clock: clock, AllowPrivate: true})
	t.Cleanup(client.CloseIdle)
	c, err := Vendor().New(s, connector.Env{HTTP: client, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return c.(*Connector)
}

func TestSigningVector(t *testing.T) {
	t.Parallel()
	c := newTest(t, "https://example.com/", nil)
	h, err := c.headers(vectorID, time.Unix(vectorTime, 0), []byte(vectorBody))
	if err != nil || h.Get("webhook-signature") != vectorSig || h.Get("webhook-id") != vectorID || h.Get("webhook-timestamp") != "1614265330" {
		t.Fatalf("%v, %v", h, err)
	}
}

// TestEveryBitCounts flips each bit of id, time, signature and body of a signed
// request; the published library must refuse every one of them.
func TestEveryBitCounts(t *testing.T) {
	t.Parallel()
	c := newTest(t, "https://example.com/", nil)
	receiver, err := standardwebhooks.NewWebhook(vectorSecret)
	if err != nil {
		t.Fatal(err)
	}
	h, err := c.headers(vectorID, time.Unix(vectorTime, 0), []byte(vectorBody))
	if err != nil {
		t.Fatal(err)
	}
	if err := receiver.VerifyIgnoringTimestamp([]byte(vectorBody), h); err != nil {
		t.Fatalf("the request itself: %v", err)
	}
	for _, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
		for i := range len(h.Get(name)) {
			for bit := range 8 {
				b := []byte(h.Get(name))
				b[i] ^= 1 << bit
				bad := h.Clone()
				bad.Set(name, string(b))
				if err := receiver.VerifyIgnoringTimestamp([]byte(vectorBody), bad); err == nil {
					t.Errorf("%s byte %d bit %d: accepted", name, i, bit)
				}
			}
		}
	}
	for i := range len(vectorBody) {
		b := []byte(vectorBody)
		b[i] ^= 1
		if err := receiver.VerifyIgnoringTimestamp(b, h); err == nil {
			t.Errorf("body byte %d: accepted", i)
		}
	}
}

func TestRotationSignsWithEverySecret(t *testing.T) {
	t.Parallel()
	c := newTest(t, "https://example.com/", map[string]any{"secret": otherSecret, "secrets_old": []any{vectorSecret}})
	h, err := c.headers(vectorID, time.Unix(vectorTime, 0), []byte(vectorBody))
	if err != nil {
		t.Fatal(err)
	}
	sigs := strings.Fields(h.Get("webhook-signature"))
	if len(sigs) != 2 || sigs[1] != vectorSig {
		t.Errorf("%v", sigs)
	}
	for _, secret := range []string{otherSecret, vectorSecret} {
		receiver, _ := standardwebhooks.NewWebhook(secret)
		if err := receiver.VerifyIgnoringTimestamp([]byte(vectorBody), h); err != nil {
			t.Errorf("a receiver with one of the secrets refuses: %v", err)
		}
	}
	// Vector 2: what receivers must make of lists.
	receiver, _ := standardwebhooks.NewWebhook(vectorSecret)
	const listed = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= " + vectorSig
	for list, ok := range map[string]bool{listed: true, "v1,": false, "v1,dawfeoifkpqwoekfpqoekf": false, "": false} {
		h.Set("webhook-signature", list)
		if err := receiver.VerifyIgnoringTimestamp([]byte(vectorBody), h); (err == nil) != ok {
			t.Errorf("%q: %v", list, err)
		}
	}
}

func TestNewChecksSecrets(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]map[string]any{
		"no prefix": {"secret": "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, "empty": {"secret": "whsec_"}, "short": {"secret": "whsec_aGVsbG8="},
		"not base64": {"secret": "whsec_HOT!HOT!HOT!HOT!HOT!HOT!HOT!HOT!"}, "odd length": {"secret": "whsec_" + strings.Repeat("A", 33)},
		"old one short": {"secrets_old": []any{"whsec_aGVsbG8="}},
	} {
		all := map[string]any{"url": "https://example.com", "secret": vectorSecret}
		for k, v := range raw {
			all[k] = v
		}
		s, err := connector.ParseSettings(Vendor().Manifest, "c", all)
		if err == nil {
			_, err = Vendor().New(s, connector.Env{})
		}
		if err == nil || strings.Contains(err.Error(), "HOT") {
			t.Errorf("%s: %v", name, err)
		}
	}
	newTest(t, "https://example.com", map[string]any{"secret": strings.TrimRight(otherSecret, "=")}) // padding may be missing
}

func TestSend(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body []byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(202)
	}))
	defer srv.Close()
	c := newTest(t, srv.URL+"/hook?token=1", nil)
	call := conntest.Call(t, bellhop.ActionSendWebhook, "evt:7/product", json.RawMessage(`{"type":"lead.captured","timestamp":"2026-03-01T12:00:00Z","data":{"n":12345678901234567890,"html":"<b>&</b>"}}`), nil)
	res, err := c.Do(context.Background(), call)
	if err != nil || res.VendorID != "evt:7/product" {
		t.Fatalf("%+v, %v", res, err)
	}
	want, err := os.ReadFile("testdata/body.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(body) != strings.TrimSpace(string(want)) {
		t.Errorf("body %s", body)
	}
	receiver, _ := standardwebhooks.NewWebhook(vectorSecret)
	if err := receiver.VerifyIgnoringTimestamp(body, got.Header); err != nil || got.URL.RequestURI() != "/hook?token=1" || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%v, %s", err, got.URL)
	}
	if ts, _ := strconv.ParseInt(got.Header.Get("webhook-timestamp"), 10, 64); ts != conntest.NewClock().Now().Unix() {
		t.Errorf("timestamp %d", ts)
	}
}

// TestTheIDHasNoDot: id.timestamp.body has one reading only.
func TestTheIDHasNoDot(t *testing.T) {
	t.Parallel()
	for key, plain := range map[string]bool{"a-b_C:1/2": true, "webhook.send:1": false, "a b": false, "": false, "ü": false, "a\r\nb": false} {
		call := connector.Call{Key: key, Marker: conntest.Marker(key)}
		id := webhookID(call)
		if (id == key) != plain || (!plain && id != call.Marker) || strings.Contains(id, ".") {
			t.Errorf("%q: %q", key, id)
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bellhop.ErrorClass{200: "", 204: "", 299: "", 301: bellhop.ClassRejected, 400: bellhop.ClassRejected,
		401: bellhop.ClassUnauthorized, 410: bellhop.ClassRejected, 429: bellhop.ClassRateLimited, 500: bellhop.ClassUnknownOutcome, 503: bellhop.ClassUnknownOutcome} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "11")
			w.WriteHeader(status)
			if status != 204 {
				_, _ = io.WriteString(w, "internal words of the receiver")
			}
		}))
		_, err := newTest(t, srv.URL, nil).Do(context.Background(), conntest.Call(t, bellhop.ActionSendWebhook, "k", bellhop.WebhookInput{Type: "x.y"}, nil))
		srv.Close()
		if want == "" {
			if err != nil {
				t.Errorf("%d: %v", status, err)
			}
			continue
		}
		e, ok := err.(*connector.Error)
		if !ok || e.Class != want || e.Message == "" || strings.Contains(e.Error(), "internal words") || e.RetryAfter != 11*time.Second {
			t.Errorf("%d: %+v", status, err)
		}
	}
}

func TestTooLargeIsRejectedNotCut(t *testing.T) {
	t.Parallel()
	c := newTest(t, "http://127.0.0.1:1", nil) // nobody is there: it must not get that far
	for size, class := range map[int]bellhop.ErrorClass{maxBody: bellhop.ClassRejected, maxBody / 2: bellhop.ClassNotSent} {
		in := bellhop.WebhookInput{Type: "x.y", Timestamp: "2026-03-01T12:00:00Z", Data: strings.Repeat("a", size)}
		_, err := c.Do(context.Background(), conntest.Call(t, bellhop.ActionSendWebhook, "k", in, nil))
		if e, ok := err.(*connector.Error); !ok || e.Class != class {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestTheBodyIsTheSameOnEveryTry(t *testing.T) {
	t.Parallel()
	call := conntest.Call(t, bellhop.ActionSendWebhook, "k", bellhop.WebhookInput{Type: "x.y"}, nil)
	now := conntest.NewClock().Now()
	first, err := envelope(call, now)
	if err != nil {
		t.Fatal(err)
	}
	call.FirstAttemptAt = now
	again, err := envelope(call, now.Add(time.Hour))
	if err != nil || string(first) != string(again) || string(first) != `{"type":"x.y","timestamp":"2026-03-01T12:00:00Z","data":{}}` {
		t.Errorf("%s, then %s, %v", first, again, err)
	}
}
