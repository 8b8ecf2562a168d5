package cli

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Promise: a client that is slow, or sends too much, is cut off, and a fast one beside it
// does not notice.
func TestSlowAndLargeRequestsAreCutOff(t *testing.T) {
	t.Parallel()
	cut := make(chan struct{}) // the endless answer was cut off
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = newHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		for r.URL.Path == "/huge" {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				close(cut)
				return
			}
		}
	}), httpLimits{header: 200 * time.Millisecond, body: 400 * time.Millisecond, answer: 600 * time.Millisecond,
		idle: 300 * time.Millisecond, headerBytes: 4 << 10}, slog.New(slog.DiscardHandler))
	srv.Start()
	t.Cleanup(srv.Close) // after the parts, which run side by side
	for name, tt := range map[string]struct {
		send string
		want string // how the answer begins, "" for none at all
	}{
		"headers that never end": {"GET / HTTP/1.1\r\nHost: x\r\nX-A: ", ""},
		"a body that never ends": {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf", "HTTP/1.1 200"},
		"an idle connection":     {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200"},
		"nothing at all":         {"", ""},
		"headers that are large": {"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 16<<10) + "\r\n\r\n", "HTTP/1.1 431"},
		"rubbish":                {"\x16\x03\x01\x00\x00\r\n\r\n", "HTTP/1.1 400"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, tt.send); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(conn) // ends when the server closes
			if err, isNet := err.(net.Error); isNet && err.Timeout() {
				t.Fatalf("the connection is still open after %q", got)
			}
			if tt.want == "HTTP/1.1 200" && name != "an idle connection" {
				return // the handler found out; what it answers is its own
			}
			if !strings.HasPrefix(string(got), tt.want) || (tt.want == "" && len(got) > 0 && !strings.HasPrefix(string(got), "HTTP/1.1 4")) {
				t.Errorf("answered %q", got)
			}
		})
	}
	t.Run("an answer that nobody reads", func(t *testing.T) {
		t.Parallel()
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET /huge HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		deadline := time.NewTimer(10 * time.Second)
		defer deadline.Stop()
		select {
		case <-cut:
		case <-deadline.C:
			t.Error("the handler still writes to somebody who does not read")
		}
	})
}

func TestTheServersLimitsAreSet(t *testing.T) {
	t.Parallel()
	s := newHTTPServer(nil, defaultHTTPLimits(), slog.New(slog.DiscardHandler))
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 ||
		s.MaxHeaderBytes > 64<<10 || s.ReadHeaderTimeout > 10*time.Second {
		t.Errorf("%+v", defaultHTTPLimits())
	}
}
