package arch

import (
	"strings"
	"testing"
)

// source makes a file that lies at path.
func source(t *testing.T, path, text string) file {
	t.Helper()
	f, err := parseFile(path, text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestImportRulesBite(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		from, imports string
		ok            bool
	}{
		{"bellhop.go", "time", true},
		{"bellhop.go", "bellhop/internal/store", false},
		{"bellhop.go", "github.com/x/y", false},
		{"bellhop_test.go", "pgregory.net/rapid", true},
		{"cmd/bellhop/main.go", "bellhop/internal/cli", true},
		{"internal/api/api.go", "bellhop/internal/cli", false},
		{"internal/api/api.go", "bellhop/internal/intake", true},
		{"internal/api/api.go", "bellhop/internal/console", false},
		{"internal/store/event.go", "bellhop/internal/connector", false},
		{"internal/store/event.go", "bellhop/internal/policy", false},
		{"internal/store/event.go", "bellhop", true},
		{"internal/store/event.go", "bellhop/internal/store/storetest", false},
		{"internal/store/event_test.go", "bellhop/internal/store/storetest", true},
		{"internal/connector/stripe/stripe.go", "bellhop/internal/store", false},
		{"internal/connector/stripe/stripe.go", "bellhop/internal/connector", true},
		{"internal/connector/stripe/stripe.go", "bellhop/internal/connector/hubspot", false},
		{"internal/connector/stripe/stripe.go", "bellhop/internal/sandbox", false},
		{"internal/connector/stripe/stripe_test.go", "bellhop/internal/sandbox", true},
		{"internal/connector/all/all.go", "bellhop/internal/connector/stripe", true},
		{"internal/connector/conntest/suite.go", "bellhop/internal/sandbox", true},
		{"internal/engine/engine.go", "bellhop/internal/desk", false},
		{"internal/engine/engine.go", "bellhop/internal/store", true},
		{"internal/desk/desk.go", "bellhop/internal/engine", true},
		{"internal/watch/watch.go", "bellhop/internal/api", false},
		{"internal/assistant/assistant.go", "bellhop/internal/intake", false},
		{"internal/policy/policy.go", "bellhop/internal/store", false},
		{"internal/config/config.go", "bellhop/internal/connector", true},
		{"internal/intake/intake.go", "bellhop/internal/sandbox", false},
		{"internal/cli/demo.go", "bellhop/internal/sandbox", true},
		{"internal/cli/serve.go", "bellhop/internal/connector/conntest", false},
		{"e2e/crash.go", "bellhop/internal/store/storetest", true},
	} {
		files := []file{source(t, tt.from, "package x\nimport _ \""+tt.imports+"\"\n")}
		got := append(checkImports(files), checkVendors(files)...)
		if (len(got) == 0) != tt.ok {
			t.Errorf("%s imports %s: %q", tt.from, tt.imports, got)
		}
	}
}

func TestStyleRulesBite(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("\n", maxFileLines)
	body := strings.Repeat("\n", maxFunctionLines)
	for _, tt := range []struct {
		name, path, text string
		check            func([]file) []string
		ok               bool
	}{
		{"long file", "a/a.go", "package a" + long + "\n", checkFileSizes, false},
		{"long file with a reason", "a/a.go", "package a\n// Long file: one table.\n" + long, checkFileSizes, true},
		{"long test", "a/a_test.go", "package a" + long + "\n", checkFileSizes, true},
		{"long function", "a/a.go", "package a\nfunc f() {" + body + "}", checkFunctions, false},
		{"long function with a reason", "a/a.go", "package a\n// f is.\n// Long function: one switch.\nfunc f() {" + body + "}", checkFunctions, true},
		{"long method", "a/a.go", "package a\ntype t int\nfunc (t) f() {" + body + "}", checkFunctions, false},
		{"init", "a/a.go", "package a\nfunc init() {}", checkFunctions, false},
		{"init in a test", "a/a_test.go", "package a\nfunc init() {}", checkFunctions, false},
		{"method called init", "a/a.go", "package a\ntype t int\nfunc (t) init() {}", checkFunctions, true},
		{"sleep in a test", "a/a_test.go", "package a\nimport \"time\"\nfunc f() { time.Sleep(1) }", checkTime, false},
		{"sleep under another name", "a/a_test.go", "package a\nimport z \"time\"\nfunc f() { z.Sleep(1) }", checkTime, false},
		{"sleep in the product", "a/a.go", "package a\nimport \"time\"\nfunc f() { time.Sleep(1) }", checkTime, false},
		{"now", "a/a.go", "package a\nimport \"time\"\nvar f = time.Now", checkTime, false},
		{"since", "a/a.go", "package a\nimport \"time\"\nfunc f(t time.Time) { time.Since(t) }", checkTime, false},
		{"now in a test", "a/a_test.go", "package a\nimport \"time\"\nvar f = time.Now", checkTime, true},
		{"now in a test package", "a/atest/a.go", "package a\nimport \"time\"\nvar f = time.Now", checkTime, true},
		{"now in main", "cmd/bellhop/main.go", "package main\nimport \"time\"\nvar f = time.Now", checkTime, true},
		{"now of something else", "a/a.go", "package a\nimport \"time\"\nvar _ time.Time\nfunc f(c clock) { c.Now() }", checkTime, true},
		{"empty name", "a/utils/a.go", "// Package utils is.\npackage utils", checkPackages, false},
		{"no comment", "a/a.go", "package a", checkPackages, false},
		{"named and documented", "a/a.go", "// Package a is.\npackage a", checkPackages, true},
	} {
		if got := tt.check([]file{source(t, tt.path, tt.text)}); (len(got) == 0) != tt.ok {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}

func TestLayoutRuleBites(t *testing.T) {
	t.Parallel()
	entries := readMap("text internal/no/  is not\n\ninternal/a/   one\ninternal/c/<vendor>/  each\ninternal/gone/  x\n")
	files := []file{source(t, "x.go", "package x"), source(t, "internal/a/a.go", "package a"),
		source(t, "internal/c/v/v.go", "package v"), source(t, "internal/b/b.go", "package b")}
	got := checkLayout(files, entries, func(p string) bool { return p != "internal/gone" })
	want := []string{"internal/b is not on the map", "internal/gone, which is not there"}
	if len(got) != len(want) || !strings.Contains(got[0], want[0]) || !strings.Contains(got[1], want[1]) {
		t.Errorf("got %q", got)
	}
}

func TestDependencyRuleBites(t *testing.T) {
	t.Parallel()
	direct, err := directRequirements([]byte(`{"Require":[{"Path":"a"},{"Path":"b","Indirect":true},{"Path":"t","Indirect":true}],"Tool":[{"Path":"t/cmd"}]}`))
	if err != nil || strings.Join(direct, " ") != "a t" {
		t.Fatalf("%q, %v", direct, err)
	}
	if got := checkDependencies(direct, "| `a` | x | y |\n| `t` | x | y |\n"); len(got) != 0 {
		t.Errorf("complete, but %q", got)
	}
	if got := checkDependencies(direct, "| `a` | x |  |\n| `b` | x | y |\n"); len(got) != 3 {
		t.Errorf("no reason, one missing, one too many: %q", got)
	}
}
