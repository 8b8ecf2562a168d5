package connector

import (
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bellhop"
)

// Promise: however a private address is written, a URL that the operator did not write
// does not lead to it. Numbers that are no addresses to Go are names, and if the system
// takes them for addresses it is their turn at dial time.
func TestEveryWayToAPrivateAddressIsRefused(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer srv.Close()
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(srv.URL, "http://"))
	c := NewClient(ClientOpts{Clock: testNow})
	for _, host := range []string{"127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.0.0.1.",
		"127.000.000.001", "127.0.0.1%00.example.com", "localhost", "localhost.", "LOCALHOST", "0.0.0.0", "0", "[::1]", "[::]", "[::ffff:127.0.0.1]",
		"[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::127.0.0.1]", "[fe80::1]", "[fe80::1%25lo]",
		"169.254.169.254", "[::ffff:a9fe:a9fe]", "[fd00:ec2::254]", "100.100.100.200", "192.0.0.192", "１２７.0.0.1", "user@127.0.0.1"} {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		for _, scheme := range []string{"http", "https"} {
			_, err := c.Do(ctx, Request{Method: "POST", URL: scheme + "://" + host + ":" + port + "/", Body: []byte("x")})
			if e, ok := err.(*Error); !ok || (e.Class != bellhop.ClassRejected && e.Class != bellhop.ClassNotSent) {
				t.Errorf("%s: %v", host, err)
			}
		}
		cancel()
	}
	if reached.Load() != 0 {
		t.Error("a private address was reached")
	}
}

// Promise: it is the address that is connected to that counts, each time anew, so a name
// that changes its address does not get around it.
func TestANameThatChangesItsAddressIsRefused(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer srv.Close()
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(srv.URL, "http://"))
	dns := newNameServer(t)
	url := "http://vendor.example:" + port + "/"
	for name, tt := range map[string]struct {
		allow   bool
		answers []string
		want    int64
	}{
		"private":                     {false, []string{"127.0.0.1"}, 0},
		"private behind another":      {false, []string{"10.255.255.1", "127.0.0.1"}, 0},
		"private, and the operator's": {true, []string{"127.0.0.1"}, 1},
	} {
		reached.Store(0)
		dns.set(tt.answers...)
		c := newClient(ClientOpts{Clock: testNow, AllowPrivate: tt.allow}, dns.resolver())
		_, err := c.Do(context.Background(), Request{Method: "POST", URL: url, Body: []byte("x")})
		c.CloseIdle()
		if reached.Load() != tt.want || (tt.want == 0) != (err != nil) {
			t.Errorf("%s: reached %d times, %v", name, reached.Load(), err)
		}
		if tt.want == 0 {
			wantErr(t, err, bellhop.ClassRejected)
		}
	}
	if dns.asked.Load() == 0 {
		t.Fatal("the name server was never asked")
	}
}

// Promise: a vendor, or whoever speaks for it, cannot send us on.
func TestARedirectToAPrivateAddressIsNotFollowed(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer inside.Close()
	c := newTestClient(t) // may reach private addresses, and does not go there all the same
	for _, status := range []int{300, 301, 302, 303, 307, 308} {
		out := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", inside.URL+"/latest/meta-data/")
			w.Header().Set("Refresh", "0; url="+inside.URL)
			w.Header().Set("Alt-Svc", `h2="`+strings.TrimPrefix(inside.URL, "http://")+`"`)
			w.WriteHeader(status)
		}))
		for _, method := range []string{"GET", "POST"} {
			resp, err := c.Do(context.Background(), Request{Method: method, URL: out.URL})
			if err != nil || resp.Status != status {
				t.Fatalf("%d: %v %v", status, resp, err)
			}
			if e := c.Classify(resp, ""); e == nil || e.Class != bellhop.ClassRejected {
				t.Errorf("%d: %v", status, e)
			}
		}
		c.CloseIdle()
		out.Close()
	}
	if reached.Load() != 0 {
		t.Errorf("followed %d times", reached.Load())
	}
}

// A proxy named in the environment would make the connection, and the address would be
// its own.
func TestTheEnvironmentsProxyIsNotUsed(t *testing.T) {
	t.Parallel()
	if c := NewClient(ClientOpts{}); c.transport.Proxy != nil {
		t.Error("calls go through a proxy, and nobody checks the address behind it")
	}
}

// nameServer answers every question about an IPv4 address with what it is told.
type nameServer struct {
	conn    net.PacketConn
	asked   atomic.Int64
	mu      sync.Mutex
	answers []netip.Addr
}

func newNameServer(t *testing.T) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	n := &nameServer{conn: conn}
	go n.serve()
	return n
}

func (n *nameServer) set(answers ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answers = nil
	for _, a := range answers {
		n.answers = append(n.answers, netip.MustParseAddr(a))
	}
}

func (n *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", n.conn.LocalAddr().String())
	}}
}

// serve answers until the socket is closed.
// Source: https://www.rfc-editor.org/rfc/rfc1035#section-4
func (n *nameServer) serve() {
	buf := make([]byte, 1500)
	for {
		size, from, err := n.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		n.asked.Add(1)
		end := 12
		for end < size && buf[end] != 0 {
			end += int(buf[end]) + 1
		}
		end += 5 // the root label, type and class
		if end > size {
			continue
		}
		isA := binary.BigEndian.Uint16(buf[end-4:]) == 1
		out := append([]byte{buf[0], buf[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, buf[12:end]...)
		n.mu.Lock()
		for _, a := range n.answers {
			if isA {
				out[7]++
				out = append(out, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
				ip := a.As4()
				out = append(out, ip[:]...)
			}
		}
		n.mu.Unlock()
		if _, err := n.conn.WriteTo(out, from); err != nil {
			return
		}
	}
}
