package store_test

import (
	"context"
	"testing"

	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// After a switchover the connections of a node lead to a server that only reads. They
// are given up, and the next one asks for the server that writes.
func TestConnectionsToAReadOnlyServerAreGivenUp(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := storetest.Open(t, store.Postgres, nil)
	// Every connection that there is becomes one to a read-only server.
	if _, err := db.Writer().ExecContext(ctx, "SET default_transaction_read_only = on"); err != nil {
		t.Fatal(err)
	}
	if err := db.Heartbeat(ctx, "n"); store.Outage(err) != "The database is read-only." {
		t.Fatalf("writing to a read-only server: %v", err)
	}
	if err := db.Heartbeat(ctx, "n"); err != nil {
		t.Errorf("the next write: %v, want a new connection", err)
	}
}
