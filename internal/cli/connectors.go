package cli

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"bellhop/internal/connector"
	"bellhop/internal/connector/all"
)

// connectorsCmd tells what can be connected.
type connectorsCmd struct {
	List listConnectorsCmd `cmd:"" default:"withargs" help:"List vendors and connections."`
	Show showConnectorCmd  `cmd:"" help:"Print a vendor's settings and how to set it up."`
}

// Help is the command's longer help.
func (connectorsCmd) Help() string {
	return "Examples:\n\n    bellhop connectors --json\n    bellhop connectors show hubspot"
}

// listConnectorsCmd lists vendors and connections.
type listConnectorsCmd struct {
	JSON bool `help:"As JSON."`
}

// Help is the command's longer help.
func (listConnectorsCmd) Help() string { return "Example:\n\n    bellhop connectors --json" }

// connectorsReport is what the list tells.
type connectorsReport struct {
	Vendors     []connector.Manifest `json:"vendors"`
	Connections []connectionLine     `json:"connections"`
}

// connectionLine is a configured connection; it is ready when its settings are complete
// and its code takes them.
type connectionLine struct {
	Name   string `json:"name"`
	Vendor string `json:"vendor"`
	Ready  bool   `json:"ready"`
	// Missing says what it still needs, when it is not ready.
	Missing string `json:"missing,omitempty"`
}

// Run prints the list.
func (c *listConnectorsCmd) Run(s *session) error {
	cfg, err := s.config()
	if err != nil {
		return err
	}
	l, err := connect(cfg, s.clock)
	if err != nil {
		return err
	}
	defer l.close()
	rep := connectorsReport{Vendors: manifests(), Connections: []connectionLine{}}
	for _, conn := range cfg.Connections {
		lacks := l.lacks(conn.Name)
		rep.Connections = append(rep.Connections, connectionLine{conn.Name, conn.Vendor, lacks == "", lacks})
	}
	if c.JSON {
		return writeJSON(s.stdout, rep)
	}
	return printConnectors(s, rep, cfg.Path)
}

func printConnectors(s *session, rep connectorsReport, path string) error {
	w := tabwriter.NewWriter(s.stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "VENDOR\tWHAT IT DOES HERE\tKEPT TO ONE EFFECT BY")
	for _, m := range rep.Vendors {
		name := m.Vendor
		for _, a := range m.Actions {
			fmt.Fprintf(w, "%s\t%s\t%s\n", name, a.Action, onceWords(a.Once))
			name = ""
		}
		if m.Webhooks != nil {
			fmt.Fprintf(w, "%s\treceives %s\tthe event's own id, for ever\n", name, count(len(m.Webhooks.Events), "kind")+" of webhook")
		}
	}
	if len(rep.Connections) == 0 {
		fmt.Fprintln(w, "\nNo connections yet. To make one: bellhop connectors show hubspot")
		return w.Flush()
	}
	fmt.Fprintf(w, "\nCONNECTION\tVENDOR\tin %s\n", path)
	for _, c := range rep.Connections {
		state := "ready"
		if !c.Ready {
			state = "not ready: " + c.Missing
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", c.Name, c.Vendor, state)
	}
	return w.Flush()
}

func onceWords(o connector.Once) string {
	switch o {
	case connector.OnceNativeKey:
		return "the vendor's own idempotency key"
	case connector.OnceUpsert:
		return "an upsert, the same however often"
	case connector.OnceLookup:
		return "looking it up before it is sent again"
	default:
		return "a person, when the outcome is unknown"
	}
}

// showConnectorCmd prints how to set a vendor up.
type showConnectorCmd struct {
	Vendor string `arg:"" help:"The vendor, as in the list."`
	JSON   bool   `help:"The manifest as JSON."`
}

// Help is the command's longer help.
func (showConnectorCmd) Help() string { return "Example:\n\n    bellhop connectors show stripe" }

// Run prints the guide and the settings.
func (c *showConnectorCmd) Run(s *session) error {
	var names []string
	for _, v := range all.Vendors() {
		names = append(names, v.Manifest.Vendor)
		if v.Manifest.Vendor != c.Vendor {
			continue
		}
		if c.JSON {
			return writeJSON(s.stdout, v.Manifest)
		}
		return printConnector(s, v)
	}
	return fmt.Errorf("there is no vendor %q; there are %s", c.Vendor, strings.Join(names, ", "))
}

// rate tells a limit in words.
func rate(perSecond float64) string {
	if perSecond <= 0 {
		return "no limit"
	}
	return strconv.FormatFloat(perSecond, 'f', -1, 64)
}

func printConnector(s *session, v connector.Vendor) error {
	fmt.Fprintf(s.stdout, "%s\n## Settings\n\n", strings.TrimSpace(v.Setup)+"\n")
	w := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	for _, st := range v.Manifest.Settings {
		need := "optional"
		if st.Required {
			need = "required"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", st.Name, st.Type, need, strings.TrimSpace(st.Label+". "+st.Help))
	}
	fmt.Fprintf(w, "base_url\turl\toptional\tFor tests and proxies. Default: %s\n", defaultURL(v.Manifest))
	l := v.Manifest.Limits
	fmt.Fprintf(w, "concurrency\tint\toptional\tCalls open at the same time. Default: %d\n", l.Concurrency)
	fmt.Fprintf(w, "rate_per_second\tnumber\toptional\tCalls that may begin in a second. Default: %s\n", rate(l.RatePerSecond))
	if h := v.Manifest.Webhooks; h != nil {
		fmt.Fprintf(w, "\n## Events to subscribe to\n\n%s\n", strings.Join(h.Events, "\n"))
	}
	return w.Flush()
}

func defaultURL(m connector.Manifest) string {
	if m.DefaultBaseURL == "" {
		return "none"
	}
	return m.DefaultBaseURL
}
