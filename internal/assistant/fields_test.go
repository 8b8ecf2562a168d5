package assistant

import (
	"os"
	"strings"
	"testing"

	"bellhop"
)

// play runs a conversation of the labelled set through the extraction.
func play(lx *lexicon, c conversation) bellhop.LeadFields {
	var history []bellhop.Message
	var out bellhop.LeadFields
	for _, turn := range c.Turns {
		if turn.Role == bellhop.RoleCustomer {
			out = lx.extractFields(history, turn.Text, lx.analyse(turn.Text), out)
		}
		history = append(history, bellhop.Message{Role: turn.Role, Text: turn.Text})
	}
	return out
}

// TestFieldAccuracy measures the extraction on conversations it was not written from.
func TestFieldAccuracy(t *testing.T) {
	t.Parallel()
	lx := mustLexicon(t)
	show := os.Getenv("BELLHOP_SHOW_WRONG")
	right, all := map[string]int{}, map[string]int{}
	for _, c := range readLines[conversation](t, "testdata/leads.jsonl") {
		f := play(lx, c)
		got := map[string]string{"name": f.Name, "email": f.Email, "phone": f.Phone, "company": f.Company, "wants": f.Wants}
		for field, want := range c.Expect {
			ok := got[field] == want
			if field == "wants" {
				ok = strings.Contains(strings.ToLower(f.Wants), want)
			}
			all[c.Split+" "+field]++
			all[c.Split]++
			if ok {
				right[c.Split+" "+field]++
				right[c.Split]++
			} else if show == c.Split {
				t.Logf("%s: %q, want %q, in %q", field, got[field], want, c.Turns)
			}
		}
	}
	for _, split := range []string{"train", "test"} {
		for _, field := range []string{"name", "email", "phone", "company", "wants"} {
			key := split + " " + field
			t.Logf("%-14s %d of %d", key, right[key], all[key])
		}
		t.Logf("%s: field accuracy %.3f", split, share(right[split], all[split]))
	}
	if got := share(right["test"], all["test"]); got < 0.95 {
		t.Errorf("field accuracy on held-out conversations is %.3f, want at least 0.95", got)
	}
}
