package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// apiClient calls the server's own HTTP API, as a widget or an operator would.
type apiClient struct {
	base string
	key  string // the operator's
	http *http.Client
}

func newAPIClient(base, key string) *apiClient {
	return &apiClient{base: base, key: key, http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
}

func (c *apiClient) close() { c.http.CloseIdleConnections() }

// do sends in as JSON, when it is not nil, and reads the answer into out. An answer that
// is not 2xx is an error with the server's own reason.
func (c *apiClient) do(ctx context.Context, method, path, bearer string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode/100 != 2 {
		var p struct{ Detail string }
		_ = json.Unmarshal(data, &p) // the status alone does, when it is no problem+json
		return fmt.Errorf("%s %s: %s %s", method, path, resp.Status, p.Detail)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data, out)
}

// turnAnswer is what a message is answered with.
type turnAnswer struct {
	Reply    struct{ ID, Text string } `json:"reply"`
	Decision struct {
		Intent     string  `json:"intent"`
		Confidence float64 `json:"confidence"`
		Escalated  bool    `json:"escalated"`
	} `json:"decision"`
	Requests []struct {
		ID    string `json:"id"`
		Kind  string `json:"kind"`
		State string `json:"state"`
	} `json:"requests"`
	CorrelationID string `json:"correlation_id"`
}

// talk is a conversation that was had: what it takes to have it again.
type talk struct {
	token   string
	id      string
	texts   []string
	answers []turnAnswer
	began   time.Time
}

// begin makes a visitor with a conversation.
func (c *apiClient) begin(ctx context.Context, now time.Time) (*talk, error) {
	var visitor struct {
		Token string `json:"token"`
	}
	if err := c.do(ctx, http.MethodPost, "/v1/visitors", "", struct{}{}, &visitor); err != nil {
		return nil, err
	}
	var conv struct {
		ID string `json:"id"`
	}
	err := c.do(ctx, http.MethodPost, "/v1/conversations", visitor.Token, struct{}{}, &conv)
	return &talk{token: visitor.Token, id: conv.ID, began: now}, err
}

// say sends the turn'th message of a conversation; its id is made of both.
func (c *apiClient) say(ctx context.Context, t *talk, turn int, text string) (turnAnswer, error) {
	var out turnAnswer
	err := c.do(ctx, http.MethodPost, "/v1/conversations/"+t.id+"/messages", t.token,
		map[string]string{"id": fmt.Sprintf("demo-%s-%d", t.id, turn), "text": text}, &out)
	return out, err
}

// requestState is the state of one request, as its customer sees it.
func (c *apiClient) requestState(ctx context.Context, t *talk, kind string) (string, error) {
	var out turnAnswer
	if err := c.do(ctx, http.MethodGet, "/v1/conversations/"+t.id, t.token, nil, &out); err != nil {
		return "", err
	}
	for _, r := range out.Requests {
		if r.Kind == kind {
			return r.State, nil
		}
	}
	return "", nil
}

// supportLine is a support request, as far as the demo looks at it.
type supportLine struct {
	ID             string `json:"id"`
	Status         string `json:"status"`
	Priority       string `json:"priority"`
	Reason         string `json:"reason"`
	ConversationID string `json:"conversation_id"`
	TranscriptURL  string `json:"transcript_url"`
}

func (c *apiClient) support(ctx context.Context) ([]supportLine, error) {
	var out struct {
		List []supportLine `json:"support_requests"`
	}
	err := c.do(ctx, http.MethodGet, "/v1/ops/support-requests", c.key, nil, &out)
	return out.List, err
}

// incidentLine is an incident, as far as the demo looks at it.
type incidentLine struct {
	Connection string     `json:"connection"`
	Steps      int        `json:"steps"`
	ClosedAt   *time.Time `json:"closed_at"`
}

func (c *apiClient) incidents(ctx context.Context) ([]incidentLine, error) {
	var out struct {
		List []incidentLine `json:"incidents"`
	}
	err := c.do(ctx, http.MethodGet, "/v1/ops/incidents", c.key, nil, &out)
	return out.List, err
}

// steps counts the steps by state.
func (c *apiClient) steps(ctx context.Context) (map[string]int, error) {
	var out struct {
		States map[string]int `json:"steps_by_state"`
	}
	err := c.do(ctx, http.MethodGet, "/v1/ops/stats?window=10m", c.key, nil, &out)
	return out.States, err
}

// opens reports whether an address is answered with 200.
func (c *apiClient) opens(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	return errors.Join(err, resp.Body.Close()) == nil && resp.StatusCode == http.StatusOK
}
