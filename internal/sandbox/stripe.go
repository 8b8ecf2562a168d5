package sandbox

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// StripeVersion is the API version of the fake's objects and events.
const StripeVersion = "2026-08-26.dahlia"

// stripeKeyLife is how long Stripe keeps an idempotency key ("at least 24 h").
const stripeKeyLife = 24 * time.Hour

// stripeBackend is the part of Stripe's API that tells what happened to payments
// (vendors.md, section 4.1).
type stripeBackend struct {
	opts Options
	ids  *ids

	mu     sync.Mutex
	lists  map[string]*stList // by path: "charges", "checkout/sessions"
	events *stEvents
	idem   *idemStore
	byMail map[string]string // e-mail → customer id, for the player only: Stripe itself has no unique e-mail
}

// stObject is one object of Stripe as JSON has it.
type stObject = map[string]any

// stList is the objects of one kind, oldest first.
type stList struct {
	all   []stObject
	index map[string]int
}

func newStripeBackend(opts Options, ids *ids) *stripeBackend {
	b := &stripeBackend{opts: opts, ids: ids}
	b.reset()
	return b
}

func (b *stripeBackend) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lists = map[string]*stList{}
	for _, path := range []string{"customers", "payment_intents", "charges", "refunds", "disputes", "invoices",
		"invoice_payments", "subscriptions", "checkout/sessions", "balance_transactions", "webhook_endpoints"} {
		b.lists[path] = &stList{index: map[string]int{}}
	}
	b.events = &stEvents{index: map[string]int{}}
	b.idem = newIdemStore(stripeKeyLife)
	b.byMail = map[string]string{}
}

func (l *stList) add(o stObject) stObject {
	l.index[str(o["id"])] = len(l.all)
	l.all = append(l.all, o)
	return o
}

func (l *stList) get(id string) (stObject, bool) {
	i, ok := l.index[id]
	if !ok {
		return nil, false
	}
	return l.all[i], true
}

// str returns a string value of an object, "" for anything else.
func str(v any) string {
	s, _ := v.(string)
	return s
}

// num returns a whole number of an object, 0 for anything else.
func num(v any) int64 {
	n, _ := v.(int64)
	return n
}

func (b *stripeBackend) snapshot(s *Snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.Stripe = StripeSnapshot{Customers: len(b.lists["customers"].all), Charges: len(b.lists["charges"].all),
		Refunds: len(b.lists["refunds"].all), Subscriptions: len(b.lists["subscriptions"].all),
		Events: make([]EventInfo, 0, len(b.events.all))}
	for _, e := range b.events.all {
		s.Stripe.Events = append(s.Stripe.Events, EventInfo{ID: e.ID, Type: e.Type, Object: e.Object,
			Created: e.Created, Deliveries: e.deliveries, Delivered: e.delivered})
	}
}

func (b *stripeBackend) count(c *Counts) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.Customers, c.Charges, c.Events = len(b.lists["customers"].all), len(b.lists["charges"].all), len(b.events.all)
}

// stError makes an answer of Stripe's error schema.
func stError(status int, typ, code, message, param string) answer {
	e := map[string]string{"type": typ, "message": message}
	if code != "" {
		e["code"] = code
	}
	if param != "" {
		e["param"] = param
	}
	return jsonAnswer(status, map[string]any{"error": e})
}

func stInvalid(code, message, param string) answer {
	return stError(http.StatusBadRequest, "invalid_request_error", code, message, param)
}

func stUnknownParam(name string) answer {
	return stInvalid("parameter_unknown", "Received unknown parameter: "+name, name)
}

func stMissing(what, id, param string) answer {
	return stError(http.StatusNotFound, "invalid_request_error", "resource_missing", "No such "+what+": '"+id+"'", param)
}

func (b *stripeBackend) failure(kind failureKind, status int) answer {
	switch kind {
	case failRateLimited, failDailyQuota:
		return stError(http.StatusTooManyRequests, "invalid_request_error", "rate_limit",
			"Request rate limit exceeded.", "").with("Stripe-Rate-Limited-Reason", "global-rate")
	case failUnauthorized:
		return stError(http.StatusUnauthorized, "invalid_request_error", "", "Invalid API Key provided.", "")
	case failLiveKey:
		return stError(http.StatusUnauthorized, "invalid_request_error", "", liveKeyMessage, "")
	case failTooLarge:
		return stError(status, "invalid_request_error", "", "The request body is too large.", "")
	default:
		return stError(status, "api_error", "", "An unknown error occurred", "").with("Request-Id", b.ids.stripe("req"))
	}
}

