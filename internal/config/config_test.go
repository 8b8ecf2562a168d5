package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"bellhop/internal/connector"
	"bellhop/internal/connector/all"
)

func testVendors() []connector.Manifest {
	token := connector.Setting{Name: "token", Type: connector.SettingSecret, Label: "Token", Required: true}
	return []connector.Manifest{
		{Vendor: "hubspot", Name: "HubSpot", DefaultBaseURL: "https://api.hubapi.com", Settings: []connector.Setting{token}},
		{Vendor: "stripe", Name: "Stripe", Settings: []connector.Setting{
			{Name: "secret_key", Type: connector.SettingSecret, Label: "Secret key", Required: true},
			{Name: "webhook_secrets", Type: connector.SettingSecretList, Label: "Webhook secrets"},
		}},
		{Vendor: "zendesk", Name: "Zendesk", Settings: []connector.Setting{
			{Name: "email", Type: connector.SettingEmail, Label: "E-mail", Required: true}, token,
		}},
		{Vendor: "slack", Name: "Slack", Settings: []connector.Setting{
			{Name: "url", Type: connector.SettingSecretURL, Label: "Webhook URL", Required: true},
		}},
	}
}

func fullEnv() map[string]string {
	return map[string]string{
		"OPENAI_API_KEY":        "sk-openai-hush",
		"SUPABASE_JWT_SECRET":   "a-secret-of-at-least-32-characters-hush",
		"HUBSPOT_TOKEN":         "0012345678901234567890-hush",
		"STRIPE_SECRET_KEY":     "sk_live_hush",
		"STRIPE_WEBHOOK_SECRET": "whsec_hush",
		"ZENDESK_TOKEN":         "zen-hush",
		"SLACK_WEBHOOK_URL":     "https://hooks.slack.com/services/hush",
		"BELLHOP_OPERATOR_KEY":  "operator-hush",
		"BELLHOP_SERVER_KEY":    "server-hush",
	}
}

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}
}

func parseText(text string, env map[string]string) (Config, error) {
	return parse([]byte(text), LoadOpts{Path: "bellhop.yaml", Env: lookup(env), Vendors: testVendors()})
}

