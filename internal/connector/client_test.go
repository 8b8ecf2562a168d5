package connector

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bellhop"
)

type fixedClock struct{ at time.Time }

func (c fixedClock) Now() time.Time { return c.at }

var testNow = fixedClock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}

func newTestClient(t *testing.T) *Client {
	t.Helper()
	c := NewClient(ClientOpts{Clock: testNow, AllowPrivate: true})
	t.Cleanup(c.CloseIdle)
	return c
}

// rawServer answers each connection with serve, on a real socket.
func rawServer(t *testing.T, serve func(conn net.Conn, n int64)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	var conns atomic.Int64
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			n := conns.Add(1)
			go func() {
				defer conn.Close()
				serve(conn, n)
			}()
		}
	}()
	return "http://" + ln.Addr().String()
}

func readRequest(br *bufio.Reader) bool {
	req, err := http.ReadRequest(br)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err == nil
}

func wantErr(t *testing.T, err error, class bellhop.ErrorClass) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Class != class {
		t.Fatalf("got %v, want class %s", err, class)
	}
	return e
}

func TestPublicAddr(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]bool{
		"93.184.216.34": true, "2606:4700::1111": true, "::ffff:93.184.216.34": true,
		"127.0.0.1": false, "127.255.255.254": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false,
		"169.254.169.254": false, "100.64.0.1": false, "0.0.0.0": false, "0.1.2.3": false, "255.255.255.255": false,
		"224.0.0.1": false, "198.18.0.1": false, "192.0.2.1": false, "240.0.0.1": false, "192.88.99.1": false,
		"::1": false, "::": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false, "fd00:ec2::254": false, "ff02::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false, "::ffff:100.64.0.1": false, "::ffff:198.18.0.1": false, "::ffff:0.1.2.3": false, "::127.0.0.1": false,
		"64:ff9b::7f00:1": false, "64:ff9b:1::1": false, "2002:7f00:1::": false, "2001:0:1::1": false,
		"2001:db8::1": false, "fec0::1": false, "3fff::1": false,
	} {
		if got := PublicAddr(netip.MustParseAddr(addr)); got != want {
			t.Errorf("PublicAddr(%s) = %v", addr, got)
		}
	}
	if PublicAddr(netip.Addr{}) {
		t.Error("the zero address counts as public")
	}
}

func TestPrivateAddressesAreRefusedAtDialTime(t *testing.T) {
	t.Parallel()
	var reached atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	defer srv.Close()
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(srv.URL, "http://"))
	c := NewClient(ClientOpts{Clock: testNow})
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "[::1]"} {
		_, err := c.Do(context.Background(), Request{Method: "POST", URL: "http://" + host + ":" + port + "/", Body: []byte("x")})
		e, ok := err.(*Error)
		if !ok || (e.Class != bellhop.ClassRejected && e.Class != bellhop.ClassNotSent) {
			t.Errorf("%s: %v", host, err)
		}
		if host == "127.0.0.1" {
			wantErr(t, err, bellhop.ClassRejected)
		}
	}
	if reached.Load() {
		t.Error("a private address was reached")
	}
}

func TestTransportFailureClasses(t *testing.T) {
	t.Parallel()
	c := newTestClient(t)
	ln, _ := net.Listen("tcp", "127.0.0.1:0")
	closed := "http://" + ln.Addr().String()
	ln.Close()
	silent := rawServer(t, func(conn net.Conn, _ int64) { _, _ = io.Copy(io.Discard, conn) })
	hangup := rawServer(t, func(conn net.Conn, _ int64) { readRequest(bufio.NewReader(conn)) })
	mid := rawServer(t, func(conn net.Conn, _ int64) {
		readRequest(bufio.NewReader(conn))
		fmt.Fprint(conn, "HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\nhalf")
	})
	notTLS := strings.Replace(silent, "http://", "https://", 1)
	for name, tt := range map[string]struct {
		url  string
		want bellhop.ErrorClass
	}{
		"refused": {closed, bellhop.ClassNotSent}, "no such host": {"http://nobody.invalid", bellhop.ClassNotSent},
		"silence": {silent, bellhop.ClassUnknownOutcome}, "hang-up": {hangup, bellhop.ClassUnknownOutcome},
		"broken answer": {mid, bellhop.ClassUnknownOutcome}, "TLS never done": {notTLS, bellhop.ClassNotSent},
		"bad URL": {"http://a b/", bellhop.ClassRejected},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			_, err := c.Do(ctx, Request{Method: "POST", URL: tt.url, Body: []byte("{}")})
			wantErr(t, err, tt.want)
		})
	}
}

