package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// abort breaks the connection with a TCP reset, with no answer.
func abort(w http.ResponseWriter) {
	conn, ok := take(w)
	if !ok {
		panic(http.ErrAbortHandler) // net/http's own way to cut a connection
	}
	reset(conn)
}

// writeHalf sends the headers of an answer and half of its body, then breaks the
// connection with a TCP reset.
func writeHalf(w http.ResponseWriter, a answer) {
	conn, ok := take(w)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\nContent-Length: %d\r\n", a.status, http.StatusText(a.status), len(a.body))
	for k, v := range a.header {
		fmt.Fprintf(&b, "%s: %s\r\n", k, strings.NewReplacer("\r", " ", "\n", " ").Replace(v))
	}
	b.WriteString("\r\n")
	b.Write(a.body[:len(a.body)/2])
	data := b.Bytes()
	if len(a.body) == 0 { // then the headers are all there is to break in the middle of
		data = data[:len(data)/2]
	}
	_, _ = conn.Write(data) // the client may be gone
	reset(conn)
}

func take(w http.ResponseWriter) (net.Conn, bool) {
	hj, ok := w.(http.Hijacker)
	if !ok {
		return nil, false
	}
	conn, _, err := hj.Hijack()
	return conn, err == nil
}

// reset closes a connection so that the peer sees a reset and not an orderly end.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // best effort: without it the peer sees EOF
	}
	_ = conn.Close() // nothing is left to do about an error
}

// strictJSON decodes exactly one JSON value and refuses unknown members.
func strictJSON(data []byte, dst any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(dst); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON value")
	}
	return nil
}
