package conntest

import (
	"context"
	"errors"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/connector"
)

// script is a connector that answers from a list.
type script struct {
	clock   *Clock
	do      []error // nil is success; the last one repeats
	look    []any   // bool or error
	calls   []connector.Call
	lookups []time.Time
}

func (s *script) Do(_ context.Context, call connector.Call) (connector.Result, error) {
	s.calls = append(s.calls, call)
	return connector.Result{VendorID: "1"}, s.do[min(len(s.calls), len(s.do))-1]
}

func (s *script) Lookup(context.Context, connector.Call) (connector.Result, bool, error) {
	s.lookups = append(s.lookups, s.clock.Now())
	switch v := s.look[min(len(s.lookups), len(s.look))-1].(type) {
	case bool:
		return connector.Result{VendorID: "found"}, v, nil
	case error:
		return connector.Result{}, false, v
	}
	return connector.Result{}, false, nil
}

func fail(c bellhop.ErrorClass) error { return &connector.Error{Class: c} }

// TestDrive is the table of what the engine does with each class.
func TestDrive(t *testing.T) {
	t.Parallel()
	unknown, malformed := fail(bellhop.ClassUnknownOutcome), fail(bellhop.ClassMalformed)
	for name, tt := range map[string]struct {
		once         connector.Once
		do           []error
		look         []any
		end          End
		sent, looked int
	}{
		"success":                      {connector.OnceNone, []error{nil}, nil, EndDone, 1, 0},
		"rejected":                     {connector.OnceUpsert, []error{fail(bellhop.ClassRejected)}, nil, EndPerson, 1, 0},
		"unauthorized":                 {connector.OnceUpsert, []error{fail(bellhop.ClassUnauthorized)}, nil, EndParked, 1, 0},
		"quota":                        {connector.OnceUpsert, []error{&connector.Error{Class: bellhop.ClassRateLimited, Quota: true}}, nil, EndParked, 1, 0},
		"rate limit, then fine":        {connector.OnceNone, []error{fail(bellhop.ClassRateLimited), nil}, nil, EndDone, 2, 0},
		"not sent, then fine":          {connector.OnceNone, []error{fail(bellhop.ClassNotSent), nil}, nil, EndDone, 2, 0},
		"unavailable for ever":         {connector.OnceNone, []error{fail(bellhop.ClassUnavailable)}, nil, EndGaveUp, 6, 0},
		"unknown, native key":          {connector.OnceNativeKey, []error{unknown, nil}, nil, EndDone, 2, 0},
		"malformed, upsert":            {connector.OnceUpsert, []error{malformed, nil}, nil, EndDone, 2, 0},
		"unknown, nothing to look at":  {connector.OnceNone, []error{unknown, nil}, nil, EndPerson, 1, 0},
		"no *Error is unknown":         {connector.OnceNone, []error{errors.New("odd"), nil}, nil, EndPerson, 1, 0},
		"unknown, found":               {connector.OnceLookup, []error{unknown, nil}, []any{true}, EndDone, 1, 1},
		"unknown, not found":           {connector.OnceLookup, []error{unknown, nil}, []any{false}, EndDone, 2, 1},
		"unknown twice, then found":    {connector.OnceLookup, []error{unknown, malformed}, []any{false, true}, EndDone, 2, 2},
		"look-up fails, then found":    {connector.OnceLookup, []error{unknown, nil}, []any{unknown, fail(bellhop.ClassNotSent), true}, EndDone, 1, 3},
		"look-up never answers":        {connector.OnceLookup, []error{unknown, nil}, []any{unknown}, EndPerson, 1, 5},
		"look-up cannot tell":          {connector.OnceLookup, []error{unknown, nil}, []any{fail(bellhop.ClassRejected)}, EndPerson, 1, 1},
		"look-up is unauthorized":      {connector.OnceLookup, []error{unknown, nil}, []any{fail(bellhop.ClassUnauthorized)}, EndParked, 1, 1},
		"rate limit needs no look-up":  {connector.OnceLookup, []error{fail(bellhop.ClassRateLimited), nil}, nil, EndDone, 2, 0},
		"a rejection needs no look-up": {connector.OnceLookup, []error{fail(bellhop.ClassRejected)}, nil, EndPerson, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := NewClock()
			s := &script{clock: clock, do: tt.do, look: tt.look}
			d := Driver{Connector: s, Clock: clock, Action: connector.ActionManifest{Once: tt.once, LookupDelayMS: 5000}}
			began := clock.Now()
			out := d.Drive(context.Background(), connector.Call{Key: "k"})
			if out.End != tt.end || out.Sent != tt.sent || out.Looked != tt.looked {
				t.Errorf("end %s, sent %d, looked %d", out.End, out.Sent, out.Looked)
			}
			for i, c := range s.calls {
				if c.Key != "k" || c.FirstAttemptAt.IsZero() != (i == 0) {
					t.Errorf("try %d: key %q, first attempt %s", i+1, c.Key, c.FirstAttemptAt)
				}
			}
			if len(s.lookups) > 0 && s.lookups[0].Sub(began) < 5*time.Second {
				t.Errorf("looked after %s: before the index can prove absence", s.lookups[0].Sub(began))
			}
		})
	}
}

func TestResume(t *testing.T) {
	t.Parallel()
	for once, want := range map[connector.Once]Outcome{
		connector.OnceNativeKey: {End: EndDone, Sent: 1}, connector.OnceUpsert: {End: EndDone, Sent: 1},
		connector.OnceNone: {End: EndPerson}, connector.OnceLookup: {End: EndDone, Looked: 1},
	} {
		clock := NewClock()
		d := Driver{Connector: &script{clock: clock, do: []error{nil}, look: []any{true}}, Clock: clock, Action: connector.ActionManifest{Once: once}}
		out := d.Resume(context.Background(), connector.Call{Key: "k"})
		if out.End != want.End || out.Sent != want.Sent || out.Looked != want.Looked {
			t.Errorf("%s: %+v", once, out)
		}
	}
}

func TestMarkerForm(t *testing.T) {
	t.Parallel()
	m := Marker("crm.add_note:1")
	if len(m) != 23 || m[:3] != "bh-" || m == Marker("crm.add_note:2") {
		t.Errorf("%q", m)
	}
}
