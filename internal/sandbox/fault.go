package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	mrand "math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// FaultMode says how a request goes wrong.
type FaultMode string

// The modes. "done" means that the vendor's state has changed as if all was well.
const (
	FaultDown              FaultMode = "down"                // 503 with the vendor's error body; not done
	FaultRefuse            FaultMode = "refuse"              // closed before the body is read or anything answered; not done
	FaultSlow              FaultMode = "slow"                // done at once, answered after Delay (or when the faults are cleared)
	FaultRateLimited       FaultMode = "rate_limited"        // 429; not done
	FaultServerErrorBefore FaultMode = "server_error_before" // Status; not done
	FaultServerErrorAfter  FaultMode = "server_error_after"  // done, then Status
	FaultResetAfter        FaultMode = "reset_after"         // done, then a TCP reset before any byte of the answer
	FaultResetMid          FaultMode = "reset_mid"           // done, then headers, half of the body and a TCP reset
	FaultMalformed         FaultMode = "malformed"           // done, then a good status with a body that is cut or no JSON
	FaultMalformedBefore   FaultMode = "malformed_before"    // 200 with a body that is cut; not done
	FaultUnauthorized      FaultMode = "unauthorized"        // 401 with the vendor's error body; not done
	FaultDailyQuota        FaultMode = "daily_quota"         // 429 that waiting seconds does not heal; not done
	FaultTimeoutAfter      FaultMode = "timeout_after"       // done, then silence until the client gives up
)

// FaultModes lists every mode.
func FaultModes() []FaultMode {
	return []FaultMode{FaultDown, FaultRefuse, FaultSlow, FaultRateLimited, FaultServerErrorBefore,
		FaultServerErrorAfter, FaultResetAfter, FaultResetMid, FaultMalformed, FaultMalformedBefore,
		FaultUnauthorized, FaultDailyQuota, FaultTimeoutAfter}
}

// Done reports whether a request that meets the mode takes effect at the vendor.
func (m FaultMode) Done() bool {
	switch m {
	case FaultSlow, FaultServerErrorAfter, FaultResetAfter, FaultResetMid, FaultMalformed, FaultTimeoutAfter:
		return true
	default:
		return false
	}
}

// Fault breaks some requests to a vendor.
type Fault struct {
	Mode FaultMode
	// Count is how many matching requests it breaks; 0 means until it is cleared.
	Count int
	// Path is a part of "METHOD /path" that a request must have, without the vendor's
	// prefix: "POST /crm/v3/objects/notes". A "$" at its end means the end of the path.
	// "" matches every request.
	Path string
	// RetryAfter is the raw value of the Retry-After header of rate_limited,
	// daily_quota, down and server_error_*; "" sends none. "httpdate:5s" is an HTTP
	// date that far ahead of the clock (vendors.md, section 1.3: both forms occur).
	RetryAfter string
	// Delay is how long slow holds the answer back, in real time.
	Delay time.Duration
	// Status is the status of server_error_*; 0 means 500.
	Status int
	// Probability is the share of matching requests it breaks; 0 means all.
	Probability float64
}

// faultJSON is the form of a Fault in the control API.
type faultJSON struct {
	Mode        FaultMode `json:"mode"`
	Count       int       `json:"count,omitempty"`
	Path        string    `json:"path,omitempty"`
	RetryAfter  string    `json:"retry_after,omitempty"`
	Delay       string    `json:"delay,omitempty"`
	Status      int       `json:"status,omitempty"`
	Probability float64   `json:"probability,omitempty"`
}

