package store

import (
	"container/list"
	"context"
	sqldriver "database/sql/driver"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
)

// Compiling a statement costs SQLite more than running most of ours, and database/sql
// compiles anew each time it is given a text. So each connection keeps the statements it
// has compiled: the store's texts are few.

// maxStatements bounds the statements that a connection keeps.
const maxStatements = 256

// keepStatements makes the connections of a connector keep their statements.
type keepStatements struct{ sqldriver.Connector }

// Connect opens a connection.
func (k keepStatements) Connect(ctx context.Context) (sqldriver.Conn, error) {
	c, err := k.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	inner, ok := c.(driver.Conn)
	if !ok {
		return c, nil
	}
	return &sqliteConn{Conn: inner, kept: map[string]*list.Element{}, inserts: map[string]*sqlite3.Stmt{}}, nil
}

// sqliteConn is a connection with the statements it keeps, the newest used in front. Like
// every connection of database/sql it is used by one goroutine at a time.
type sqliteConn struct {
	driver.Conn
	kept  map[string]*list.Element
	order list.List
	// inserts are the statements of insertEach, as many as the store has texts
	inserts map[string]*sqlite3.Stmt
}

// Prepare returns the kept statement of a text, or compiles it.
func (c *sqliteConn) Prepare(text string) (sqldriver.Stmt, error) {
	return c.PrepareContext(context.Background(), text)
}

// PrepareContext returns the kept statement of a text, or compiles it. One that is in use,
// because its rows are still being read, is compiled a second time.
func (c *sqliteConn) PrepareContext(ctx context.Context, text string) (sqldriver.Stmt, error) {
	if e, ok := c.kept[text]; ok {
		s := e.Value.(*keptStmt)
		if s.busy {
			return c.Conn.PrepareContext(ctx, text)
		}
		c.order.MoveToFront(e)
		s.busy = true
		return s, nil
	}
	inner, err := c.Conn.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	full, ok := inner.(compiled)
	if !ok {
		return inner, nil
	}
	if c.order.Len() >= maxStatements {
		c.drop()
	}
	s := &keptStmt{compiled: full, text: text, busy: true}
	c.kept[text] = c.order.PushFront(s)
	return s, nil
}

// drop ends the statement that was not used for longest, unless it is in use.
func (c *sqliteConn) drop() {
	e := c.order.Back()
	s := e.Value.(*keptStmt)
	if s.busy {
		c.order.MoveToFront(e)
		return
	}
	c.order.Remove(e)
	delete(c.kept, s.text)
	_ = s.compiled.Close() // an error here is that of the statement's last run, which was told
}

// Close ends the kept statements and the connection.
func (c *sqliteConn) Close() error {
	for e := c.order.Front(); e != nil; e = e.Next() {
		_ = e.Value.(*keptStmt).compiled.Close() // as in drop
	}
	for _, s := range c.inserts {
		_ = s.Close() // as in drop
	}
	c.kept, c.inserts = nil, nil
	c.order.Init()
	return c.Conn.Close()
}

// ExecContext runs a text without arguments, which is not kept.
func (c *sqliteConn) ExecContext(ctx context.Context, text string, args []sqldriver.NamedValue) (sqldriver.Result, error) {
	if e, ok := c.Conn.(sqldriver.ExecerContext); ok {
		return e.ExecContext(ctx, text, args)
	}
	return nil, sqldriver.ErrSkip
}

// CheckNamedValue leaves the checking of arguments to the statement.
func (c *sqliteConn) CheckNamedValue(*sqldriver.NamedValue) error { return nil }

// compiled is what a statement of the driver can do.
type compiled interface {
	sqldriver.Stmt
	sqldriver.StmtExecContext
	sqldriver.StmtQueryContext
	sqldriver.NamedValueChecker
}

// keptStmt is a statement that stays compiled when it is closed. Its rows' Close, and the
// end of its Exec, have reset it by then.
type keptStmt struct {
	compiled
	text string
	busy bool
}

// Close gives the statement back.
func (s *keptStmt) Close() error {
	s.busy = false
	return nil
}
