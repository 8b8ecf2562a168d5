package connector

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode"

	"bellhop"
)

// Settings are the checked values of one connection.
type Settings struct {
	Connection string // the connection's name
	BaseURL    string // no trailing slash
	limits     Limits // what the operator wrote; zero fields are the manifest's
	values     map[string]string
	lists      map[string][]string
	maps       map[string]map[string]string
}

// String names the connection and hides its values: settings hold secrets, and fmt
// would print even unexported fields.
func (s Settings) String() string { return "settings of " + strconv.Quote(s.Connection) }

// GoString hides the values from %#v.
func (s Settings) GoString() string { return s.String() }

// Str returns a plain setting, "" when it is not set.
func (s Settings) Str(name string) string { return s.values[name] }

// Secret returns a secret setting.
func (s Settings) Secret(name string) bellhop.Secret { return bellhop.Secret(s.values[name]) }

// Secrets returns a list of secrets, newest first as the operator wrote them.
func (s Settings) Secrets(name string) []bellhop.Secret {
	out := make([]bellhop.Secret, 0, len(s.lists[name]))
	for _, v := range s.lists[name] {
		out = append(out, bellhop.Secret(v))
	}
	return out
}

// Limits returns the limits of the vendor with those that the operator wrote for this
// connection in their place: vendors sell more by the plan.
func (s Settings) Limits(of Limits) Limits {
	if s.limits.Concurrency > 0 {
		of.Concurrency = s.limits.Concurrency
	}
	if s.limits.RatePerSecond > 0 {
		of.RatePerSecond = s.limits.RatePerSecond
		of.Burst = max(1, int(s.limits.RatePerSecond))
	}
	return of
}

// Map returns a setting of type map.
func (s Settings) Map(name string) map[string]string { return s.maps[name] }

// Bool returns a setting of type bool.
func (s Settings) Bool(name string) bool { return s.values[name] == "true" }

// Int returns a setting of type int, 0 when it is not set.
func (s Settings) Int(name string) int {
	n, _ := strconv.Atoi(s.values[name]) // checked by ParseSettings
	return n
}

// SecretValues returns every secret in the settings, for tests that search logs.
func (s Settings) SecretValues(m Manifest) []string {
	var out []string
	for _, st := range m.Settings {
		if !st.Type.IsSecret() {
			continue
		}
		if v := s.values[st.Name]; v != "" {
			out = append(out, v)
		}
		out = append(out, s.lists[st.Name]...)
	}
	return out
}

// setBaseURL takes base_url; empty means the vendor's own.
func (s *Settings) setBaseURL(v any) error {
	u := fmt.Sprint(v)
	if v == nil || u == "" {
		return nil
	}
	s.BaseURL = strings.TrimRight(u, "/")
	return checkURL(u)
}

