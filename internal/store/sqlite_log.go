package store

import (
	"context"
	"database/sql"
	"sync"
	"sync/atomic"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
)

const (
	// logPages is how many pages the write-ahead log gathers before they are moved into the
	// file: a page that many commits change is moved once. 16 MB.
	logPages = 4000
	// logMore is how many further pages are worth moving again.
	logMore = 1000
	// logFull is when the writer moves what is left itself, so that the log can begin anew:
	// while it is being written, it never ends for another connection. 48 MB.
	logFull = 12000
	// logLimit is the size in bytes to which the write-ahead log is cut when it begins anew.
	logLimit = 64 << 20
)

// logMover moves the write-ahead log of a SQLite file into the file on a connection of
// its own, while the writer goes on. SQLite's own way makes a commit wait for it.
type logMover struct {
	db    *sql.DB
	wake  chan struct{}
	stop  context.CancelFunc
	wg    sync.WaitGroup
	busy  sync.Mutex   // held while pages are moved: two cannot
	log   atomic.Int64 // pages in the log after the last commit
	moved atomic.Int64 // of them in the file
}

func newLogMover(db *sql.DB) *logMover {
	ctx, cancel := context.WithCancel(context.Background())
	m := &logMover{db: db, wake: make(chan struct{}, 1), stop: cancel}
	m.wg.Go(func() {
		for {
			select {
			case <-m.wake:
				m.move(ctx)
			case <-ctx.Done():
				return
			}
		}
	})
	return m
}

// move does what it can. A failure leaves the pages in the log, where they are as safe; a
// disk without room meets the writer too, who tells.
func (m *logMover) move(ctx context.Context) {
	m.busy.Lock()
	defer m.busy.Unlock()
	var busy, log, moved int64
	if err := m.db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &log, &moved); err == nil && busy == 0 {
		m.moved.Store(moved)
	}
}

// committed is told by the writer's connection how long the log is after a commit. It is
// called inside the commit and must not fail it.
func (m *logMover) committed(c *sqlite3.Conn, schema string, pages int) error {
	if int64(pages) < m.log.Swap(int64(pages)) {
		m.moved.Store(0) // the log has begun anew
	}
	switch {
	case pages >= logFull:
		_, _, _ = c.WALCheckpoint(schema, sqlite3.CHECKPOINT_PASSIVE) // as in move
	case pages >= logPages && int64(pages) >= m.moved.Load()+logMore:
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// watch makes the writer's connection tell of its commits.
func (m *logMover) watch(c *sql.Conn) error {
	return c.Raw(func(dc any) error {
		dc.(driver.Conn).Raw().WALHook(m.committed)
		return nil
	})
}

func (m *logMover) close() error {
	m.stop()
	m.wg.Wait()
	return m.db.Close()
}
