package slack

import (
	"strings"

	"bellhop"
	"bellhop/internal/connector"
)

// Slack's limits, in characters.
// Source: https://docs.slack.dev/reference/block-kit/blocks/section-block and …/header-block
const (
	maxHeader   = 150
	maxSection  = 3000
	maxFallback = 4000
)

// message is the webhook's body: Text is what notifications show, Blocks the message.
type message struct {
	Text   string  `json:"text"`
	Blocks []block `json:"blocks"`
}

type block struct {
	Type     string `json:"type"`
	Text     *text  `json:"text,omitempty"`
	Elements []text `json:"elements,omitempty"`
}

type text struct {
	Type string `json:"type"` // plain_text or mrkdwn
	Text string `json:"text"`
	// Emoji is off in plain text, so that ":)" of a customer stays what it is.
	Emoji *bool `json:"emoji,omitempty"`
}

// render makes the message. Everything may hold customer text and is escaped.
func render(in bellhop.AlertInput) message {
	title := connector.CutText(oneLine(in.Title), maxHeader)
	body := escapeCut(in.Text, maxSection)
	var m message
	if title != "" {
		off := false
		m.Blocks = append(m.Blocks, block{Type: "header", Text: &text{Type: "plain_text", Text: title, Emoji: &off}})
	}
	if body != "" {
		m.Blocks = append(m.Blocks, block{Type: "section", Text: &text{Type: "mrkdwn", Text: body}})
	}
	foot := severityWord(in.Severity)
	if u := webLink(in.Link); u != "" {
		foot += " · " + link(u, "Open in Bellhop")
	}
	m.Blocks = append(m.Blocks, block{Type: "context", Elements: []text{{Type: "mrkdwn", Text: foot}}})
	// Escaping the title here once more: text is mrkdwn, the header block is not.
	m.Text = escapeCut(strings.TrimSpace(oneLine(in.Title)+"\n"+in.Text), maxFallback)
	return m
}

// escapeCut escapes text and bounds the result, never cutting an entity in two.
func escapeCut(s string, max int) string {
	for n := max; ; n = n * 3 / 4 {
		s = connector.CutText(s, n)
		if e := escape(s); len([]rune(e)) <= max {
			return e
		}
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func severityWord(s bellhop.Severity) string {
	switch s {
	case bellhop.SeverityCritical:
		return ":red_circle: Critical"
	case bellhop.SeverityError:
		return ":large_orange_circle: Error"
	case bellhop.SeverityWarning:
		return ":large_yellow_circle: Warning"
	default:
		return ":large_blue_circle: Info"
	}
}
