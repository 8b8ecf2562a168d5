package sandbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// deliverTimeout is how long Stripe is taken to wait for an answer to a webhook.
const deliverTimeout = 30 * time.Second

// DeliverOpts says how events are delivered. The zero value delivers each once, in
// order, one at a time.
type DeliverOpts struct {
	Copies      int       `json:"copies,omitempty"`      // of each event; 0 means 1
	Shuffle     bool      `json:"shuffle,omitempty"`     // mix all copies of all events
	Concurrency int       `json:"concurrency,omitempty"` // deliveries at a time; 0 means 1
	Secret      string    `json:"-"`                     // signs; "" means the server's own
	Timestamp   time.Time `json:"timestamp,omitzero"`    // of the signature; zero means the clock's time
}

// DeliveryResult is the outcome of one delivery.
type DeliveryResult struct {
	EventID string `json:"event_id"`
	Type    string `json:"type"`
	Status  int    `json:"status"`          // 0 when no answer came
	Body    string `json:"body,omitempty"`  // the first 2 KiB of the answer
	Error   string `json:"error,omitempty"` // why no answer came
}

// OK reports whether the delivery was accepted.
func (r DeliveryResult) OK() bool { return r.Status >= 200 && r.Status < 300 }

// SignStripe returns the Stripe-Signature header of a body: HMAC-SHA256 over
// "{t}.{body}", keyed with the whole secret, in hex (vendors.md, section 4.1).
func SignStripe(body []byte, secret string, at time.Time) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// Sign returns the Stripe-Signature header of a body with the server's secret and the
// clock's time.
func (s *Server) Sign(body []byte) string {
	return SignStripe(body, s.opts.StripeWebhookSecret, s.opts.Clock.Now())
}

// Deliver posts events as Stripe does and remembers which were accepted. It returns
// the outcome of every delivery in the order in which they were sent off; a refused or
// failed one is no error. The error is ctx's, or a bad URL.
func (s *Server) Deliver(ctx context.Context, target string, evs []Event, opts DeliverOpts) ([]DeliveryResult, error) {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("sandbox: deliver: not an http URL")
	}
	tr := &http.Transport{MaxIdleConnsPerHost: max(opts.Concurrency, 1), IdleConnTimeout: deliverTimeout}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr, Timeout: deliverTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	jobs := deliveries(evs, opts, s.opts.Seed)
	results := make([]DeliveryResult, len(jobs))
	next := make(chan int)
	var wg sync.WaitGroup
	for range max(opts.Concurrency, 1) {
		wg.Go(func() {
			for i := range next {
				results[i] = s.deliverOne(ctx, client, target, jobs[i], opts)
			}
		})
	}
	for i := range jobs {
		next <- i
	}
	close(next)
	wg.Wait()
	return results, ctx.Err()
}

// deliveries is every copy of every event in the order of sending.
func deliveries(evs []Event, opts DeliverOpts, seed uint64) []Event {
	out := make([]Event, 0, len(evs)*max(opts.Copies, 1))
	for range max(opts.Copies, 1) {
		out = append(out, evs...)
	}
	if opts.Shuffle {
		rng := mrand.New(mrand.NewPCG(seed, uint64(len(out))))
		rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	return out
}

func (s *Server) deliverOne(ctx context.Context, client *http.Client, target string, e Event, opts DeliverOpts) DeliveryResult {
	res := DeliveryResult{EventID: e.ID, Type: e.Type}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(e.Body))
	if err != nil {
		res.Error = err.Error()
		return res
	}
	at := opts.Timestamp
	if at.IsZero() {
		at = s.opts.Clock.Now()
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
	req.Header.Set("Stripe-Signature", SignStripe(e.Body, or(opts.Secret, s.opts.StripeWebhookSecret), at))
	resp, err := client.Do(req)
	if err != nil {
		res.Error = err.Error()
	} else {
		res.Status = resp.StatusCode
		b, err := io.ReadAll(io.LimitReader(resp.Body, 2<<10))
		if err != nil {
			res.Error = err.Error()
		}
		res.Body = string(b)
		_ = resp.Body.Close() // read as far as it is wanted
	}
	s.stripe.delivered(e.ID, res.OK())
	s.changes.bump()
	return res
}

// delivered remembers how a delivery of an event went.
func (b *stripeBackend) delivered(id string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i, known := b.events.index[id]; known {
		e := b.events.all[i]
		e.deliveries++
		e.delivered = e.delivered || ok
	}
}