func loadFull(t *testing.T) Config {
	t.Helper()
	c, err := Load(LoadOpts{Path: "testdata/full.yaml", Explicit: true, Env: lookup(fullEnv()), Vendors: testVendors()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheDocumentedFileLoads(t *testing.T) {
	t.Parallel()
	c := loadFull(t)
	if c.Listen != "127.0.0.1:8080" || c.PublicURL != "https://chat.example.com" || c.Database.Path() != "bellhop.db" {
		t.Errorf("addresses: %s", c)
	}
	if !reflect.DeepEqual(c.AllowedOrigins, []string{"https://app.example.com"}) {
		t.Errorf("origins: %q", c.AllowedOrigins)
	}
	wantAssistant := Assistant{Provider: "offline", APIKey: "sk-openai-hush", Knowledge: "./knowledge", ConfidenceThreshold: 0.6}
	if c.Assistant != wantAssistant {
		t.Errorf("assistant: %+v", c.Assistant)
	}
	if c.Auth.Supabase.URL != "https://ref.supabase.co" || !strings.HasSuffix(c.Auth.Supabase.JWTSecret.Reveal(), "hush") {
		t.Errorf("auth: %+v", c.Auth)
	}
	if !reflect.DeepEqual(c.Retry, Retry{Attempts: 3, Backoff: []time.Duration{time.Second, 5 * time.Second, 30 * time.Second}}) {
		t.Errorf("retry: %+v", c.Retry)
	}
	if got := fmt.Sprint(c.Connections); got != "[crm(hubspot) stripe(stripe) helpdesk(zendesk) founder(slack)]" {
		t.Errorf("connections: %s", got)
	}
	crm, stripe := c.Connections[0], c.Connections[1]
	if got := crm.Settings.Secret("token").Reveal(); got != "0012345678901234567890-hush" {
		t.Errorf("token: %q", got)
	}
	if crm.Line != 15 || crm.BaseURLFromOperator || crm.Settings.BaseURL != "https://api.hubapi.com" {
		t.Errorf("crm: line %d, base URL %q, from operator %v", crm.Line, crm.Settings.BaseURL, crm.BaseURLFromOperator)
	}
	if got := stripe.Settings.Secrets("webhook_secrets"); len(got) != 1 || got[0].Reveal() != "whsec_hush" {
		t.Errorf("webhook secrets: %v", got)
	}
	if c.OperatorKey.Reveal() != "operator-hush" || c.ServerKey.Reveal() != "server-hush" {
		t.Error("the keys of the environment were not taken")
	}
}

func TestTheDocumentedFileFitsTheRealVendors(t *testing.T) {
	t.Parallel()
	var vendors []connector.Manifest
	for _, v := range all.Vendors() {
		vendors = append(vendors, v.Manifest)
	}
	if _, err := Load(LoadOpts{Path: "testdata/full.yaml", Explicit: true, Env: lookup(fullEnv()), Vendors: vendors}); err != nil {
		t.Fatal(err)
	}
}

func TestNoSecretIsPrinted(t *testing.T) {
	t.Parallel()
	env := fullEnv()
	env["BELLHOP_DATABASE"] = "postgres://bellhop:pw-hush@db.example.com/bellhop?sslpassword=hush"
	c, err := Load(LoadOpts{Path: "testdata/full.yaml", Explicit: true, Env: lookup(env), Vendors: testVendors()})
	if err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "config", c, "connection", c.Connections[0], "db", c.Database)
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "config", c, "list", c.Connections, "all", &c, "assistant", c.Assistant)
	asJSON, err := json.Marshal([]any{c, c.Connections, c.Assistant, c.Auth, c.Database})
	if err != nil {
		t.Fatal(err)
	}
	out := logged.String() + string(asJSON)
	for _, v := range []any{c, &c, c.Connections, c.Connections[1], c.Assistant, c.Auth, c.Database} {
		out += fmt.Sprintf("%v %+v %#v %s\n", v, v, v, v)
	}
	if i := strings.Index(out, "hush"); i >= 0 {
		t.Fatalf("a secret shows: …%s…", out[max(0, i-120):min(len(out), i+20)])
	}
	if !strings.Contains(out, "postgres://bellhop:***@db.example.com/bellhop") {
		t.Errorf("what is no secret should show: %s", c.Database)
	}
}

const day = 24 * time.Hour

func TestRetentionIsInDaysOrForever(t *testing.T) {
	t.Parallel()
	c, err := parseText("retention: {events: 30d, messages: forever, attempts: 0}", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Retention{Events: 30 * day, Steps: 400 * day, SupportRequests: 400 * day, SecurityLog: 400 * day}
	if c.Retention != want {
		t.Errorf("got %+v, want %+v", c.Retention, want)
	}
}

func TestDefaultsWithoutAFile(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "none.yaml")
	c, err := Load(LoadOpts{Path: missing, Env: lookup(nil)})
	if err != nil {
		t.Fatal(err)
	}
	want := Config{Listen: "127.0.0.1:8080", PublicURL: "http://127.0.0.1:8080", Database: "sqlite:bellhop.db",
		AllowedOrigins: []string{},
		Assistant:      Assistant{Provider: "offline", Knowledge: "./knowledge", ConfidenceThreshold: 0.6},
		Retry:          Retry{Attempts: 3, Backoff: []time.Duration{time.Second, 5 * time.Second, 30 * time.Second}},
		Retention: Retention{Events: 400 * day, Messages: 400 * day, Attempts: 90 * day, Steps: 400 * day,
			SupportRequests: 400 * day, SecurityLog: 400 * day},
		Limits: Limits{Address: Rate{30_000, time.Minute}, Caller: Rate{3_000, time.Minute}, Key: Rate{60_000, time.Minute},
			Visitors: Rate{600, time.Minute}, Messages: Rate{300, time.Minute}, Streams: 6, SpendPerPerson: 500_000, SpendPerDay: 20_000_000},
		TrustedProxies: []string{},
		TLS:            TLS{Mode: TLSOff, Storage: "./certificates", HTTPListen: ":80"}}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %s\nwant %s", c, want)
	}
	if _, err := Load(LoadOpts{Path: missing, Explicit: true, Env: lookup(nil)}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a named file that is missing: %v", err)
	}
}

