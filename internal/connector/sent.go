package connector

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
)

// http1 returns the protocols of the client: HTTP/1.1 and nothing else.
func http1() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	return p
}

// countedConn counts the bytes that were handed to the network.
type countedConn struct {
	net.Conn
	written atomic.Int64
}

// Write counts before it writes, because a write that is still under way when the
// time is up may have put bytes on the wire; what was certainly not taken is given back.
func (c *countedConn) Write(p []byte) (int, error) {
	c.written.Add(int64(len(p)))
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n - len(p)))
	return n, err
}

// sentWatch tells whether any byte of one request has left, over all connections that
// the transport tried for it.
type sentWatch struct {
	mu    sync.Mutex
	conns []usedConn
}

type usedConn struct {
	conn   *countedConn
	before int64 // bytes that earlier requests and the TLS handshake had sent
}

func (w *sentWatch) gotConn(info httptrace.GotConnInfo) {
	raw := info.Conn
	if tc, ok := raw.(*tls.Conn); ok {
		raw = tc.NetConn()
	}
	cc, ok := raw.(*countedConn)
	if !ok {
		// A connection that is not ours cannot be read: count it as used.
		cc = &countedConn{}
		cc.written.Store(1)
		w.add(usedConn{conn: cc})
		return
	}
	w.add(usedConn{conn: cc, before: cc.written.Load()})
}

func (w *sentWatch) add(c usedConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = append(w.conns, c)
}

// any reports whether a byte of the request has left.
func (w *sentWatch) any() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		if c.conn.written.Load() > c.before {
			return true
		}
	}
	return false
}

// errWouldSendTwice is what the transport gets when it wants to send a request again.
var errWouldSendTwice = errors.New("the connection broke after the request had begun to leave")

// guard keeps the transport from sending a request twice. net/http sends a request
// again by itself on a fresh connection when a kept-alive one turns out dead, and it
// takes every method with an Idempotency-Key header, and GET, as safe to repeat
// (net/http, Request.isReplayable). Whether a write may be repeated is the engine's
// decision, so the body can be had again only while nothing has left.
func (w *sentWatch) guard(req *http.Request, body []byte) {
	switch req.Method {
	case http.MethodGet, http.MethodHead:
		return // reading twice does no harm
	}
	if len(body) == 0 {
		// Nothing that the transport would have to ask for again, so nothing that could
		// hold it back, except that it may not think the request repeatable.
		req.Header.Del("Idempotency-Key")
		req.Header.Del("X-Idempotency-Key")
		return
	}
	req.GetBody = func() (io.ReadCloser, error) {
		if w.any() {
			return nil, errWouldSendTwice
		}
		return io.NopCloser(bytes.NewReader(body)), nil
	}
}
