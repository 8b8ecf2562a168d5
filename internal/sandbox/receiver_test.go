package sandbox

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Vector 1 of vendors.md, section 8 (published with the Standard Webhooks libraries).
const (
	vectorSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID     = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorBody   = `{"test": 2432232314}`
	vectorTime   = "1614265330"
	vectorSig    = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func vectorHeader(sig string) http.Header {
	h := http.Header{}
	h.Set("Webhook-Id", vectorID)
	h.Set("Webhook-Timestamp", vectorTime)
	h.Set("Webhook-Signature", sig)
	return h
}

// TestStandardWebhooksVectors: vectors 1 and 2 of vendors.md, section 8.
func TestStandardWebhooksVectors(t *testing.T) {
	t.Parallel()
	now := time.Unix(1614265330, 0)
	const rotation = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= "
	for sig, want := range map[string]bool{vectorSig: true, rotation + vectorSig: true, rotation: false, "v1,": false,
		"v1,dawfeoifkpqwoekfpqoekf": false, "": false} {
		if got := verifyStandard(vectorHeader(sig), []byte(vectorBody), vectorSecret, now); got != want {
			t.Errorf("%q: %v", sig, got)
		}
	}
	if !verifyStandard(vectorHeader(vectorSig), []byte(vectorBody), strings.TrimPrefix(vectorSecret, "whsec_"), now) {
		t.Error("the secret without its prefix is refused")
	}
	for _, secret := range []string{"", "whsec_", "whsec_%%%"} {
		if verifyStandard(vectorHeader(vectorSig), []byte(vectorBody), secret, now) {
			t.Errorf("secret %q was accepted", secret)
		}
	}
	for _, off := range []time.Duration{6 * time.Minute, -6 * time.Minute} {
		if verifyStandard(vectorHeader(vectorSig), []byte(vectorBody), vectorSecret, now.Add(off)) {
			t.Errorf("%v off was accepted", off)
		}
	}
	h := vectorHeader(vectorSig)
	h.Set("Webhook-Timestamp", "hello")
	if verifyStandard(h, []byte(vectorBody), vectorSecret, now) {
		t.Error("timestamp hello was accepted")
	}
}

func TestReceiverVerifiesAndCounts(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{WebhookSecret: vectorSecret})
	f.clock.advance(time.Unix(1614265330, 0).Sub(f.clock.Now()))
	send := func(sig, body string) reply {
		return f.vendor(Webhook, "POST", "", body, "Webhook-Id", vectorID, "Webhook-Timestamp", vectorTime, "Webhook-Signature", sig)
	}
	f.want(send("v1,AAAA", vectorBody), 401)
	f.contains(f.want(send(vectorSig, vectorBody), 200), "accepted")
	f.contains(f.want(send(vectorSig, vectorBody), 200), "duplicate")
	w := f.s.Snapshot().Webhooks
	if len(w) != 1 || !w[0].Verified || w[0].Deliveries != 2 || w[0].Conflicts != 0 || string(w[0].Body) != vectorBody {
		t.Errorf("webhooks: %+v", w)
	}
}

func TestReceiverWithoutASecret(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.want(f.vendor(Webhook, "POST", "", `{"type":"lead.captured"}`, "Webhook-Id", "m1"), 200)
	f.want(f.vendor(Webhook, "POST", "", `{"type":"lead.changed"}`, "Webhook-Id", "m1"), 200)
	f.want(f.vendor(Webhook, "POST", "", `{"type":"lead.captured"}`), 400)
	f.want(f.vendor(Webhook, "POST", "", `nonsense`, "Webhook-Id", "m2"), 400)
	f.want(f.vendor(Webhook, "POST", "/other", `{}`, "Webhook-Id", "m3"), 404)
	f.want(f.vendor(Webhook, "GET", "", "", "Webhook-Id", "m3"), 405)
	w := f.s.Snapshot().Webhooks
	if len(w) != 1 || w[0].Verified || w[0].Type != "lead.captured" || w[0].Conflicts != 1 {
		t.Errorf("webhooks: %+v", w)
	}
}
