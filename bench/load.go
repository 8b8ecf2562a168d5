package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// client speaks HTTP/1.1 over one connection. net/http's own client costs more than the
// floor's whole handler, and on two cores that would be measured instead.
type client struct {
	addr string
	conn net.Conn
	r    *bufio.Reader
	body []byte
}

// answerLimit bounds the wait for one answer.
const answerLimit = 60 * time.Second

// do sends the bytes of one request and returns status and body; the body is valid until
// the next call.
func (c *client) do(request []byte) (int, []byte, error) {
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", c.addr, 5*time.Second)
		if err != nil {
			return 0, nil, err
		}
		c.conn, c.r = conn, bufio.NewReaderSize(conn, 16<<10)
	}
	status, err := c.exchange(request)
	if err != nil {
		c.close()
	}
	return status, c.body, err
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

func (c *client) exchange(request []byte) (int, error) {
	if err := c.conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return 0, err
	}
	if _, err := c.conn.Write(request); err != nil {
		return 0, err
	}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 12 {
		return 0, fmt.Errorf("not HTTP: %q", line)
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return 0, fmt.Errorf("not HTTP: %q", line)
	}
	length, closing, err := c.headers()
	if err != nil {
		return 0, err
	}
	if status == 204 {
		length = 0
	}
	if length < 0 {
		return 0, errors.New("an answer without a length")
	}
	c.body = slices.Grow(c.body[:0], length)[:length]
	if _, err := io.ReadFull(c.r, c.body); err != nil {
		return 0, err
	}
	if closing {
		c.close()
	}
	return status, nil
}

// headers reads the headers of an answer: its length, -1 when it says none, and whether
// the server closes the connection after it.
func (c *client) headers() (length int, closing bool, err error) {
	length = -1
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return 0, false, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			return length, closing, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case len(name) == 14 && strings.EqualFold(string(name), "content-length"):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, false, err
			}
		case len(name) == 10 && strings.EqualFold(string(name), "connection"):
			closing = strings.EqualFold(string(bytes.TrimSpace(value)), "close")
		case len(name) == 17 && strings.EqualFold(string(name), "transfer-encoding"):
			return 0, false, errors.New("a chunked answer; the benchmark asks for none")
		}
	}
}

// workload makes requests and judges answers. Each worker has one of its own.
type workload interface {
	// next returns the bytes of request n and what must be in the body of its answer.
	next(n int64) []byte
	// check returns an error when the answer is not the one that was asked for.
	check(status int, body []byte) error
}

// sample is what a load found.
type sample struct {
	count     int64
	failed    int64
	took      time.Duration
	latencies []time.Duration // sorted
	firstErr  error
}

func (s sample) perSecond() float64 { return float64(s.count) / s.took.Seconds() }

// quantile returns the latency that the share q of the requests stayed within.
func (s sample) quantile(q float64) time.Duration {
	if len(s.latencies) == 0 {
		return 0
	}
	return s.latencies[min(len(s.latencies)-1, int(q*float64(len(s.latencies))))]
}

func (s *sample) sort() { slices.Sort(s.latencies) }

// load is one measurement. With a rate it is open-loop: requests are due at fixed times
// whether or not earlier ones have been answered, and a latency counts from the time its
// request was due, so that a stall is felt by all the requests that fell into it. Without
// one it is closed-loop: each connection sends the next request after the answer.
type load struct {
	addr  string
	conns int
	rate  float64 // per second, 0 for closed-loop
	last  time.Duration
	count int64 // ends after so many requests, 0 for no limit
	first int64 // number of the first request
	make  func(worker int) workload
}

func (l load) run(ctx context.Context) sample {
	var next atomic.Int64
	parts := make([]sample, l.conns)
	began := time.Now()
	var wg sync.WaitGroup
	for w := range l.conns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			parts[w] = l.worker(ctx, w, &next, began)
		}()
	}
	wg.Wait()
	out := sample{took: time.Since(began)}
	for _, p := range parts {
		out.count += p.count
		out.failed += p.failed
		out.latencies = append(out.latencies, p.latencies...)
		if out.firstErr == nil {
			out.firstErr = p.firstErr
		}
	}
	out.sort()
	return out
}

func (l load) worker(ctx context.Context, w int, next *atomic.Int64, began time.Time) sample {
	var s sample
	c := &client{addr: l.addr}
	defer c.close()
	work := l.make(w)
	for ctx.Err() == nil {
		n := next.Add(1) - 1
		if l.count > 0 && n >= l.count {
			return s
		}
		due := time.Now()
		if l.rate > 0 {
			due = began.Add(time.Duration(float64(n) / l.rate * float64(time.Second)))
		}
		if due.Sub(began) >= l.last {
			return s
		}
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		}
		status, body, err := c.do(work.next(l.first + n))
		if err == nil {
			err = work.check(status, body)
		}
		if err != nil {
			s.failed++
			if s.firstErr == nil {
				s.firstErr = err
			}
			continue
		}
		s.count++
		s.latencies = append(s.latencies, time.Since(due))
	}
	return s
}

// post appends the bytes of a POST.
func post(buf []byte, path, host string, body []byte, headers ...string) []byte {
	buf = append(buf, "POST "...)
	buf = append(buf, path...)
	buf = append(buf, " HTTP/1.1\r\nHost: "...)
	buf = append(buf, host...)
	buf = append(buf, "\r\nContent-Type: application/json\r\n"...)
	for i := 0; i+1 < len(headers); i += 2 {
		buf = append(buf, headers[i]...)
		buf = append(buf, ": "...)
		buf = append(buf, headers[i+1]...)
		buf = append(buf, "\r\n"...)
	}
	buf = append(buf, "Content-Length: "...)
	buf = strconv.AppendInt(buf, int64(len(body)), 10)
	buf = append(buf, "\r\n\r\n"...)
	return append(buf, body...)
}
