package cli

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"bellhop"
	"bellhop/internal/config"
	"bellhop/internal/store"
)

// A server that is stopped has written what it saw, with the limits and proxies of its
// configuration.
func TestServeWritesTheSecurityLogBeforeItEnds(t *testing.T) {
	t.Parallel()
	database := "sqlite:" + filepath.Join(t.TempDir(), "b.db")
	cfg, err := config.Load(config.LoadOpts{Path: filepath.Join(t.TempDir(), "none.yaml"), Vendors: manifests(),
		Env: func(name string) (string, bool) {
			v, ok := map[string]string{"BELLHOP_LISTEN": "127.0.0.1:0", "BELLHOP_DATABASE": database,
				"BELLHOP_OPERATOR_KEY": "operator-hush"}[name]
			return v, ok
		}})
	if err != nil {
		t.Fatal(err)
	}
	cfg.TrustedProxies = []string{"127.0.0.1"}
	cfg.Limits.Address = config.Rate{N: 2, Per: 3600e9}
	srv, err := startServer(t.Context(), serverOpts{Config: cfg, Logger: newLogger(io.Discard, false, nil),
		Clock: bellhop.SystemClock{}, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	statuses := ""
	for range 3 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.url+"/v1/ops/steps", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Forwarded-For", "198.51.100.9")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		statuses += " " + res.Status[:3]
	}
	if statuses != " 401 401 429" {
		t.Errorf("answered%s", statuses)
	}
	if err := srv.stop(); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(context.Background(), store.Opts{URL: database})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	recs, err := db.SecurityLog(context.Background(), store.SecurityFilter{})
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, r := range recs {
		kinds = append(kinds, string(r.Kind)+" from "+r.Address)
	}
	all := strings.Join(kinds, ", ")
	if !strings.Contains(all, "unauthenticated from 198.51.100.0/24") || !strings.Contains(all, "rate_limited from 198.51.100.0/24") {
		t.Errorf("the log has %s", all)
	}
}