// MarshalJSON writes the delay as a Go duration, "1.5s".
func (f Fault) MarshalJSON() ([]byte, error) {
	j := faultJSON{Mode: f.Mode, Count: f.Count, Path: f.Path, RetryAfter: f.RetryAfter, Status: f.Status,
		Probability: f.Probability}
	if f.Delay != 0 {
		j.Delay = f.Delay.String()
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads and checks a fault; unknown members are mistakes.
func (f *Fault) UnmarshalJSON(data []byte) error {
	var j faultJSON
	if err := strictJSON(data, &j); err != nil {
		return err
	}
	*f = Fault{Mode: j.Mode, Count: j.Count, Path: j.Path, RetryAfter: j.RetryAfter, Status: j.Status,
		Probability: j.Probability}
	if j.Delay != "" {
		d, err := time.ParseDuration(j.Delay)
		if err != nil {
			return fmt.Errorf("delay: %w", err)
		}
		f.Delay = d
	}
	return f.check()
}

func (f Fault) check() error {
	switch {
	case !slices.Contains(FaultModes(), f.Mode):
		return fmt.Errorf("mode: %q is none of %v", f.Mode, FaultModes())
	case f.Count < 0 || f.Delay < 0:
		return fmt.Errorf("count and delay must not be negative")
	case f.Status != 0 && (f.Status < 400 || f.Status > 599):
		return fmt.Errorf("status: %d is no error status", f.Status)
	case !(f.Probability >= 0 && f.Probability <= 1):
		return fmt.Errorf("probability must be between 0 and 1")
	}
	return nil
}

// faultSet is the faults of one vendor.
type faultSet struct {
	mu      sync.Mutex
	rng     *mrand.Rand
	faults  []Fault
	left    []int // how many requests each still breaks; -1 means no end
	cleared chan struct{}
}

func (s *faultSet) set(faults []Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cleared != nil {
		close(s.cleared)
	}
	s.cleared = make(chan struct{})
	s.faults = slices.Clone(faults)
	s.left = make([]int, len(faults))
	for i, f := range faults {
		s.left[i] = f.Count
		if f.Count <= 0 {
			s.left[i] = -1
		}
	}
}

func (s *faultSet) list() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.faults)
}

// pick returns the fault that applies to a request, nil when none does.
func (s *faultSet) pick(target string) *hit {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if s.left[i] == 0 || !f.matches(target) {
			continue
		}
		if f.Probability > 0 && s.rng.Float64() >= f.Probability {
			continue
		}
		if s.left[i] > 0 {
			s.left[i]--
		}
		return &hit{fault: f, cleared: s.cleared}
	}
	return nil
}

func (f Fault) matches(target string) bool {
	if end, ok := strings.CutSuffix(f.Path, "$"); ok {
		return strings.HasSuffix(target, end)
	}
	return strings.Contains(target, f.Path)
}

// hit is a fault that applies to one request. A nil hit is no fault.
type hit struct {
	fault   Fault
	cleared chan struct{} // closed when the vendor's faults are replaced
}

func (h *hit) mode() FaultMode {
	if h == nil {
		return ""
	}
	return h.fault.Mode
}

func (h *hit) status() int {
	if h.fault.Status == 0 {
		return http.StatusInternalServerError
	}
	return h.fault.Status
}

// seen is the status that the client gets to see, 0 for none.
func (h *hit) seen(status int) int {
	switch h.mode() {
	case FaultResetAfter, FaultTimeoutAfter:
		return 0
	default:
		return status
	}
}

// retryAfter puts the fault's Retry-After, if any, on an answer.
func (h *hit) retryAfter(a answer, now time.Time) answer {
	v := h.fault.RetryAfter
	if v == "" {
		return a
	}
	if ahead, ok := strings.CutPrefix(v, "httpdate:"); ok {
		d, err := time.ParseDuration(ahead)
		if err == nil {
			v = now.Add(d).UTC().Format(http.TimeFormat)
		}
	}
	return a.with("Retry-After", v)
}

// busy says how long a request counts as being in progress: until its delay is over
// or the faults are cleared, whether or not its client still waits. A vendor answers
// 409 to a second request with its idempotency key meanwhile.
type busy struct {
	over    atomic.Bool
	timer   chan struct{}
	cleared <-chan struct{} // nil without a fault
}

func newBusy(delay time.Duration, h *hit) *busy {
	b := &busy{timer: make(chan struct{})}
	if h != nil {
		b.cleared = h.cleared
	}
	time.AfterFunc(delay, func() {
		b.over.Store(true)
		close(b.timer)
	})
	return b
}

// active reports whether the request is still in progress. A nil busy is not.
func (b *busy) active() bool {
	if b == nil || b.over.Load() {
		return false
	}
	select {
	case <-b.cleared:
		return false
	default:
		return true
	}
}

// wait returns true when the answer is due, false when nobody waits for it any more.
func (b *busy) wait(ctx context.Context, closed <-chan struct{}) bool {
	select {
	case <-b.timer:
	case <-b.cleared:
	case <-ctx.Done():
		return false
	case <-closed:
		return false
	}
	b.over.Store(true)
	return true
}
