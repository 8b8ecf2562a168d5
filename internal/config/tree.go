package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const maxDepth = 20

// Variables are set aside before YAML is parsed, because "${NAME}" inside {…} is not
// YAML, and people write it there. Characters of the private use area stand for them:
// YAML takes those anywhere, and a file has no reason to hold them itself.
const (
	varOpen  = "\uE000" // ${
	varClose = "\uE001" // }
	literal  = "\uE002" // $${, which means ${
)

var (
	variable = regexp.MustCompile(`(\$?)\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)
	setAside = regexp.MustCompile(varOpen + `([A-Za-z0-9_]+)` + varClose + `|[` + varClose + literal + `]`)
)

// tree is a YAML file as plain values: map[string]any, []any and string, with every
// scalar as it was written (so that a token of digits stays what it is) and null left
// out.
type tree struct {
	root  map[string]any
	lines map[string]int // "connections.0.name" → line
	// incomplete holds the paths whose value needs a variable that is not set: that is
	// told once, and what follows from it is not a mistake of its own.
	incomplete map[string]bool
}

// treeReader turns YAML nodes into a tree.
type treeReader struct {
	tree
	env     func(string) (string, bool)
	m       *mistakes
	missing []missingVar // in the order of the file
}

type missingVar struct {
	name  string
	lines []int
}

// readTree parses data. What is wrong with it is added to m; the tree holds the rest.
func readTree(data []byte, env func(string) (string, bool), m *mistakes) tree {
	r := &treeReader{env: env, m: m,
		tree: tree{root: map[string]any{}, lines: map[string]int{}, incomplete: map[string]bool{}}}
	if bytes.ContainsAny(data, varOpen+varClose+literal) {
		m.atLine(0, "holds a character of the private use area (U+E000 to U+E002)")
		return r.tree
	}
	text := variable.ReplaceAllStringFunc(string(data), func(s string) string {
		if strings.HasPrefix(s, "$$") {
			return literal + s[3:len(s)-1] + varClose
		}
		return varOpen + s[2:len(s)-1] + varClose
	})
	text = strings.ReplaceAll(text, "$${", literal)
	doc, ok := r.parse(text)
	if !ok {
		return r.tree
	}
	if v, ok := r.value(doc, ""); ok {
		root, isMap := v.(map[string]any)
		if !isMap {
			m.atLine(doc.Line, "must be a mapping of keys to values")
			return r.tree
		}
		r.root = root
	}
	r.tellMissing()
	return r.tree
}

// parse returns the one document of the text; false when there is none to read.
func (r *treeReader) parse(text string) (*yaml.Node, bool) {
	dec := yaml.NewDecoder(strings.NewReader(text))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if !errors.Is(err, io.EOF) { // an empty file says nothing, which is fine
			r.yamlMistake(err)
		}
		return nil, false
	}
	if err := dec.Decode(&more); err == nil {
		r.m.atLine(more.Line, "a second document begins here; a configuration is one")
	} else if !errors.Is(err, io.EOF) {
		r.yamlMistake(err)
	}
	if len(doc.Content) != 1 {
		return nil, false
	}
	return doc.Content[0], true
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// yamlMistake moves the line of a syntax error to where ours have it.
func (r *treeReader) yamlMistake(err error) {
	line, text := 0, err.Error()
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1]) // "" is 0: no line known
		text = strings.TrimPrefix(text, m[0])
	}
	r.m.atLine(line, "not YAML: %s", unhide(text))
}

func (r *treeReader) value(n *yaml.Node, path string) (any, bool) {
	r.lines[path] = n.Line
	if strings.Count(path, ".") >= maxDepth {
		r.m.atLine(n.Line, "nested deeper than %d levels", maxDepth)
		return nil, false
	}
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.m.atLine(n.Line, "anchors and aliases are not supported here; write the value out")
		return nil, false
	case n.Kind == yaml.MappingNode:
		return r.mapping(n, path), true
	case n.Kind == yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			// Counted by what is kept, so that lines and list go together.
			if v, ok := r.value(item, join(path, strconv.Itoa(len(list)))); ok {
				list = append(list, v)
				continue
			}
			if item.ShortTag() == "!!null" {
				r.m.atLine(item.Line, "an empty item in a list")
			}
		}
		return list, true
	default:
		return r.scalar(n, path)
	}
}

func (r *treeReader) mapping(n *yaml.Node, path string) map[string]any {
	out := make(map[string]any, len(n.Content)/2)
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.ShortTag() == "!!merge" {
			r.m.atLine(k.Line, "a key must be a plain word")
			continue
		}
		key := unhide(k.Value)
		if first, dup := seen[key]; dup {
			r.m.atLine(k.Line, "%s is set twice, first on line %d", quote(key), first)
			continue
		}
		seen[key] = k.Line
		p := join(path, key)
		if val, ok := r.value(v, p); ok {
			out[key] = val
		}
		r.lines[p] = k.Line
	}
	return out
}

func (r *treeReader) scalar(n *yaml.Node, path string) (any, bool) {
	switch n.ShortTag() {
	case "!!null":
		return nil, false
	case "!!bool":
		return strings.ToLower(n.Value), true
	case "!!str", "!!int", "!!float", "!!timestamp":
	default:
		r.m.atLine(n.Line, "the tag %s is not supported here", quote(n.ShortTag()))
		return nil, false
	}
	if strings.Contains(n.Value, "${") {
		r.m.atLine(n.Line, "${…} must hold the name of an environment variable; write $${ for a literal ${")
		return nil, false
	}
	whole := true
	val := setAside.ReplaceAllStringFunc(n.Value, func(s string) string {
		name := strings.TrimSuffix(strings.TrimPrefix(s, varOpen), varClose)
		if !strings.HasPrefix(s, varOpen) {
			return unhide(s)
		}
		v, ok := r.env(name)
		if !ok {
			whole = false
			r.miss(name, n.Line)
		}
		return v
	})
	if !whole {
		r.incomplete[path] = true
		return nil, false
	}
	return val, true
}

func (r *treeReader) miss(name string, line int) {
	for i := range r.missing {
		if r.missing[i].name == name {
			r.missing[i].lines = append(r.missing[i].lines, line)
			return
		}
	}
	r.missing = append(r.missing, missingVar{name: name, lines: []int{line}})
}

func (r *treeReader) tellMissing() {
	for _, v := range r.missing {
		also := ""
		if len(v.lines) > 1 {
			also = fmt.Sprintf(" (needed on lines %s)", strings.Trim(fmt.Sprint(v.lines), "[]"))
		}
		r.m.atLine(v.lines[0], "the environment variable %s is not set%s", v.name, also)
	}
}

// lacks reports whether a value at or below path needs a variable that is not set.
func (t tree) lacks(path string) bool {
	for p := range t.incomplete {
		if p == path || strings.HasPrefix(p, path+".") {
			return true
		}
	}
	return false
}

// unhide puts the variables back as they were written.
func unhide(s string) string {
	return strings.NewReplacer(varOpen, "${", varClose, "}", literal, "${").Replace(s)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// quote shows a stranger's word, bounded.
func quote(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return strconv.Quote(s)
}
