package cli

import (
	"reflect"
	"strings"
)

// Commands returns the names of the commands, in the order of the help.
func Commands() []string {
	var out []string
	t := reflect.TypeFor[commands]()
	for i := range t.NumField() {
		f := t.Field(i)
		if _, ok := f.Tag.Lookup("cmd"); !ok {
			continue
		}
		name := f.Tag.Get("name")
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		out = append(out, name)
	}
	return out
}
