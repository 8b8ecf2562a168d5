package connector

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"bellhop"
)

// Manifest describes a vendor as data: the form, its validation and masking, the
// documentation and the engine's limits all come from it.
type Manifest struct {
	Vendor         string           `json:"vendor"`   // the folder's name, what bellhop.yaml says
	Name           string           `json:"name"`     // what people say
	Category       string           `json:"category"` // "crm", "payments", "support", "alerts", "webhook"
	DocsURL        string           `json:"docs_url,omitempty"`
	DefaultBaseURL string           `json:"default_base_url,omitempty"`
	Settings       []Setting        `json:"settings"`
	Actions        []ActionManifest `json:"actions"`
	Webhooks       *WebhookManifest `json:"webhooks,omitempty"`
	Limits         Limits           `json:"limits"`
}

// Setting is one field of a connection's configuration.
type Setting struct {
	Name     string      `json:"name"`
	Type     SettingType `json:"type"`
	Label    string      `json:"label"`
	Help     string      `json:"help,omitempty"`
	Required bool        `json:"required,omitempty"`
	Default  string      `json:"default,omitempty"`
	Pattern  string      `json:"pattern,omitempty"` // RE2, whole value
	Example  string      `json:"example,omitempty"`
}

// SettingType is the type of a setting.
type SettingType string

// The types of settings.
const (
	SettingString     SettingType = "string"
	SettingEmail      SettingType = "email"
	SettingURL        SettingType = "url"
	SettingSecretURL  SettingType = "secret_url" // a URL that is itself the secret
	SettingSecret     SettingType = "secret"
	SettingSecretList SettingType = "secret_list"
	SettingBool       SettingType = "bool"
	SettingInt        SettingType = "int"
	SettingMap        SettingType = "map" // names to strings
)

// IsSecret reports whether values of the type must be masked.
func (t SettingType) IsSecret() bool {
	return t == SettingSecret || t == SettingSecretList || t == SettingSecretURL
}

// Once says how an action is kept to one effect.
type Once string

// The ways.
const (
	OnceNativeKey Once = "native_key" // the vendor folds repeats of our key: repeat it
	OnceUpsert    Once = "upsert"     // the write is the same however often it is done: repeat it
	OnceLookup    Once = "lookup"     // look for our marker before anything is sent again
	OnceNone      Once = "none"       // nothing to look at: an unknown outcome goes to a person
)

// Repeatable reports whether sending the same call again is harmless.
func (o Once) Repeatable() bool { return o == OnceNativeKey || o == OnceUpsert }

// ActionManifest describes one action.
type ActionManifest struct {
	Action   bellhop.Action `json:"action"`
	Effect   string         `json:"effect"` // "read", "write" or "irreversible"
	Once     Once           `json:"once"`
	OnceNote string         `json:"once_note"` // how, in words
	// TimeoutMS is the time box of one call in milliseconds; 0 means 10,000.
	TimeoutMS int `json:"timeout_ms,omitempty"`
	// LookupDelayMS is how long the vendor's index may lag: a look-up waits this long
	// after the unknown call before "not found" means absent.
	LookupDelayMS int `json:"lookup_delay_ms,omitempty"`
}

// Timeout returns the time box of one call.
func (a ActionManifest) Timeout() time.Duration {
	if a.TimeoutMS <= 0 {
		return 10 * time.Second
	}
	return time.Duration(a.TimeoutMS) * time.Millisecond
}

// LookupDelay returns how long to wait before a look-up can prove absence.
func (a ActionManifest) LookupDelay() time.Duration {
	return time.Duration(a.LookupDelayMS) * time.Millisecond
}

// WebhookManifest describes what the vendor sends.
type WebhookManifest struct {
	SignatureHeader string   `json:"signature_header"`
	Events          []string `json:"events"` // the vendor's event types to subscribe to
}

// Limits are the vendor's limits, per connection and node.
type Limits struct {
	Concurrency   int     `json:"concurrency"`     // calls at a time
	RatePerSecond float64 `json:"rate_per_second"` // 0 means no limit
	Burst         int     `json:"burst,omitempty"`
}

// Action returns the manifest of an action.
func (m Manifest) Action(a bellhop.Action) (ActionManifest, bool) {
	for _, am := range m.Actions {
		if am.Action == a {
			return am, true
		}
	}
	return ActionManifest{}, false
}

// MustParseManifest reads an embedded manifest.json. It panics on a bad one, which a
// test of every vendor would show: a manifest is part of the program text.
func MustParseManifest(data []byte) Manifest {
	m, err := ParseManifest(data)
	if err != nil {
		panic(err)
	}
	return m
}

// ParseManifest reads a manifest.json strictly and checks it.
func ParseManifest(data []byte) (Manifest, error) {
	var m Manifest
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return Manifest{}, fmt.Errorf("manifest: %w", err)
	}
	if m.Vendor == "" || m.Name == "" || m.Category == "" {
		return Manifest{}, fmt.Errorf("manifest %q: vendor, name and category are required", m.Vendor)
	}
	if m.Limits.Concurrency <= 0 {
		return Manifest{}, fmt.Errorf("manifest %q: limits.concurrency is required", m.Vendor)
	}
	if err := errors.Join(m.checkSettings(), m.checkActions()); err != nil {
		return Manifest{}, fmt.Errorf("manifest %q: %w", m.Vendor, err)
	}
	return m, nil
}

func (m Manifest) checkSettings() error {
	var errs []error
	seen := map[string]bool{"name": true, "vendor": true, "base_url": true, "concurrency": true, "rate_per_second": true}
	for _, st := range m.Settings {
		if st.Name == "" || st.Label == "" || seen[st.Name] {
			errs = append(errs, fmt.Errorf("setting %q: needs a name of its own and a label", st.Name))
		}
		seen[st.Name] = true
		switch st.Type {
		case SettingString, SettingEmail, SettingURL, SettingSecretURL, SettingSecret, SettingSecretList,
			SettingBool, SettingInt, SettingMap:
		default:
			errs = append(errs, fmt.Errorf("setting %s: unknown type %q", st.Name, st.Type))
		}
		if st.Type.IsSecret() && st.Default != "" {
			errs = append(errs, fmt.Errorf("setting %s: a secret has no default", st.Name))
		}
		if _, err := regexp.Compile(st.Pattern); err != nil {
			errs = append(errs, fmt.Errorf("setting %s: %w", st.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (m Manifest) checkActions() error {
	var errs []error
	seen := map[bellhop.Action]bool{}
	for _, a := range m.Actions {
		if seen[a.Action] || !slices.Contains(bellhop.Actions(), a.Action) {
			errs = append(errs, fmt.Errorf("action %s: unknown or there twice", a.Action))
		}
		seen[a.Action] = true
		switch a.Once {
		case OnceNativeKey, OnceUpsert, OnceLookup, OnceNone:
		default:
			errs = append(errs, fmt.Errorf("action %s: unknown once %q", a.Action, a.Once))
		}
		if a.OnceNote == "" {
			errs = append(errs, fmt.Errorf("action %s: once_note is required", a.Action))
		}
		switch a.Effect {
		case "read", "write", "irreversible":
		default:
			errs = append(errs, fmt.Errorf("action %s: unknown effect %q", a.Action, a.Effect))
		}
		if a.TimeoutMS < 0 || a.LookupDelayMS < 0 {
			errs = append(errs, fmt.Errorf("action %s: a duration is negative", a.Action))
		}
	}
	return errors.Join(errs...)
}
