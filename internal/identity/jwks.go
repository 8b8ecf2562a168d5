package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	"bellhop"
)

const (
	// keysFresh is how long keys are used without asking again; Supabase's edge keeps them
	// as long, and asks that nobody keeps them longer.
	// https://supabase.com/docs/guides/auth/signing-keys
	keysFresh = 10 * time.Minute
	// keysRetry is how long nothing is asked after a try, whatever strangers send.
	keysRetry = 30 * time.Second
	// keysOffline is how long the last keys are good while the project does not answer.
	keysOffline = 24 * time.Hour
	keysTimeout = 5 * time.Second
	maxKeys     = 1 << 20 // bytes
)

var (
	errNoKeyID    = errors.New("the token does not say which key signed it")
	errUnknownKey = errors.New("the project has no such key")
	errKeysGone   = errors.New("the project's keys cannot be had")
)

// keySet is the public keys of a project. It asks for them when a token needs them, by the
// given clock, and not in the background: a server that nobody asks does not ask either.
type keySet struct {
	url    string
	client *http.Client
	clock  bellhop.Clock

	set   atomic.Pointer[fetchedKeys]
	mu    sync.Mutex // held by who fetches
	tried time.Time
	// failed is set while the project could not be asked: an unknown key may then be a new one.
	failed atomic.Bool
}

type fetchedKeys struct {
	keys keyfunc.Keyfunc
	ids  map[string]bool
	at   time.Time
}

// key returns the public key of a token.
func (k *keySet) key(ctx context.Context, t *jwt.Token) (any, error) {
	id, _ := t.Header["kid"].(string)
	if id == "" {
		return nil, errNoKeyID
	}
	now := k.clock.Now()
	set := k.set.Load()
	known := set != nil && set.ids[id]
	switch {
	case known && now.Sub(set.at) < keysFresh:
		return set.keys.Keyfunc(t)
	case !known:
		k.mu.Lock()
		k.refresh(ctx, now)
		k.mu.Unlock()
	case k.mu.TryLock(): // one asks again; the others go on with what they have
		k.refresh(ctx, now)
		k.mu.Unlock()
	}
	set = k.set.Load()
	switch {
	case set == nil || now.Sub(set.at) >= keysOffline:
		return nil, errKeysGone
	case !set.ids[id] && k.failed.Load():
		return nil, errKeysGone // it may be a new one, and the project cannot be asked
	case !set.ids[id]:
		return nil, errUnknownKey
	default:
		return set.keys.Keyfunc(t)
	}
}

// refresh asks for the keys, unless that was just tried. Without an answer the keys that
// there are stay. A caller who hangs up does not spoil it for the others.
func (k *keySet) refresh(ctx context.Context, now time.Time) {
	if !k.tried.IsZero() && now.Sub(k.tried) < keysRetry {
		return
	}
	k.tried = now
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTimeout)
	defer cancel()
	set, err := k.fetch(ctx)
	k.failed.Store(err != nil)
	if err == nil {
		set.at = now
		k.set.Store(set)
	}
}

func (k *keySet) fetch(ctx context.Context) (*fetchedKeys, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxKeys))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the keys were answered with status %d", resp.StatusCode)
	}
	var doc struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	set := &fetchedKeys{ids: map[string]bool{}}
	for _, one := range doc.Keys {
		set.ids[one.ID] = true
	}
	set.keys, err = keyfunc.NewJWKSetJSON(data)
	return set, err
}
