package hubspot

import (
	"encoding/json"
	"net/http"
	"strings"

	"bellhop"
	"bellhop/internal/connector"
)

// apiError is HubSpot's error body, alone or as one entry of a batch answer.
// Source: the Error and StandardError schemas of HubSpot's public API documents.
type apiError struct {
	Category   string              `json:"category"` // VALIDATION_ERROR, CONFLICT, RATE_LIMITS, …
	Message    string              `json:"message"`
	PolicyName string              `json:"policyName"` // on 429: DAILY, TEN_SECONDLY_ROLLING, SECONDLY
	Context    map[string][]string `json:"context"`
	Errors     []struct {
		Message string `json:"message"`
	} `json:"errors"`
}

// parseError reads an error body; what cannot be read is an empty error.
func parseError(body []byte) apiError {
	var e apiError
	if json.Unmarshal(body, &e) == nil {
		return e
	}
	// One member of an unexpected type must not hide the message.
	var loose struct {
		Category   any `json:"category"`
		Message    any `json:"message"`
		PolicyName any `json:"policyName"`
	}
	e = apiError{}
	if json.Unmarshal(body, &loose) == nil {
		e.Category, _ = loose.Category.(string)
		e.Message, _ = loose.Message.(string)
		e.PolicyName, _ = loose.PolicyName.(string)
	}
	return e
}

// text is the vendor's reason in words.
func (e apiError) text() string {
	parts := make([]string, 0, 1+len(e.Errors))
	if e.Message != "" {
		parts = append(parts, e.Message)
	}
	for _, sub := range e.Errors {
		if sub.Message != "" && !strings.Contains(e.Message, sub.Message) && len(parts) < 5 {
			parts = append(parts, sub.Message)
		}
	}
	return strings.Join(parts, "; ")
}

// fail returns nil for a good answer and the classified error for any other.
func (c *Connector) fail(resp *connector.Response) error {
	body := parseError(resp.Body)
	e := c.env.HTTP.Classify(resp, body.text())
	if e == nil {
		return nil
	}
	switch resp.Status {
	case http.StatusTooManyRequests:
		// A day's quota does not heal in seconds; it is back at midnight of the
		// account's time zone. https://developers.hubspot.com/docs/api/usage-details
		e.Quota = strings.EqualFold(body.PolicyName, "DAILY")
	case http.StatusLocked, 477:
		// 423: too much at once, wait 2 s; 477: the account is being moved between data
		// centres. Nothing was done. https://developers.hubspot.com/docs/api/error-handling
		e.Class = bellhop.ClassUnavailable
	}
	return e
}
