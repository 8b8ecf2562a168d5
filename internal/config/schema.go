package config

import (
	"slices"
	"strings"
)

// shape says what may stand at a place of the file.
type shape struct {
	what   shapeKind
	fields map[string]shape // of a mapping
}

type shapeKind int

const (
	aValue shapeKind = iota
	aList            // of single values
	aMapping
	aListOfMappings // whose keys are checked elsewhere
)

func (k shapeKind) String() string {
	return [...]string{"a single value", "a list of single values", "a mapping of keys to values",
		"a list of mappings"}[k]
}

// fileShape is the whole of bellhop.yaml.
func fileShape() shape {
	value, list := shape{what: aValue}, shape{what: aList}
	return shape{what: aMapping, fields: map[string]shape{
		"listen":          value,
		"public_url":      value,
		"database":        value,
		"allowed_origins": list,
		"assistant": {what: aMapping, fields: map[string]shape{
			"provider": value, "base_url": value, "model": value, "api_key": value, "knowledge": value,
			"confidence_threshold": value,
		}},
		"auth": {what: aMapping, fields: map[string]shape{
			"supabase": {what: aMapping, fields: map[string]shape{"url": value, "jwt_secret": value, "emails_confirmed": value}},
		}},
		"connections": {what: aListOfMappings},
		"retry":       {what: aMapping, fields: map[string]shape{"attempts": value, "backoff": list}},
		"limits": {what: aMapping, fields: map[string]shape{
			"address": value, "caller": value, "key": value, "visitors": value, "messages": value, "streams": value,
			"spend_per_person": value, "spend_per_day": value,
		}},
		"trusted_proxies": list,
		"tls":             value,
		"acme": {what: aMapping, fields: map[string]shape{
			"storage": value, "email": value, "directory": value, "ca_file": value, "listen": value,
		}},
		"retention": {what: aMapping, fields: map[string]shape{
			"events": value, "messages": value, "attempts": value, "steps": value, "support_requests": value,
			"security_log": value,
		}},
	}}
}

// prune tells every key that does not belong and takes it out, so that what is left
// has the shape.
func (t tree) prune(m *mistakes, s shape) { t.pruneMap(m, s, t.root, "") }

func (t tree) pruneMap(m *mistakes, s shape, node map[string]any, path string) {
	for key, val := range node {
		p := join(path, key)
		sub, known := s.fields[key]
		if !known {
			m.atLine(t.lines[p], "unknown key %s%s", quote(key), suggest(key, s.fields))
			delete(node, key)
			continue
		}
		if !sub.fits(val) {
			m.atLine(t.lines[p], "%s must be %s", p, sub.what)
			delete(node, key)
			continue
		}
		if child, ok := val.(map[string]any); ok {
			t.pruneMap(m, sub, child, p)
		}
	}
}

func (s shape) fits(v any) bool {
	switch v := v.(type) {
	case string:
		return s.what == aValue
	case map[string]any:
		return s.what == aMapping
	case []any:
		for _, item := range v {
			_, isValue := item.(string)
			_, isMap := item.(map[string]any)
			if (s.what == aList && !isValue) || (s.what == aListOfMappings && !isMap) {
				return false
			}
		}
		return s.what == aList || s.what == aListOfMappings
	default:
		return false
	}
}

// suggest names the key that was probably meant, or all there are.
func suggest(key string, fields map[string]shape) string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	if near := nearest(key, names); near != "" {
		return "; did you mean " + near + "?"
	}
	return "; known are " + strings.Join(names, ", ")
}

// nearest returns the name that is a few letters away from word, "" when none is.
func nearest(word string, names []string) string {
	if len(word) > 60 {
		return ""
	}
	best, bestDistance := "", 1+max(1, len(word)/3)
	for _, name := range names {
		if d := distance(strings.ToLower(word), name); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	return best
}

// distance counts the letters to insert, drop or change to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
