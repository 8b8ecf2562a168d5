package api

import (
	"encoding/json"
	"strings"
	"testing"
)

func FuzzTraceparent(f *testing.F) {
	for _, s := range []string{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "", "00-" + strings.Repeat("0", 32) + "-1234567890123456-00", "ff-x-y-z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id := parseTraceparent(s)
		if id != "" && (len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" || !strings.Contains(s, id)) {
			t.Errorf("%q gave the id %q", s, id)
		}
	})
}

func FuzzCheckJSON(f *testing.F) {
	f.Add("application/json", `{"a":[1,{"b":"\"{"}]}`)
	f.Add("application/json; charset=latin1", `{}`)
	f.Add("text/plain", "x")
	f.Fuzz(func(t *testing.T, contentType, body string) {
		if err := checkJSON(contentType, []byte(body)); err == nil && json.Valid([]byte(body)) {
			if depth(body) > maxDepth {
				t.Errorf("nesting of %d passed", depth(body))
			}
		}
	})
}

// depth measures nesting with the standard decoder, which knows strings.
func depth(s string) int {
	d, most := 0, 0
	dec := json.NewDecoder(strings.NewReader(s))
	for {
		tok, err := dec.Token()
		if err != nil {
			return most
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			d++
			most = max(most, d)
		case json.Delim('}'), json.Delim(']'):
			d--
		}
	}
}
