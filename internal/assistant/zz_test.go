package assistant
import "testing"
func TestZZ(t *testing.T){ lx:=mustLexicon(t)
 set:=readLines[labelled](t,"/tmp/asst/fresh2.jsonl")
 c:=tallySplit(lx,set,"fresh",func(m labelled,a analysis){ t.Logf("%-8s not %-8s human %v/%v %.1f %q", a.intent, m.Intent, a.human, m.Human, a.scores, m.Text)})
 c.print(t,"fresh2")
}
