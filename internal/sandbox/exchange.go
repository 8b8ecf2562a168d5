package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxBody bounds the body of every request to the sandbox, in bytes.
const maxBody = 1 << 20

// backend is one fake vendor. Every method takes the vendor's own lock.
type backend interface {
	// serve does the work of one request that was neither refused nor broken by a fault.
	serve(*request) answer
	// failure returns the vendor's own answer for something that is not the request's
	// fault; status is used where the kind leaves it open.
	failure(kind failureKind, status int) answer
	snapshot(*Snapshot)
	count(*Counts)
	reset()
}

// failureKind is what a backend must be able to say without doing anything.
type failureKind int

const (
	failServer failureKind = iota
	failRateLimited
	failDailyQuota
	failUnauthorized
	failLiveKey
	failTooLarge
)

// liveKeyMessage is what a live key is answered with; it never repeats the key.
const liveKeyMessage = "This is the Bellhop sandbox: a live key was refused and was not stored. Use the sandbox's own test credential."

// request is one request to a vendor, read whole.
type request struct {
	method string
	segs   []string // path segments after the vendor's prefix, unescaped
	path   string   // "/" and the segments, as the vendor's documentation writes it
	query  url.Values
	header http.Header
	body   []byte
	root   string // scheme and host with the vendor's prefix, for links in answers
	// failWith is set when the work is done but the answer must be this failure: a
	// vendor that stores answers under a key stores this one.
	failWith *answer
	// busy, when set, says how long the request counts as still in progress.
	busy *busy
}

// answer is a whole answer of a vendor.
type answer struct {
	status int
	header map[string]string
	body   []byte
}

// with returns the answer with one more header.
func (a answer) with(name, value string) answer {
	h := make(map[string]string, len(a.header)+1)
	for k, v := range a.header {
		h[k] = v
	}
	h[name] = value
	a.header = h
	return a
}

// jsonAnswer makes a JSON answer.
func jsonAnswer(status int, v any) answer {
	b, err := json.Marshal(v)
	if err != nil { // only for values this package made itself
		return answer{status: http.StatusInternalServerError, body: []byte(`{}`)}
	}
	return answer{status: status, header: map[string]string{"Content-Type": "application/json;charset=utf-8"}, body: b}
}

func textAnswer(status int, text string) answer {
	return answer{status: status, header: map[string]string{"Content-Type": "text/plain; charset=utf-8"}, body: []byte(text)}
}

// serveVendor carries one request through the faults and the vendor.
func (s *Server) serveVendor(w http.ResponseWriter, r *http.Request, v Vendor, b backend, segs []string) {
	rec := CallRecord{Time: s.opts.Clock.Now(), Vendor: v, Method: cleanMethod(r.Method), Path: cleanPath(v, segs),
		Traceparent: cleanTraceparent(r.Header.Get("Traceparent"))}
	done := func(status int, f FaultMode) {
		rec.Status, rec.Fault = status, f
		s.calls.add(rec)
		s.changes.bump()
	}
	if hasLiveKey(r) {
		a := b.failure(failLiveKey, 0)
		done(a.status, "")
		a.write(w)
		return
	}
	path := "/" + strings.Join(segs, "/")
	hit := s.faults[v].pick(r.Method + " " + path)
	if hit.mode() == FaultRefuse {
		done(0, FaultRefuse)
		abort(w)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		a := b.failure(failServer, http.StatusBadRequest)
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			a = b.failure(failTooLarge, http.StatusRequestEntityTooLarge)
		}
		done(a.status, "")
		a.write(w)
		return
	}
	req := &request{method: r.Method, segs: segs, path: path, query: r.URL.Query(), header: r.Header, body: body,
		root: "http://" + r.Host + "/" + string(v)}
	delay := s.opts.Latency
	if hit.mode() == FaultSlow {
		delay += hit.fault.Delay
	}
	if delay > 0 {
		req.busy = newBusy(delay, hit)
	}
	a := s.work(b, req, hit)
	done(hit.seen(a.status), hit.mode())
	s.respond(w, r, a, hit, req.busy)
}

