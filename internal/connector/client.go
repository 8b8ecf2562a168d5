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
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"bellhop"
)

// MaxAnswer is how much of a vendor's answer is read, in bytes.
const MaxAnswer = 4 << 20

// Client is the one HTTP client that vendors are called through. It adds the trace
// header, follows no redirect, reads at most MaxAnswer bytes, refuses addresses that
// an outsider could have chosen, and classifies transport failures by whether the
// request had begun to leave.
type Client struct {
	http  *http.Client
	clock bellhop.Clock
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
func NewClient(opts ClientOpts) *Client {
	if opts.Clock == nil {
		opts.Clock = bellhop.SystemClock{}
	}
	if opts.MaxConnsPerHost == 0 {
		opts.MaxConnsPerHost = 64
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	if !opts.AllowPrivate {
		// Checked at dial time, after name resolution, so that a name that changes
		// its address cannot get round it.
		dialer.Control = refusePrivate
	}
	tr := &http.Transport{
		DialContext:            dialer.DialContext,
		MaxIdleConnsPerHost:    opts.MaxConnsPerHost,
		MaxConnsPerHost:        opts.MaxConnsPerHost,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  30 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	return &Client{clock: opts.Clock, http: &http.Client{
		Transport: tr,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}}
}

// errPrivateAddress is wrapped by the dial error of a refused address.
var errPrivateAddress = errors.New("the address is private and the URL was not written by the operator")

func refusePrivate(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !PublicAddr(ap.Addr()) {
		return errPrivateAddress
	}
	return nil
}

// PublicAddr reports whether an address is one of the public internet: not loopback,
// private, link-local (cloud metadata lives there), multicast, carrier NAT, benchmark,
// documentation, or a v6 form that embeds such a v4 address.
func PublicAddr(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsValid() || !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	for _, p := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16",
		"2001::/32", "2001:db8::/32", "100::/64", "fec0::/10"} {
		if netip.MustParsePrefix(p).Contains(a) {
			return false
		}
	}
	return true
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

// Do sends the request. The error is an *Error: ClassNotSent when the request
// certainly never left, ClassUnknownOutcome when any of it may have. An answer of any
// status is no error; Classify reads it.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	var wrote atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaderField: func(string, []string) { wrote.Store(true) },
		WroteHeaders:     func() { wrote.Store(true) },
	})
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return nil, &Error{Class: bellhop.ClassRejected, Message: "the vendor's URL is not valid", Err: scrub(err)}
	}
	for k, v := range r.Header {
		req.Header[k] = v
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "bellhop")
	}
	if id, _ := ctx.Value(traceKey{}).(string); len(id) == 32 {
		req.Header.Set("Traceparent", "00-"+id+"-"+id[16:]+"-01")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, transportError(err, wrote.Load())
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

// Classify turns an answer into nil (2xx) or an *Error, by the rules that hold for
// most vendors (vendors.md, section 1.2). message is the vendor's own reason, as the
// connector found it in the body. Connectors handle their exceptions before it.
func (c *Client) Classify(resp *Response, message string) *Error {
	if resp.Status >= 200 && resp.Status < 300 {
		return nil
	}
	e := &Error{Status: resp.Status, Message: cutMessage(message), VendorRequestID: requestID(resp.Header),
		RetryAfter: ParseRetryAfter(resp.Header.Get("Retry-After"), c.clock.Now())}
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
		VendorRequestID: requestID(resp.Header)}
}

func requestID(h http.Header) string {
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
