package sandbox

import (
	"crypto/rand"
	"encoding/binary"
	mrand "math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"bellhop"
)

// Token is the credential that the HubSpot and Zendesk fakes accept.
const Token = "sandbox-token"

// StripeKey is the secret key that the Stripe fake accepts.
const StripeKey = "sk_test_sandbox"

// DefaultStripeWebhookSecret signs Stripe events when Options names no other secret.
const DefaultStripeWebhookSecret = "whsec_sandbox"

// DefaultSearchLag is how long HubSpot's search index lags when Options does not say
// (vendors.md, section 3.1: "search lags writes by seconds").
const DefaultSearchLag = 3 * time.Second

// Vendor names one of the fakes; it is also the first segment of its path.
type Vendor string

// The vendors.
const (
	HubSpot Vendor = "hubspot"
	Stripe  Vendor = "stripe"
	Zendesk Vendor = "zendesk"
	Slack   Vendor = "slack"
	Webhook Vendor = "webhook"
)

// Vendors lists every vendor.
func Vendors() []Vendor { return []Vendor{HubSpot, Stripe, Zendesk, Slack, Webhook} }

// Options configures a Server. The zero value works.
type Options struct {
	// Clock decides the search lag, the life of idempotency keys, the event window,
	// rate windows and every timestamp; nil means the machine's clock.
	Clock bellhop.Clock
	// SearchLag is how long HubSpot's search does not see a write; 0 means
	// DefaultSearchLag, negative means no lag.
	SearchLag time.Duration
	// StripeWebhookSecret signs Stripe events; "" means DefaultStripeWebhookSecret.
	StripeWebhookSecret string
	// WebhookSecret makes the generic receiver verify Standard Webhooks signatures:
	// "whsec_" and base64. "" accepts everything, unverified.
	WebhookSecret string
	// Latency delays every answer of a vendor, in real time.
	Latency time.Duration
	// Seed makes probabilities, shuffles and the ids of objects repeatable; 0 draws one.
	Seed uint64
	// HubSpotRate is HubSpot's limit in requests per 10 s; 0 means unlimited. The real
	// one is 100 on free and starter, 190 on professional.
	HubSpotRate int
	// HubSpotProperties are contact properties beyond the standard ones.
	HubSpotProperties []string
	// ZendeskUpdateRate is Zendesk's limit of updates per ticket in 10 minutes; 0 means
	// unlimited. The real one is 30.
	ZendeskUpdateRate int
}

// Server holds the state of all fake vendors. It is safe for concurrent use.
type Server struct {
	opts     Options
	backends map[Vendor]backend
	faults   map[Vendor]*faultSet
	calls    *callLog
	changes  *changes
	stripe   *stripeBackend
	player   *StripePlayer
	closed   chan struct{}
	close    func()
}

// New makes a server with empty vendors.
func New(opts Options) *Server {
	if opts.Clock == nil {
		opts.Clock = bellhop.SystemClock{}
	}
	switch {
	case opts.SearchLag == 0:
		opts.SearchLag = DefaultSearchLag
	case opts.SearchLag < 0:
		opts.SearchLag = 0
	}
	if opts.StripeWebhookSecret == "" {
		opts.StripeWebhookSecret = DefaultStripeWebhookSecret
	}
	if opts.Seed == 0 {
		opts.Seed = randomSeed()
	}
	ids := newIDs(opts.Seed)
	s := &Server{opts: opts, calls: newCallLog(), changes: &changes{}, faults: map[Vendor]*faultSet{},
		closed: make(chan struct{})}
	s.close = sync.OnceFunc(func() { close(s.closed) })
	s.stripe = newStripeBackend(opts, ids)
	s.player = &StripePlayer{b: s.stripe, s: s}
	s.backends = map[Vendor]backend{HubSpot: newHubspot(opts, ids), Stripe: s.stripe, Zendesk: newZendesk(opts, ids),
		Slack: newSlack(opts), Webhook: newReceiver(opts)}
	for i, v := range Vendors() {
		s.faults[v] = &faultSet{rng: mrand.New(mrand.NewPCG(opts.Seed, uint64(i)))}
	}
	return s
}

func randomSeed() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return binary.LittleEndian.Uint64(b[:]) | 1
}

// BaseURL returns what a connection's base_url (for Slack: url) must be so that it
// talks to the sandbox at root.
func BaseURL(root, vendor string) string {
	root = strings.TrimRight(root, "/")
	if vendor == string(Slack) {
		return root + "/slack" + slackPath
	}
	return root + "/" + vendor
}

// Handler serves every vendor under its own prefix and the control API under
// /_control.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.route) }

func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	segs, ok := splitPath(r.URL.EscapedPath())
	if !ok || len(segs) == 0 {
		http.Error(w, "this is the Bellhop sandbox: see /_control/health", http.StatusNotFound)
		return
	}
	if segs[0] == "_control" {
		s.control(w, r, segs[1:])
		return
	}
	v := Vendor(segs[0])
	b, ok := s.backends[v]
	if !ok {
		http.Error(w, "the sandbox has no vendor of this name", http.StatusNotFound)
		return
	}
	w.Header().Set("Date", s.opts.Clock.Now().UTC().Format(http.TimeFormat)) // by the clock that dates in answers go by
	s.serveVendor(w, r, v, b, segs[1:])
}

// SetFaults replaces the faults of a vendor. The first one that matches a request
// applies to it.
func (s *Server) SetFaults(v Vendor, f ...Fault) {
	if fs, ok := s.faults[v]; ok {
		fs.set(f)
		s.changes.bump()
	}
}

// ClearFaults ends the faults of a vendor, or of all when v is "". Answers that a
// slow fault still holds back are sent at once.
func (s *Server) ClearFaults(v Vendor) {
	for name, fs := range s.faults {
		if v == "" || v == name {
			fs.set(nil)
		}
	}
	s.changes.bump()
}

// Reset empties every vendor, the call log and the faults. Ids are not used again,
// so that nothing made before a reset can be taken for something made after it.
func (s *Server) Reset() {
	s.ClearFaults("")
	for _, b := range s.backends {
		b.reset()
	}
	s.calls.reset()
	s.changes.bump()
}

// Close lets go of every connection that a fault keeps hanging. It is needed only
// where Handler is used without Start.
func (s *Server) Close() { s.close() }

// Calls returns the newest requests, at most 50,000, oldest first.
func (s *Server) Calls() []CallRecord { return s.calls.list() }

// Stripe returns the player that makes payments happen at the Stripe fake.
func (s *Server) Stripe() *StripePlayer { return s.player }
