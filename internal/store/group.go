package store

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// errGroupClosed is what a group answers after Close.
var errGroupClosed = errors.New("the store is shutting down")

// group commits items in groups: items that wait at the same moment share one
// transaction, each still gets its own answer. While one group commits, the next gathers:
// an item that comes when nothing is being committed goes at once, one that comes
// meanwhile waits a moment for company, because half as many transactions cost less than
// the moment. A group that fails is run item by item, so that one bad item cannot fail
// its neighbours.
type group[T, R any] struct {
	run  func(ctx context.Context, items []T) ([]R, error)
	max  int
	ch   chan groupItem[T, R]
	stop chan struct{}
	gone chan struct{} // closed when no committer runs any more
	wg   sync.WaitGroup
	once sync.Once
	busy atomic.Int32 // committers that are committing
}

// companyWait is how long an item waits for company at most, and company how many items
// are enough.
const (
	companyWait = 2 * time.Millisecond
	company     = 48
)

// groupTimeout bounds the transaction of one group.
const groupTimeout = 30 * time.Second

type groupItem[T, R any] struct {
	item T
	done chan groupResult[R]
}

type groupResult[R any] struct {
	res R
	err error
}

// newGroup starts committers goroutines; SQLite has one writer, Postgres gains from a
// second one that gathers and sends while the first waits for its fsync.
func newGroup[T, R any](committers, maxItems int, run func(context.Context, []T) ([]R, error)) *group[T, R] {
	g := &group[T, R]{run: run, max: maxItems, ch: make(chan groupItem[T, R], 4*maxItems), stop: make(chan struct{}),
		gone: make(chan struct{})}
	for range committers {
		g.wg.Add(1)
		go g.loop()
	}
	return g
}

// do waits for the item's commit. When ctx ends first the item may still be committed.
func (g *group[T, R]) do(ctx context.Context, item T) (R, error) {
	it := groupItem[T, R]{item: item, done: make(chan groupResult[R], 1)}
	var zero R
	select {
	case g.ch <- it:
	case <-g.stop:
		return zero, errGroupClosed
	case <-ctx.Done():
		return zero, ctx.Err()
	}
	select {
	case r := <-it.done:
		return r.res, r.err
	case <-ctx.Done():
		return zero, ctx.Err()
	case <-g.gone:
	}
	select { // the last committer may have answered on its way out
	case r := <-it.done:
		return r.res, r.err
	default:
		return zero, errGroupClosed
	}
}

func (g *group[T, R]) loop() {
	defer g.wg.Done()
	for {
		select {
		case it := <-g.ch:
			g.commit(g.gather(it))
		case <-g.stop:
			for { // what was handed in before the stop is still answered
				select {
				case it := <-g.ch:
					g.commit(g.gather(it))
				default:
					return
				}
			}
		}
	}
}

func (g *group[T, R]) gather(first groupItem[T, R]) []groupItem[T, R] {
	items := g.take([]groupItem[T, R]{first})
	if g.busy.Load() == 0 || len(items) >= min(company, g.max) {
		return items
	}
	wait := time.NewTimer(companyWait)
	defer wait.Stop()
	for len(items) < min(company, g.max) {
		select {
		case it := <-g.ch:
			items = append(items, it)
		case <-wait.C:
			return g.take(items)
		case <-g.stop:
			return items
		}
	}
	return g.take(items)
}

// take adds what waits already.
func (g *group[T, R]) take(items []groupItem[T, R]) []groupItem[T, R] {
	for len(items) < g.max {
		select {
		case it := <-g.ch:
			items = append(items, it)
		default:
			return items
		}
	}
	return items
}

// commit uses a context of its own: the caller of one item giving up must not undo the
// items of the others.
func (g *group[T, R]) commit(items []groupItem[T, R]) {
	g.busy.Add(1)
	defer g.busy.Add(-1)
	ctx, cancel := context.WithTimeout(context.Background(), groupTimeout)
	defer cancel()
	vals := make([]T, len(items))
	for i, it := range items {
		vals[i] = it.item
	}
	res, err := g.run(ctx, vals)
	if err == nil {
		for i, it := range items {
			it.done <- groupResult[R]{res: res[i]}
		}
		return
	}
	if len(items) == 1 {
		items[0].done <- groupResult[R]{err: err}
		return
	}
	for _, it := range items {
		res, err := g.run(ctx, []T{it.item})
		if err != nil {
			it.done <- groupResult[R]{err: err}
			continue
		}
		it.done <- groupResult[R]{res: res[0]}
	}
}

func (g *group[T, R]) close() {
	g.once.Do(func() {
		close(g.stop)
		g.wg.Wait()
		close(g.gone)
	})
}