// ParseSettings checks the raw values of one connection against the vendor's
// manifest. raw holds strings, bools, numbers, lists and maps as YAML gives them,
// without name and vendor. The error joins every mistake, each with the field's name.
func ParseSettings(m Manifest, connection string, raw map[string]any) (Settings, error) {
	s := Settings{Connection: connection, values: map[string]string{}, lists: map[string][]string{},
		maps: map[string]map[string]string{}}
	var errs []error
	known := map[string]Setting{}
	for _, st := range m.Settings {
		known[st.Name] = st
	}
	names := make([]string, 0, len(raw))
	for name := range raw {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if name == "base_url" {
			if err := s.setBaseURL(raw[name]); err != nil {
				errs = append(errs, fmt.Errorf("base_url: %w", err))
			}
			continue
		}
		if ours, err := s.setLimit(name, raw[name]); ours {
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
			continue
		}
		st, ok := known[name]
		if !ok {
			errs = append(errs, fmt.Errorf("%s: %s has no such setting; it has %s", name, m.Name, settingNames(m)))
			continue
		}
		if err := s.set(st, raw[name]); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	if s.BaseURL == "" {
		s.BaseURL = strings.TrimRight(m.DefaultBaseURL, "/")
	}
	for _, st := range m.Settings {
		_, inList := s.lists[st.Name]
		if s.values[st.Name] == "" && !inList && st.Default != "" {
			s.values[st.Name] = st.Default
		}
		if st.Required && s.values[st.Name] == "" && len(s.lists[st.Name]) == 0 {
			errs = append(errs, fmt.Errorf("%s: is required (%s)", st.Name, st.Label))
		}
	}
	return s, errors.Join(errs...)
}

func settingNames(m Manifest) string {
	names := []string{"base_url", "concurrency", "rate_per_second"}
	for _, st := range m.Settings {
		names = append(names, st.Name)
	}
	return strings.Join(names, ", ")
}

func (s *Settings) set(st Setting, v any) error {
	switch st.Type {
	case SettingSecretList:
		return s.setList(st, v)
	case SettingMap:
		return s.setMap(st, v)
	}
	switch v.(type) {
	case nil:
		return nil
	case string, bool, int, int64, uint64, float64:
	default:
		return fmt.Errorf("must be a single value, not %T", v)
	}
	val := fmt.Sprint(v)
	if val == "" {
		return nil
	}
	if err := checkValue(st, val); err != nil {
		return err
	}
	s.values[st.Name] = val
	return nil
}

func (s *Settings) setMap(st Setting, v any) error {
	if v == nil {
		return nil
	}
	mv, ok := v.(map[string]any)
	if !ok {
		return errors.New("must be a map of names to strings")
	}
	out := map[string]string{}
	for k, x := range mv {
		switch x.(type) {
		case nil, map[string]any, []any:
			return fmt.Errorf("must be a map of names to strings, and %q is not a string", k)
		}
		out[k] = fmt.Sprint(x)
	}
	s.maps[st.Name] = out
	return nil
}

func (s *Settings) setList(st Setting, v any) error {
	switch x := v.(type) {
	case nil:
		return nil
	case string:
		v = []any{x}
	}
	list, ok := v.([]any)
	if !ok {
		return errors.New("must be a list of strings")
	}
	for i, x := range list {
		str, ok := x.(string)
		if !ok || str == "" {
			return errors.New("must be a list of non-empty strings")
		}
		if err := checkValue(st, str); err != nil {
			return fmt.Errorf("number %d: %w", i+1, err)
		}
		s.lists[st.Name] = append(s.lists[st.Name], str)
	}
	return nil
}

// checkValue never puts a secret's value into its error.
func checkValue(st Setting, val string) error {
	if st.Type.IsSecret() && strings.ContainsFunc(val, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		// A secret copied with its line break is the commonest mistake of all, and the
		// vendor would only say "unauthorized".
		return errors.New("has a space or line break in it; copy it again without")
	}
	switch st.Type {
	case SettingBool:
		if val != "true" && val != "false" {
			return errors.New("must be true or false")
		}
	case SettingInt:
		if _, err := strconv.Atoi(val); err != nil {
			return errors.New("must be a whole number")
		}
	case SettingEmail:
		if _, ok := bellhop.NormalizeEmail(val); !ok {
			return errors.New("must be an e-mail address")
		}
	case SettingURL, SettingSecretURL:
		if err := checkURL(val); err != nil {
			return err
		}
	}
	if st.Pattern != "" {
		re, err := regexp.Compile(`\A(?:` + st.Pattern + `)\z`)
		if err != nil {
			return fmt.Errorf("the manifest's pattern is broken: %w", err)
		}
		if !re.MatchString(val) {
			if st.Example != "" {
				return fmt.Errorf("does not look right; an example: %s", st.Example)
			}
			return errors.New("does not look right")
		}
	}
	return nil
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.User != nil {
		return errors.New("must be an http or https URL without user and password")
	}
	return nil
}
