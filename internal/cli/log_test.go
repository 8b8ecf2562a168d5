package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestWhateverGetsIntoALineIsCleaned(t *testing.T) {
	t.Parallel()
	for _, isTerminal := range []bool{true, false} {
		var out bytes.Buffer
		log := newLogger(&out, isTerminal, []string{"hush-hush", "", "abc"})
		log.With("who", "ada@example.com").WithGroup("g").Error("mail to ada@example.com with hush-hush failed",
			"error", errors.New("550 <bob.b+x@mail.example.org>: Bearer abc.def-123 bhv1_AAAA"), "list", []string{"c@d.example"},
			"n", 7, "word", "abc")
		for _, bad := range []string{"ada@", "hush-hush", "bob.b", "abc.def", "bhv1_AAAA", "c@d"} {
			if strings.Contains(out.String(), bad) {
				t.Errorf("holds %q: %s", bad, out.String())
			}
		}
		for _, good := range []string{"***@***", "550", "7", "abc"} {
			if !strings.Contains(out.String(), good) {
				t.Errorf("lost %q: %s", good, out.String())
			}
		}
	}
}
