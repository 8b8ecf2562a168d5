package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMistakes(t *testing.T) {
	t.Parallel()
	env := map[string]string{"SET": "hush", "BELLHOP_SAME": "x"}
	for _, tt := range []struct {
		name string
		text string
		want []string // each line of the error, in order; a part of it is enough
	}{
		{"unknown key with suggestion", "listn: x:1", []string{`bellhop.yaml:1: unknown key "listn"; did you mean listen?`}},
		{"unknown key far from all", "retry: {zebra: 1}", []string{`:1: unknown key "zebra"; known are attempts, backoff`}},
		{"key of another place", "assistant:\n  listen: x", []string{`:2: unknown key "listen"; known are api_key`}},
		{"missing variables, all of them, once", "database: sqlite:${NO_A}\nassistant:\n  model: ${NO_B}${SET}\nallowed_origins: [\"https://${NO_A}\"]",
			[]string{":1: the environment variable NO_A is not set (needed on lines 1 4)", ":3: the environment variable NO_B is not set"}},
		{"missing variable in a connection makes no second mistake", "connections:\n- {name: crm, vendor: hubspot, token: ${NO}}\n- name: s\n  vendor: stripe\n  secret_key: x\n  webhook_secrets: [a, '${NO2}']",
			[]string{":2: the environment variable NO is", ":6: the environment variable NO2 is"}},
		{"not a variable's name", "public_url: 'https://${a-b}'", []string{":1: ${…} must hold"}},
		{"syntax", "listen: [1", []string{"bellhop.yaml:1: not YAML: "}},
		{"not a mapping", "- a", []string{":1: must be a mapping"}},
		{"two documents", "listen: 127.0.0.1:1\n---\nlisten: 127.0.0.1:2", []string{"a second document"}},
		{"set twice", "listen: 127.0.0.1:1\nlisten: 127.0.0.1:2", []string{`:2: "listen" is set twice, first on line 1`}},
		{"anchors", "listen: &a 127.0.0.1:1\npublic_url: *a", []string{":1: anchors and aliases", ":2: anchors and aliases"}},
		{"tags", "listen: !!binary aGk=", []string{`:1: the tag "!!binary"`}},
		{"wrong shapes", "assistant: offline\nlisten: [a]\nconnections: [a]\nallowed_origins: x",
			[]string{":1: assistant must be a mapping", ":2: listen must be a single value", ":3: connections must be a list of mappings", ":4: allowed_origins must be a list of single values"}},
		{"listen", "listen: 8080", []string{`:1: listen: must be HOST:PORT, as in 127.0.0.1:8080, not "8080"`}},
		{"port", "listen: 127.0.0.1:99999", []string{":1: listen: must be HOST:PORT"}},
		{"public_url", "public_url: ftp://x", []string{":1: public_url: must be an http or https URL"}},
		{"public_url with password", "public_url: https://a:hush@b.example", []string{":1: public_url: must be an http or https URL"}},
		{"database", "database: mysql://root:${SET}@x/y", []string{":1: database: must be sqlite:PATH or postgres://"}},
		{"sqlite without path", "database: 'sqlite:'", []string{":1: database: sqlite: needs a path"}},
		{"postgres without anything", "database: postgres:///", []string{":1: database: the postgres:// address names neither"}},
		{"origins", "allowed_origins:\n- https://a.example/\n- https://*.example.com\n- app.example.com\n- ''\n- null",
			[]string{":2: allowed_origins.0: must be an origin", ":3: allowed_origins.1", ":4: allowed_origins.2", ":5: allowed_origins.3", ":6: an empty item"}},
		{"provider", "assistant: {provider: gpt}", []string{`must be offline, openai, anthropic, not "gpt"`}},
		{"provider without key", "assistant: {provider: openai}", []string{"openai needs assistant.api_key"}},
		{"threshold", "assistant: {confidence_threshold: 60}", []string{"must be a number from 0 to 1"}},
		{"threshold not a number", "assistant: {confidence_threshold: .nan}", []string{"must be a number from 0 to 1"}},
		{"secret without project", "auth: {supabase: {jwt_secret: long-enough-to-be-a-secret}}", []string{"needs auth.supabase.url"}},
		{"weak secret", "auth: {supabase: {url: 'https://x.supabase.co', jwt_secret: '${SET}'}}", []string{"is shorter than 16 characters"}},
		{"attempts", "retry: {attempts: 0}", []string{"from 1 to 10, not \"0\""}},
		{"backoff", "retry:\n  backoff:\n  - 0s\n  - 25h\n  - 5", []string{":3: retry.backoff.0: must be a duration", ":4: retry.backoff.1", ":5: retry.backoff.2"}},
		{"no backoff", "retry: {backoff: []}", []string{"must hold 1 to 20 durations"}},
		{"connection without name and vendor", "connections:\n- {token: x}", []string{":2: a connection needs a name", `:2: connection "": needs a vendor, one of hubspot, slack, stripe, zendesk`}},
		{"connection names", "connections:\n- {name: CRM, vendor: hubspot, token: x}\n- {name: chat, vendor: hubspot, token: x}\n- {name: a, vendor: hubspot, token: x}\n- {name: a, vendor: hubspot, token: x}",
			[]string{`:2: connection "CRM": a name is`, `:3: connection "chat": this name is taken`, `:5: connection "a": the name is used already, on line 4`}},
		{"unknown vendor", "connections:\n- {name: crm, vendor: hubsport}", []string{`:2: connection "crm": unknown vendor "hubsport"; known are hubspot, slack, stripe, zendesk; did you mean hubspot?`}},
		{"settings", "connections:\n- name: helpdesk\n  vendor: zendesk\n  email: nobody\n  tokn: ${SET}", []string{
			`:2: connection "helpdesk": token: is required`, `:4: connection "helpdesk": email: must be an e-mail address`, `:5: connection "helpdesk": tokn: Zendesk has no such setting`}},
		{"base_url", "connections:\n- {name: crm, vendor: hubspot, token: x, base_url: 'gopher://x'}", []string{"base_url: must be an http or https URL"}},
		{"retention", "retention:\n  events: 0d\n  messages: 12h\n  attempts: -5d\n  steps: 40000d\n  support_requests: never",
			[]string{":2: retention.events: must be a number of days", ":3: retention.messages", ":4: retention.attempts", ":5: retention.steps", ":6: retention.support_requests"}},
		{"too deep", "assistant: " + strings.Repeat("{a: ", 40) + "1" + strings.Repeat("}", 40), []string{"nested deeper than 20 levels", "unknown key"}},
		{"private use", "listen: \uE000", []string{"private use area"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseText(tt.text, env)
			var list *Error
			if !errors.As(err, &list) {
				t.Fatalf("got %v", err)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(tt.want) {
				t.Fatalf("got %d mistakes, want %d:\n%s", len(lines), len(tt.want), err)
			}
			for i, want := range tt.want {
				if !strings.Contains(lines[i], want) {
					t.Errorf("got  %s\nwant %s", lines[i], want)
				}
			}
			if strings.Contains(err.Error(), "hush") {
				t.Errorf("a secret shows: %s", err)
			}
		})
	}
}

func TestBadKeysInTheEnvironment(t *testing.T) {
	t.Parallel()
	_, err := parseText("", map[string]string{"BELLHOP_OPERATOR_KEY": "two words", "BELLHOP_SERVER_KEY": "two words"})
	if err == nil {
		t.Fatal("taken")
	}
	for _, want := range []string{"BELLHOP_OPERATOR_KEY: holds a space", "BELLHOP_SERVER_KEY: holds a space", "must differ"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %s", want, err)
		}
	}
	if strings.Contains(err.Error(), "two words") {
		t.Errorf("the key shows: %s", err)
	}
}

