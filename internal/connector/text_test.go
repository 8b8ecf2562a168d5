package connector

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCutText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   string
		max  int
		want string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"äöüß", 3, "äö…"}, {"a\x00b\x07\tc\n", 9, "a b \tc\n"},
		{"a\xffb", 9, "a�b"}, {"abc", 0, ""}, {"abc", 1, "…"}, {"", 5, ""},
	} {
		if got := CutText(tt.in, tt.max); got != tt.want {
			t.Errorf("CutText(%q, %d) = %q, want %q", tt.in, tt.max, got, tt.want)
		}
	}
	if got := CutText(strings.Repeat("é", 100), 10); utf8.RuneCountInString(got) != 10 {
		t.Errorf("%d characters", utf8.RuneCountInString(got))
	}
}

func TestWebLink(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://a.example/x?y=1": "https://a.example/x?y=1", "http://127.0.0.1:8080/c": "http://127.0.0.1:8080/c",
		"javascript:alert(1)": "", "mailto:a@b.example": "", "//a.example": "", "/x": "", "": "", "https:///x": "", "data:text/html,x": "",
	} {
		if got := WebLink(in); got != want {
			t.Errorf("WebLink(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestHasMarker(t *testing.T) {
	t.Parallel()
	const m = "bh-abcdefghij234567abcd"
	for in, want := range map[string]bool{
		"Ref " + m: true, "<small>Ref " + m + "</small>": true, m: true, m + "\n": true, m + ".": true,
		"Ref " + m + "e": false, "x" + m: false, "Ref " + strings.ToUpper(m): false, "": false, m + "2 " + m: true, m[:22]: false,
	} {
		if got := HasMarker(in, m); got != want {
			t.Errorf("HasMarker(%q) = %v", in, got)
		}
	}
	if HasMarker("anything", "") {
		t.Error("an empty marker is found")
	}
}

func TestRebase(t *testing.T) {
	t.Parallel()
	for _, tt := range [][3]string{
		{"https://hooks.example/a/b?c=d", "", "https://hooks.example/a/b?c=d"},
		{"https://hooks.example/a/b?c=d", "http://127.0.0.1:1/slack/", "http://127.0.0.1:1/slack/a/b?c=d"},
		{"https://hooks.example", "http://127.0.0.1:1", "http://127.0.0.1:1/"},
	} {
		if got, err := Rebase(tt[0], tt[1]); err != nil || got != tt[2] {
			t.Errorf("Rebase(%q, %q) = %q, %v", tt[0], tt[1], got, err)
		}
	}
	if _, err := Rebase("::SECRET", "x"); err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("%v", err)
	}
}
