package slack
import ("testing";"encoding/json";"os";"bellhop")
func TestDump(t *testing.T){ d,_:=json.Marshal(render(bellhop.AlertInput{Title: "New <!channel> & <@U1>\nlead", Text: "<https://evil.example|your bank> & <!here>", Severity: bellhop.SeverityCritical,
		Link: "https://chat.example.com/console?a=1&b=<x>|y"})); os.WriteFile("testdata/alert.json",append(d,'\n'),0o644)}
