package slack

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	slackgo "github.com/slack-go/slack"
	"github.com/slack-go/slack/slackutilsx"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/connector/conntest"
)

func send(t *testing.T, in bellhop.AlertInput, status int, answer string) (string, *connector.Error) {
	t.Helper()
	var body string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		body = r.URL.Path + " " + string(data)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	defer srv.Close()
	s, err := connector.ParseSettings(Vendor().Manifest, "founder", map[string]any{"url": "https://hooks.slack.com/services/T1/B1/HOT", "base_url": srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	client := connector.NewClient(connector.ClientOpts{Clock: conntest.NewClock(), AllowPrivate: true})
	defer client.CloseIdle()
	c, err := Vendor().New(s, connector.Env{HTTP: client, Clock: conntest.NewClock()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Do(context.Background(), conntest.Call(t, bellhop.ActionSendAlert, "k", in, nil))
	if err == nil {
		return body, nil
	}
	if strings.Contains(err.Error(), "HOT") {
		t.Errorf("the error shows the webhook's URL")
	}
	return body, err.(*connector.Error)
}

func TestBaseURLReplacesTheHost(t *testing.T) {
	t.Parallel()
	body, e := send(t, bellhop.AlertInput{Title: "x"}, 200, "ok")
	if e != nil || !strings.HasPrefix(body, "/services/T1/B1/HOT {") {
		t.Errorf("%q, %v", body, e)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		body   string
		want   bellhop.ErrorClass
	}{
		{200, "ok", ""}, {200, "ok\n", ""}, {200, "", bellhop.ClassMalformed}, {200, "okay", bellhop.ClassMalformed}, {200, "<html>", bellhop.ClassMalformed},
		{400, "invalid_payload", bellhop.ClassRejected}, {400, "no_text", bellhop.ClassRejected}, {403, "invalid_token", bellhop.ClassUnauthorized},
		{403, "action_prohibited", bellhop.ClassUnauthorized}, {404, "no_service", bellhop.ClassUnauthorized}, {404, "channel_not_found", bellhop.ClassUnauthorized},
		{404, "<html>", bellhop.ClassRejected}, {410, "channel_is_archived", bellhop.ClassUnauthorized}, {429, "rate_limited", bellhop.ClassRateLimited},
		{500, "rollup_error", bellhop.ClassUnknownOutcome}, {502, "", bellhop.ClassUnknownOutcome}, {503, "", bellhop.ClassUnavailable}, {504, "", bellhop.ClassUnknownOutcome},
	} {
		_, e := send(t, bellhop.AlertInput{Title: "x"}, tt.status, tt.body)
		if (tt.want == "") != (e == nil) || (e != nil && e.Class != tt.want) {
			t.Errorf("%d %q: %v, want %s", tt.status, tt.body, e, tt.want)
		}
	}
}

// TestCustomerTextIsHarmless decodes with slack-go and measures escaping by its.
func TestCustomerTextIsHarmless(t *testing.T) {
	t.Parallel()
	in := bellhop.AlertInput{Title: "New <!channel> & <@U1>\nlead", Text: "<https://evil.example|your bank> & <!here>", Severity: bellhop.SeverityCritical,
		Link: "https://chat.example.com/console?a=1&b=<x>|y"}
	data, err := json.Marshal(render(in))
	if err != nil {
		t.Fatal(err)
	}
	var m slackgo.WebhookMessage
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatalf("slack-go cannot read it: %v", err)
	}
	if want := slackutilsx.EscapeMessage("New <!channel> & <@U1> lead\n" + in.Text); m.Text != want {
		t.Errorf("text %q, want %q", m.Text, want)
	}
	set := m.Blocks.BlockSet
	if len(set) != 3 {
		t.Fatalf("%d blocks", len(set))
	}
	section := set[1].(*slackgo.SectionBlock).Text
	if section.Type != slackgo.MarkdownType || section.Text != slackutilsx.EscapeMessage(in.Text) {
		t.Errorf("section %q", section.Text)
	}
	if head := set[0].(*slackgo.HeaderBlock).Text; head.Type != slackgo.PlainTextType || head.Text != "New <!channel> & <@U1> lead" {
		t.Errorf("header %+v", head)
	}
	foot := set[2].(*slackgo.ContextBlock).ContextElements.Elements[0].(*slackgo.TextBlockObject).Text
	if strings.Count(foot, "<") != 1 || strings.Count(foot, ">") != 1 || strings.Count(foot, "|") != 1 || !strings.HasSuffix(foot, "|Open in Bellhop>") {
		t.Errorf("footer %q", foot)
	}
	want, err := os.ReadFile("testdata/alert.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(data) != strings.TrimSpace(string(want)) {
		t.Errorf("message\n%s\nwant\n%s", data, want)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, text := range []string{strings.Repeat("<", 50_000), strings.Repeat("é&", 30_000), strings.Repeat("a", 50_000)} {
		m := render(bellhop.AlertInput{Title: text, Text: text})
		if n := utf8.RuneCountInString(m.Text); n > maxFallback {
			t.Errorf("text of %d", n)
		}
		if n := utf8.RuneCountInString(m.Blocks[0].Text.Text); n > maxHeader {
			t.Errorf("header of %d", n)
		}
		s := m.Blocks[1].Text.Text
		if n := utf8.RuneCountInString(s); n > maxSection || n < maxSection/8 {
			t.Errorf("section of %d", n)
		}
		if i := strings.LastIndex(s, "&"); i >= 0 && !strings.Contains(s[i:], ";") {
			t.Errorf("an entity is cut: %q", s[i:])
		}
	}
	if m := render(bellhop.AlertInput{Title: "x", Link: "javascript:alert(1)"}); strings.Contains(m.Blocks[1].Elements[0].Text, "javascript") {
		t.Error("a script became a link")
	}
}
