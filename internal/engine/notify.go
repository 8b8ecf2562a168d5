package engine

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"sync"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"

	"bellhop/internal/store"
)

// River wakes its workers by notifications of the database. Two things are wrong with
// that for us: on SQLite River emulates them by polling a table every 50 ms, and on
// Postgres it thins them out, so that the last insert of a burst can wait for the next
// poll. So the drivers are wrapped: what this process committed wakes its own workers
// directly, and Postgres is only needed to wake the other nodes.

// topicInsert is River's topic for new jobs; its payload names the queue.
const topicInsert = "river_insert"

// localBus carries notifications within the process.
type localBus struct {
	mu   sync.Mutex
	subs map[*busListener]struct{}
}

func newLocalBus() *localBus { return &localBus{subs: map[*busListener]struct{}{}} }

func (b *localBus) send(topic string, payloads ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for l := range b.subs {
		l.offer(topic, payloads)
	}
}

// wake tells the workers of queues that jobs were committed.
func (b *localBus) wake(queues []string) {
	payloads := make([]string, len(queues))
	for i, q := range queues {
		data, _ := json.Marshal(map[string]string{"queue": q}) // a map of strings always encodes
		payloads[i] = string(data)
	}
	b.send(topicInsert, payloads...)
}

// busListener is River's listener: local notifications, and those of inner when there
// is one.
type busListener struct {
	bus    *localBus
	inner  riverdriver.Listener // nil on SQLite
	schema string

	mu     sync.Mutex
	topics map[string]bool
	queue  []*riverdriver.Notification
	signal chan struct{}
}

func (b *localBus) listener(inner riverdriver.Listener, schema string) *busListener {
	return &busListener{bus: b, inner: inner, schema: schema, topics: map[string]bool{}, signal: make(chan struct{}, 1)}
}

// maxPending bounds what waits for River's notifier; beyond it the poll has to do.
const maxPending = 1024

func (l *busListener) offer(topic string, payloads []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.topics[topic] {
		return
	}
	for _, p := range payloads {
		n := &riverdriver.Notification{Payload: p, Topic: topic}
		if len(l.queue) >= maxPending || (len(l.queue) > 0 && *l.queue[len(l.queue)-1] == *n) {
			continue
		}
		l.queue = append(l.queue, n)
	}
	select {
	case l.signal <- struct{}{}:
	default:
	}
}

func (l *busListener) pop() *riverdriver.Notification {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		return nil
	}
	n := l.queue[0]
	l.queue = l.queue[1:]
	return n
}

func (l *busListener) Connect(ctx context.Context) error {
	if l.inner != nil {
		if err := l.inner.Connect(ctx); err != nil {
			return err
		}
	}
	l.bus.mu.Lock()
	defer l.bus.mu.Unlock()
	l.bus.subs[l] = struct{}{}
	return nil
}

func (l *busListener) Close(ctx context.Context) error {
	l.bus.mu.Lock()
	delete(l.bus.subs, l)
	l.bus.mu.Unlock()
	l.mu.Lock()
	l.topics, l.queue = map[string]bool{}, nil
	l.mu.Unlock()
	if l.inner != nil {
		return l.inner.Close(ctx)
	}
	return nil
}

func (l *busListener) Listen(ctx context.Context, topic string) error {
	l.mu.Lock()
	l.topics[topic] = true
	l.mu.Unlock()
	if l.inner != nil {
		return l.inner.Listen(ctx, topic)
	}
	return nil
}

func (l *busListener) Unlisten(ctx context.Context, topic string) error {
	l.mu.Lock()
	delete(l.topics, topic)
	l.mu.Unlock()
	if l.inner != nil {
		return l.inner.Unlisten(ctx, topic)
	}
	return nil
}

func (l *busListener) Ping(ctx context.Context) error {
	if l.inner != nil {
		return l.inner.Ping(ctx)
	}
	return nil
}

func (l *busListener) Schema() string {
	if l.inner != nil {
		return l.inner.Schema()
	}
	return l.schema
}

func (l *busListener) SetAfterConnectExec(sql string) {
	if l.inner != nil {
		l.inner.SetAfterConnectExec(sql)
	}
}