func TestASupabaseKeyIsNoKeyOfOurs(t *testing.T) {
	t.Parallel()
	_, err := parseText("", map[string]string{"BELLHOP_SERVER_KEY": "sb_secret_hush"})
	if err == nil || !strings.Contains(err.Error(), "is an API key of Supabase") || strings.Contains(err.Error(), "hush") {
		t.Fatalf("got %v", err)
	}
}

func TestManyMistakesAreCut(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 200 {
		b.WriteString("k" + strings.Repeat("x", i) + ": 1\n")
	}
	_, err := parseText(b.String(), nil)
	if err == nil || !strings.HasSuffix(err.Error(), "and 150 more") {
		t.Fatalf("got %v", err)
	}
}

func TestFileTooLarge(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "big.yaml")
	if err := os.WriteFile(path, make([]byte, maxFileSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(LoadOpts{Path: path, Env: lookup(nil)}); err == nil || !strings.Contains(err.Error(), "1 MiB") {
		t.Fatalf("got %v", err)
	}
}

func TestPrivateBaseURLIsMarkedAsTheOperators(t *testing.T) {
	t.Parallel()
	c, err := parseText("connections:\n- {name: crm, vendor: hubspot, token: 0123, base_url: 'http://127.0.0.1:9/'}", nil)
	if err != nil {
		t.Fatal(err)
	}
	crm := c.Connections[0]
	if !crm.BaseURLFromOperator || crm.Settings.BaseURL != "http://127.0.0.1:9" {
		t.Errorf("base URL %q, from operator %v", crm.Settings.BaseURL, crm.BaseURLFromOperator)
	}
	if got := crm.Settings.Secret("token").Reveal(); got != "0123" {
		t.Errorf("a token of digits became %q", got)
	}
	if crm.Raw["name"] != nil || crm.Raw["vendor"] != nil || crm.Raw["token"] != "0123" {
		t.Errorf("raw settings: %d", len(crm.Raw))
	}
}

func FuzzParse(f *testing.F) {
	full, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(full), "hush")
	f.Add("a: &a [*a]\n${X}: $${Y", "x")
	f.Add("connections: [{name: a, vendor: stripe, webhook_secrets: [${A}, 1]}]\n---\n", "\uE000")
	f.Add("retry: {backoff: [1s, -1s]}\nlisten: !!int '\xff'", "")
	f.Fuzz(func(t *testing.T, text, value string) {
		env := func(string) (string, bool) { return value, value != "" }
		c, err := parse([]byte(text), LoadOpts{Path: "bellhop.yaml", Env: env, Vendors: testVendors()})
		if err != nil {
			var list *Error
			if !errors.As(err, &list) || len(list.Mistakes) == 0 {
				t.Fatalf("not a list of mistakes: %v", err)
			}
			for _, m := range list.Mistakes {
				if m.Where == "" || m.Text == "" || m.Line > strings.Count(text, "\n")+strings.Count(text, "\r")+1 {
					t.Fatalf("a mistake that helps nobody: %+v", m)
				}
			}
			return
		}
		if c.Listen == "" || c.Retry.Attempts < 1 || len(c.Retry.Backoff) == 0 || c.Database.check() != nil {
			t.Fatalf("accepted, but not valid: %s", c)
		}
	})
}
