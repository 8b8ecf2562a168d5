package bellhop_test

import (
	"strings"
	"testing"

	"bellhop"
)

func TestNormalizeEmail(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		" Ada@Example.COM ": "ada@example.com", "a+b@sub.example.org": "a+b@sub.example.org", "josé@exámple.com": "josé@exámple.com",
		"ada": "", "ada@": "", "@example.com": "", "ada@example": "", "ada@@example.com": "", "ada@exa mple.com": "", "ada@-x.com": "",
		"ada@example.123": "", "Ada <ada@example.com>": "", "ada@example.com\x00": "", "a\xff@example.com": "", "": "",
		strings.Repeat("a", 65) + "@example.com": "", "a@" + strings.Repeat("a.", 130) + "com": "", "ada@[127.0.0.1]": "",
	} {
		got, ok := bellhop.NormalizeEmail(in)
		if got != want || ok != (want != "") {
			t.Errorf("%q: got %q %v, want %q", in, got, ok, want)
		}
	}
}

func FuzzNormalizeEmail(f *testing.F) {
	for _, s := range []string{"ada@example.com", "Ada <a@b.c>", "\x00@.", "ü@ü.de", "a@b..c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := bellhop.NormalizeEmail(s)
		if !ok {
			if got != "" {
				t.Errorf("refused and still returned %q", got)
			}
			return
		}
		if again, ok := bellhop.NormalizeEmail(got); !ok || again != got {
			t.Errorf("%q normalises to %q, and that to %q", s, got, again)
		}
	})
}

func TestMoneyShowsTheCurrencysDecimals(t *testing.T) {
	t.Parallel()
	for m, want := range map[bellhop.Money]string{{Amount: 4900, Currency: "eur"}: "49.00 EUR", {Amount: 500, Currency: "jpy"}: "500 JPY",
		{Amount: 1234, Currency: "kwd"}: "1.234 KWD", {Amount: -5, Currency: "usd"}: "-0.05 USD"} {
		if got := m.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	s := bellhop.Secret("hunter2")
	text, err := s.MarshalText()
	if err != nil || s.String() != "***" || s.GoString() != "***" || string(text) != "***" || s.Reveal() != "hunter2" {
		t.Error("a secret shows itself")
	}
}
