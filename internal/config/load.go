package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/knadh/koanf/v2"

	"bellhop/internal/connector"
)

// maxFileSize is far above any real configuration.
const maxFileSize = 1 << 20

// LoadOpts says where a configuration comes from.
type LoadOpts struct {
	// Path is the file; "" means DefaultFile.
	Path string
	// Explicit means that somebody named the file: then it has to be there.
	Explicit bool
	// Env looks up an environment variable; nil means the process's own.
	Env func(string) (string, bool)
	// Vendors are the manifests of every vendor a connection may name.
	Vendors []connector.Manifest
}

// Load reads file and environment over the defaults. With no file at all the defaults
// stand: SQLite, the offline assistant, no connections. An *Error holds every mistake;
// any other error means that the file could not be read.
func Load(opts LoadOpts) (Config, error) {
	if opts.Path == "" {
		opts.Path = DefaultFile
	}
	if opts.Env == nil {
		opts.Env = os.LookupEnv
	}
	data, err := readFile(opts.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !opts.Explicit:
		opts.Path = ""
	case err != nil:
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	return parse(data, opts)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFileSize {
		return nil, fmt.Errorf("%s is larger than 1 MiB", path)
	}
	return data, nil
}

// parse makes a Config of a file's content: defaults, under the file, under the
// environment.
func parse(data []byte, opts LoadOpts) (Config, error) {
	m := &mistakes{file: filepath.Base(opts.Path)}
	t := readTree(data, opts.Env, m)
	t.prune(m, fileShape())
	overrides, from := fromEnv(opts.Env)
	k := koanf.New(".")
	for _, l := range []layer{defaults(), t.root, overrides} {
		if err := k.Load(l, nil); err != nil {
			return Config{}, fmt.Errorf("configuration: %w", err)
		}
	}
	d := &decoder{k: k, tree: t, env: from, m: m}
	c := d.config(opts)
	if err := m.err(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// layer is a koanf provider of values that are already there.
type layer map[string]any

// Read returns the values.
func (l layer) Read() (map[string]any, error) { return l, nil }

// ReadBytes is the other half of the provider interface; nothing calls it here.
func (layer) ReadBytes() ([]byte, error) { return nil, errors.New("a layer has no bytes") }

func defaults() layer {
	return layer{
		"listen":   "127.0.0.1:8080",
		"database": "sqlite:bellhop.db",
		"assistant": map[string]any{
			"provider":             ProviderOffline,
			"knowledge":            "./knowledge",
			"confidence_threshold": "0.6",
		},
		"retry": map[string]any{"attempts": "3", "backoff": []any{"1s", "5s", "30s"}},
		"limits": map[string]any{"address": "30000/1m", "caller": "3000/1m", "key": "60000/1m", "visitors": "600/1m",
			"messages": "300/1m", "streams": "6", "spend_per_person": "0.50", "spend_per_day": "20"},
		"tls":  TLSOff,
		"acme": map[string]any{"storage": "./certificates", "listen": ":80"},
		"retention": map[string]any{"events": "400d", "messages": "400d", "attempts": "90d", "steps": "400d",
			"support_requests": "400d", "security_log": "400d"},
	}
}

// fromEnv returns the settings that the environment overrides, and the variable each
// came from. An empty variable counts as not set.
func fromEnv(env func(string) (string, bool)) (layer, map[string]string) {
	l, from := layer{}, map[string]string{}
	for key, name := range map[string]string{
		"listen": "BELLHOP_LISTEN", "database": "BELLHOP_DATABASE", "public_url": "BELLHOP_PUBLIC_URL",
	} {
		if v, ok := env(name); ok && v != "" {
			l[key], from[key] = v, name
		}
	}
	return l, from
}
