// Package world holds what the end-to-end tests share: how they configure a server beside
// sandbox vendors, ask it, and wait for what they ask of it. It is imported by tests only.
package world

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"bellhop/internal/sandbox"
)

// Connections is the part of bellhop.yaml that leads to the sandbox vendors at root. retry
// is the YAML of its section.
func Connections(root, retry string) string {
	return fmt.Sprintf(`connections:
  - {name: crm, vendor: hubspot, base_url: %q, token: %s}
  - {name: stripe, vendor: stripe, base_url: %q, secret_key: %s, webhook_secrets: ["%s"]}
  - {name: helpdesk, vendor: zendesk, base_url: %q, email: ops@example.com, token: %s}
  - {name: founder, vendor: slack, url: %q}
retry: %s
`, sandbox.BaseURL(root, "hubspot"), sandbox.Token, sandbox.BaseURL(root, "stripe"), sandbox.StripeKey,
		sandbox.DefaultStripeWebhookSecret, sandbox.BaseURL(root, "zendesk"), sandbox.Token, sandbox.BaseURL(root, "slack"), retry)
}

// Call sends a request, with body as JSON unless it is nil, key as bearer unless it is "",
// and headers as names and values in turn. An error means that no answer came.
func Call(c *http.Client, method, url, key string, body any, header ...string) (int, map[string]any, error) {
	var rd io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		rd = bytes.NewReader(data)
	}
	req, err := http.NewRequest(method, url, rd)
	if err != nil {
		return 0, nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err
	}
	out := map[string]any{}
	if len(data) > 0 && strings.Contains(resp.Header.Get("Content-Type"), "json") {
		err = json.Unmarshal(data, &out)
	}
	return resp.StatusCode, out, err
}

// Until looks until a condition holds and returns how long that took; the test ends when
// it does not within the limit.
func Until(t *testing.T, what string, limit time.Duration, cond func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited %s in vain for %s", limit, what)
		}
	}
	return time.Since(began)
}

// OpenSteps counts the steps that are not finished, by state, as the server at url sees
// them; it has the one key "unreachable" when nobody answers.
func OpenSteps(c *http.Client, url, operatorKey string) map[string]int {
	code, out, err := Call(c, "GET", url+"/v1/ops/stats?window=1h", operatorKey, nil)
	states, ok := out["steps_by_state"].(map[string]any)
	if err != nil || code != http.StatusOK || !ok {
		return map[string]int{"unreachable": 1}
	}
	open := map[string]int{}
	for state, n := range states {
		if n, ok := n.(float64); ok && state != "done" && state != "dropped" {
			open[state] = int(n)
		}
	}
	return open
}
