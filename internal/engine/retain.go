package engine

import (
	"context"
	"time"
)

// retainEvery is how often it is looked whether retention is due.
const retainEvery = time.Minute

// retain removes what is older than the operator keeps, once an hour. It has a goroutine
// of its own, so that removing much does not hold up the rest of the maintenance.
func (e *Engine) retain(ctx context.Context) {
	defer e.wg.Done()
	e.every(ctx, retainEvery, func() { e.logError(ctx, "retention failed", e.Retain(ctx)) })
}

// Retain does one round of retention when the last one was an hour ago. Every node may
// call it; the store lets one do it. A round that could not finish is due again at once.
func (e *Engine) Retain(ctx context.Context) error {
	now := e.clock.Now()
	if now.Sub(e.retainAt) <= hourly {
		return nil
	}
	gone, err := e.db.Prune(ctx, e.o.Retention)
	if gone.Any() {
		e.log.InfoContext(ctx, "retention removed what was old enough", "rows", gone.Rows, "partitions", gone.Partitions,
			"pages_given_back", gone.Pages)
	}
	if gone.Any() && gone.CannotShrink {
		e.log.WarnContext(ctx, "the database file cannot become smaller: stop the server and run bellhop migrate once")
	}
	if err == nil && !gone.Busy {
		e.retainAt = now
	}
	return err
}
