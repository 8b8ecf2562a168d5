package cli

import (
	"fmt"

	"bellhop"
	"bellhop/internal/config"
	"bellhop/internal/connector"
	"bellhop/internal/connector/all"
	"bellhop/internal/engine"
)

// links are the configured connections with their code, as the packages want them.
type links struct {
	targets   []bellhop.Target
	engine    []engine.Connection
	verifiers map[string]connector.Verifier
	clients   []*connector.Client
	missing   []missing
}

// missing is what a connection still needs before it can work.
type missing struct{ connection, what string }

// connect makes the connector of every connection. An error names the connection and
// its line in the file.
func connect(c config.Config, clock bellhop.Clock) (*links, error) {
	vendors := map[string]connector.Vendor{}
	for _, v := range all.Vendors() {
		vendors[v.Manifest.Vendor] = v
	}
	out := &links{verifiers: map[string]connector.Verifier{}}
	for _, conn := range c.Connections {
		v := vendors[conn.Vendor]
		m := v.Manifest
		m.Limits = conn.Settings.Limits(m.Limits)
		client := connector.NewClient(connector.ClientOpts{Clock: clock, AllowPrivate: operatorsURL(conn, v.Manifest),
			MaxConnsPerHost: max(m.Limits.Concurrency, 64)})
		code, err := v.New(conn.Settings, connector.Env{HTTP: client, Clock: clock})
		if err != nil {
			out.close()
			return nil, fmt.Errorf("%s:%d: connection %q: %w", c.Path, conn.Line, conn.Name, err)
		}
		out.clients = append(out.clients, client)
		t := bellhop.Target{Connection: conn.Name, Vendor: conn.Vendor}
		for _, a := range v.Manifest.Actions {
			t.Actions = append(t.Actions, a.Action)
		}
		out.targets = append(out.targets, t)
		out.engine = append(out.engine, engine.Connection{Name: conn.Name, Manifest: m, Connector: code})
		if in, ok := code.(connector.Incomplete); ok && in.Missing() != "" {
			out.missing = append(out.missing, missing{conn.Name, in.Missing()})
		}
		if verifier, ok := code.(connector.Verifier); ok {
			out.verifiers[conn.Name] = verifier
		}
	}
	return out, nil
}

// operatorsURL reports whether the operator wrote the address that a connection calls
// into the file: then it may be a private one. For Slack and outgoing webhooks the
// address is a setting of its own.
func operatorsURL(c config.Connection, m connector.Manifest) bool {
	if c.BaseURLFromOperator {
		return true
	}
	for _, st := range m.Settings {
		isURL := st.Type == connector.SettingURL || st.Type == connector.SettingSecretURL
		if isURL && c.Settings.Str(st.Name) != "" {
			return true
		}
	}
	return false
}

// lacks returns what a connection still needs, "" when it is complete.
func (l *links) lacks(connection string) string {
	for _, m := range l.missing {
		if m.connection == connection {
			return m.what
		}
	}
	return ""
}

// first returns the first connection that takes an action, "" when none does.
func (l *links) first(a bellhop.Action) string {
	for _, t := range l.targets {
		if t.Can(a) {
			return t.Connection
		}
	}
	return ""
}

// close lets go of idle sockets.
func (l *links) close() {
	for _, c := range l.clients {
		c.CloseIdle()
	}
}
