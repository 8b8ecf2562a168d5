package store

import (
	"context"
	"database/sql"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// SecurityKind says what a row of the security log is about.
type SecurityKind string

// The kinds.
const (
	SecuritySignature   SecurityKind = "signature_refused" // of a webhook; also stale ones and those of the wrong mode
	SecurityUnknown     SecurityKind = "unauthenticated"   // a token or key that proves nothing, or none where one is needed
	SecurityForbidden   SecurityKind = "forbidden"         // known, and not allowed
	SecurityLimited     SecurityKind = "rate_limited"
	SecuritySpend       SecurityKind = "spend_capped" // the day's money for models was used up
	SecurityLogin       SecurityKind = "login"        // to the console
	SecurityLoginFailed SecurityKind = "login_refused"
	SecurityOperator    SecurityKind = "operator_action"
	SecurityKeys        SecurityKind = "key_changed"
	SecurityOperators   SecurityKind = "operator_changed"
	SecurityExported    SecurityKind = "person_exported"
	SecurityErased      SecurityKind = "person_erased"
	SecurityRead        SecurityKind = "log_exported" // the security log itself
	SecurityDropped     SecurityKind = "log_overflow" // more happened at once than is kept apart
)

// SecurityKinds returns all kinds.
func SecurityKinds() []SecurityKind {
	return []SecurityKind{SecuritySignature, SecurityUnknown, SecurityForbidden, SecurityLimited, SecuritySpend, SecurityLogin,
		SecurityLoginFailed, SecurityOperator, SecurityKeys, SecurityOperators, SecurityExported, SecurityErased, SecurityRead,
		SecurityDropped}
}

// SecurityRecord is one row of the security log: Count times the same between At and
// LastAt. It holds no secret, token, e-mail address or text of anybody; see cleanSecurity.
type SecurityRecord struct {
	ID            string
	At            time.Time
	LastAt        time.Time
	Kind          SecurityKind
	Role          string
	Actor         string // id of a user or visitor, name of a key or operator
	Address       string // the network that it came from, as in 203.0.113.0/24
	CorrelationID string // of the first
	Route         string
	Detail        string // in words of ours
	Count         int64
}

const (
	securityColumns = "id, at, last_at, kind, role, actor, address, correlation_id, route, detail, count"
	maxSecurityText = 200
)

// RecordSecurity appends to the security log. A record without an id gets one, without a
// time the time of the store; without a count it counts once.
func (db *DB) RecordSecurity(ctx context.Context, recs ...SecurityRecord) error {
	if len(recs) == 0 {
		return nil
	}
	return db.tx(ctx, func(t *Tx) error {
		rows := make([][]any, len(recs))
		for n, r := range recs {
			r = cleanSecurity(r, t.now)
			rows[n] = []any{r.ID, r.At, r.LastAt, string(r.Kind), r.Role, r.Actor, r.Address, r.CorrelationID, r.Route, r.Detail, r.Count}
		}
		return t.insertRows(ctx, `INSERT INTO bellhop.security_log (id::uuid, at::timestamptz, last_at::timestamptz, kind, role, actor,
			address, correlation_id, route, detail, count::bigint)`, "", rows, nil)
	})
}

// cleanSecurity fills in what is missing and takes out what must not be kept. Callers
// give it words of their own; this is the last line of defence.
func cleanSecurity(r SecurityRecord, now time.Time) SecurityRecord {
	if r.ID == "" {
		r.ID = NewID()
	}
	if r.At.IsZero() {
		r.At = now
	}
	if r.LastAt.Before(r.At) {
		r.LastAt = r.At
	}
	r.Count = max(r.Count, 1)
	for _, s := range []*string{&r.Role, &r.Actor, &r.Address, &r.CorrelationID, &r.Route, &r.Detail} {
		*s = cleanSecurityText(*s)
	}
	return r
}

func cleanSecurityText(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	if strings.Contains(s, "@") {
		s = regexp.MustCompile(`\S+@\S+`).ReplaceAllString(s, "***@***")
	}
	if r := []rune(s); len(r) > maxSecurityText {
		s = string(r[:maxSecurityText-1]) + "…"
	}
	return s
}

// SecurityFilter selects rows of the security log; empty fields select everything.
type SecurityFilter struct {
	Kind   SecurityKind
	Before string    // newest first: only older than this id
	After  string    // oldest first: only newer than this id
	Since  time.Time // what went on at this time or later
	Limit  int       // 0 means 100; at most 1,000
}

// SecurityLog lists the log, newest first.
func (db *DB) SecurityLog(ctx context.Context, f SecurityFilter) ([]SecurityRecord, error) {
	q := securityFilter(f)
	rows, err := q.newest(ctx, db, "SELECT "+securityColumns+" FROM bellhop.security_log", f.Before, f.Limit)
	return scanSecurity(rows, err)
}

// SecurityLogFrom lists the log, oldest first, for an export: the last id of a page is
// After of the next.
func (db *DB) SecurityLogFrom(ctx context.Context, f SecurityFilter) ([]SecurityRecord, error) {
	q := securityFilter(f)
	if f.After != "" {
		q.add("id >", f.After)
	}
	rows, err := q.oldest(ctx, db, "SELECT "+securityColumns+" FROM bellhop.security_log", f.Limit)
	return scanSecurity(rows, err)
}

func securityFilter(f SecurityFilter) *filter {
	q := &filter{}
	q.equal("kind", string(f.Kind))
	if !f.Since.IsZero() {
		q.add("last_at >=", f.Since)
	}
	return q
}

func scanSecurity(rows *sql.Rows, err error) ([]SecurityRecord, error) {
	if err != nil {
		return nil, err
	}
	var out []SecurityRecord
	err = each(rows, func(r *sql.Rows) error {
		var s SecurityRecord
		err := r.Scan(&s.ID, timeDest{&s.At}, timeDest{&s.LastAt}, &s.Kind, &s.Role, &s.Actor, &s.Address, &s.CorrelationID,
			&s.Route, &s.Detail, &s.Count)
		out = append(out, s)
		return err
	})
	return out, err
}
