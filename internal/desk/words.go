package desk

import (
	"fmt"
	"strings"
)

// Words says what an edit changes, for the security log: which fields, and of text only
// that there was some.
func (e Edit) Words(id string) string {
	var what []string
	if e.Status != "" {
		what = append(what, "status "+string(e.Status))
	}
	if e.Priority != "" {
		what = append(what, "priority "+string(e.Priority))
	}
	if e.Assignee != nil {
		what = append(what, "another assignee")
	}
	if e.Note != "" {
		what = append(what, "a note")
	}
	if len(what) == 0 {
		what = append(what, "no change")
	}
	return "support request " + id + ": " + strings.Join(what, ", ")
}

// BulkWords says what became of a bulk action, for the security log.
func BulkWords(a Action, results []BulkResult) string {
	good := 0
	for _, r := range results {
		if r.Err == nil {
			good++
		}
	}
	return fmt.Sprintf("%s of %d of %d steps", a, good, len(results))
}
