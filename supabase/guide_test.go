package supabase_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// firsts returns what the pattern's first group finds, sorted, each once.
func firsts(pattern, text string) []string {
	var out []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// The guide names the functions, their routes and their secrets as they are.
func TestTheGuideIsTheFunctions(t *testing.T) {
	t.Parallel()
	guide := read(t, "../docs/supabase.md")
	files, err := filepath.Glob("functions/*/*.ts")
	if err != nil || len(files) < 4 {
		t.Fatalf("functions %v, %v", files, err)
	}
	var names []string
	code := ""
	for _, f := range files {
		code += read(t, f)
		if name := filepath.Base(filepath.Dir(f)); name != "_shared" {
			names = append(names, name)
		}
	}
	routes := firsts(`\["(?:GET|POST)", /(\^\S+\$)/\]`, code)
	for what, pair := range map[string][2][]string{
		"functions": {firsts("(?m)^\\| `([a-z-]+)` \\| (?:pages|a form|a provider)", guide), names},
		"deployed":  {firsts("(?m)^supabase functions deploy ([a-z-]+)", guide), names},
		"deleted":   {firsts("(?m)^supabase functions delete ([a-z-]+)", guide), names},
		"secrets": {firsts(`(BELLHOP_[A-Z_]+)`, section(guide, "supabase secrets unset", "```")),
			firsts(`Deno\.env\.get\("([A-Z_]+)"\)`, code)},
	} {
		if !slices.Equal(pair[0], pair[1]) {
			t.Errorf("%s: the guide says %v, the code %v", what, pair[0], pair[1])
		}
	}
	told := firsts("`(/[a-zA-Z/-]+)`", section(guide, "The routes of `chat` are", "no other is let through"))
	for _, path := range told {
		path = strings.ReplaceAll(path, "ID", "0197c4f2-0000-7000-8000-000000000000")
		if !slices.ContainsFunc(routes, func(r string) bool {
			return regexp.MustCompile(strings.ReplaceAll(r, `\/`, "/")).MatchString(path)
		}) {
			t.Errorf("the guide names %s, which the function does not let through", path)
		}
	}
	if len(routes) < 6 || len(told) != len(routes)+1 { // one pattern stands for a conversation and its stream
		t.Errorf("the guide names %d routes, the function has %v", len(told), routes)
	}
}

// section returns the text between two marks.
func section(text, from, to string) string {
	_, rest, _ := strings.Cut(text, from)
	out, _, _ := strings.Cut(rest, to)
	return out
}
