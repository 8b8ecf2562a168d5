package arch

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
	"testing"
)

const (
	maxFileLines     = 400
	maxFunctionLines = 50
	longFile         = "// Long file:"  // at the beginning of a line, with the reason
	longFunction     = "Long function:" // in the function's comment, with the reason
)

// emptyNames are package names that say nothing, so that everything ends up there.
func emptyNames() []string {
	return []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "base", "lib"}
}

// wallClock says where product code may read the machine's time. Everybody else is given
// a bellhop.Clock.
func wallClock() map[string]string {
	return map[string]string{
		"bellhop.go": "SystemClock is the one place it comes from",
		"cmd/...":    "a program's own start-up time",
	}
}

func checkFileSizes(files []file) []string {
	var out []string
	for _, f := range files {
		lines := strings.Count(f.text, "\n")
		if f.test || lines <= maxFileLines || strings.Contains("\n"+f.text, "\n"+longFile+" ") {
			continue
		}
		out = append(out, fmt.Sprintf("%s has %d lines, more than %d: split it by subject, or say why after %q",
			f.path, lines, maxFileLines, longFile))
	}
	return out
}

func checkFunctions(files []file) []string {
	var out []string
	for _, f := range files {
		for _, decl := range f.ast.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if fn.Name.Name == "init" && fn.Recv == nil {
				out = append(out, fmt.Sprintf("%s:%d: func init: work that nobody called for; pass it in instead", f.path, f.line(fn.Pos())))
			}
			lines := f.line(fn.End()) - f.line(fn.Pos()) + 1
			if f.test || lines <= maxFunctionLines || strings.Contains(fn.Doc.Text(), longFunction+" ") {
				continue
			}
			out = append(out, fmt.Sprintf("%s:%d: %s has %d lines, more than %d: split it, or say why after %q",
				f.path, f.line(fn.Pos()), fn.Name.Name, lines, maxFunctionLines, longFunction))
		}
	}
	return out
}

// checkTime finds time.Sleep in tests and the machine's clock in product code.
func checkTime(files []file) []string {
	var out []string
	for _, f := range files {
		name := timePackage(f)
		if name == "" {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); !ok || x.Name != name {
				return true
			}
			if why := timeFinding(f, sel.Sel.Name); why != "" {
				out = append(out, fmt.Sprintf("%s:%d: time.%s: %s", f.path, f.line(sel.Pos()), sel.Sel.Name, why))
			}
			return true
		})
	}
	return out
}

func timeFinding(f file, name string) string {
	switch name {
	case "Sleep":
		if f.test {
			return "a test that sleeps is slow or flaky; wait for a signal, or move an injected clock"
		}
		if !f.forTests() {
			return "product code waits on a timer beside ctx.Done, so that it can be stopped"
		}
	case "Now", "Since", "Until":
		if f.forTests() {
			return ""
		}
		for where := range wallClock() {
			if where == f.path || match(where, f.dir) {
				return ""
			}
		}
		return "take a bellhop.Clock, so that a test can move time"
	}
	return ""
}

// timePackage returns the name under which a file imports package time, "" if it does not.
func timePackage(f file) string {
	for _, spec := range f.ast.Imports {
		if spec.Path.Value == `"time"` {
			if spec.Name != nil {
				return spec.Name.Name
			}
			return "time"
		}
	}
	return ""
}

// checkPackages finds names that say nothing and packages without a comment.
func checkPackages(files []file) []string {
	documented := map[string]bool{}
	names := map[string]string{}
	for _, f := range files {
		if f.test {
			continue
		}
		names[f.dir] = f.ast.Name.Name
		documented[f.dir] = documented[f.dir] || f.ast.Doc != nil
	}
	var out []string
	for dir, name := range names {
		if slices.Contains(emptyNames(), name) {
			out = append(out, fmt.Sprintf("%s: package %s says nothing; name it after its job", dir, name))
		}
		if !documented[dir] {
			out = append(out, fmt.Sprintf("%s: package %s has no comment that says what it is for", dir, name))
		}
	}
	slices.Sort(out)
	return out
}

func TestFilesStaySmall(t *testing.T) {
	t.Parallel()
	report(t, checkFileSizes(load(t)))
}

func TestFunctionsStayShortAndNothingRunsByItself(t *testing.T) {
	t.Parallel()
	report(t, checkFunctions(load(t)))
}

func TestTimeIsInjected(t *testing.T) {
	t.Parallel()
	report(t, checkTime(load(t)))
}

func TestPackagesAreNamedAndDocumented(t *testing.T) {
	t.Parallel()
	report(t, checkPackages(load(t)))
}
