package connector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"time"

	"bellhop"
)

// MaxAnswer is how much of a vendor's answer is read, in bytes.
const MaxAnswer = 4 << 20

// Client is the one HTTP client that vendors are called through. It adds the trace
// header, follows no redirect, reads at most MaxAnswer bytes, refuses addresses that
// an outsider could have chosen, never sends a request twice, and classifies transport
// failures by whether any byte of the request had left.
type Client struct {
	// transport is used without an http.Client around it: that would only follow
	// redirects, and ask for a body again in order to.
	transport *http.Transport
	clock     bellhop.Clock
}

// ClientOpts configures a Client.
type ClientOpts struct {
	Clock bellhop.Clock
	// AllowPrivate lets the client reach loopback, private and link-local addresses.
	// Set it only for a base URL that the operator wrote in bellhop.yaml.
	AllowPrivate bool
	// MaxConnsPerHost bounds the sockets; 0 means 64.
	MaxConnsPerHost int
}

// NewClient makes a client with a connection pool of its own, so that one slow
// vendor cannot hold another's sockets.
func NewClient(opts ClientOpts) *Client { return newClient(opts, nil) }

// newClient takes who turns names into addresses; nil is the system.
func newClient(opts ClientOpts, names *net.Resolver) *Client {
	if opts.Clock == nil {
		opts.Clock = bellhop.SystemClock{}
	}
	if opts.MaxConnsPerHost == 0 {
		opts.MaxConnsPerHost = 64
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second, Resolver: names}
	if !opts.AllowPrivate {
		// Checked at dial time, after name resolution, so that a name that changes
		// its address cannot get round it.
		dialer.Control = refusePrivate
	}
	tr := &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &countedConn{Conn: conn}, nil
		},
		MaxIdleConnsPerHost: opts.MaxConnsPerHost,
		MaxConnsPerHost:     opts.MaxConnsPerHost,
		// Shorter than the 60 s after which common load balancers close idle connections:
		// a call that meets such a close half-way has an unknown outcome for nothing.
		IdleConnTimeout:        30 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		// HTTP/1.1 only: a call has its socket to itself, so the bytes that left on it
		// tell whether the request left. On a shared HTTP/2 connection they do not.
		Protocols: http1(),
	}
	return &Client{clock: opts.Clock, transport: tr}
}

// Request is one HTTP request to a vendor.
type Request struct {
	Method string
	URL    string
	Header http.Header
	Body   []byte
}

// Response is a vendor's whole answer.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	// Cut is set when the answer was longer than MaxAnswer.
	Cut bool
}

type traceKey struct{}

// WithTrace returns a context whose calls carry the correlation id as W3C traceparent.
func WithTrace(ctx context.Context, correlationID string) context.Context {
	return context.WithValue(ctx, traceKey{}, correlationID)
}

// traceparent returns the W3C header of the context's correlation id, "" when it has
// none or it is not 32 lower-case hex digits. The span id is the id's second half: a
// call has no span of its own, and the header must not differ between tries.
// Source: https://www.w3.org/TR/trace-context/#traceparent-header
func traceparent(ctx context.Context) string {
	id, _ := ctx.Value(traceKey{}).(string)
	if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
		return ""
	}
	span := id[16:]
	if strings.Trim(span, "0") == "" {
		span = id[:16] // an all-zero span id is invalid
	}
	if strings.Trim(span, "0") == "" {
		return ""
	}
	return "00-" + id + "-" + span + "-01"
}

