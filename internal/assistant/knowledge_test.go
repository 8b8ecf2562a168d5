package assistant

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

func TestSplitMarkdown(t *testing.T) {
	t.Parallel()
	doc := "\ufeff---\r\ntitle: secret\r\n---\r\nIntro text.\r\n\r\n# The *Guide* #\r\n\r\n## Empty\r\n\r\n## Code\r\n```sh\r\n# not a heading\r\n## nor this\r\n" +
		"```\r\nafter\r\n<!-- hidden\nstill hidden -->shown\n\nUnder lined\n-----------\nbelow\n\n- a\n---\n\n#nospace\n###### Deep ######\nx\n~~~\n# open to the end"
	got := splitMarkdown("docs/my-guide.md", doc)
	want := []struct{ section, holds string }{
		{"", "Intro text."}, {"Code", "# not a heading"}, {"Under lined", "below"}, {"Deep", "# open to the end"},
	}
	if len(got) != len(want) {
		t.Fatalf("got %d sections: %q", len(got), got)
	}
	for i, w := range want {
		if got[i].Section != w.section || !strings.Contains(got[i].Body, w.holds) || got[i].Title != "The Guide" || got[i].File != "docs/my-guide.md" {
			t.Errorf("section %d is %+v, want %q with %q", i, got[i], w.section, w.holds)
		}
	}
	if all := fmt.Sprint(got); strings.Contains(all, "hidden") || strings.Contains(all, "secret") {
		t.Errorf("comments or front matter are left: %q", all)
	}
	if !strings.Contains(got[1].Body, "after\n\nshown") {
		t.Errorf("text after a comment is lost: %q", got[1].Body)
	}
}

func TestSplitMarkdownTolerates(t *testing.T) {
	t.Parallel()
	if got := splitMarkdown("x.md", "# A\n\xff\xfe ok"); len(got) != 1 || !strings.Contains(got[0].Body, "ok") {
		t.Errorf("bad UTF-8: %q", got)
	}
	if got := splitMarkdown("no-title.md", "just text"); len(got) != 1 || got[0].Title != "No title" {
		t.Errorf("no heading: %q", got)
	}
	long := splitMarkdown("x.md", "# Long\n\n"+strings.Repeat(strings.Repeat("word ", 100)+"\n\n", 40))
	for _, s := range long {
		if len(s.Body) > 5*maxSection {
			t.Errorf("a section of %d bytes", len(s.Body))
		}
	}
	if len(long) < 4 {
		t.Errorf("a long section was cut into %d", len(long))
	}
}

func TestReadKnowledge(t *testing.T) {
	t.Parallel()
	got, err := readKnowledge(context.Background(), fstest.MapFS{
		"a.md":            {Data: []byte("# A\ntext")},
		"deep/er/b.MD":    {Data: []byte("# B\ntext")},
		"c.txt":           {Data: []byte("# C\ntext")},
		".hidden.md":      {Data: []byte("# D\ntext")},
		".git/readme.md":  {Data: []byte("# E\ntext")},
		"empty.md":        {Data: nil},
		"deep/x.markdown": {Data: []byte("# F\ntext")},
	})
	if err != nil {
		t.Fatal(err)
	}
	var titles []string
	for _, s := range got {
		titles = append(titles, s.Title)
	}
	if strings.Join(titles, "") != "ABF" {
		t.Errorf("read %q", titles)
	}
	many := fstest.MapFS{}
	for i := range maxFiles + 1 {
		many[fmt.Sprintf("%05d.md", i)] = &fstest.MapFile{Data: []byte("x")}
	}
	if _, err := readKnowledge(context.Background(), many); !errors.Is(err, errKnowledgeLimit) {
		t.Errorf("too many files: %v", err)
	}
}

func TestPlainInline(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"**bold** and *soft* `code`":             "bold and soft code",
		"see [the docs](https://a.test/b) now":   "see the docs (https://a.test/b) now",
		"see [above](#top)":                      "see above",
		"![logo](x.png)text":                     "text",
		"snake_case stays, _this_ does not":      "snake_case stays, this does not",
		`\*literal\*`:                            "*literal*",
		"[unclosed](":                            "[unclosed](",
		"[https://a.test](https://a.test) twice": "https://a.test twice",
	} {
		if got := plainInline(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestExcerptIsShort(t *testing.T) {
	t.Parallel()
	lx := mustLexicon(t)
	body := strings.Repeat("Filler words about nothing at all that go on. ", 30) + "\n\nThe answer is in bananas.\n\nMore."
	if got := excerpt(body, lx.terms(words("bananas"))); !strings.HasPrefix(got, "The answer is in bananas.") {
		t.Errorf("got %q", got)
	}
	if got := excerpt(strings.Repeat("x", 5000), nil); len([]rune(got)) > maxExcerpt+2 {
		t.Errorf("%d runes", len([]rune(got)))
	}
}

// TestQueryIsNeverSyntax: what FTS5 would read as operators is searched for as words.
func TestQueryIsNeverSyntax(t *testing.T) {
	t.Parallel()
	o := knowing(t)
	for _, text := range []string{`" OR 1=1 --`, `refund" AND (`, "NEAR(a b, 5)", "title:refund", "NOT AND OR", "a* ^b", "{title} : x", `'; DROP TABLE sections;`,
		"\x00\x00", "+-*/", `"""`, "café \u0301 naïve", "日本語のサポート", "😀😀"} {
		if _, err := o.Reply(context.Background(), Turn{Text: text}, nil); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	if a := reply(t, o, Turn{Text: "is there a free trial?"}); len(a.Sources) != 1 {
		t.Error("the index does not answer any more")
	}
}
