package assistant

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"

	"bellhop"
)

// labelled is a line of testdata/messages.jsonl.
type labelled struct {
	Text   string         `json:"text"`
	Lang   string         `json:"lang"`
	Intent bellhop.Intent `json:"intent"`
	Human  bool           `json:"human"`
	Split  string         `json:"split"`
}

// conversation is a line of testdata/leads.jsonl.
type conversation struct {
	Split string `json:"split"`
	Turns []struct {
		Role bellhop.Role `json:"role"`
		Text string       `json:"text"`
	} `json:"turns"`
	Expect map[string]string `json:"expect"`
}

func readLines[T any](t testing.TB, path string) []T {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var out []T
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		var v T
		if err := json.Unmarshal(sc.Bytes(), &v); err != nil {
			t.Fatalf("%s: line %d: %v", path, len(out)+1, err)
		}
		out = append(out, v)
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func mustLexicon(t testing.TB) *lexicon {
	t.Helper()
	lx, err := newLexicon()
	if err != nil {
		t.Fatal(err)
	}
	return lx
}
