package sandbox

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// webhookTolerance is how far webhook-timestamp may be off, on both sides.
const webhookTolerance = 5 * time.Minute

// receiverBackend is a receiver of Standard Webhooks (vendors.md, section 6.3). As a
// receiver must, it folds deliveries by webhook-id, and counts them.
type receiverBackend struct {
	opts Options

	mu   sync.Mutex
	byID map[string]*WebhookMessage
	all  []*WebhookMessage
}

func newReceiver(opts Options) *receiverBackend {
	return &receiverBackend{opts: opts, byID: map[string]*WebhookMessage{}}
}

func (b *receiverBackend) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.byID, b.all = map[string]*WebhookMessage{}, nil
}

func (b *receiverBackend) snapshot(s *Snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.Webhooks = make([]WebhookMessage, len(b.all))
	for i, m := range b.all {
		s.Webhooks[i] = *m
		s.Webhooks[i].Body = bytes.Clone(m.Body)
	}
}

func (b *receiverBackend) count(c *Counts) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.Webhooks = len(b.all)
}

func (b *receiverBackend) failure(kind failureKind, status int) answer {
	switch kind {
	case failRateLimited, failDailyQuota:
		return receiverError(http.StatusTooManyRequests, "rate limited")
	case failUnauthorized:
		return receiverError(http.StatusUnauthorized, "signature verification failed")
	case failLiveKey:
		return receiverError(http.StatusUnauthorized, liveKeyMessage)
	case failTooLarge:
		return receiverError(status, "body too large")
	default:
		return receiverError(status, strings.ToLower(http.StatusText(status)))
	}
}

func receiverError(status int, msg string) answer {
	return jsonAnswer(status, map[string]string{"error": msg})
}

func (b *receiverBackend) serve(r *request) answer {
	if r.path != "/" {
		return receiverError(http.StatusNotFound, "not found")
	}
	if r.method != http.MethodPost {
		return receiverError(http.StatusMethodNotAllowed, "method not allowed")
	}
	id := r.header.Get("Webhook-Id")
	if id == "" || len(id) > 256 {
		return receiverError(http.StatusBadRequest, "webhook-id is missing or too long")
	}
	verified := false
	if b.opts.WebhookSecret != "" {
		if !verifyStandard(r.header, r.body, b.opts.WebhookSecret, b.opts.Clock.Now()) {
			return b.failure(failUnauthorized, 0)
		}
		verified = true
	}
	var in struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(r.body, &in); err != nil {
		return receiverError(http.StatusBadRequest, "the body is not JSON")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if m, ok := b.byID[id]; ok {
		m.Deliveries++
		if !bytes.Equal(m.Body, r.body) {
			m.Conflicts++
		}
		return jsonAnswer(http.StatusOK, map[string]string{"status": "duplicate"})
	}
	m := &WebhookMessage{ID: id, Type: in.Type, Body: r.body, Verified: verified, Deliveries: 1}
	b.byID[id] = m
	b.all = append(b.all, m)
	return jsonAnswer(http.StatusOK, map[string]string{"status": "accepted"})
}

// verifyStandard checks a Standard Webhooks signature: base64 of an HMAC-SHA256 over
// "{id}.{timestamp}.{body}", keyed with the decoded secret; any v1 entry may match.
func verifyStandard(h http.Header, body []byte, secret string, now time.Time) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) == 0 {
		return false
	}
	ts := h.Get("Webhook-Timestamp")
	secs, err := strconv.ParseInt(ts, 10, 64)
	if err != nil {
		return false
	}
	if off := now.Sub(time.Unix(secs, 0)); off > webhookTolerance || off < -webhookTolerance {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(h.Get("Webhook-Id") + "." + ts + "."))
	mac.Write(body)
	want := mac.Sum(nil)
	for _, entry := range strings.Fields(h.Get("Webhook-Signature")) {
		rest, ok := strings.CutPrefix(entry, "v1,")
		if !ok {
			continue
		}
		got, err := base64.StdEncoding.DecodeString(rest)
		if err == nil && hmac.Equal(got, want) {
			return true
		}
	}
	return false
}
