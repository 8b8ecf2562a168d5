package identity

import (
	"context"
	"crypto/rand"
	"time"

	"bellhop"
)

// ServerKeyStore keeps the keys that were made with bellhop key; the store does.
type ServerKeyStore interface {
	// ServerKey returns the key of a digest, also a revoked one, or CodeNotFound.
	ServerKey(ctx context.Context, digest []byte) (bellhop.ServerKey, error)
	// UseServerKey records a use.
	UseServerKey(ctx context.Context, id string, at time.Time) error
}

const serverKeyPrefix = "bhk_" // Bellhop key

// NewServerKey makes a key and its digest. The key is to be shown once and kept nowhere.
func NewServerKey() (key bellhop.Secret, digest []byte) {
	text := serverKeyPrefix + rand.Text() + rand.Text()
	return bellhop.Secret(text), digestOf(text)
}

// storedKey looks a key up, every time: a key that was revoked is refused at once, on
// every node. 260 random bits need no slow hash and no constant-time compare of digests.
func (a *Authenticator) storedKey(ctx context.Context, bearer string) (Principal, error) {
	k, err := a.serverKeys.ServerKey(ctx, digestOf(bearer))
	switch {
	case err != nil && bellhop.CodeOf(err) == bellhop.CodeNotFound:
		return Principal{}, refuse("Check the key, or make a new one with bellhop key create.", "This key is not known here.")
	case err != nil:
		return Principal{}, &bellhop.Error{Code: bellhop.CodeUnavailable, Message: "The key cannot be checked just now.",
			NextStep: "Send the same request again in a few seconds.", Err: err}
	case !k.RevokedAt.IsZero():
		return Principal{}, refuse("Make a new one with bellhop key create.", "This key was revoked.")
	}
	if now := a.clock.Now(); now.Sub(k.LastUsedAt) >= seenEvery {
		// A full disk must not close the door to a good key: what matters is refused where it is written.
		_ = a.serverKeys.UseServerKey(ctx, k.ID, now)
	}
	return Principal{Role: RoleServer, KeyName: k.Name, Scopes: k.Scopes}, nil
}
