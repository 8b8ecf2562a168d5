package sandbox

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// slackPath is the one incoming webhook that exists.
const slackPath = "/services/T0/B0/sandbox"

// Limits of Slack's messages and blocks (vendors.md, section 6.1; unconfirmed there).
const (
	maxSlackText    = 40_000
	maxSlackBlocks  = 50
	maxSlackSection = 3_000
	maxSlackHeader  = 150
)

// slackBackend is a Slack incoming webhook: no key, no id in the answer, and so no
// protection from a duplicate whatever.
type slackBackend struct {
	mu       sync.Mutex
	messages []SlackMessage
}

func newSlack(Options) *slackBackend { return &slackBackend{} }

func (b *slackBackend) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages = nil
}

func (b *slackBackend) snapshot(s *Snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.Messages = make([]SlackMessage, len(b.messages))
	for i, m := range b.messages {
		s.Messages[i] = SlackMessage{Text: m.Text, Blocks: slices.Clone(m.Blocks)}
	}
}

func (b *slackBackend) count(c *Counts) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.Messages = len(b.messages)
}

func (b *slackBackend) failure(kind failureKind, status int) answer {
	switch kind {
	case failRateLimited, failDailyQuota:
		return textAnswer(http.StatusTooManyRequests, "rate_limited")
	case failUnauthorized:
		return textAnswer(http.StatusForbidden, "invalid_token") // Slack has no 401 here
	case failLiveKey:
		return textAnswer(http.StatusUnauthorized, liveKeyMessage)
	case failTooLarge:
		return textAnswer(status, "request_too_large")
	case failServer:
		if status == http.StatusServiceUnavailable {
			return textAnswer(status, "service_unavailable")
		}
	}
	return textAnswer(status, "rollup_error")
}

func (b *slackBackend) serve(r *request) answer {
	if r.path != slackPath {
		if strings.HasPrefix(r.path, "/services/T0/B0/") {
			return textAnswer(http.StatusForbidden, "invalid_token")
		}
		return textAnswer(http.StatusNotFound, "no_service")
	}
	if r.method != http.MethodPost {
		return textAnswer(http.StatusBadRequest, "invalid_payload")
	}
	payload := r.body
	if ct, _, _ := mime.ParseMediaType(r.header.Get("Content-Type")); ct == "application/x-www-form-urlencoded" {
		form, err := url.ParseQuery(string(r.body))
		if err != nil {
			return textAnswer(http.StatusBadRequest, "invalid_payload")
		}
		payload = []byte(form.Get("payload"))
	}
	msg, bad := parseSlack(payload)
	if bad != "" {
		return textAnswer(http.StatusBadRequest, bad)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages = append(b.messages, msg)
	return textAnswer(http.StatusOK, "ok")
}

type slackBlock struct {
	Type   string      `json:"type"`
	Text   *slackText  `json:"text"`
	Fields []slackText `json:"fields"`
}

type slackText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// parseSlack reads a payload; bad is Slack's error word.
func parseSlack(payload []byte) (msg SlackMessage, bad string) {
	var in struct {
		Text        string            `json:"text"`
		Blocks      json.RawMessage   `json:"blocks"`
		Attachments []json.RawMessage `json:"attachments"`
	}
	if err := json.Unmarshal(payload, &in); err != nil {
		return msg, "invalid_payload"
	}
	var blocks []slackBlock
	if len(in.Blocks) > 0 {
		if err := json.Unmarshal(in.Blocks, &blocks); err != nil {
			return msg, "invalid_blocks"
		}
	}
	switch {
	case in.Text == "" && len(blocks) == 0 && len(in.Attachments) == 0:
		return msg, "no_text"
	case utf8.RuneCountInString(in.Text) > maxSlackText:
		return msg, "msg_too_long"
	case len(in.Attachments) > 100:
		return msg, "too_many_attachments"
	case len(blocks) > maxSlackBlocks || slices.ContainsFunc(blocks, slackBlock.bad):
		return msg, "invalid_blocks"
	}
	msg.Text = in.Text
	if len(blocks) > 0 {
		msg.Blocks = in.Blocks
	}
	return msg, ""
}

func (b slackBlock) bad() bool {
	tooLong := func(t *slackText, most int) bool {
		return t != nil && (t.Text == "" || utf8.RuneCountInString(t.Text) > most)
	}
	switch b.Type {
	case "":
		return true
	case "header":
		return b.Text == nil || b.Text.Type != "plain_text" || tooLong(b.Text, maxSlackHeader)
	case "section":
		if b.Text == nil && len(b.Fields) == 0 || len(b.Fields) > 10 {
			return true
		}
		for _, f := range b.Fields {
			if tooLong(&f, 2_000) {
				return true
			}
		}
		return tooLong(b.Text, maxSlackSection)
	default:
		return false
	}
}
