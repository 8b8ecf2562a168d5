package store

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// way is what stands between this process and Postgres.
type way int

const (
	direct              way = iota // nothing: a session is ours alone
	throughSessions                // a pooler that lends a session for as long as we are connected
	throughTransactions            // a pooler that lends one for a transaction
)

// transactionPort is where Supabase's poolers lend sessions for a transaction only.
const transactionPort = 6543

// probeRounds is how often each of two connections is asked which session it has.
const probeRounds = 4

// wayTo finds out how Postgres is reached. A pooler cannot tell us the number of the
// session that it will lend, so what it says when we connect is not what the session
// says of itself. A pooler that lends for a transaction gives one session to two clients
// in turn, or two sessions to one.
func wayTo(ctx context.Context, cfg *pgx.ConnConfig) (way, error) {
	cfg = cfg.Copy()
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec // leaves nothing behind in a session
	var conns [2]*pgx.Conn
	defer func() {
		for _, c := range conns {
			if c != nil {
				_ = c.Close(ctx) // it only asked
			}
		}
	}()
	seen := [2][]uint32{}
	for round := range probeRounds {
		for i := range conns {
			if conns[i] == nil {
				var err error
				if conns[i], err = pgx.ConnectConfig(ctx, cfg); err != nil {
					return direct, err
				}
			}
			var pid uint32
			if err := conns[i].QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
				return direct, err
			}
			if round == 0 && i == 0 && pid == conns[0].PgConn().PID() && cfg.Port != transactionPort {
				return direct, nil
			}
			seen[i] = append(seen[i], pid)
		}
	}
	first, second := seen[0], seen[1]
	if slices.Min(first) != slices.Max(first) || slices.Min(second) != slices.Max(second) || first[0] == second[0] {
		return throughTransactions, nil
	}
	if first[0] == conns[0].PgConn().PID() {
		return direct, nil
	}
	return throughSessions, nil
}

// fitPooler keeps a configuration from leaving anything in a session that the next
// client gets: prepared statements first of all. A mode that the operator wrote into the
// URL is kept: newer poolers can be told to carry prepared statements.
func fitPooler(cfg *pgx.ConnConfig, chosen bool) {
	if chosen {
		return
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	cfg.StatementCacheCapacity, cfg.DescriptionCacheCapacity = 0, 0
}

// keepIndexes makes the planner use indexes. A statement that was planned while a table
// was small, and is kept prepared, would go on scanning the whole table while it grows,
// until the next ANALYZE; every statement here that runs often has an index to use, and
// joins few rows. It is a setting of the session, so it is only made where statements are
// kept as well, and a session is therefore ours alone. Poolers refuse connections that
// come with settings which they do not know; there the returned text makes it in every new
// session.
func keepIndexes(params map[string]string, w way) string {
	var late []string
	for _, name := range []string{"enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin"} {
		if _, set := params[name]; set {
			continue
		}
		if w == direct {
			params[name] = "off"
		} else {
			late = append(late, "SET "+name+" = off")
		}
	}
	return strings.Join(late, "; ")
}

// Pooled reports whether the database is reached through a pooler that lends a session
// for a transaction only: then notifications do not arrive, and work is polled for.
func (db *DB) Pooled() bool { return db.pooled }