func TestCancelledBeforeTheCallIsNotSent(t *testing.T) {
	t.Parallel()
	c := newTestClient(t)
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := c.Do(ctx, Request{Method: "POST", URL: srv.URL, Body: []byte("x")})
	wantErr(t, err, bellhop.ClassNotSent)
}

// TestAWriteIsNeverSentTwice: net/http would send a request with an Idempotency-Key
// again by itself when a kept-alive connection breaks, even after the request was read.
func TestAWriteIsNeverSentTwice(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		for _, header := range []string{"", "Idempotency-Key", "X-Idempotency-Key"} {
			for _, body := range []string{"{}", strings.Repeat("x", 100_000), ""} {
				var got atomic.Int64
				url := rawServer(t, func(conn net.Conn, n int64) {
					br := bufio.NewReader(conn)
					if n == 1 { // the first answer keeps the connection alive
						readRequest(br)
						fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					}
					if readRequest(br) { // the second is read whole, then hung up on
						got.Add(1)
					}
				})
				c := newTestClient(t)
				h := http.Header{}
				if header != "" {
					h.Set(header, "k")
				}
				if _, err := c.Do(context.Background(), Request{Method: "GET", URL: url}); err != nil {
					t.Fatal(err)
				}
				_, err := c.Do(context.Background(), Request{Method: method, URL: url, Header: h, Body: []byte(body)})
				wantErr(t, err, bellhop.ClassUnknownOutcome)
				if n := got.Load(); n != 1 {
					t.Errorf("%s %s, %d bytes: arrived %d times", method, header, len(body), n)
				}
			}
		}
	}
}

// TestAConnectionThatDiedWhileIdle: what has not left may be sent on a new connection,
// so a vendor that closes idle connections does not turn calls into unknown outcomes.
func TestAConnectionThatDiedWhileIdle(t *testing.T) {
	t.Parallel()
	var got atomic.Int64
	closed := make(chan struct{}, 1)
	url := rawServer(t, func(conn net.Conn, n int64) {
		br := bufio.NewReader(conn)
		if !readRequest(br) {
			return
		}
		got.Add(1)
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		if n == 1 {
			conn.Close()
			closed <- struct{}{}
		}
	})
	c := newTestClient(t)
	if _, err := c.Do(context.Background(), Request{Method: "POST", URL: url, Body: []byte("1")}); err != nil {
		t.Fatal(err)
	}
	<-closed
	// Whether the transport has seen the close yet is a race; either way the second
	// write arrives at most once, and an error never claims that it did not leave when
	// it did.
	_, err := c.Do(context.Background(), Request{Method: "POST", URL: url, Body: []byte("2")})
	if err == nil && got.Load() != 2 {
		t.Errorf("arrived %d times", got.Load())
	}
	if err != nil && got.Load() != 1 {
		t.Errorf("failed with %v and arrived %d times", err, got.Load())
	}
}

func TestDoBoundsTheAnswerAndFollowsNothing(t *testing.T) {
	t.Parallel()
	c := newTestClient(t)
	var second atomic.Bool
	mux := http.NewServeMux()
	var sent atomic.Int64
	mux.HandleFunc("/huge", func(w http.ResponseWriter, _ *http.Request) {
		for sent.Load() < 10*MaxAnswer {
			n, err := w.Write(bytes.Repeat([]byte("x"), 64<<10))
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/exact", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(bytes.Repeat([]byte("x"), MaxAnswer))
	})
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/second", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/second", func(http.ResponseWriter, *http.Request) { second.Store(true) })
	srv := httptest.NewServer(mux)
	defer srv.Close()
	huge, err := c.Do(context.Background(), Request{Method: "GET", URL: srv.URL + "/huge"})
	if err != nil || !huge.Cut || len(huge.Body) != MaxAnswer {
		t.Errorf("huge: cut %v, %d bytes, %v", huge.Cut, len(huge.Body), err)
	}
	if n := sent.Load(); n > 5*MaxAnswer {
		t.Errorf("%d bytes of an endless answer were taken", n)
	}
	exact, err := c.Do(context.Background(), Request{Method: "GET", URL: srv.URL + "/exact"})
	if err != nil || exact.Cut || len(exact.Body) != MaxAnswer {
		t.Errorf("exact: cut %v, %d bytes, %v", exact.Cut, len(exact.Body), err)
	}
	away, err := c.Do(context.Background(), Request{Method: "POST", URL: srv.URL + "/away", Body: []byte("x")})
	if err != nil || away.Status != 307 || second.Load() {
		t.Errorf("redirect: %v, %v, followed %v", away, err, second.Load())
	}
	if e := c.Classify(away, ""); e == nil || e.Class != bellhop.ClassRejected {
		t.Errorf("redirect classified as %v", e)
	}
}