// Do sends the request. The error is an *Error: ClassNotSent when the request
// certainly never left, ClassUnknownOutcome when any of it may have. An answer of any
// status is no error; Classify reads it.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	var left sentWatch
	trace := &httptrace.ClientTrace{GotConn: left.gotConn}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		// The cause is left out: it quotes the URL, which may be the secret.
		return nil, &Error{Class: bellhop.ClassRejected, Message: "the vendor's URL is not valid"}
	}
	for k, v := range r.Header {
		req.Header[k] = v
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "bellhop")
	}
	if tp := traceparent(ctx); tp != "" {
		req.Header.Set("Traceparent", tp)
	}
	left.guard(req, r.Body)
	if err := fenced(ctx); err != nil {
		return nil, err
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, transportError(err, left.any())
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	if err != nil {
		return nil, &Error{Class: bellhop.ClassUnknownOutcome, Status: resp.StatusCode,
			Message: "the connection broke in the middle of the answer", Err: scrub(err)}
	}
	out := &Response{Status: resp.StatusCode, Header: resp.Header, Body: body}
	if len(body) > MaxAnswer {
		out.Body, out.Cut = body[:MaxAnswer], true
	}
	return out, nil
}

// CloseIdle closes the sockets that no call is using.
func (c *Client) CloseIdle() { c.transport.CloseIdleConnections() }

// Now returns the clock's time, for connectors that stamp requests.
func (c *Client) Now() time.Time { return c.clock.Now() }

func transportError(err error, wrote bool) *Error {
	if errors.Is(err, errPrivateAddress) {
		return &Error{Class: bellhop.ClassRejected, Message: errPrivateAddress.Error()}
	}
	if wrote {
		msg := "no answer came before the time was up or the connection broke"
		return &Error{Class: bellhop.ClassUnknownOutcome, Message: msg, Err: scrub(err)}
	}
	return &Error{Class: bellhop.ClassNotSent, Message: "could not connect", Err: scrub(err)}
}

// scrub takes the URL out of a client error: for some vendors the URL is the secret,
// for others it holds an e-mail.
func scrub(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// vendorNow is the time by the vendor's clock, which its dates go by: ours may be wrong.
// Source: https://www.rfc-editor.org/rfc/rfc9110#name-date
func (c *Client) vendorNow(resp *Response) time.Time {
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		return at
	}
	return c.clock.Now()
}

// Classify turns an answer into nil (2xx) or an *Error, by the rules that hold for
// most vendors (vendors.md, section 1.2). message is the vendor's own reason, as the
// connector found it in the body. Connectors handle their exceptions before it.
func (c *Client) Classify(resp *Response, message string) *Error {
	if resp.Status >= 200 && resp.Status < 300 {
		return nil
	}
	e := &Error{Status: resp.Status, Message: cutMessage(message), VendorRequestID: RequestID(resp.Header),
		RetryAfter: ParseRetryAfter(resp.Header.Get("Retry-After"), c.vendorNow(resp))}
	switch s := resp.Status; {
	case s == http.StatusTooManyRequests:
		e.Class = bellhop.ClassRateLimited
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		e.Class = bellhop.ClassUnauthorized
	case s == http.StatusRequestTimeout, s >= 500:
		e.Class = bellhop.ClassUnknownOutcome
	case s >= 300 && s < 400:
		e.Class = bellhop.ClassRejected
		e.Message = fmt.Sprintf("the vendor answered with a redirect (%d); check base_url", s)
	case s >= 400:
		e.Class = bellhop.ClassRejected
	default:
		e.Class = bellhop.ClassMalformed
	}
	return e
}

// Malformed makes the error of an answer with a good status that cannot be understood.
func Malformed(resp *Response, what string) *Error {
	return &Error{Class: bellhop.ClassMalformed, Status: resp.Status, Message: what,
		VendorRequestID: RequestID(resp.Header)}
}

// RequestID returns the id under which the vendor knows the request, "" when it gave none.
func RequestID(h http.Header) string {
	for _, name := range []string{"Request-Id", "X-Request-Id", "X-Hubspot-Correlation-Id", "X-Zendesk-Request-Id"} {
		if v := h.Get(name); v != "" && len(v) <= 200 {
			return v
		}
	}
	return ""
}

// cutMessage bounds a vendor's message and takes control characters out of it.
func cutMessage(s string) string {
	s = strings.ToValidUTF8(s, "�")
	s = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, s)
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:500], "") + "…"
	}
	return s
}
