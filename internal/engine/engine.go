// Package engine carries out steps on River. The step row is the truth; a River job
// only says that lanes of a connection have something due. Each connection is a queue
// of its own, so that one slow vendor never delays another. The engine never calls the
// desk: handing a step to a person is a support request written in the same transaction.
package engine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/riverqueue/river"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/store"
)

// Connection is one configured connection with its code.
type Connection struct {
	Name      string
	Manifest  connector.Manifest
	Connector connector.Connector
}

// Retry says how often and when a step is tried again.
type Retry struct {
	Attempts int             // tries before a person or an incident gets the step
	Backoff  []time.Duration // before the second try, the third, …; the last is kept
}

// Opts configures an Engine.
type Opts struct {
	DB *store.DB
	// Clock is the one that the database's nodes go by, DB.Clock, when it is nil.
	Clock       bellhop.Clock
	Connections []Connection
	Retry       Retry
	// Alerts is the connection that the founder is told through, "" for none.
	Alerts string
	// Node names this process; it must differ between processes on one database.
	Node   string
	Logger *slog.Logger
	// ConsoleURL is the address that alerts link to.
	ConsoleURL string
	// Probe is how long an open circuit waits before the first look whether the vendor
	// is back; it doubles up to six times that. 0 means 5 s.
	Probe time.Duration
	// Overdue is how long a step may be due before its job is taken for lost. 0 means 30 s.
	Overdue time.Duration
	// Retention says what is removed when; the zero value keeps everything.
	Retention store.Retention
	// River, when set, adjusts River's configuration: tests shorten its intervals.
	River func(*river.Config)
}

// Engine runs steps. It implements store.Enqueuer.
type Engine struct {
	o     Opts
	db    *store.DB
	clock bellhop.Clock
	log   *slog.Logger
	conns map[string]*conn
	bus   *localBus
	river *river.Client[*sql.Tx]
	rec   *store.Recorder
	marks *store.Marker

	inflight sync.Map // step id → chan struct{}, closed when this process is done with it
	watching sync.Map // connection → struct{}: a timer looks after its circuit
	timers   timers
	early    context.Context // of what runs from memory; ended by endEarly
	endEarly context.CancelFunc
	rounds   sync.Mutex
	hourlyAt time.Time // when the hourly maintenance was done last, under rounds
	retainAt time.Time // when retention was done last
	stop     context.CancelFunc
	wg       sync.WaitGroup
}

var _ store.Enqueuer = (*Engine)(nil)

// New checks the options and makes an engine; Start starts it. It becomes the store's
// enqueuer at once, so that what is taken in before Start waits in the database.
func New(o Opts) (*Engine, error) {
	if o.DB == nil || o.Node == "" {
		return nil, errors.New("engine: DB and Node are required")
	}
	if o.Clock == nil {
		o.Clock = o.DB.Clock()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Retry.Attempts <= 0 {
		o.Retry = Retry{Attempts: 3, Backoff: []time.Duration{time.Second, 5 * time.Second, 30 * time.Second}}
	}
	if o.Probe <= 0 {
		o.Probe = 5 * time.Second
	}
	if o.Overdue <= 0 {
		o.Overdue = 30 * time.Second
	}
	e := &Engine{o: o, db: o.DB, clock: o.Clock, log: o.Logger, conns: map[string]*conn{}, bus: newLocalBus()}
	e.early, e.endEarly = context.WithCancel(context.Background())
	for _, c := range o.Connections {
		for _, a := range c.Manifest.Actions {
			if a.Timeout() > store.Lease-5*time.Second {
				return nil, fmt.Errorf("engine: %s: the time box of %s is longer than a step's lease allows", c.Name, a.Action)
			}
		}
		e.conns[c.Name] = newConn(c)
	}
	if err := e.newRiver(); err != nil {
		return nil, err
	}
	e.rec = store.NewRecorder(o.DB, store.IncidentPlans{Opened: e.incidentOpened, Closed: e.incidentClosed})
	e.marks = store.NewMarker(o.DB, o.Node)
	o.DB.SetEnqueuer(e)
	return e, nil
}

// Start takes back what a dead process left, starts the workers and the maintenance.
func (e *Engine) Start(ctx context.Context) error {
	if err := e.db.Heartbeat(ctx, e.o.Node); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	alone := e.db.Kind() == store.SQLite
	if _, err := e.db.TakeOver(ctx, e.o.Node, deadAfter, alone); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	if err := e.db.ProbeNow(ctx); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	if _, err := e.db.Realign(ctx, e.names()); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	if err := e.handOverOrphans(ctx); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	e.stop = stop
	if err := e.river.Start(run); err != nil {
		stop()
		return fmt.Errorf("engine: %w", err)
	}
	e.wg.Add(3)
	go e.live(run)
	go e.maintain(run)
	go e.retain(run)
	return nil
}

// Stop lets the calls in flight finish until ctx ends, then cancels them; whatever is
// not recorded by then is taken up by the next process. Nothing is lost.
func (e *Engine) Stop(ctx context.Context) error {
	early := make(chan struct{})
	go func() {
		defer close(early)
		e.timers.stop()
	}()
	err := e.river.Stop(ctx)
	select {
	case <-early:
	case <-ctx.Done():
		e.endEarly() // retries from memory have their jobs in the database
		<-early
	}
	e.endEarly()
	if err != nil {
		hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = e.river.StopAndCancel(hard)
	}
	if e.stop != nil {
		e.stop()
	}
	e.wg.Wait()
	e.rec.Close()
	e.marks.Close()
	if err == nil {
		leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		err = e.db.Leave(leave, e.o.Node)
	}
	return err
}

// logError logs an error once, at the engine's edge.
func (e *Engine) logError(ctx context.Context, msg string, err error, args ...any) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	e.log.ErrorContext(ctx, msg, append(args, "error", err.Error())...)
}

// timers runs functions later. stop starts no more and waits for those that run.
type timers struct {
	mu      sync.Mutex
	stopped bool
	running map[*time.Timer]struct{}
	wg      sync.WaitGroup
}

func (t *timers) after(d time.Duration, fn func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return
	}
	if t.running == nil {
		t.running = map[*time.Timer]struct{}{}
	}
	var tm *time.Timer
	tm = time.AfterFunc(max(d, 0), func() {
		t.mu.Lock()
		delete(t.running, tm)
		if t.stopped {
			t.mu.Unlock()
			return
		}
		t.wg.Add(1)
		t.mu.Unlock()
		defer t.wg.Done()
		fn()
	})
	t.running[tm] = struct{}{}
}

func (t *timers) stop() {
	t.mu.Lock()
	t.stopped = true
	for tm := range t.running {
		tm.Stop()
	}
	t.mu.Unlock()
	t.wg.Wait()
}
