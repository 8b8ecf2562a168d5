package all

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/connector"
)

// TestTheListIsTheFolders compares the list with the folders of internal/connector:
// a list kept by hand rots.
func TestTheListIsTheFolders(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	var folders, listed []string
	for _, e := range entries {
		if e.IsDir() && e.Name() != "all" && e.Name() != "conntest" && e.Name() != "testdata" {
			folders = append(folders, e.Name())
		}
	}
	for _, v := range Vendors() {
		listed = append(listed, v.Manifest.Vendor)
	}
	slices.Sort(folders)
	if !slices.Equal(folders, listed) {
		t.Errorf("listed %v, folders %v (both sorted)", listed, folders)
	}
}

// TestEveryFolderIsWhole checks that a vendor's folder has what the contract asks for.
func TestEveryFolderIsWhole(t *testing.T) {
	t.Parallel()
	for _, v := range Vendors() {
		name := v.Manifest.Vendor
		dir := filepath.Join("..", name)
		for _, f := range []string{name + ".go", name + "_test.go", "conntest_test.go", "manifest.json", "setup.md", "testdata"} {
			if f == "conntest_test.go" && len(v.Manifest.Actions) == 0 {
				continue // nothing for the suite to call
			}
			if _, err := os.Stat(filepath.Join(dir, f)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if files, _ := filepath.Glob(filepath.Join(dir, "testdata", "*")); len(files) == 0 {
			t.Errorf("%s: testdata is empty", name)
		}
	}
}

func TestSetupNamesEverySetting(t *testing.T) {
	t.Parallel()
	for _, v := range Vendors() {
		m := v.Manifest
		data, err := os.ReadFile(filepath.Join("..", m.Vendor, "setup.md"))
		if err != nil {
			t.Errorf("%s: %v", m.Vendor, err)
			continue
		}
		text := string(data)
		for _, st := range m.Settings {
			if !strings.Contains(text, st.Name) {
				t.Errorf("%s: setup.md does not mention %s", m.Vendor, st.Name)
			}
		}
		for _, part := range []string{"vendor: " + m.Vendor, "base_url", "Check it", "What can go wrong"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s: setup.md does not say %q", m.Vendor, part)
			}
		}
		if m.Webhooks != nil && !strings.Contains(text, "/webhooks/") {
			t.Errorf("%s: setup.md does not say where webhooks go", m.Vendor)
		}
	}
}

func TestManifests(t *testing.T) {
	t.Parallel()
	for _, v := range Vendors() {
		m := v.Manifest
		data, err := os.ReadFile(filepath.Join("..", m.Vendor, "manifest.json"))
		if err != nil {
			t.Errorf("%s: %v", m.Vendor, err)
			continue
		}
		if _, err := connector.ParseManifest(data); err != nil {
			t.Errorf("%v", err)
		}
		if m.Vendor != filepath.Base(filepath.Join("..", m.Vendor)) || m.DocsURL == "" {
			t.Errorf("%s: vendor is not the folder's name, or docs_url is missing", m.Vendor)
		}
		for _, st := range m.Settings {
			if named(st.Name, "token", "secret", "key", "password") && !st.Type.IsSecret() {
				t.Errorf("%s: %s is not typed as a secret", m.Vendor, st.Name)
			}
		}
		for _, a := range m.Actions {
			if d := a.Timeout(); d < time.Second || d > 30*time.Second {
				t.Errorf("%s: %s has a time box of %s", m.Vendor, a.Action, d)
			}
			if d := a.LookupDelay(); d > 2*time.Minute || (d > 0) != (a.Once == connector.OnceLookup) {
				t.Errorf("%s: %s has a look-up delay of %s with once %s", m.Vendor, a.Action, d, a.Once)
			}
		}
	}
}

func named(name string, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(name, w) })
}

// TestConnectorsOfferWhatTheirManifestsSay checks the optional interfaces.
func TestConnectorsOfferWhatTheirManifestsSay(t *testing.T) {
	t.Parallel()
	settings := map[string]map[string]any{
		"hubspot": {"token": "pat-eu1-x"},
		"slack":   {"url": "https://hooks.slack.com/services/T0/B0/x"},
		"stripe":  {"secret_key": "sk_test_x", "webhook_secrets": []any{"whsec_x"}},
		"webhook": {"url": "https://example.com/hook", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
		"zendesk": {"email": "ops@example.com", "token": "x", "subdomain": "acme"},
	}
	clock := bellhop.SystemClock{}
	env := connector.Env{HTTP: connector.NewClient(connector.ClientOpts{Clock: clock}), Clock: clock}
	done := map[bellhop.Action]bool{}
	for _, v := range Vendors() {
		s, err := connector.ParseSettings(v.Manifest, "c", settings[v.Manifest.Vendor])
		if err != nil {
			t.Errorf("%s: %v", v.Manifest.Vendor, err)
			continue
		}
		c, err := v.New(s, env)
		if err != nil {
			t.Errorf("%s: %v", v.Manifest.Vendor, err)
			continue
		}
		_, looks := c.(connector.Looker)
		for _, a := range v.Manifest.Actions {
			done[a.Action] = true
			if a.Once == connector.OnceLookup && !looks {
				t.Errorf("%s: %s needs a Looker", v.Manifest.Vendor, a.Action)
			}
		}
		if _, verifies := c.(connector.Verifier); verifies != (v.Manifest.Webhooks != nil) {
			t.Errorf("%s: Verifier %v, manifest says otherwise", v.Manifest.Vendor, verifies)
		}
	}
	for _, a := range bellhop.Actions() {
		if !done[a] {
			t.Errorf("no vendor takes %s", a)
		}
	}
}
