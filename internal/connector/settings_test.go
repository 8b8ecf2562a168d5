package connector

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func testManifest() Manifest {
	return Manifest{Vendor: "acme", Name: "Acme", Category: "crm", DefaultBaseURL: "https://api.acme.example/",
		Limits: Limits{Concurrency: 1}, Settings: []Setting{
			{Name: "token", Type: SettingSecret, Label: "Token", Required: true, Pattern: "tok_[a-z]+", Example: "tok_…"},
			{Name: "hook", Type: SettingSecretURL, Label: "Hook"},
			{Name: "secrets", Type: SettingSecretList, Label: "Secrets", Required: true},
			{Name: "site", Type: SettingURL, Label: "Site"},
			{Name: "mail", Type: SettingEmail, Label: "Mail"},
			{Name: "on", Type: SettingBool, Label: "On", Default: "true"},
			{Name: "n", Type: SettingInt, Label: "N"},
			{Name: "fields", Type: SettingMap, Label: "Fields"},
			{Name: "plain", Type: SettingString, Label: "Plain", Default: "x"},
		}}
}

func TestSettingsHoldTheirValues(t *testing.T) {
	t.Parallel()
	s, err := ParseSettings(testManifest(), "crm", map[string]any{"token": "tok_abc", "secrets": []any{"new", "old"},
		"site": "https://a.example", "mail": "a@b.example", "on": false, "n": 7, "fields": map[string]any{"a": "b", "c": 1},
		"base_url": "http://127.0.0.1:9/x/", "hook": nil, "plain": ""})
	if err != nil {
		t.Fatal(err)
	}
	if s.Secret("token").Reveal() != "tok_abc" || s.BaseURL != "http://127.0.0.1:9/x" || s.Bool("on") || s.Int("n") != 7 ||
		s.Str("plain") != "x" || s.Map("fields")["c"] != "1" || len(s.Secrets("secrets")) != 2 || s.Secrets("secrets")[0].Reveal() != "new" {
		t.Errorf("wrong values")
	}
	if got := s.SecretValues(testManifest()); fmt.Sprint(got) != "[tok_abc new old]" {
		t.Errorf("SecretValues: %d", len(got))
	}
	d, err := ParseSettings(testManifest(), "crm", map[string]any{"token": "tok_abc", "secrets": "one"})
	if err != nil || d.BaseURL != "https://api.acme.example" || !d.Bool("on") || len(d.Secrets("secrets")) != 1 {
		t.Errorf("defaults: %v", err)
	}
}

func TestSettingsNameEveryMistakeAtOnce(t *testing.T) {
	t.Parallel()
	_, err := ParseSettings(testManifest(), "crm", map[string]any{"tokn": "tok_abc", "secrets": []any{"ok", 3},
		"site": "ftp://x", "mail": "nobody", "on": "maybe", "n": "many", "fields": []any{}, "plain": map[string]any{},
		"base_url": "not a url", "hook": "https://user:pw@x.example"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{"tokn", "secrets", "site", "mail", "on", "n", "fields", "plain", "base_url", "hook", "token"} {
		if !strings.Contains("\n"+err.Error(), "\n"+name+": ") {
			t.Errorf("%s is not named in:\n%v", name, err)
		}
	}
}

// TestSettingsErrorsShowNoSecret covers rule 10: no secret in an error or a log line.
func TestSettingsErrorsShowNoSecret(t *testing.T) {
	t.Parallel()
	const hot = "HOTSECRET"
	for name, raw := range map[string]map[string]any{
		"pattern":     {"token": hot},
		"line break":  {"token": "tok_abc" + hot + "\n"},
		"list":        {"secrets": []any{hot + " x"}},
		"list type":   {"secrets": map[string]any{"a": hot}},
		"url":         {"hook": hot},
		"url scheme":  {"hook": "ftp://x/" + hot},
		"url user":    {"hook": "https://" + hot + "@x.example/"},
		"not a value": {"token": []any{hot}},
	} {
		_, err := ParseSettings(testManifest(), "crm", raw)
		if err == nil || strings.Contains(err.Error(), hot) {
			t.Errorf("%s: error missing, or it shows the secret", name)
		}
	}
}

func TestSettingsDoNotPrint(t *testing.T) {
	t.Parallel()
	s, err := ParseSettings(testManifest(), "crm", map[string]any{"token": "tok_hot", "secrets": []any{"hotlist"}})
	if err != nil {
		t.Fatal(err)
	}
	js, _ := json.Marshal(s)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "settings", s, "p", &s)
	all := fmt.Sprintf("%v %+v %#v %s %q %x %v", s, s, s, s, s, s, &s) + string(js) + log.String()
	if strings.Contains(all, "hot") || strings.Contains(all, fmt.Sprintf("%x", "tok_hot")) {
		t.Errorf("settings print their secrets: %s", all)
	}
}

func TestSecretWithSpaceIsNamed(t *testing.T) {
	t.Parallel()
	for _, v := range []string{"tok_abc\n", " tok_abc", "tok_a bc", "tok_abc\r\n"} {
		_, err := ParseSettings(testManifest(), "crm", map[string]any{"token": v, "secrets": "x"})
		if err == nil || !strings.Contains(err.Error(), "token: has a space or line break") {
			t.Errorf("%q: %v", v, err)
		}
	}
}

func TestLimitsOfAConnection(t *testing.T) {
	t.Parallel()
	m := Manifest{Name: "Acme", Limits: Limits{Concurrency: 4, RatePerSecond: 8, Burst: 8}}
	for _, tt := range []struct {
		raw  map[string]any
		want Limits
		bad  string
	}{
		{map[string]any{}, Limits{4, 8, 8}, ""},
		{map[string]any{"concurrency": 32}, Limits{32, 8, 8}, ""},
		{map[string]any{"rate_per_second": 19.5}, Limits{4, 19.5, 19}, ""},
		{map[string]any{"rate_per_second": "0.5"}, Limits{4, 0.5, 1}, ""},
		{map[string]any{"concurrency": 0}, Limits{}, "concurrency"},
		{map[string]any{"concurrency": "many"}, Limits{}, "concurrency"},
		{map[string]any{"rate_per_second": -1}, Limits{}, "rate_per_second"},
		{map[string]any{"rate_per_second": "NaN"}, Limits{}, "rate_per_second"},
	} {
		s, err := ParseSettings(m, "x", tt.raw)
		if tt.bad != "" {
			if err == nil || !strings.Contains(err.Error(), tt.bad+": must be") {
				t.Errorf("%v: error %v", tt.raw, err)
			}
			continue
		}
		if err != nil || s.Limits(m.Limits) != tt.want {
			t.Errorf("%v: %+v, %v", tt.raw, s.Limits(m.Limits), err)
		}
	}
}
