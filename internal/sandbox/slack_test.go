package sandbox

import (
	"net/url"
	"strings"
	"testing"
)

func TestSlackWebhook(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	for range 2 { // a duplicate is a duplicate
		r := f.want(f.vendor(Slack, "POST", slackPath, `{"text":"hi <b>","blocks":[{"type":"section","text":{"type":"mrkdwn","text":"x"}}]}`), 200)
		if string(r.body) != "ok" || !strings.HasPrefix(r.header.Get("Content-Type"), "text/") {
			t.Errorf("answer %q, %v", r.body, r.header)
		}
	}
	m := f.s.Snapshot().Messages
	if len(m) != 2 || m[0].Text != "hi <b>" || !strings.Contains(string(m[0].Blocks), "mrkdwn") {
		t.Errorf("messages: %+v", m)
	}
	form := url.Values{"payload": {`{"text":"form"}`}}.Encode()
	f.want(f.vendor(Slack, "POST", slackPath, form, "Content-Type", "application/x-www-form-urlencoded"), 200)
}

func TestSlackRefusals(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	section := func(n int) string {
		return `{"type":"section","text":{"type":"mrkdwn","text":"` + strings.Repeat("x", n) + `"}}`
	}
	blocks := func(n int) string {
		return `{"text":"t","blocks":[` + strings.TrimSuffix(strings.Repeat(section(1)+",", n), ",") + `]}`
	}
	for name, c := range map[string]struct {
		path, body, want string
		status           int
	}{
		"no JSON":       {slackPath, `{"text":`, "invalid_payload", 400},
		"not an object": {slackPath, `[]`, "invalid_payload", 400},
		"nothing":       {slackPath, `{}`, "no_text", 400},
		"empty":         {slackPath, `{"text":"","blocks":[]}`, "no_text", 400},
		"50 blocks":     {slackPath, blocks(50), "ok", 200},
		"51 blocks":     {slackPath, blocks(51), "invalid_blocks", 400},
		"section 3000":  {slackPath, `{"blocks":[` + section(3000) + `]}`, "ok", 200},
		"section 3001":  {slackPath, `{"blocks":[` + section(3001) + `]}`, "invalid_blocks", 400},
		"text 40000":    {slackPath, `{"text":"` + strings.Repeat("é", 40000) + `"}`, "ok", 200},
		"text 40001":    {slackPath, `{"text":"` + strings.Repeat("é", 40001) + `"}`, "msg_too_long", 400},
		"no block type": {slackPath, `{"blocks":[{}]}`, "invalid_blocks", 400},
		"bad blocks":    {slackPath, `{"text":"x","blocks":{"a":1}}`, "invalid_blocks", 400},
		"header":        {slackPath, `{"blocks":[{"type":"header","text":{"type":"plain_text","text":"` + strings.Repeat("x", 151) + `"}}]}`, "invalid_blocks", 400},
		"divider":       {slackPath, `{"blocks":[{"type":"divider"}]}`, "ok", 200},
		"other team":    {"/services/T1/B1/x", `{"text":"x"}`, "no_service", 404},
		"other token":   {"/services/T0/B0/x", `{"text":"x"}`, "invalid_token", 403},
	} {
		r := f.vendor(Slack, "POST", c.path, c.body)
		if r.status != c.status || string(r.body) != c.want {
			t.Errorf("%s: %d %q, want %d %q", name, r.status, r.body, c.status, c.want)
		}
	}
	f.want(f.vendor(Slack, "GET", slackPath, ""), 400)
}
