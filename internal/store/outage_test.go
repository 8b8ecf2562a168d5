package store_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/ncruces/go-sqlite3"

	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

func TestOutagesAreToldAndMistakesAreNot(t *testing.T) {
	t.Parallel()
	pg := func(code, message string) error {
		return fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: code, Message: message})
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{errors.New("anything"), ""},
		{pg("23505", "duplicate key"), ""},
		{pg("42P01", "no such table"), ""},
		{pg("53100", "could not extend file"), "disk"},
		{pg("58030", "could not write: No space left on device"), "disk"},
		{sqlite3.FULL, "disk"},
		{sqlite3.BUSY, "busy"},
		{pg("53300", "too many connections"), "no more connections"},
		{pg("XX000", "MaxClients: EMAXCONNSESSION max clients reached"), "no more connections"},
		{pg("25006", "cannot execute INSERT in a read-only transaction"), "read-only"},
		{pg("57P01", "terminating connection"), "does not answer"},
		{pg("08006", "connection failure"), "does not answer"},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, "does not answer"},
	} {
		if got := store.Outage(tt.err); (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
	}
}

// On Postgres a node goes by the database's clock: at once, and again after its own has
// been moved, with the next heartbeat.
func TestANodeGoesByTheClockOfItsDatabase(t *testing.T) {
	t.Parallel()
	clock := &movable{off: 3 * time.Hour}
	db := storetest.Open(t, store.Postgres, clock)
	off := func() time.Duration { return time.Until(db.Clock().Now()).Abs() }
	if off() > time.Second {
		t.Errorf("it is %s off from the start", off())
	}
	clock.move(-5 * time.Hour)
	if err := db.Heartbeat(context.Background(), "n"); err != nil {
		t.Fatal(err)
	}
	if off() > time.Second {
		t.Errorf("it is %s off after a heartbeat", off())
	}
}
