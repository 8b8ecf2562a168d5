package cli

import (
	"encoding/json"
	"io"
)

// writeJSON writes v as a program and a person can both read it.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
