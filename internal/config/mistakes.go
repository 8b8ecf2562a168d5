package config

import (
	"fmt"
	"slices"
	"strings"
)

// maxMistakes bounds what is shown of a file that is not a configuration at all.
const maxMistakes = 50

// Mistake is one thing that is wrong.
type Mistake struct {
	Where string // "bellhop.yaml:12", the environment variable, or the file
	Line  int    // 0 when it is not about a line
	Text  string
}

// Error tells every mistake of a configuration, in the order of the file.
type Error struct {
	Mistakes []Mistake
}

// Error returns one line for each mistake.
func (e *Error) Error() string {
	var b strings.Builder
	for i, m := range e.Mistakes {
		if i == maxMistakes {
			fmt.Fprintf(&b, "\nand %d more", len(e.Mistakes)-maxMistakes)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(m.Where + ": " + m.Text)
	}
	return b.String()
}

// mistakes collects what is wrong in one file.
type mistakes struct {
	file string
	list []Mistake
}

// atLine adds a mistake about a line of the file; line 0 means the file as a whole.
func (m *mistakes) atLine(line int, format string, args ...any) {
	where := m.file
	if line > 0 {
		where = fmt.Sprintf("%s:%d", m.file, line)
	}
	m.list = append(m.list, Mistake{Where: where, Line: line, Text: fmt.Sprintf(format, args...)})
}

// inEnv adds a mistake about an environment variable.
func (m *mistakes) inEnv(name, format string, args ...any) {
	m.list = append(m.list, Mistake{Where: "environment variable " + name, Text: fmt.Sprintf(format, args...)})
}

// err returns nil when nothing is wrong.
func (m *mistakes) err() error {
	if len(m.list) == 0 {
		return nil
	}
	slices.SortStableFunc(m.list, func(a, b Mistake) int { return a.Line - b.Line })
	return &Error{Mistakes: m.list}
}
