package arch

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mapEntry is a line of the map in CONTRIBUTING.md: a folder, two spaces, what it is for.
var mapEntry = regexp.MustCompile(`(?m)^([a-z][a-zA-Z0-9_./<>-]*)/ {2,}\S`)

// readMap returns the folders that the map names; "<vendor>" stands for any one.
func readMap(text string) []string {
	var out []string
	for _, m := range mapEntry.FindAllStringSubmatch(text, -1) {
		out = append(out, strings.ReplaceAll(m[1], "<vendor>", "*"))
	}
	return out
}

// checkLayout compares the folders that hold Go files with the map, both ways.
func checkLayout(files []file, entries []string, exists func(pattern string) bool) []string {
	var out []string
	seen := map[string]bool{root: true}
	for _, f := range files {
		if seen[f.dir] {
			continue
		}
		seen[f.dir] = true
		if !matchAny(entries, f.dir) {
			out = append(out, fmt.Sprintf("%s is not on the map in CONTRIBUTING.md: add a line that says what it is for", f.dir))
		}
	}
	for _, e := range entries {
		if !exists(e) {
			out = append(out, fmt.Sprintf("the map in CONTRIBUTING.md names %s, which is not there", e))
		}
	}
	slices.Sort(out)
	return out
}

func TestEveryFolderIsOnTheMap(t *testing.T) {
	t.Parallel()
	dir := moduleDir(t)
	text, err := os.ReadFile(filepath.Join(dir, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	entries := readMap(string(text))
	if len(entries) < 10 {
		t.Fatalf("only %d folders were found on the map", len(entries))
	}
	report(t, checkLayout(load(t), entries, func(pattern string) bool {
		found, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		return err == nil && len(found) > 0
	}))
}
