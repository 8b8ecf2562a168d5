package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
)

// String describes the configuration in one line, without any secret.
func (c Config) String() string {
	names := make([]string, 0, len(c.Connections))
	for _, conn := range c.Connections {
		names = append(names, conn.String())
	}
	return fmt.Sprintf("listen=%s public_url=%s database=%s assistant=%s supabase=%s connections=[%s] operator_key=%s server_key=%s",
		c.Listen, c.PublicURL, c.Database, c.Assistant.Provider, c.Auth.Supabase.URL, strings.Join(names, " "),
		c.OperatorKey, c.ServerKey)
}

// GoString hides secrets from %#v.
func (c Config) GoString() string { return c.String() }

// MarshalJSON writes the one-line description: the raw settings hold secrets.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

// LogValue is what a logger sees.
func (c Config) LogValue() slog.Value {
	names := make([]string, 0, len(c.Connections))
	for _, conn := range c.Connections {
		names = append(names, conn.String())
	}
	return slog.GroupValue(
		slog.String("file", c.Path),
		slog.String("listen", c.Listen),
		slog.String("public_url", c.PublicURL),
		slog.String("database", c.Database.String()),
		slog.String("assistant", c.Assistant.Provider),
		slog.Any("connections", names),
	)
}

// String returns name and vendor: everything else may be secret.
func (c Connection) String() string { return c.Name + "(" + c.Vendor + ")" }

// GoString hides the settings from %#v.
func (c Connection) GoString() string { return c.String() }

// MarshalJSON hides the settings from JSON.
func (c Connection) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

// LogValue hides the settings from loggers.
func (c Connection) LogValue() slog.Value { return slog.StringValue(c.String()) }
