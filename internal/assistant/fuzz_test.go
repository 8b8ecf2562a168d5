package assistant

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"bellhop"
)

// hostile are texts that make careless code slow or crash.
func hostile() []string {
	one := []string{"a", "@", ".", "0", "+", "(", " ", "\n", "é", "😀", "'", "?", "#", "[", "`", "A ", "a@b.", "1-", "at dot ", "<!--", "\xff", "i'm ",
		"from A ", "not ", "my name is ", "l'a", "](", "- "}
	out := []string{"", "\x00", "\u0301", "’", "I'm", "my name is", "name:", "@@", "a@b", "+", "K.", "Dr.", "from", "at at dot dot com", "Best,\n", "\ufeff---\n",
		"---\n---", "```", "~~~\n```", "[](", "![", "# \n=", "=\n=", "\n\n---", "x <!-- y", "I’m Ana’s"}
	for _, s := range one {
		out = append(out, strings.Repeat(s, 10000/len(s)))
	}
	return out
}

func seed(f *testing.F) {
	for _, s := range hostile() {
		f.Add(s)
	}
	for _, m := range readLines[labelled](f, "testdata/messages.jsonl")[:40] {
		f.Add(m.Text)
	}
}

func FuzzSplitMarkdown(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, s string) {
		for _, sec := range splitMarkdown("f.md", s) {
			if sec.Body == "" || !utf8.ValidString(sec.Body) || !utf8.ValidString(sec.Section) {
				t.Errorf("section %+v", sec)
			}
			excerpt(sec.Body, nil)
		}
	})
}

func FuzzFields(f *testing.F) {
	lx := mustLexicon(f)
	seed(f)
	f.Fuzz(func(t *testing.T, s string) {
		h := []bellhop.Message{said(s), bot("What is your name, e-mail, phone and company?")}
		got := lx.extractFields(h, s, lx.analyse(s), bellhop.LeadFields{})
		if got.Email != "" {
			if n, ok := bellhop.NormalizeEmail(got.Email); !ok || n != got.Email {
				t.Errorf("address %q", got.Email)
			}
		}
		for _, v := range []string{got.Name, got.Phone, got.Company, got.Wants} {
			if !utf8.ValidString(v) || strings.ContainsAny(v, "\n\r") || len([]rune(v)) > 400 {
				t.Errorf("field %q", v)
			}
		}
	})
}

func FuzzIntent(f *testing.F) {
	lx := mustLexicon(f)
	seed(f)
	f.Fuzz(func(t *testing.T, s string) {
		a := lx.analyse(s)
		if c := confidence(a.margin); c < 0 || c > 1 || indexOf(intents(), a.intent) < 0 {
			t.Errorf("%s with %f", a.intent, c)
		}
		Promises(s)
		lx.askedBy(s)
	})
}

func FuzzQuery(f *testing.F) {
	lx := mustLexicon(f)
	ix, err := newIndex(context.Background(), splitMarkdown("a.md", "# Refunds\nmoney back\n\n## Prices\n49 a month"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = ix.close() })
	seed(f)
	f.Fuzz(func(t *testing.T, s string) {
		terms := lx.terms(words(clip(s, maxRunes)))
		if _, _, err := ix.lookup(context.Background(), terms); err != nil {
			t.Errorf("query %q: %v", matchQuery(terms), err)
		}
	})
}

// FuzzReply holds the whole to what the API relies on.
func FuzzReply(f *testing.F) {
	o := newOffline(f, OfflineOpts{})
	seed(f)
	f.Fuzz(func(t *testing.T, s string) {
		a, err := o.Reply(context.Background(), Turn{Text: s, PublicName: "Acme"}, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		if a.Text == "" || Promises(a.Text) || a.Escalate != (a.EscalateReason != "") || !utf8.ValidString(a.Decision.Summary) {
			t.Errorf("answer %+v", a)
		}
	})
}
