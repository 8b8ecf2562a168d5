package conntest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/sandbox"
)

// serve makes a rig against a handler that is no sandbox.
func (h Harness) serve(t *testing.T, handler http.HandlerFunc) *rig {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	r := &rig{}
	h.connect(t, r, sandbox.BaseURL(srv.URL, string(h.Fake)))
	return r
}

func (c Case) foreignCall(t *testing.T, key string) connector.Call {
	t.Helper()
	return Call(t, c.Action, key, c.Input, c.Refs)
}

// testNotSent calls a port at which nobody listens.
func (h Harness) testNotSent(t *testing.T, c Case) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + ln.Addr().String()
	ln.Close()
	r := &rig{}
	h.connect(t, r, sandbox.BaseURL(url, string(h.Fake)))
	_, err = r.conn.Do(context.Background(), c.foreignCall(t, "nobody"))
	e := wantClass(t, err, bellhop.ClassNotSent)
	wantNoSecrets(t, r, []*connector.Error{e})
}

// testRejected checks that a permanent refusal is told with the vendor's own words,
// and is not sent again.
func (h Harness) testRejected(t *testing.T, c Case) {
	r := h.serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(h.Reject.Status)
		fmt.Fprint(w, h.Reject.Body)
	})
	out := h.driver(t, r, c).Drive(context.Background(), c.foreignCall(t, "refused"))
	if out.End != EndPerson || out.Sent != 1 || len(out.Errors) != 1 {
		t.Fatalf("end %s after %d calls, errors %v", out.End, out.Sent, out.Errors)
	}
	e := out.Errors[0]
	if e.Class != bellhop.ClassRejected || !strings.Contains(e.Message, h.Reject.Reason) {
		t.Errorf("got %v, want rejected with %q", e, h.Reject.Reason)
	}
	wantNoSecrets(t, r, out.Errors)
}

// testRedirect checks that no redirect is followed: it would carry the credentials to
// wherever the answer says.
func (h Harness) testRedirect(t *testing.T, c Case) {
	var reached atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		r := h.serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", other.URL+"/stolen")
			w.WriteHeader(status)
		})
		_, err := r.conn.Do(context.Background(), c.foreignCall(t, "away"))
		wantNoSecrets(t, r, []*connector.Error{wantClass(t, err, bellhop.ClassRejected)})
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

// testHuge checks that an endless answer is not read to its end.
func (h Harness) testHuge(t *testing.T, c Case) {
	var sent atomic.Int64
	r := h.serve(t, func(w http.ResponseWriter, _ *http.Request) {
		chunk := []byte(strings.Repeat("x", 64<<10))
		for sent.Load() < 64<<20 {
			n, err := w.Write(chunk)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	_, err := r.conn.Do(context.Background(), c.foreignCall(t, "huge"))
	if !h.AnyAnswerIsDone {
		// A read that comes first may turn it into "not done".
		if e := asError(err); err == nil || (e.Class != bellhop.ClassMalformed && e.Class != bellhop.ClassUnavailable) {
			t.Errorf("got %v, want malformed", err)
		}
	}
	if n := sent.Load(); n > connector.MaxAnswer+(16<<20) {
		t.Errorf("%d bytes were taken of an endless answer", n)
	}
}

// testBadInput checks that an input that cannot be read, or says nothing, is a
// permanent error and reaches no vendor.
func (h Harness) testBadInput(t *testing.T, c Case) {
	r := h.newRig(t)
	for _, input := range []string{"", "null", "[]", `{"email":`, `"x"`, `{}`} {
		call := c.foreignCall(t, "bad")
		call.Input = []byte(input)
		call.Refs = nil
		_, err := r.conn.Do(context.Background(), call)
		wantClass(t, err, bellhop.ClassRejected)
	}
	if n := len(r.box.Calls()); n != 0 {
		t.Errorf("unreadable input made %d calls", n)
	}
}
