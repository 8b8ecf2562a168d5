package console

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"bellhop"
	"bellhop/internal/store"
	"bellhop/internal/watch"
)

type connectionView struct {
	Name     string
	State    store.CircuitState
	Circuit  store.Circuit
	Incident *incidentView
	Rows     []watch.Row // the last day, by action
	Held     bool        // some of its steps are not finished
}

// Chip says in a word how the connection is.
func (v connectionView) Chip() chip {
	switch v.State {
	case store.CircuitOpen:
		return chip{"bad", "down", "Nothing is sent to it; its steps wait. It is looked at again by itself."}
	case store.CircuitDraining:
		return chip{"warn", "coming back", "What waited is sent in growing portions."}
	default:
		return chip{"good", "works", "Calls go through."}
	}
}

type connectionsPage struct {
	page
	Connections []connectionView
}

// listConnections shows every connection that something is known of: its circuit and the
// figures of the last day.
func (c *console) listConnections(w http.ResponseWriter, r *http.Request) error {
	byName, err := c.connections(r.Context())
	if err != nil {
		return err
	}
	p := connectionsPage{page: c.page(r, "Connections", "connections")}
	for _, v := range byName {
		p.Connections = append(p.Connections, *v)
	}
	slices.SortFunc(p.Connections, func(a, b connectionView) int { return strings.Compare(a.Name, b.Name) })
	return c.render(w, http.StatusOK, viewConnections, p)
}

func (c *console) connections(ctx context.Context) (map[string]*connectionView, error) {
	out := map[string]*connectionView{}
	at := func(name string) *connectionView {
		if out[name] == nil {
			out[name] = &connectionView{Name: name, State: store.CircuitClosed}
		}
		return out[name]
	}
	names, err := c.o.DB.OpenConnections(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		at(n).Held = true
	}
	circuits, err := c.o.DB.OpenCircuits(ctx)
	if err != nil {
		return nil, err
	}
	for _, k := range circuits {
		v := at(k.Connection)
		v.State, v.Circuit = k.State, k
	}
	incidents, err := c.o.DB.Incidents(ctx, true, incidentList)
	if err != nil {
		return nil, err
	}
	for _, i := range incidents {
		what, next := causeWords(i)
		if v := at(i.Connection); v.Incident == nil || v.Circuit.IncidentID == i.ID {
			v.Incident = &incidentView{Incident: i, What: what, Next: next}
		}
	}
	stats, err := watch.Read(ctx, c.o.DB, c.o.Functions, c.o.Clock.Now(), todayWindow)
	if err != nil {
		return nil, err
	}
	for _, row := range stats.Steps {
		v := at(row.Connection)
		v.Rows = append(v.Rows, row)
	}
	return out, nil
}

func sampleConnections() connectionsPage {
	return connectionsPage{Connections: []connectionView{{Incident: &incidentView{Incident: bellhop.Incident{TaskID: "x"}}, Rows: []watch.Row{{}},
		State: store.CircuitOpen}}}
}