// stripeAuthorized: "Bearer sk_test_sandbox", or the key as the user of Basic.
func stripeAuthorized(h http.Header) bool {
	auth := h.Get("Authorization")
	if auth == "Bearer "+StripeKey {
		return true
	}
	rest, ok := strings.CutPrefix(auth, "Basic ")
	if !ok {
		return false
	}
	raw, err := base64.StdEncoding.DecodeString(rest)
	return err == nil && string(raw) == StripeKey+":"
}

func (b *stripeBackend) serve(r *request) answer {
	if !stripeAuthorized(r.header) {
		return b.failure(failUnauthorized, 0)
	}
	reqID := b.ids.stripe("req")
	params, err := formParams(r)
	var a answer
	if err != nil {
		a = stInvalid("", "The request's parameters could not be read.", "")
	} else {
		b.mu.Lock()
		a = b.once(r, params)
		b.mu.Unlock()
	}
	version := r.header.Get("Stripe-Version")
	if version == "" {
		version = StripeVersion
	}
	if a.header["Request-Id"] == "" {
		a = a.with("Request-Id", reqID)
	}
	if key := r.header.Get("Idempotency-Key"); key != "" && r.method == http.MethodPost {
		a = a.with("Idempotency-Key", key)
	}
	return a.with("Stripe-Version", version)
}

// formParams reads the query and, for a POST, the form-encoded body.
func formParams(r *request) (url.Values, error) {
	if r.method != http.MethodPost {
		return r.query, nil
	}
	form, err := url.ParseQuery(string(r.body))
	if err != nil {
		return nil, err
	}
	for k, v := range r.query {
		form[k] = append(form[k], v...)
	}
	return form, nil
}

// once honours Idempotency-Key on every POST: the first status and body after
// execution began are kept for 24 h and replayed, a 500 included; other parameters
// under the same key are refused; failed validation and a clash are not kept.
func (b *stripeBackend) once(r *request, params url.Values) answer {
	key := r.header.Get("Idempotency-Key")
	if r.method != http.MethodPost || key == "" {
		return b.routeV1(r, params)
	}
	if len(key) > maxIdemKey {
		return stInvalid("", "Idempotency keys must be at most 255 characters.", "")
	}
	now, digest := b.opts.Clock.Now(), sha256.Sum256([]byte(r.path+"?"+params.Encode()))
	verdict, kept := b.idem.lookup(key, digest, now)
	switch verdict {
	case idemHit:
		return kept.with("Idempotent-Replayed", "true")
	case idemMismatch:
		return stError(http.StatusBadRequest, "idempotency_error", "", "Keys for idempotent requests can only be used"+
			" with the same parameters they were first used with.", "")
	case idemBusy:
		return stError(http.StatusConflict, "invalid_request_error", "idempotency_key_in_use",
			"There is currently another in-progress request using this Idempotency Key.", "")
	}
	a := b.routeV1(r, params)
	if a.status < 400 {
		if r.failWith != nil {
			b.idem.store(key, digest, now, r.busy, *r.failWith)
		} else {
			b.idem.store(key, digest, now, r.busy, a)
		}
	}
	return a
}

func (b *stripeBackend) routeV1(r *request, params url.Values) answer {
	if len(r.segs) < 2 || r.segs[0] != "v1" {
		return b.noRoute(r)
	}
	segs := r.segs[1:]
	kind := segs[0]
	if kind == "checkout" && len(segs) > 1 {
		kind, segs = "checkout/"+segs[1], segs[1:]
	}
	_, known := b.lists[kind]
	switch {
	case kind == "events" && r.method == http.MethodGet:
		return b.routeEvents(segs[1:], params)
	case !known || len(segs) > 2:
		return b.noRoute(r)
	case r.method == http.MethodGet && len(segs) == 1:
		return b.list(kind, params)
	case r.method == http.MethodGet:
		o, ok := b.lists[kind].get(segs[1])
		if !ok {
			return stMissing(singular(kind), segs[1], "id")
		}
		return jsonAnswer(http.StatusOK, withoutSecret(o))
	case r.method == http.MethodPost:
		return b.routePost(r, kind, segs[1:], params)
	default:
		return b.noRoute(r)
	}
}

func (b *stripeBackend) noRoute(r *request) answer {
	return stError(http.StatusNotFound, "invalid_request_error", "", "Unrecognized request URL ("+
		cleanMethod(r.method)+": "+cleanPath(Stripe, r.segs)+").", "")
}

// singular is how Stripe's errors name a kind: "No such customer".
func singular(kind string) string {
	if kind == "checkout/sessions" {
		return "checkout.session"
	}
	return strings.TrimSuffix(kind, "s")
}

// withoutSecret hides a webhook endpoint's secret: only the answer to its creation
// shows it.
func withoutSecret(o stObject) stObject {
	if _, ok := o["secret"]; !ok {
		return o
	}
	out := stObject{}
	for k, v := range o {
		if k != "secret" {
			out[k] = v
		}
	}
	return out
}
