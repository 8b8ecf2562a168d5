package cli

import (
	"context"
	"fmt"

	"bellhop/internal/store"
)

// audit writes into the security log what somebody did at the command line. The actor is
// who is signed in to the machine; detail names no person.
func audit(ctx context.Context, s *session, db *store.DB, kind store.SecurityKind, detail string) error {
	err := db.RecordSecurity(ctx, store.SecurityRecord{Kind: kind, Role: "command line", Actor: userName(s), Detail: detail})
	if err != nil {
		return fmt.Errorf("it was done, but could not be written into the security log: %w", err)
	}
	return nil
}
