package storetest

import (
	"sync"
	"testing"
)

// sharedCluster is the one cluster of a test binary. Starting a server costs a second,
// so the tests of one binary share it and take a database each.
type sharedCluster struct {
	once    sync.Once
	cluster *Cluster
	err     error
}

// shared is the only package-level state: testing offers no other way to share between
// the tests of a binary, and this package is imported by tests only.
var shared sharedCluster

// Postgres returns the test binary's cluster and starts it on first use. Without an
// installed server the test fails; it is never skipped, because a suite that quietly
// runs on one of two databases proves nothing about the other.
//
// The server lives until Main stops it, or until the process ends. Its babysitter is a
// goroutine: a test that looks for leaks calls Postgres before it takes
// goleak.IgnoreCurrent.
func Postgres(tb testing.TB) *Cluster {
	tb.Helper()
	shared.once.Do(func() { shared.cluster, shared.err = StartPostgres("", Opts{}) })
	if shared.err != nil {
		tb.Fatalf("a private PostgreSQL cluster is needed: %v", shared.err)
	}
	return shared.cluster
}

// Main is the whole TestMain of a package that uses Postgres: it runs the tests and
// stops the cluster. The exit code is the one of m.Run.
func Main(m *testing.M) {
	defer func() {
		if shared.cluster != nil {
			shared.cluster.Stop()
		}
	}()
	m.Run()
}