// work lets the vendor do the request's work, or not, as the fault says.
func (s *Server) work(b backend, req *request, hit *hit) answer {
	switch hit.mode() {
	case FaultDown:
		return hit.retryAfter(b.failure(failServer, http.StatusServiceUnavailable), s.opts.Clock.Now())
	case FaultServerErrorBefore:
		return hit.retryAfter(b.failure(failServer, hit.status()), s.opts.Clock.Now())
	case FaultServerErrorAfter:
		a := hit.retryAfter(b.failure(failServer, hit.status()), s.opts.Clock.Now())
		req.failWith = &a
		if real := b.serve(req); real.status >= 400 {
			return real // there was no work to fail after
		}
		return a
	case FaultRateLimited:
		return hit.retryAfter(b.failure(failRateLimited, 0), s.opts.Clock.Now())
	case FaultDailyQuota:
		return hit.retryAfter(b.failure(failDailyQuota, 0), s.opts.Clock.Now())
	case FaultUnauthorized:
		return b.failure(failUnauthorized, 0)
	case FaultMalformedBefore:
		return answer{status: http.StatusOK, header: map[string]string{"Content-Type": "application/json"},
			body: []byte(`{"results":[{"id":"`)}
	case FaultMalformed:
		return b.serve(req).cut()
	default:
		return b.serve(req)
	}
}

// cut returns the answer with a body that cannot be understood.
func (a answer) cut() answer {
	if len(a.body) > 2 && (a.body[0] == '{' || a.body[0] == '[') {
		a.body = a.body[:len(a.body)/2]
	} else {
		if a.status == http.StatusNoContent { // which cannot have a body; a gateway's page has one
			a.status = http.StatusOK
		}
		a.body = []byte("<!DOCTYPE html><html><head><title>Gateway</title>")
	}
	return a
}

// respond sends the answer in the way the fault says.
func (s *Server) respond(w http.ResponseWriter, r *http.Request, a answer, hit *hit, busy *busy) {
	if busy != nil {
		if !busy.wait(r.Context(), s.closed) {
			abort(w)
			return
		}
	}
	switch hit.mode() {
	case FaultResetAfter:
		abort(w)
	case FaultResetMid:
		writeHalf(w, a)
	case FaultTimeoutAfter:
		select {
		case <-r.Context().Done():
		case <-s.closed:
		}
		abort(w)
	default:
		a.write(w)
	}
}

func (a answer) write(w http.ResponseWriter) {
	for k, v := range a.header {
		w.Header().Set(k, v)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a client that went away is no concern of the vendor
}

// splitPath splits an escaped path into its unescaped segments; empty ones at the
// ends are dropped.
func splitPath(escaped string) ([]string, bool) {
	escaped = strings.Trim(escaped, "/")
	if escaped == "" {
		return nil, true
	}
	segs := strings.Split(escaped, "/")
	for i, s := range segs {
		u, err := url.PathUnescape(s)
		if err != nil {
			return nil, false
		}
		segs[i] = u
	}
	return segs, true
}

// hasLiveKey reports whether a request carries anything that looks like a live Stripe
// key, in its credential, path or query.
func hasLiveKey(r *http.Request) bool {
	auth := r.Header.Get("Authorization")
	if live(auth) || live(r.URL.Path) || live(r.URL.RawQuery) || live(r.Header.Get("Stripe-Account")) {
		return true
	}
	if rest, ok := strings.CutPrefix(auth, "Basic "); ok {
		if b, err := base64.StdEncoding.DecodeString(rest); err == nil {
			return live(string(b))
		}
	}
	return false
}

func live(s string) bool {
	return strings.Contains(s, "sk_live_") || strings.Contains(s, "rk_live_") || strings.Contains(s, "pk_live_")
}

// rfc3339 is how HubSpot and Zendesk write times, in UTC.
func rfc3339(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
