package engine

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/riverqueue/river"

	"bellhop/internal/store"
)

// stepsArgs is the job that says: these persons' lanes have something due at the
// connection whose queue the job is in.
type stepsArgs struct {
	Connection string   `json:"connection"`
	Persons    []string `json:"persons"`
}

// Kind names the job.
func (stepsArgs) Kind() string { return "steps" }

// circuitArgs is the job that looks whether an open circuit's vendor is back, and lets
// parked steps go.
type circuitArgs struct {
	Connection string `json:"connection"`
}

// Kind names the job.
func (circuitArgs) Kind() string { return "circuit" }

// controlQueue is the queue of jobs that call no vendor.
const controlQueue = "control"

// jobTimeout bounds one job; a job stops taking new steps long before.
const jobTimeout = 60 * time.Second

// maxAttempts of a job is River's own; how often a step is tried is the step's business.
const maxAttempts = 1000

// queueOf returns the River queue of a connection.
func queueOf(connection string) string {
	q := "c-" + connection
	if regexp.MustCompile(`^[a-z0-9]+([_-][a-z0-9]+)*$`).MatchString(q) && len(q) <= 64 {
		return q
	}
	sum := sha256.Sum256([]byte(connection))
	return "h-" + hex.EncodeToString(sum[:16])
}

type stepsWorker struct {
	river.WorkerDefaults[stepsArgs]
	e *Engine
}

// Work runs the lanes of one job.
func (w *stepsWorker) Work(ctx context.Context, job *river.Job[stepsArgs]) error {
	return w.e.runLanes(ctx, job.Args.Connection, job.Args.Persons, job.Attempt > 1)
}

// NextRetry keeps a job whose database failed from spinning; the steps are in the store.
func (w *stepsWorker) NextRetry(job *river.Job[stepsArgs]) time.Time {
	return w.e.clock.Now().Add(min(time.Duration(job.Attempt)*time.Second, 30*time.Second))
}

type circuitWorker struct {
	river.WorkerDefaults[circuitArgs]
	e *Engine
}

// Work looks after one circuit.
func (w *circuitWorker) Work(ctx context.Context, job *river.Job[circuitArgs]) error {
	return w.e.runCircuit(ctx, job.Args.Connection)
}

const (
	// pollEvery is how often a node looks for jobs that no notification told it of.
	pollEvery = 5 * time.Second
	// pollPooled is that behind a transaction pooler, where no notification of another node
	// arrives: what it takes in and does not carry out itself waits for this.
	pollPooled = time.Second
)

func (e *Engine) newRiver() error {
	driver, schema := newDriver(e.db, e.bus)
	workers := river.NewWorkers()
	river.AddWorker(workers, &stepsWorker{e: e})
	river.AddWorker(workers, &circuitWorker{e: e})
	queues := map[string]river.QueueConfig{controlQueue: {MaxWorkers: 2}}
	for name, c := range e.conns {
		// A job carries up to 32 lanes; the connection's own limits bound the calls.
		queues[queueOf(name)] = river.QueueConfig{MaxWorkers: max(2, c.manifest.Limits.Concurrency/4)}
	}
	poll := pollEvery
	if e.db.Pooled() {
		poll = pollPooled
	}
	cfg := &river.Config{
		ID:                          e.o.Node,
		Queues:                      queues,
		Workers:                     workers,
		Schema:                      schema,
		FetchCooldown:               2 * time.Millisecond,
		FetchPollInterval:           poll,
		JobTimeout:                  jobTimeout,
		RescueStuckJobsAfter:        jobTimeout + 15*time.Second,
		MaxAttempts:                 maxAttempts,
		CompletedJobRetentionPeriod: time.Minute,
		Logger:                      slog.New(&quietHandler{e.log.Handler()}),
	}
	if !e.db.OwnsSchema() {
		cfg.ReindexerIndexNames = []string{} // only their owner may rebuild indexes
	}
	if e.o.River != nil {
		e.o.River(cfg)
	}
	client, err := river.NewClient(driver, cfg)
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	e.river = client
	return nil
}

// Enqueue inserts jobs through the store's transaction.
func (e *Engine) Enqueue(ctx context.Context, tx *sql.Tx, jobs []store.Job) error {
	params := make([]river.InsertManyParams, len(jobs))
	for i, j := range jobs {
		params[i] = river.InsertManyParams{Args: stepsArgs{Connection: j.Connection, Persons: j.Persons},
			InsertOpts: &river.InsertOpts{Queue: queueOf(j.Connection), ScheduledAt: j.At}}
	}
	_, err := e.river.InsertManyFastTx(ctx, tx, params)
	return err
}

// shortWait is up to how long the process itself remembers a retry. River's scheduler
// looks every five seconds; a retry that is due sooner is run on time from memory, and
// its job then finds nothing left to do. When the process dies the job is still there.
const shortWait = 6 * time.Second

// Committed wakes the workers of committed jobs.
func (e *Engine) Committed(jobs []store.Job) {
	now := e.clock.Now()
	queues := make([]string, 0, len(jobs))
	for _, j := range jobs {
		wait := j.At.Sub(now)
		if j.At.IsZero() || wait <= 0 {
			queues = append(queues, queueOf(j.Connection))
			continue
		}
		if wait <= shortWait {
			e.timers.after(wait, func() { e.runEarly(j) })
		}
	}
	if len(queues) > 0 {
		e.bus.wake(queues)
	}
}

// runEarly runs lanes from memory, ahead of their job.
func (e *Engine) runEarly(j store.Job) {
	ctx, cancel := context.WithTimeout(e.early, jobTimeout)
	defer cancel()
	e.logError(ctx, "retry failed", e.runLanes(ctx, j.Connection, j.Persons, true), "connection", j.Connection)
}

// quietHandler passes River's warnings and errors on, without its chatter.
type quietHandler struct{ slog.Handler }

// Enabled drops everything below a warning.
func (h *quietHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, l)
}
