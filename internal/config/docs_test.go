package config

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"

	"bellhop/internal/connector"
	"bellhop/internal/connector/all"
)

// The page's table has every key of the file, and its example is a file that loads.
func TestOperatingPageIsTheConfiguration(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	_, table, ok := strings.Cut(page, "| key | meaning | default |")
	if !ok {
		t.Fatal("the table of keys is gone")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	var got []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(table, -1) {
		got = append(got, m[1])
	}
	sort.Strings(got)
	if want := leaves(fileShape(), ""); !slices.Equal(got, want) {
		t.Errorf("the page has %v\nthe file has %v", got, want)
	}

	_, example, _ := strings.Cut(page, "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	path := filepath.Join(t.TempDir(), "bellhop.yaml")
	if err := os.WriteFile(path, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	var vendors []connector.Manifest
	for _, v := range all.Vendors() {
		vendors = append(vendors, v.Manifest)
	}
	env := map[string]string{"SUPABASE_JWT_SECRET": strings.Repeat("s", 40), "HUBSPOT_TOKEN": "pat-x", "STRIPE_SECRET_KEY": "sk_test_1",
		"STRIPE_WEBHOOK_SECRET": "whsec_1", "ZENDESK_TOKEN": "z", "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/x"}
	_, err = Load(LoadOpts{Path: path, Explicit: true, Vendors: vendors, Env: func(k string) (string, bool) { v, ok := env[k]; return v, ok }})
	if err != nil {
		t.Errorf("the page's example does not load: %v", err)
	}
}

func leaves(s shape, path string) []string {
	var out []string
	for name, f := range s.fields {
		p := strings.TrimPrefix(path+"."+name, ".")
		if len(f.fields) > 0 {
			out = append(out, leaves(f, p)...)
			continue
		}
		out = append(out, p)
	}
	sort.Strings(out)
	return out
}
