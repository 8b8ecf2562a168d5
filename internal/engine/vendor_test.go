package engine_test

import (
	"context"
	"encoding/json"
	"sync"

	"bellhop"
	"bellhop/internal/connector"
)

// vendor is a vendor whose answers the test scripts. It does what it is asked exactly
// as often as it is asked: what the engine sends twice is there twice.
type vendor struct {
	mu      sync.Mutex
	answer  func(call connector.Call, nth int) (doIt bool, err error) // nth call of this key, from 1
	calls   map[string]int
	order   []string            // e-mails in the order of calls
	records map[string]int      // key → effects
	active  map[string]int      // e-mail → calls in flight
	overlap bool                // two calls of one person at a time
	refuse  error               // when set, what a look-up is answered with
	hold    chan struct{}       // when set, calls wait for it
	started chan connector.Call // when set, told of every call
}

func newVendor() *vendor {
	return &vendor{calls: map[string]int{}, records: map[string]int{}, active: map[string]int{}}
}

var _ connector.Looker = (*vendor)(nil)

func who(call connector.Call) string {
	var in struct {
		Email        string `json:"email"`
		ContactEmail string `json:"contact_email"`
		Requester    string `json:"requester_email"`
	}
	_ = json.Unmarshal(call.Input, &in) // the test's own input
	return in.Email + in.ContactEmail + in.Requester
}

func (v *vendor) Do(ctx context.Context, call connector.Call) (connector.Result, error) {
	p := who(call)
	v.mu.Lock()
	v.calls[call.Key]++
	nth := v.calls[call.Key]
	v.order = append(v.order, p+" "+string(call.Action))
	v.active[p]++
	v.overlap = v.overlap || (p != "" && v.active[p] > 1)
	answer, hold, started := v.answer, v.hold, v.started
	v.mu.Unlock()
	defer func() {
		v.mu.Lock()
		v.active[p]--
		v.mu.Unlock()
	}()
	if started != nil {
		started <- call
	}
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return connector.Result{}, &connector.Error{Class: bellhop.ClassUnknownOutcome, Message: "timeout"}
		}
	}
	doIt, err := true, error(nil)
	if answer != nil {
		doIt, err = answer(call, nth)
	}
	if doIt {
		v.mu.Lock()
		v.records[call.Key]++
		v.mu.Unlock()
	}
	if err != nil {
		return connector.Result{}, err
	}
	return connector.Result{VendorID: "id-" + call.Key, Refs: map[string]string{"contact": "c1"}}, nil
}

func (v *vendor) Lookup(_ context.Context, call connector.Call) (connector.Result, bool, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.refuse != nil {
		return connector.Result{}, false, v.refuse
	}
	return connector.Result{VendorID: "found"}, v.records[call.Key] > 0, nil
}

func (v *vendor) script(fn func(call connector.Call, nth int) (bool, error)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answer = fn
}

// counts returns how many keys have an effect and the largest number of effects of one.
func (v *vendor) counts() (keys, most int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, n := range v.records {
		keys++
		most = max(most, n)
	}
	return keys, most
}

func (v *vendor) callsOf(action bellhop.Action) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := 0
	for _, o := range v.order {
		if len(o) >= len(action) && o[len(o)-len(action):] == string(action) {
			n++
		}
	}
	return n
}

func manifest(name string, limits int, actions ...connector.ActionManifest) connector.Manifest {
	return connector.Manifest{Vendor: name, Name: name, Category: "crm", Actions: actions,
		Limits: connector.Limits{Concurrency: limits}}
}

func fail(class bellhop.ErrorClass, status int) error {
	return &connector.Error{Class: class, Status: status, Message: "scripted failure"}
}
