package watch

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"bellhop"
	"bellhop/internal/store"
)

const (
	// securityFlush is how soon what happened is in the log.
	securityFlush = time.Second
	// securityWindow is for how long what repeats itself is counted into one row.
	securityWindow = time.Minute
	// maxSecurityKeys bounds what is told apart at a time. What goes beyond is counted by
	// kind alone, so that a flood from many networks makes few rows too.
	maxSecurityKeys = 256
	// maxSecurityActions bounds what people with a key did and is not written yet. Each is
	// a row of its own, and none is crowded out by strangers.
	maxSecurityActions = 4096
	// securityStop is how long the last flush may take.
	securityStop = 5 * time.Second
)

// Security writes the security log. Note never waits: what it is told is counted in
// memory and written beside, so the log is no lever to slow the server down. A nil
// *Security takes everything and writes nothing.
type Security struct {
	db    *store.DB
	clock bellhop.Clock
	log   *slog.Logger

	mu      sync.Mutex
	keys    map[securityKey]*securityCount
	actions []store.SecurityRecord
	lost    int64 // actions that found no room
	quit    chan struct{}
	done    chan struct{}
	once    sync.Once
}

// securityKey is what is counted together.
type securityKey struct {
	kind                                 store.SecurityKind
	role, actor, address, route, details string
}

type securityCount struct {
	rec store.SecurityRecord // Count is 0 when nothing is new
	due time.Time
}

// NewSecurity begins to write; Close ends it.
func NewSecurity(db *store.DB, clock bellhop.Clock, log *slog.Logger) *Security {
	if clock == nil {
		clock = bellhop.SystemClock{}
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Security{db: db, clock: clock, log: log, keys: map[securityKey]*securityCount{}, quit: make(chan struct{}),
		done: make(chan struct{})}
	go s.run()
	return s
}

// Note tells what happened. Records that differ in nothing but time and correlation id
// become one with a count.
func (s *Security) Note(r store.SecurityRecord) {
	if s == nil {
		return
	}
	now := s.clock.Now()
	r.At, r.LastAt, r.Count = now, now, 1
	s.mu.Lock()
	defer s.mu.Unlock()
	if isAction(r.Kind) {
		if len(s.actions) >= maxSecurityActions {
			s.lost++
			return
		}
		s.actions = append(s.actions, r)
		return
	}
	k := securityKey{r.Kind, r.Role, r.Actor, r.Address, r.Route, r.Detail}
	if s.keys[k] == nil && len(s.keys) >= maxSecurityKeys {
		r = store.SecurityRecord{Kind: r.Kind, Role: r.Role, At: now, Detail: "from many networks or in many ways", Count: 1,
			LastAt: now, CorrelationID: r.CorrelationID}
		k = securityKey{kind: r.Kind, role: r.Role, details: r.Detail}
	}
	c := s.keys[k]
	if c == nil {
		s.keys[k] = &securityCount{rec: r, due: now}
		return
	}
	if c.rec.Count == 0 {
		c.rec = r
		return
	}
	c.rec.Count++
	c.rec.LastAt = now
}

// isAction reports whether a kind is what somebody with a key or a session did: each is
// kept by itself.
func isAction(k store.SecurityKind) bool {
	switch k {
	case store.SecurityOperator, store.SecurityLogin, store.SecurityKeys, store.SecurityOperators, store.SecurityExported,
		store.SecurityErased, store.SecurityRead:
		return true
	default:
		return false
	}
}

func (s *Security) run() {
	defer close(s.done)
	tick := time.NewTicker(securityFlush)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.flush(context.Background(), false)
		case <-s.quit:
			ctx, cancel := context.WithTimeout(context.Background(), securityStop)
			s.flush(ctx, true)
			cancel()
			return
		}
	}
}

// Close writes what is left and ends the writing.
func (s *Security) Close() {
	if s == nil {
		return
	}
	s.once.Do(func() { close(s.quit) })
	<-s.done
}

// Flush writes everything that was told so far.
func (s *Security) Flush(ctx context.Context) {
	if s != nil {
		s.flush(ctx, true)
	}
}

// flush writes what is due, everything when all is set. What could not be written is
// tried again at the next flush.
func (s *Security) flush(ctx context.Context, all bool) {
	recs, lost := s.take(all)
	if len(recs) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, securityStop)
	defer cancel()
	err := s.db.RecordSecurity(ctx, recs...)
	if err == nil {
		return
	}
	s.log.ErrorContext(ctx, "the security log could not be written; it is tried again", "records", len(recs), "error", err.Error())
	s.putBack(recs, lost)
}

// take returns what is due, and how much of it was lost earlier.
func (s *Security) take(all bool) (recs []store.SecurityRecord, lost int64) {
	now := s.clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	recs, s.actions = s.actions, nil
	if lost, s.lost = s.lost, 0; lost > 0 {
		recs = append(recs, store.SecurityRecord{Kind: store.SecurityDropped, At: now, LastAt: now, Count: lost,
			Detail: "actions that came faster than they could be written"})
	}
	for k, c := range s.keys {
		if !all && now.Before(c.due) {
			continue
		}
		if c.rec.Count == 0 {
			delete(s.keys, k)
			continue
		}
		recs = append(recs, c.rec)
		c.rec.Count, c.due = 0, now.Add(securityWindow)
	}
	slices.SortStableFunc(recs, func(a, b store.SecurityRecord) int { return a.At.Compare(b.At) })
	return recs, lost
}

func (s *Security) putBack(recs []store.SecurityRecord, lost int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost += lost
	for _, r := range recs {
		switch {
		case r.Kind == store.SecurityDropped: // counted by lost
		case isAction(r.Kind):
			if len(s.actions) < maxSecurityActions {
				s.actions = append(s.actions, r)
			} else {
				s.lost++
			}
		default:
			s.addBack(r)
		}
	}
}

func (s *Security) addBack(r store.SecurityRecord) {
	k := securityKey{r.Kind, r.Role, r.Actor, r.Address, r.Route, r.Detail}
	c := s.keys[k]
	if c == nil {
		c = &securityCount{rec: store.SecurityRecord{LastAt: r.LastAt}}
		s.keys[k] = c
	}
	newer := c.rec
	c.rec = r
	c.due = s.clock.Now()
	if newer.Count > 0 {
		c.rec.Count += newer.Count
		c.rec.LastAt = newer.LastAt
	}
}

// SecurityWords says in a sentence what kind of thing happened.
func SecurityWords(k store.SecurityKind) string {
	switch k {
	case store.SecuritySignature:
		return "A webhook's signature was refused"
	case store.SecurityUnknown:
		return "Somebody did not prove who they are"
	case store.SecurityForbidden:
		return "Somebody asked for what they may not have"
	case store.SecurityLimited:
		return "Somebody sent too much"
	case store.SecuritySpend:
		return "The day's money for models was used up"
	case store.SecurityLogin:
		return "An operator signed in or out"
	case store.SecurityLoginFailed:
		return "A login was refused"
	case store.SecurityOperator:
		return "An operator did something"
	case store.SecurityKeys:
		return "A key was made, changed or revoked"
	case store.SecurityOperators:
		return "An operator was added, changed or removed"
	case store.SecurityExported:
		return "A person's data was exported"
	case store.SecurityErased:
		return "A person was erased"
	case store.SecurityRead:
		return "The security log was exported"
	case store.SecurityDropped:
		return "More happened than could be kept apart"
	default:
		return strings.ReplaceAll(string(k), "_", " ")
	}
}
