package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"bellhop/internal/sandbox"
)

// vendor is the sandbox on a socket, with a note of when each call came. Every answer
// takes a millisecond at least.
type vendor struct {
	url   string
	srv   *http.Server
	calls atomic.Int64
	last  atomic.Int64 // UnixNano of the newest call's answer
	hub   atomic.Int64 // calls of HubSpot

	mu   sync.Mutex
	seen map[string]time.Time // key → when; only the keys that are waited for
}

func startVendor(box *sandbox.Server) (*vendor, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	v := &vendor{url: "http://" + ln.Addr().String(), seen: map[string]time.Time{}}
	inner := box.Handler()
	v.srv = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		came := time.Now()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		v.note(body, came)
		r.Body = io.NopCloser(bytes.NewReader(body))
		inner.ServeHTTP(w, r)
		v.calls.Add(1)
		if strings.HasPrefix(r.URL.Path, "/hubspot/") {
			v.hub.Add(1)
		}
		v.last.Store(time.Now().UnixNano())
	})}
	go func() { _ = v.srv.Serve(ln) }() // ends with Close
	return v, nil
}

func (v *vendor) close() { _ = v.srv.Close() }

// of returns how many calls a vendor has answered; only HubSpot's are counted apart.
func (v *vendor) of(name string) int64 {
	if name == string(sandbox.HubSpot) {
		return v.hub.Load()
	}
	return v.calls.Load()
}

// expect asks for the time at which a call with this text in its body comes.
func (v *vendor) expect(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.seen[text] = time.Time{}
}

func (v *vendor) note(body []byte, came time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for text, at := range v.seen {
		if at.IsZero() && bytes.Contains(body, []byte(text)) {
			v.seen[text] = came
		}
	}
}

// came waits until the expected call has come and returns when; the zero time when ctx
// ended first.
func (v *vendor) came(ctx context.Context, text string) time.Time {
	for ctx.Err() == nil {
		v.mu.Lock()
		at := v.seen[text]
		if !at.IsZero() {
			delete(v.seen, text)
		}
		v.mu.Unlock()
		if !at.IsZero() {
			return at
		}
		time.Sleep(200 * time.Microsecond)
	}
	return time.Time{}
}