func TestEnvironmentOverridesTheFile(t *testing.T) {
	t.Parallel()
	c, err := parseText("listen: 127.0.0.1:1\ndatabase: sqlite:a.db\npublic_url: https://a.example", map[string]string{
		"BELLHOP_LISTEN": "[::1]:9", "BELLHOP_DATABASE": "sqlite:b.db", "BELLHOP_PUBLIC_URL": "",
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "[::1]:9" || c.Database.Path() != "b.db" || c.PublicURL != "https://a.example" {
		t.Errorf("got %s", c)
	}
	_, err = parseText("listen: 127.0.0.1:1", map[string]string{"BELLHOP_LISTEN": "nonsense"})
	if err == nil || !strings.HasPrefix(err.Error(), "environment variable BELLHOP_LISTEN: ") {
		t.Errorf("the error does not name the variable: %v", err)
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	c, err := parseText(`
public_url: https://${HOST}/chat/
assistant: {model: "$${NOT} $$${A} ${A}${A} $A $${un closed", confidence_threshold: ${T}}
allowed_origins: ["https://${HOST}", HTTP://LOCALHOST:3000]
# ${ONLY_IN_A_COMMENT}
`, map[string]string{"HOST": "h.example", "A": "x: {y}", "T": "0.25"})
	if err != nil {
		t.Fatal(err)
	}
	if c.PublicURL != "https://h.example/chat" || c.Assistant.ConfidenceThreshold != 0.25 {
		t.Errorf("got %s, %v", c, c.Assistant)
	}
	if want := "${NOT} $${A} x: {y}x: {y} $A ${un closed"; c.Assistant.Model != want {
		t.Errorf("model %q, want %q", c.Assistant.Model, want)
	}
	if want := []string{"https://h.example", "http://localhost:3000"}; !reflect.DeepEqual(c.AllowedOrigins, want) {
		t.Errorf("origins %q, want %q", c.AllowedOrigins, want)
	}
}

func TestPublicURLFollowsListen(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		"0.0.0.0:8080":   "http://localhost:8080",
		":8080":          "http://localhost:8080",
		"[::1]:8080":     "http://[::1]:8080",
		"127.0.0.1:0":    "",
		"localhost:0080": "http://localhost:80",
	} {
		c, err := parseText("listen: '"+listen+"'", nil)
		if err != nil || c.PublicURL != want {
			t.Errorf("%s: %q, %v; want %q", listen, c.PublicURL, err, want)
		}
	}
}

func TestListeningBeyondLoopbackNeedsAnOperator(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		listen      string
		key         string
		hasOperator bool
		ok          bool
	}{
		{listen: "127.0.0.1:1", ok: true},
		{listen: "127.9.9.9:1", ok: true},
		{listen: "[::1]:1", ok: true},
		{listen: "[::ffff:127.0.0.1]:1", ok: true},
		{listen: "localhost:1", ok: true},
		{listen: "0.0.0.0:1"},
		{listen: "[::]:1"},
		{listen: ":1"},
		{listen: "10.0.0.1:1"},
		{listen: "host.example:1"},
		{listen: "0.0.0.0:1", key: "k"},
		{listen: "0.0.0.0:1", key: "k", hasOperator: true},
		{listen: "127.0.0.1:1", key: "k", ok: true},
		{listen: "0.0.0.0:1", key: "0123456789abcdef", ok: true},
		{listen: "0.0.0.0:1", hasOperator: true, ok: true},
	} {
		c, err := parseText("listen: '"+tt.listen+"'", map[string]string{"BELLHOP_OPERATOR_KEY": tt.key})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Check(tt.hasOperator); (err == nil) != tt.ok {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

func TestLimitsProxiesAndTLSAreRead(t *testing.T) {
	t.Parallel()
	c, err := parseText(`
public_url: https://chat.example.com
limits: {address: 0, caller: 10/1s, key: 600/10m, streams: 0, spend_per_person: 1.25, spend_per_day: 0}
trusted_proxies: [10.0.0.0/8, "2001:db8::1"]
tls: auto
acme: {storage: /var/lib/bellhop, email: ops@example.com}
`, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := c.Limits
	if l.Address != (Rate{}) || l.Caller != (Rate{10, time.Second}) || l.Key != (Rate{600, 10 * time.Minute}) || l.Streams != 0 ||
		l.SpendPerPerson != 1_250_000 || l.SpendPerDay != 0 || l.Visitors != (Rate{600, time.Minute}) {
		t.Errorf("limits: %+v", l)
	}
	for r, want := range map[Rate]string{{}: "0", {600, 10 * time.Minute}: "600/10m", {5, time.Hour}: "5/1h", {7, 90 * time.Second}: "7/1m30s", {1, time.Second}: "1/1s"} {
		if r.String() != want {
			t.Errorf("%+v is written %s, want %s", r, r, want)
		}
	}
	if fmt.Sprint(c.TrustedProxies) != "[10.0.0.0/8 2001:db8::1]" || c.TLS.Mode != TLSAuto || c.TLS.Storage != "/var/lib/bellhop" || c.Listen != ":443" {
		t.Errorf("proxies %v, TLS %+v, listen %s", c.TrustedProxies, c.TLS, c.Listen)
	}
	if c, err := parseText("listen: 127.0.0.1:8443\npublic_url: https://chat.example.com\ntls: auto", nil); err != nil || c.Listen != "127.0.0.1:8443" {
		t.Errorf("%s, %v", c.Listen, err)
	}
	for text, want := range map[string]string{
		"limits: {address: 5}":                     "limits.address: must be how many in which time",
		"limits: {key: -5/1m}":                     "limits.key: must be",
		"limits: {messages: 5/0s}":                 "limits.messages: must be",
		"limits: {streams: many}":                  "limits.streams: must be a whole number",
		"limits: {spend_per_day: NaN}":             "limits.spend_per_day: must be an amount",
		"trusted_proxies: [everybody]":             "trusted_proxies.0: must be an address or a network",
		"tls: on":                                  "tls: must be off or auto",
		"tls: auto":                                "tls: auto needs public_url",
		"public_url: https://127.0.0.1\ntls: auto": "tls: auto needs a public host name",
		"public_url: https://a.example\ntls: auto\nacme: {listen: 80}": "acme.listen: must be HOST:PORT",
	} {
		if _, err := parseText(text, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
