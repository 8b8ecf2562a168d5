package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// maxControlAnswer bounds an answer of the control API: a snapshot can be large.
const maxControlAnswer = 512 << 20

// Client steers a sandbox that runs in another process.
type Client struct {
	root string
	http *http.Client
}

// NewClient makes a client of the sandbox at root, as Running.URL has it.
func NewClient(root string) *Client {
	return &Client{root: strings.TrimRight(root, "/"), http: &http.Client{Transport: &http.Transport{}}}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// BaseURL is what a connector's base_url must be; see the function BaseURL.
func (c *Client) BaseURL(v Vendor) string { return BaseURL(c.root, string(v)) }

// Health returns nil when the sandbox answers.
func (c *Client) Health(ctx context.Context) error {
	return c.do(ctx, http.MethodGet, "health", nil, nil)
}

// SetFaults replaces the faults of a vendor.
func (c *Client) SetFaults(ctx context.Context, v Vendor, f ...Fault) error {
	if f == nil {
		f = []Fault{}
	}
	return c.do(ctx, http.MethodPut, "faults/"+string(v), f, nil)
}

// ClearFaults ends the faults of a vendor, or of all when v is "".
func (c *Client) ClearFaults(ctx context.Context, v Vendor) error {
	path := "faults"
	if v != "" {
		path += "/" + string(v)
	}
	return c.do(ctx, http.MethodDelete, path, nil, nil)
}

// Snapshot returns what each vendor really holds.
func (c *Client) Snapshot(ctx context.Context) (Snapshot, error) {
	var s Snapshot
	err := c.do(ctx, http.MethodGet, "snapshot", nil, &s)
	return s, err
}

// Calls returns the newest requests, oldest first.
func (c *Client) Calls(ctx context.Context) ([]CallRecord, error) {
	var out []CallRecord
	err := c.do(ctx, http.MethodGet, "calls", nil, &out)
	return out, err
}

// Reset empties every vendor, the call log and the faults.
func (c *Client) Reset(ctx context.Context) error {
	return c.do(ctx, http.MethodPost, "reset", nil, nil)
}

// Play plays a Stripe flow by name, see Flows, and delivers its events when p says
// where to.
func (c *Client) Play(ctx context.Context, flow string, p FlowParams) (FlowResult, error) {
	var res FlowResult
	err := c.do(ctx, http.MethodPost, "stripe/"+flow, p, &res)
	return res, err
}

// Counts returns how much each vendor holds.
func (c *Client) Counts(ctx context.Context) (Counts, error) {
	var out Counts
	err := c.do(ctx, http.MethodGet, "counts", nil, &out)
	return out, err
}

// Wait returns when cond holds for the vendors' state. It wakes on every change.
func (c *Client) Wait(ctx context.Context, cond func(Snapshot) bool) error {
	return awaitState(ctx, c, "snapshot", func(s Snapshot) uint64 { return s.Version }, cond)
}

// WaitCounts is Wait for counts alone; use it under load.
func (c *Client) WaitCounts(ctx context.Context, cond func(Counts) bool) error {
	return awaitState(ctx, c, "counts", func(n Counts) uint64 { return n.Version }, cond)
}

// awaitState asks for a state again and again, each time for one newer than the last.
func awaitState[S any](ctx context.Context, c *Client, name string, version func(S) uint64, cond func(S) bool) error {
	path := name
	for {
		var s S
		if err := c.do(ctx, http.MethodGet, path, nil, &s); err != nil {
			return err
		}
		if cond(s) {
			return nil
		}
		path = name + "?after=" + strconv.FormatUint(version(s), 10)
	}
}

func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("sandbox: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.root+"/_control/"+path, body)
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxControlAnswer))
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("sandbox: %s %s: %d %s", method, path, resp.StatusCode, bytes.TrimSpace(b))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("sandbox: %s %s: %w", method, path, err)
	}
	return nil
}
