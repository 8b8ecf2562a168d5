package sandbox

import (
	"crypto/sha256"
	"time"
)

// idemVerdict is what an idempotency key means for a request.
type idemVerdict int

const (
	idemMiss     idemVerdict = iota // not known, or expired
	idemHit                         // the same request: replay
	idemMismatch                    // another request under the same key
	idemBusy                        // the first request is still in progress
)

// idemStore remembers answers by idempotency key for a time. Its vendor's lock guards it.
type idemStore struct {
	ttl     time.Duration
	entries map[string]*idemEntry
	queue   []*idemEntry // oldest first
}

type idemEntry struct {
	key    string
	digest [sha256.Size]byte
	at     time.Time
	busy   *busy
	ans    answer
}

func newIdemStore(ttl time.Duration) *idemStore {
	return &idemStore{ttl: ttl, entries: map[string]*idemEntry{}}
}

// lookup forgets what has expired and says what the key means now.
func (s *idemStore) lookup(key string, digest [sha256.Size]byte, now time.Time) (idemVerdict, answer) {
	for len(s.queue) > 0 && now.Sub(s.queue[0].at) >= s.ttl {
		e := s.queue[0]
		s.queue[0] = nil
		s.queue = s.queue[1:]
		if s.entries[e.key] == e {
			delete(s.entries, e.key)
		}
	}
	e, ok := s.entries[key]
	switch {
	case !ok:
		return idemMiss, answer{}
	case e.digest != digest:
		return idemMismatch, answer{}
	case e.busy.active():
		return idemBusy, answer{}
	default:
		return idemHit, e.ans
	}
}

// store remembers the answer of the first request with a key.
func (s *idemStore) store(key string, digest [sha256.Size]byte, now time.Time, busy *busy, ans answer) {
	e := &idemEntry{key: key, digest: digest, at: now, busy: busy, ans: ans}
	s.entries[key] = e
	s.queue = append(s.queue, e)
}
