package store

import (
	"context"

	"bellhop"
)

// EnqueueLanes makes jobs for lanes that a worker was told about by Recorded.Next and
// did not take itself.
func (db *DB) EnqueueLanes(ctx context.Context, connection string, persons []string) error {
	return db.changeSteps(ctx, func(_ *Tx, c *changed) error {
		for _, p := range persons {
			c.due = append(c.due, dueLane{connection, p})
		}
		return nil
	})
}

// changed is what a transaction outside the recorder did to steps.
type changed struct {
	due     []dueLane
	touched []bellhop.Step
	jobs    []Job // inserted already
	later   []Job // for lanes that are due later
}

// changeSteps runs a transaction that changes steps outside the recorder: it enqueues
// the lanes that became due and, after the commit, wakes who waits.
func (db *DB) changeSteps(ctx context.Context, fn func(*Tx, *changed) error) error {
	var c changed
	err := db.tx(ctx, func(t *Tx) error {
		c = changed{}
		if err := fn(t, &c); err != nil {
			return err
		}
		jobs, err := enqueue(ctx, t, c.due)
		c.jobs = append(c.jobs, jobs...)
		if err != nil || len(c.later) == 0 || db.queue == nil {
			return err
		}
		c.jobs = append(c.jobs, c.later...)
		tx, err := t.raw(ctx)
		if err != nil {
			return err
		}
		return db.queue.Enqueue(ctx, tx, c.later)
	})
	if err != nil {
		return err
	}
	if db.queue != nil && len(c.jobs) > 0 {
		db.queue.Committed(c.jobs)
	}
	db.wakeSteps(c.touched)
	return nil
}

// wakeSteps tells those who watch the conversations that the steps serve.
func (db *DB) wakeSteps(steps []bellhop.Step) {
	topics := []string{AnyStep}
	for _, s := range steps {
		if s.RequestID != "" {
			topics = append(topics, RequestTopic(s.RequestID))
		}
	}
	db.hub.Wake(topics...)
}

// RequestTopic is the topic of one customer request.
func RequestTopic(id string) string { return "request:" + id }
