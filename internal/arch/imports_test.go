package arch

import (
	"fmt"
	"testing"
)

// onlyRule lists the packages of the module that some packages may import.
type onlyRule struct {
	from []string
	only []string
	why  string
}

// neverRule lists the packages of the module that some packages must not import.
type neverRule struct {
	from  []string
	never []string
	why   string
}

// reservedRule lists who may import a package at all. Tests always may.
type reservedRule struct {
	pkg string
	by  []string
	why string
}

func onlyRules() []onlyRule {
	vendors := []string{"internal/connector/*"}
	return []onlyRule{
		{[]string{root}, nil, "the root package is the vocabulary that everybody imports"},
		{[]string{"internal/policy"}, []string{root}, "policy is pure: data in, data out"},
		{[]string{"internal/identity"}, []string{root}, "who is asking depends on nothing that answers"},
		{[]string{"internal/config"}, []string{root, "internal/connector"}, "configuration knows manifests, not what runs on them"},
		{[]string{"internal/connector"}, []string{root}, "the contract knows neither engine nor vendors"},
		{vendors, []string{root, "internal/connector", "internal/connector/*"},
			"a vendor is one folder on the contract and nothing else"},
		{[]string{"internal/store"}, []string{root, "internal/store/migrations"}, "all SQL stands below everything that decides"},
		{[]string{"internal/store/migrations"}, nil, "migrations are files"},
	}
}

func neverRules() []neverRule {
	edge := []string{"internal/api/...", "internal/console/...", "internal/mcp/..."}
	return []neverRule{
		{[]string{"internal/store/..."}, []string{"internal/connector/..."}, "store and connectors never know each other"},
		{[]string{"internal/connector/..."}, []string{"internal/store/..."}, "store and connectors never know each other"},
		{[]string{"internal/engine/..."}, []string{"internal/desk/...", "internal/watch/...", "internal/assistant/...", "internal/intake/..."},
			"handing a step to a person is a row written in the same transaction; the desk calls the engine, not the reverse"},
		{[]string{"internal/assistant/..."}, []string{"internal/intake/...", "internal/engine/...", "internal/desk/..."},
			"the assistant proposes and never writes"},
		{[]string{"internal/engine/...", "internal/assistant/...", "internal/desk/...", "internal/payments/...",
			"internal/watch/...", "internal/intake/...", "internal/store/...", "internal/connector/..."}, edge,
			"what carries the data does not know how it is shown"},
		{[]string{"internal/api/..."}, []string{"internal/console/..."}, "the console stands beside the API, not below it"},
	}
}

func reservedRules() []reservedRule {
	return []reservedRule{
		{"internal/cli/...", []string{"cmd/..."}, "only main starts the command line"},
		{"cmd/...", nil, "a program is not a library"},
		{"internal/sandbox/...", []string{"internal/sandbox/...", "internal/cli/...", "internal/drill/..."},
			"fake vendors are for demo, drill and tests; a product path through them is a lie"},
		{"internal/connector/all", []string{"internal/cli/..."}, "only the wiring knows every vendor"},
		{"internal/store/storetest", nil, "test helpers are imported by tests"},
		{"internal/connector/conntest", nil, "test helpers are imported by tests"},
		{"e2e/...", []string{"e2e/..."}, "tests are not a library"},
		{"bench/...", []string{"bench/..."}, "tests are not a library"},
	}
}

// checkImports returns every import that a rule forbids.
func checkImports(files []file) []string {
	var out []string
	for _, f := range files {
		if f.forTests() {
			continue
		}
		for _, imp := range f.imports {
			for _, why := range importFindings(f, imp) {
				out = append(out, fmt.Sprintf("%s imports %s: %s", f.path, imp, why))
			}
		}
	}
	return out
}

func importFindings(f file, imp string) []string {
	dir, inside := inModule(imp)
	var out []string
	if f.dir == root && !isStandard(imp) {
		out = append(out, "the root package imports the standard library only")
	}
	if !inside {
		return out
	}
	for _, r := range onlyRules() {
		if matchAny(r.from, f.dir) && !isTestPackage(dir) && !matchAny(r.only, dir) {
			out = append(out, r.why)
		}
	}
	for _, r := range neverRules() {
		if matchAny(r.from, f.dir) && matchAny(r.never, dir) {
			out = append(out, r.why)
		}
	}
	for _, r := range reservedRules() {
		if match(r.pkg, dir) && !matchAny(r.by, f.dir) {
			out = append(out, r.why)
		}
	}
	if isTestPackage(dir) && len(out) == 0 {
		out = append(out, "test helpers are imported by tests")
	}
	return out
}

// checkVendors returns imports between two vendors; the list of all imports them all.
func checkVendors(files []file) []string {
	var out []string
	for _, f := range files {
		if f.forTests() || !match("internal/connector/*", f.dir) || f.dir == "internal/connector/all" {
			continue
		}
		for _, imp := range f.imports {
			if dir, ok := inModule(imp); ok && dir != f.dir && match("internal/connector/*", dir) {
				out = append(out, fmt.Sprintf("%s imports %s: nothing of a vendor is outside its folder", f.path, imp))
			}
		}
	}
	return out
}

func TestArrowsRunOneWay(t *testing.T) {
	t.Parallel()
	files := load(t)
	report(t, checkImports(files))
	report(t, checkVendors(files))
}
