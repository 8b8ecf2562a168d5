package config

import (
	"errors"
	"log/slog"
	"net/url"
	"strings"
)

// Database is the address of the store: "sqlite:" and a path, or a postgres:// URL.
// It prints without its password.
type Database string

const (
	sqlitePrefix = "sqlite:"
	hidden       = "***"
)

// IsSQLite reports whether the store is a file.
func (d Database) IsSQLite() bool { return strings.HasPrefix(string(d), sqlitePrefix) }

// Path returns the file of a SQLite database, "" for Postgres.
func (d Database) Path() string {
	if !d.IsSQLite() {
		return ""
	}
	return strings.TrimPrefix(string(d), sqlitePrefix)
}

// Reveal returns the whole address, password included, for the one who connects.
func (d Database) Reveal() string { return string(d) }

// String returns the address with the password hidden.
func (d Database) String() string {
	if d == "" || d.IsSQLite() {
		return string(d)
	}
	u, err := url.Parse(string(d))
	if err != nil {
		return "postgres://" + hidden // several hosts, or broken: better too little than too much
	}
	if _, has := u.User.Password(); has {
		u.User = url.UserPassword(u.User.Username(), hidden)
	}
	q := u.Query()
	for key := range q {
		if strings.Contains(strings.ToLower(key), "password") {
			q.Set(key, hidden)
		}
	}
	u.RawQuery = q.Encode()
	return strings.ReplaceAll(u.String(), url.QueryEscape(hidden), hidden)
}

// GoString hides the password from %#v.
func (d Database) GoString() string { return d.String() }

// MarshalText hides the password from JSON and YAML.
func (d Database) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// LogValue hides the password from loggers.
func (d Database) LogValue() slog.Value { return slog.StringValue(d.String()) }

// check says what is wrong with the address, without a word of it.
func (d Database) check() error {
	s := string(d)
	switch {
	case d.IsSQLite():
		if d.Path() == "" {
			return errors.New("sqlite: needs a path, as in sqlite:bellhop.db")
		}
		return nil
	case strings.HasPrefix(s, "postgres://"), strings.HasPrefix(s, "postgresql://"):
		if _, rest, _ := strings.Cut(s, "://"); strings.Trim(rest, "/") == "" {
			return errors.New("the postgres:// address names neither host nor database")
		}
		return nil
	default:
		return errors.New("must be sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE")
	}
}
