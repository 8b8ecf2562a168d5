package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "bellhop"
	root   = "." // the folder of the root package
)

// file is one Go file of the module. The files are read from disk and not from the go
// command, so that files for other systems count too.
type file struct {
	path    string // "internal/store/event.go", with forward slashes
	dir     string // "internal/store"; "." for the root package
	test    bool   // a _test.go file
	text    string
	fset    *token.FileSet
	ast     *ast.File
	imports []string
}

func parseFile(name, text string) (file, error) {
	f := file{path: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), text: text, fset: token.NewFileSet()}
	var err error
	if f.ast, err = parser.ParseFile(f.fset, name, text, parser.ParseComments|parser.SkipObjectResolution); err != nil {
		return f, err
	}
	for _, spec := range f.ast.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return f, err
		}
		f.imports = append(f.imports, p)
	}
	return f, nil
}

// line returns the line that a position is on.
func (f file) line(p token.Pos) int { return f.fset.Position(p).Line }

// forTests reports whether the file is only ever part of a test: a _test.go file, or a
// file of a package whose name ends in "test", or of the folders that are tests as a whole.
func (f file) forTests() bool { return f.test || isTestPackage(f.dir) }

func isTestPackage(dir string) bool {
	return strings.HasSuffix(dir, "test") || match("e2e/...", dir) || match("bench/...", dir)
}

// inModule turns an import path into a folder of the module; false for foreign ones.
func inModule(imp string) (dir string, ok bool) {
	if imp == module {
		return root, true
	}
	return strings.CutPrefix(imp, module+"/")
}

// isStandard reports whether an import path is of the standard library: those have no
// dot in their first element.
func isStandard(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return first != module && !strings.Contains(first, ".")
}

// match reports whether dir is what pattern says: a folder, "a/..." for it and all
// below, "a/*" for the ones right below.
func match(pattern, dir string) bool {
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return dir == base || strings.HasPrefix(dir, base+"/")
	}
	ok, err := path.Match(pattern, dir)
	return err == nil && ok
}

func matchAny(patterns []string, dir string) bool {
	for _, p := range patterns {
		if match(p, dir) {
			return true
		}
	}
	return false
}

// moduleDir is the folder of go.mod.
func moduleDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// load reads every Go file of the module, except test data and hidden folders.
func load(t *testing.T) []file {
	t.Helper()
	dir := moduleDir(t)
	var files []file
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p != dir && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin" || name == "node_modules") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		f, err := parseFile(filepath.ToSlash(rel), string(text))
		if err != nil {
			return err
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// report fails the test with every finding.
func report(t *testing.T, findings []string) {
	t.Helper()
	for _, f := range findings {
		t.Error(f)
	}
}
