package sandbox

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxCalls bounds the call log.
const maxCalls = 50_000

// CallRecord is one request that a vendor got. It never holds a body, a query, a
// credential or an e-mail address.
type CallRecord struct {
	Time   time.Time `json:"time"`
	Vendor Vendor    `json:"vendor"`
	Method string    `json:"method"`
	// Path is without the vendor's prefix; a segment with an e-mail is "{email}", the
	// secret parts of a Slack URL are "{webhook}".
	Path string `json:"path"`
	// Status is what the client got to see; 0 when it got no answer.
	Status      int       `json:"status"`
	Fault       FaultMode `json:"fault,omitempty"`
	Traceparent string    `json:"traceparent,omitempty"`
}

// callLog is a ring of the newest calls and a count of all.
type callLog struct {
	mu     sync.Mutex
	ring   []CallRecord
	next   int // where the next one goes once the ring is full
	counts map[Vendor]int
}

func newCallLog() *callLog { return &callLog{counts: map[Vendor]int{}} }

func (l *callLog) add(r CallRecord) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[r.Vendor]++
	if len(l.ring) < maxCalls {
		l.ring = append(l.ring, r)
		return
	}
	l.ring[l.next] = r
	l.next = (l.next + 1) % maxCalls
}

func (l *callLog) list() []CallRecord {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Concat(l.ring[l.next:], l.ring[:l.next])
}

func (l *callLog) requests() map[Vendor]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[Vendor]int, len(l.counts))
	for v, n := range l.counts {
		out[v] = n
	}
	return out
}

func (l *callLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring, l.next, l.counts = nil, 0, map[Vendor]int{}
}

// cleanPath is a path without anything secret or personal.
func cleanPath(v Vendor, segs []string) string {
	if v == Slack {
		if len(segs) > 0 && segs[0] == "services" {
			return "/services/{webhook}"
		}
		return "/{path}"
	}
	out := slices.Clone(segs)
	for i, s := range out {
		switch {
		case strings.Contains(s, "@"):
			out[i] = "{email}"
		case live(s) || len(s) > 80:
			out[i] = "{removed}"
		}
	}
	return "/" + strings.Join(out, "/")
}

func cleanMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions:
		return m
	default:
		return "OTHER"
	}
}

// cleanTraceparent keeps a value of the W3C form only: hex digits and dashes.
func cleanTraceparent(v string) string {
	if len(v) != 55 || strings.Trim(v, "0123456789abcdef-") != "" {
		return ""
	}
	return v
}
