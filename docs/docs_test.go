// Package docs checks that the lists in the documentation are those of the code.
package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"bellhop"
	"bellhop/internal/cli"
	"bellhop/internal/config"
	"bellhop/internal/intake"
	"bellhop/internal/policy"
	"bellhop/internal/store"
)

// section returns the text between a heading and the next of the same or a higher level.
func section(t *testing.T, file, heading string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(data), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("%s has no section %q", file, heading)
	}
	body, _, _ := strings.Cut(rest, "\n## ")
	return body
}

// firstCells returns the first code cell of every table row.
func firstCells(text string) []string {
	var out []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

func same[T ~string](t *testing.T, what string, doc []string, code []T) {
	t.Helper()
	want := make([]string, len(code))
	for i, c := range code {
		want[i] = string(c)
	}
	if !slices.Equal(doc, want) {
		t.Errorf("%s: the page says\n%v\nthe code says\n%v", what, doc, want)
	}
}

func TestStatesPageIsTheCode(t *testing.T) {
	t.Parallel()
	step := section(t, "states.md", "A step")
	same(t, "step states", firstCells(step), bellhop.StepStates())
	for _, s := range bellhop.StepStates() {
		if row := fmt.Sprintf("(?m)^\\| `%s` \\|.*\\| %s \\|$", s, map[bool]string{true: "yes", false: "no"}[s.HoldsLane()]); !regexp.MustCompile(row).MatchString(step) {
			t.Errorf("whether %s holds its lane is wrong", s)
		}
		if !regexp.MustCompile(`(?m)(^|\s)` + string(s) + `(\s|:|$)`).MatchString(step) {
			t.Errorf("the diagram does not show %s", s)
		}
	}
	same(t, "error classes", firstCells(section(t, "states.md", "What an error class does")), bellhop.ErrorClasses())
	same(t, "request states", firstCells(section(t, "states.md", "What the customer sees")), bellhop.RequestStates())

	sup := section(t, "states.md", "A support request")
	cells := firstCells(sup)
	n := len(bellhop.SupportStatuses())
	same(t, "support statuses", cells[:n], bellhop.SupportStatuses())
	same(t, "reasons", cells[n:], bellhop.Reasons())
	for _, from := range bellhop.SupportStatuses() {
		var to []string
		for _, s := range bellhop.SupportStatuses() {
			if from.CanMove(s) {
				to = append(to, "`"+string(s)+"`")
			}
		}
		if row := fmt.Sprintf("| `%s` | %s |", from, strings.Join(to, ", ")); !strings.Contains(sup, row) {
			t.Errorf("the moves from %s are not %q", from, row)
		}
	}
	for _, p := range bellhop.Priorities() {
		if want := fmt.Sprintf("`%s` %.0fh", p, policy.DueIn(p).Hours()); !strings.Contains(sup, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestStatesPageHasThePolicy(t *testing.T) {
	t.Parallel()
	var want []string
	for _, l := range policy.New(policy.Opts{}).Lines() {
		want = append(want, fmt.Sprintf("| `%s` | %s |", l.On, l.Rule))
	}
	got := regexp.MustCompile("(?m)^\\| `.*$").FindAllString(section(t, "states.md", "What follows from what"), -1)
	if !slices.Equal(got, want) {
		t.Errorf("the page has\n%s\nthe policy is\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// No page and no message of the program names a command that there is not.
func TestNothingNamesAMissingCommand(t *testing.T) {
	t.Parallel()
	have := map[string]bool{}
	for _, c := range cli.Commands() {
		have[c] = true
	}
	// In backticks, at the start of a line of shell, or as an instruction in a message.
	name := regexp.MustCompile("(?m)(?:`|^ *|^ *bin/|[Rr]un |with )bellhop ([a-z][a-z-]+)")
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") ||
			(!strings.HasSuffix(path, ".md") && !strings.HasSuffix(path, ".go")) {
			return err
		}
		data, err := os.ReadFile(path)
		for _, m := range name.FindAllStringSubmatch(string(data), -1) {
			if !have[m[1]] {
				t.Errorf("%s names bellhop %s, which there is not", path, m[1])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Rule: every promise in the README has a test that names it.
func TestReadmePromisesHaveTests(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| .* \\| `(Test\\w+)` \\|$").FindAllStringSubmatch(string(data), -1)
	if len(rows) < 5 {
		t.Fatalf("only %d promises were found in the README", len(rows))
	}
	have := allTests(t)
	for _, r := range rows {
		if !have[r[1]] {
			t.Errorf("the README names %s, and there is no such test", r[1])
		}
	}
}

// allTests returns the names of all tests there are.
func allTests(t *testing.T) map[string]bool {
	t.Helper()
	have := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(src), -1) {
			have[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return have
}

// What scaling.md says was run has a test, and every step says whether it was.
func TestScalingPageNamesTests(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("scaling.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(string(page), -1)
	if len(names) < 10 {
		t.Fatalf("only %d tests were found on the page", len(names))
	}
	have := allTests(t)
	for _, n := range names {
		if !have[n[1]] {
			t.Errorf("the page names %s, and there is no such test", n[1])
		}
	}
	steps := strings.Split(string(page), "\n## ")[1:]
	for _, s := range steps {
		if !regexp.MustCompile(`(?mi)^(Run|\**On paper)\b`).MatchString(s) {
			heading, _, _ := strings.Cut(s, "\n")
			t.Errorf("%q does not say whether it was run", heading)
		}
	}
}

// The page places every table on a sharded Postgres, and no table that there is not. That
// it places them as their keys allow is tested beside the schema.
func TestScalingPageNamesEveryTable(t *testing.T) {
	t.Parallel()
	have := map[string]bool{"schema_migrations": true} // goose's own
	files, err := filepath.Glob("../internal/store/migrations/postgres/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no migrations were found: %v", err)
	}
	slices.Sort(files)
	change := regexp.MustCompile(`(?m)^(CREATE TABLE|DROP TABLE) (?:IF (?:NOT )?EXISTS )?bellhop\.(\w+)(.*)$`)
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range change.FindAllStringSubmatch(string(data), -1) {
			if strings.Contains(m[3], "PARTITION OF") {
				continue // goes where its table goes
			}
			have[m[2]] = m[1] == "CREATE TABLE"
		}
	}
	named := map[string]bool{}
	for _, m := range regexp.MustCompile(`bellhop\.(\w+)`).FindAllStringSubmatch(section(t, "scaling.md", "A sharded Postgres"), -1) {
		named[m[1]] = true
		if !have[m[1]] && !strings.HasPrefix(m[1], "river_") {
			t.Errorf("the page names bellhop.%s, and no migration makes it", m[1])
		}
	}
	for table, there := range have {
		if there && !named[table] {
			t.Errorf("the page does not place bellhop.%s", table)
		}
	}
}

func TestOperatingPageNamesWhatCanBeHandedOver(t *testing.T) {
	t.Parallel()
	same(t, "kinds", firstCells(section(t, "operating.md", "Handing over from SQL")), intake.OutboxKinds())
}

// The page has every kind of the security log, and a test for every risk.
func TestSecurityPageIsTheCode(t *testing.T) {
	t.Parallel()
	same(t, "kinds of the security log", firstCells(section(t, "security.md", "Security log")), store.SecurityKinds())
	have := allTests(t)
	risks := regexp.MustCompile("(?m)^\\| (API\\d+) .* \\| (`Test\\w+`(?:, `Test\\w+`)*) \\|$").
		FindAllStringSubmatch(section(t, "security.md", "OWASP API Security Top 10 (2023)"), -1)
	if len(risks) != 10 {
		t.Fatalf("%d of the 10 risks have a row with a test", len(risks))
	}
	for n, r := range risks {
		if want := fmt.Sprint("API", n+1); r[1] != want {
			t.Errorf("row %d is %s", n+1, r[1])
		}
		for _, name := range strings.Split(strings.ReplaceAll(r[2], "`", ""), ", ") {
			if !have[name] {
				t.Errorf("%s names %s, and there is no such test", r[1], name)
			}
		}
	}
}

// The table of limits is the configuration's, with its defaults.
func TestSecurityPageHasTheLimits(t *testing.T) {
	t.Parallel()
	c, err := config.Load(config.LoadOpts{Path: filepath.Join(t.TempDir(), "none.yaml"), Env: func(string) (string, bool) { return "", false }})
	if err != nil {
		t.Fatal(err)
	}
	l := c.Limits
	dollars := func(micros int64) string { return strings.TrimSuffix(fmt.Sprintf("%.2f", float64(micros)/1e6), ".00") }
	var want []string
	for _, row := range [][2]string{{"address", l.Address.String()}, {"caller", l.Caller.String()}, {"key", l.Key.String()},
		{"visitors", l.Visitors.String()}, {"messages", l.Messages.String()}, {"streams", fmt.Sprint(l.Streams)},
		{"spend_per_person", dollars(l.SpendPerPerson)}, {"spend_per_day", dollars(l.SpendPerDay)}} {
		want = append(want, "limits."+row[0]+" "+row[1])
	}
	for _, page := range []string{section(t, "security.md", "Limits"), section(t, "operating.md", "Configuration")} {
		var got []string
		for _, m := range regexp.MustCompile("(?m)^\\| `(limits\\.\\w+)` \\|.*\\| `([^`]+)` \\|$").FindAllStringSubmatch(page, -1) {
			got = append(got, m[1]+" "+m[2])
		}
		if !slices.Equal(got, want) {
			t.Errorf("the page says\n%v\nthe code says\n%v", got, want)
		}
	}
}

func TestOperatingPageNamesEveryCommand(t *testing.T) {
	t.Parallel()
	same(t, "commands", firstCells(section(t, "operating.md", "Commands")), cli.Commands())
}