func TestTraceparent(t *testing.T) {
	t.Parallel()
	const id = "0af7651916cd43dd8448eb211c80319c"
	for in, want := range map[string]string{
		id:                                   "00-" + id + "-8448eb211c80319c-01",
		"":                                   "",
		strings.ToUpper(id):                  "",
		id[:31]:                              "",
		strings.Repeat("0", 32):              "",
		"0af7651916cd43dd0000000000000000":   "00-0af7651916cd43dd0000000000000000-0af7651916cd43dd-01",
		"zzf7651916cd43dd8448eb211c80319c":   "",
		"0af7651916cd43dd8448eb211c8031\r\n": "",
	} {
		var got string
		srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("Traceparent") }))
		_, err := newTestClient(t).Do(WithTrace(context.Background(), in), Request{Method: "GET", URL: srv.URL})
		srv.Close()
		if err != nil || got != want {
			t.Errorf("%q: %q, want %q (%v)", in, got, want, err)
		}
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	c := newTestClient(t)
	for status, want := range map[int]bellhop.ErrorClass{
		200: "", 201: "", 204: "", 299: "", 301: bellhop.ClassRejected, 304: bellhop.ClassRejected,
		400: bellhop.ClassRejected, 401: bellhop.ClassUnauthorized, 403: bellhop.ClassUnauthorized,
		404: bellhop.ClassRejected, 408: bellhop.ClassUnknownOutcome, 409: bellhop.ClassRejected,
		410: bellhop.ClassRejected, 422: bellhop.ClassRejected, 429: bellhop.ClassRateLimited,
		500: bellhop.ClassUnknownOutcome, 503: bellhop.ClassUnknownOutcome, 529: bellhop.ClassUnknownOutcome,
		100: bellhop.ClassMalformed,
	} {
		e := c.Classify(&Response{Status: status, Header: http.Header{"Retry-After": {"3"}, "Request-Id": {"req_1"}}}, "why\x00\nso")
		switch {
		case want == "" && e != nil:
			t.Errorf("%d: %v", status, e)
		case want != "" && (e == nil || e.Class != want || e.RetryAfter != 3*time.Second || e.VendorRequestID != "req_1"):
			t.Errorf("%d: %+v", status, e)
		}
	}
	// A date is counted from the vendor's own, whatever our clock says.
	vendor := testNow.Now().Add(28 * time.Minute)
	dated := c.Classify(&Response{Status: 503, Header: http.Header{"Date": {vendor.Format(http.TimeFormat)},
		"Retry-After": {vendor.Add(2 * time.Second).Format(http.TimeFormat)}}}, "")
	if dated.RetryAfter != 2*time.Second {
		t.Errorf("a date two seconds ahead of the vendor's clock: %s", dated.RetryAfter)
	}
	e := c.Classify(&Response{Status: 400}, strings.Repeat("é", 400)+"\xff")
	if len(e.Message) > 505 || !strings.HasSuffix(e.Message, "…") {
		t.Errorf("message of %d bytes", len(e.Message))
	}
}

func TestErrorsDoNotShowTheURL(t *testing.T) {
	t.Parallel()
	c := newTestClient(t)
	for _, url := range []string{"http://127.0.0.1:1/SECRET", "http://127.0.0.1:SECRET/", "http://SECRET\x7f/", "nope://SECRET/", "http://127.0.0.1:1/%zzSECRET"} {
		_, err := c.Do(context.Background(), Request{Method: "POST", URL: url, Body: []byte("x")})
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err), "SECRET") {
			t.Errorf("%q: %v", url, err)
		}
	}
}
