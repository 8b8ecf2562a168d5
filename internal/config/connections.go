package config

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"bellhop/internal/connector"
)

const maxConnections = 100

var connectionName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,39}$`)

// reservedNames are the sources of events that come from no connection: with such a
// name two sources would share one space of event ids.
func reservedNames() []string { return []string{"api", "chat", "outbox"} }

func (d *decoder) connections(vendors []connector.Manifest) []Connection {
	items, _ := d.k.Get("connections").([]any)
	if len(items) > maxConnections {
		d.wrong("connections", "has %d entries; at most %d", len(items), maxConnections)
		return nil
	}
	byName := make(map[string]int, len(items)) // name → line
	var out []Connection
	for i, item := range items {
		raw, _ := item.(map[string]any)
		path := join("connections", strconv.Itoa(i))
		c := Connection{Line: d.tree.lines[path], Raw: maps.Clone(raw)}
		c.Name = d.connectionName(path, c.Raw)
		if c.Name != "" {
			if first, dup := byName[c.Name]; dup {
				d.m.atLine(c.Line, "connection %s: the name is used already, on line %d", quote(c.Name), first)
			}
			byName[c.Name] = c.Line
		}
		if m, ok := d.vendor(path, &c, vendors); ok {
			d.settings(path, &c, m)
		}
		out = append(out, c)
	}
	return out
}

// connectionName takes the name out of raw; "" when there is no usable one.
func (d *decoder) connectionName(path string, raw map[string]any) string {
	name, _ := raw["name"].(string)
	delete(raw, "name")
	switch at := join(path, "name"); {
	case d.tree.lacks(at):
		return ""
	case name == "":
		d.m.atLine(d.tree.lines[path], "a connection needs a name")
		return ""
	case !connectionName.MatchString(name):
		d.m.atLine(d.tree.lines[at], "connection %s: a name is 1 to 40 of a-z, 0-9, _ and -, beginning with a letter", quote(name))
		return ""
	case slices.Contains(reservedNames(), name):
		d.m.atLine(d.tree.lines[at], "connection %s: this name is taken by Bellhop itself", quote(name))
		return ""
	}
	return name
}

// vendor takes the vendor out of c.Raw and finds its manifest.
func (d *decoder) vendor(path string, c *Connection, vendors []connector.Manifest) (connector.Manifest, bool) {
	c.Vendor, _ = c.Raw["vendor"].(string)
	delete(c.Raw, "vendor")
	at := join(path, "vendor")
	if d.tree.lacks(at) {
		return connector.Manifest{}, false
	}
	names := make([]string, 0, len(vendors))
	for _, m := range vendors {
		if m.Vendor == c.Vendor {
			return m, true
		}
		names = append(names, m.Vendor)
	}
	slices.Sort(names)
	known := strings.Join(names, ", ")
	if c.Vendor == "" {
		d.m.atLine(c.Line, "connection %s: needs a vendor, one of %s", quote(c.Name), known)
		return connector.Manifest{}, false
	}
	hint := ""
	if near := nearest(c.Vendor, names); near != "" {
		hint = "; did you mean " + near + "?"
	}
	d.m.atLine(d.tree.lines[at], "connection %s: unknown vendor %s; known are %s%s", quote(c.Name), quote(c.Vendor), known, hint)
	return connector.Manifest{}, false
}

// settings checks what is left in c.Raw against the vendor's manifest.
func (d *decoder) settings(path string, c *Connection, m connector.Manifest) {
	base, _ := c.Raw["base_url"].(string)
	c.BaseURLFromOperator = base != ""
	var err error
	c.Settings, err = connector.ParseSettings(m, c.Name, c.Raw)
	told := map[string]bool{}
	for _, e := range split(err) {
		field, _, _ := strings.Cut(e.Error(), ":")
		at := join(path, field)
		if d.tree.lacks(at) || told[field] {
			continue // as a variable that is not set; or what follows from the first mistake
		}
		told[field] = true
		line, ok := d.tree.lines[at]
		if !ok {
			line = c.Line // about a setting that is not there
		}
		d.m.atLine(line, "connection %s: %s", quote(c.Name), e)
	}
}

// split returns the errors that were joined into err.
func split(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}