// WaitForNotification returns the next notification of either side. The inner wait is
// ended before it returns, because its connection must be free for the next Listen.
func (l *busListener) WaitForNotification(ctx context.Context) (*riverdriver.Notification, error) {
	if n := l.pop(); n != nil {
		return n, nil
	}
	if l.inner == nil {
		for {
			select {
			case <-l.signal:
				if n := l.pop(); n != nil {
					return n, nil
				}
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
	return l.waitBoth(ctx)
}

func (l *busListener) waitBoth(ctx context.Context) (*riverdriver.Notification, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		n   *riverdriver.Notification
		err error
	}
	done := make(chan result, 1)
	go func() {
		n, err := l.inner.WaitForNotification(ctx)
		done <- result{n, err}
	}()
	for {
		select {
		case r := <-done:
			return r.n, r.err
		case <-l.signal:
		}
		n := l.pop()
		if n == nil {
			continue
		}
		cancel()
		r := <-done
		if r.n != nil { // both at once: keep the other for the next call
			l.mu.Lock()
			l.queue = append(l.queue, r.n)
			l.mu.Unlock()
		} else if r.err != nil && !errors.Is(r.err, context.Canceled) {
			return nil, r.err
		}
		return n, nil
	}
}

// newDriver returns River's driver for the database, woken by bus.
func newDriver(db *store.DB, bus *localBus) (riverdriver.Driver[*sql.Tx], string) {
	switch {
	case db.Kind() == store.SQLite:
	case db.Pooled():
		// Behind a transaction pooler a LISTEN succeeds and nothing ever arrives: the bus still
		// wakes this process for what it committed itself, the other nodes poll.
		return &pgDriver{riverdatabasesql.New(db.Writer()), bus, true}, "bellhop"
	default:
		return &pgDriver{riverdatabasesql.NewWithPgxListener(db.Writer(), db.ListenerPool()), bus, false}, "bellhop"
	}
	return &sqliteDriver{riversqlite.New(db.Writer()), bus}, ""
}

type pgDriver struct {
	*riverdatabasesql.Driver
	bus  *localBus
	deaf bool // nothing can be listened to but the bus
}

// SupportsListener is true, because there is the bus at least.
func (d *pgDriver) SupportsListener() bool { return true }

func (d *pgDriver) GetListener(p *riverdriver.GetListenenerParams) riverdriver.Listener {
	if d.deaf {
		return d.bus.listener(nil, p.Schema)
	}
	return d.bus.listener(d.Driver.GetListener(p), "")
}

// sqliteDriver replaces River's notification table by the bus: one process serves a
// SQLite file, so nobody else has to be told.
type sqliteDriver struct {
	*riversqlite.Driver
	bus *localBus
}

func (d *sqliteDriver) GetListener(p *riverdriver.GetListenenerParams) riverdriver.Listener {
	return d.bus.listener(nil, p.Schema)
}

func (d *sqliteDriver) GetExecutor() riverdriver.Executor {
	return &sqliteExecutor{d.Driver.GetExecutor(), d.bus}
}

func (d *sqliteDriver) UnwrapExecutor(tx *sql.Tx) riverdriver.ExecutorTx {
	return &sqliteTx{ExecutorTx: d.Driver.UnwrapExecutor(tx), bus: d.bus}
}

func (d *sqliteDriver) UnwrapTx(tx riverdriver.ExecutorTx) *sql.Tx {
	if w, ok := tx.(*sqliteTx); ok {
		tx = w.ExecutorTx
	}
	return d.Driver.UnwrapTx(tx)
}

type sqliteExecutor struct {
	riverdriver.Executor
	bus *localBus
}

func (e *sqliteExecutor) Begin(ctx context.Context) (riverdriver.ExecutorTx, error) {
	tx, err := e.Executor.Begin(ctx)
	if err != nil {
		return nil, err
	}
	return &sqliteTx{ExecutorTx: tx, bus: e.bus}, nil
}

func (e *sqliteExecutor) NotifyMany(_ context.Context, p *riverdriver.NotifyManyParams) error {
	e.bus.send(p.Topic, p.Payload...)
	return nil
}

// sqliteTx holds notifications back until its transaction commits. For transactions of
// the store, which commits them itself, Engine.Committed sends them.
type sqliteTx struct {
	riverdriver.ExecutorTx
	bus  *localBus
	held []*riverdriver.NotifyManyParams
}

func (t *sqliteTx) Begin(ctx context.Context) (riverdriver.ExecutorTx, error) {
	tx, err := t.ExecutorTx.Begin(ctx)
	if err != nil {
		return nil, err
	}
	return &sqliteTx{ExecutorTx: tx, bus: t.bus}, nil
}

func (t *sqliteTx) NotifyMany(_ context.Context, p *riverdriver.NotifyManyParams) error {
	t.held = append(t.held, p)
	return nil
}

func (t *sqliteTx) Commit(ctx context.Context) error {
	if err := t.ExecutorTx.Commit(ctx); err != nil {
		return err
	}
	for _, p := range t.held {
		t.bus.send(p.Topic, p.Payload...)
	}
	t.held = nil
	return nil
}
