package assistant

import (
	"os"
	"testing"

	"bellhop"
)

// tally counts how decisions on a split compare with its labels.
type tally struct {
	right, said, meant map[bellhop.Intent]int
	humanRight         int
	humanSaid          int
	humanMeant         int
	total, correct     int
}

func tallySplit(lx *lexicon, set []labelled, split string, wrong func(labelled, analysis)) tally {
	c := tally{right: map[bellhop.Intent]int{}, said: map[bellhop.Intent]int{}, meant: map[bellhop.Intent]int{}}
	for _, m := range set {
		if m.Split != split {
			continue
		}
		a := lx.analyse(m.Text)
		c.total++
		c.meant[m.Intent]++
		c.said[a.intent]++
		if a.intent == m.Intent {
			c.right[m.Intent]++
			c.correct++
		}
		if m.Human {
			c.humanMeant++
		}
		if a.human {
			c.humanSaid++
		}
		if m.Human && a.human {
			c.humanRight++
		}
		if a.intent != m.Intent || a.human != m.Human {
			wrong(m, a)
		}
	}
	return c
}

func share(n, of int) float64 {
	if of == 0 {
		return 1
	}
	return float64(n) / float64(of)
}

func (c tally) print(t *testing.T, split string) {
	t.Logf("%s: %d messages, accuracy %.3f", split, c.total, share(c.correct, c.total))
	t.Logf("%-10s %9s %9s %9s", "intent", "precision", "recall", "messages")
	for _, in := range intents() {
		t.Logf("%-10s %9.3f %9.3f %9d", in, share(c.right[in], c.said[in]), share(c.right[in], c.meant[in]), c.meant[in])
	}
	t.Logf("%-10s %9.3f %9.3f %9d", "(human)", share(c.humanRight, c.humanSaid), share(c.humanRight, c.humanMeant), c.humanMeant)
}

// TestIntentQuality measures the rules on messages that they were not written from.
func TestIntentQuality(t *testing.T) {
	t.Parallel()
	lx := mustLexicon(t)
	set := readLines[labelled](t, "testdata/messages.jsonl")
	show := os.Getenv("BELLHOP_SHOW_WRONG")
	for _, split := range []string{"train", "test"} {
		c := tallySplit(lx, set, split, func(m labelled, a analysis) {
			if show == split {
				t.Logf("%-8s not %-8s human %v/%v %.1f %q", a.intent, m.Intent, a.human, m.Human, a.scores, m.Text)
			}
		})
		c.print(t, split)
		if split == "train" {
			continue
		}
		for _, in := range intents() {
			needRecall, needPrecision := 0.8, 0.8
			if in == bellhop.IntentBilling {
				needRecall, needPrecision = 0.97, 0.85
			}
			if got := share(c.right[in], c.meant[in]); got < needRecall {
				t.Errorf("%s: recall %.3f, want at least %.2f", in, got, needRecall)
			}
			if got := share(c.right[in], c.said[in]); got < needPrecision {
				t.Errorf("%s: precision %.3f, want at least %.2f", in, got, needPrecision)
			}
		}
	}
}
