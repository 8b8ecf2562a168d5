package arch

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dependencyRow is a row of the table in docs/dependencies.md: `module`, what for, why.
var dependencyRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|([^|]+)\\|([^|]+)\\|")

// checkDependencies compares the direct requirements with the rows, both ways.
func checkDependencies(direct []string, doc string) []string {
	var out, listed []string
	for _, m := range dependencyRow.FindAllStringSubmatch(doc, -1) {
		if slices.Contains(listed, m[1]) {
			out = append(out, m[1]+" is listed twice")
		}
		listed = append(listed, m[1])
		if strings.TrimSpace(m[2]) == "" || strings.TrimSpace(m[3]) == "" {
			out = append(out, m[1]+": say what it is for and why it is better than our own")
		}
	}
	for _, m := range direct {
		if !slices.Contains(listed, m) {
			out = append(out, m+" is a direct requirement of go.mod without a row in docs/dependencies.md")
		}
	}
	for _, m := range listed {
		if !slices.Contains(direct, m) {
			out = append(out, m+" has a row in docs/dependencies.md, but is no direct requirement of go.mod")
		}
	}
	return out
}

// directRequirements returns what go.mod requires for its own sake: the requirements
// that are not marked indirect, and the modules of its tools.
func directRequirements(goMod []byte) ([]string, error) {
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
		Tool []struct{ Path string }
	}
	if err := json.Unmarshal(goMod, &mod); err != nil {
		return nil, fmt.Errorf("go.mod: %w", err)
	}
	var out []string
	for _, r := range mod.Require {
		isTool := slices.ContainsFunc(mod.Tool, func(t struct{ Path string }) bool {
			return t.Path == r.Path || strings.HasPrefix(t.Path, r.Path+"/")
		})
		if !r.Indirect || isTool {
			out = append(out, r.Path)
		}
	}
	return out, nil
}

func TestEveryDependencyIsExplained(t *testing.T) {
	t.Parallel()
	dir := moduleDir(t)
	cmd := exec.Command("go", "mod", "edit", "-json")
	cmd.Dir = dir
	goMod, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	direct, err := directRequirements(goMod)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(filepath.Join(dir, "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	report(t, checkDependencies(direct, string(doc)))
}
