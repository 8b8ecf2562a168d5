package connector

import (
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"
)

// CutText bounds text to max characters for a vendor's field limit, ending with "…"
// when something was taken away. Control characters except line breaks and tabs become
// spaces, and what is not UTF-8 becomes "�": vendors refuse or mangle both.
func CutText(s string, max int) string {
	s = strings.Map(func(r rune) rune {
		if (r < ' ' && r != '\n' && r != '\t') || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
	if max <= 0 {
		return ""
	}
	if utf8.RuneCountInString(s) <= max {
		return s
	}
	return string([]rune(s)[:max-1]) + "…"
}

// WebLink returns the link when it is an absolute http or https URL, and "" otherwise:
// a script or mail link in a step's input must not become something to click on.
func WebLink(link string) string {
	u, err := url.Parse(link)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return ""
	}
	return u.String()
}

// Rebase puts the path and query of a URL behind another base, for vendors whose whole
// URL is a setting and whose base_url points somewhere else, at a fake for instance.
// Without a base the URL stays as it is. The error never shows the URL.
func Rebase(whole, base string) (string, error) {
	u, err := url.Parse(whole)
	if err != nil || u.Host == "" {
		return "", errNotURL
	}
	if base == "" {
		return whole, nil
	}
	return strings.TrimRight(base, "/") + u.RequestURI(), nil
}

var errNotURL = errors.New("is not a URL")

// HasMarker reports whether text holds a call's marker itself, and not a longer word
// that begins or ends with it.
func HasMarker(text, marker string) bool {
	if marker == "" {
		return false
	}
	for from := 0; ; {
		i := strings.Index(text[from:], marker)
		if i < 0 {
			return false
		}
		start := from + i
		end := start + len(marker)
		if (start == 0 || !markerByte(text[start-1])) && (end == len(text) || !markerByte(text[end])) {
			return true
		}
		from = end
	}
}

func markerByte(b byte) bool {
	return (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') || b == '-' || b == '_'
}
