package assistant

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// damage drops words of s, so that what is left is phrased as the word lists do not
// expect.
func damage(rng *rand.Rand, s string) string {
	var kept []string
	for _, w := range strings.Fields(s) {
		if rng.Float64() >= 0.3 {
			kept = append(kept, w)
		}
	}
	if len(kept) == 0 {
		return s
	}
	return strings.Join(kept, " ")
}

// fitCalibration returns, for the margins of the table, the share of decisions that
// are right around them, made monotonic (pool adjacent violators).
func fitCalibration(lx *lexicon, set []labelled) []knot {
	table := calibration()
	right, all := make([]float64, len(table)), make([]float64, len(table))
	rng := rand.New(rand.NewPCG(1, 2))
	for _, m := range set {
		if m.Split != "train" {
			continue
		}
		for _, text := range []string{m.Text, damage(rng, m.Text)} {
			a := lx.analyse(text)
			near := 0
			for i, k := range table {
				if math.Abs(k.margin-a.margin) < math.Abs(table[near].margin-a.margin) {
					near = i
				}
			}
			all[near]++
			if a.intent == m.Intent {
				right[near]++
			}
		}
	}
	type block struct {
		right, all float64
		n          int
	}
	var blocks []block
	for i := range table {
		blocks = append(blocks, block{right[i] + 1, all[i] + 2, 1})
		for n := len(blocks); n > 1 && blocks[n-2].right/blocks[n-2].all > blocks[n-1].right/blocks[n-1].all; n-- {
			b := blocks[n-1]
			blocks = blocks[:n-1]
			blocks[n-2].right += b.right
			blocks[n-2].all += b.all
			blocks[n-2].n += b.n
		}
	}
	i := 0
	for _, b := range blocks {
		for range b.n {
			table[i].share = b.right / b.all
			i++
		}
	}
	return table
}

// TestCalibrationIsFitted keeps the table of confidence what the training half says.
func TestCalibrationIsFitted(t *testing.T) {
	t.Parallel()
	lx := mustLexicon(t)
	fitted := fitCalibration(lx, readLines[labelled](t, "testdata/messages.jsonl"))
	t.Logf("fitted: %.2f", fitted)
	for i, k := range calibration() {
		if math.Abs(k.share-fitted[i].share) > 0.02 {
			t.Errorf("margin %.1f: the table says %.3f, the training half %.3f", k.margin, k.share, fitted[i].share)
		}
	}
}

// TestCalibrationHoldsOut: of the decisions that are made with some confidence, that
// share is right, on messages that the table was not fitted on.
func TestCalibrationHoldsOut(t *testing.T) {
	t.Parallel()
	lx := mustLexicon(t)
	edges := []float64{0, 0.75, 0.9, 1.01}
	const tolerance, fewest = 0.15, 15
	n, right, sum := make([]float64, len(edges)), make([]float64, len(edges)), make([]float64, len(edges))
	total := 0.0
	for _, m := range readLines[labelled](t, "testdata/messages.jsonl") {
		if m.Split != "test" {
			continue
		}
		a := lx.analyse(m.Text)
		c, bin := confidence(a.margin), 0
		for edges[bin+1] <= c {
			bin++
		}
		n[bin]++
		total++
		sum[bin] += c
		if a.intent == m.Intent {
			right[bin]++
		}
	}
	ece := 0.0
	for b := range edges[:len(edges)-1] {
		if n[b] == 0 {
			continue
		}
		gap := right[b]/n[b] - sum[b]/n[b]
		ece += n[b] / total * math.Abs(gap)
		t.Logf("confidence %.2f to %.2f: %3.0f messages, mean %.3f, right %.3f", edges[b], edges[b+1], n[b], sum[b]/n[b], right[b]/n[b])
		if n[b] >= fewest && math.Abs(gap) > tolerance {
			t.Errorf("confidence %.2f to %.2f is off by %.3f, want at most %.2f", edges[b], edges[b+1], gap, tolerance)
		}
	}
	t.Logf("ECE %.3f", ece)
	if ece > 0.08 {
		t.Errorf("ECE %.3f, want at most 0.08", ece)
	}
}
