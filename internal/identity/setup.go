package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"time"

	"bellhop"
)

// SetupLength is how long a first-run link is good.
const SetupLength = time.Hour

// setupLink is the one link that makes the first owner. It lives in the process that told
// it: the next start tells a new one.
type setupLink struct {
	digest  []byte // nil: there is none
	expires time.Time
}

// OpenSetup makes the secret of a first-run link; "" when somebody can sign in already, or ever
// could. A
// new one replaces the one before.
func (o *Operators) OpenSetup(ctx context.Context) (string, error) {
	if some, err := o.Any(ctx); some || err != nil {
		return "", err
	}
	if first, err := o.store.FirstRun(ctx); !first || err != nil {
		return "", err // every operator was disabled: that is for bellhop operator add to mend
	}
	secret := rand.Text() + rand.Text()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.setup = setupLink{digest: digestOf(secret), expires: o.clock.Now().Add(SetupLength)}
	return secret, nil
}

// CheckSetup returns CodeForbidden for a secret that is not that of the open link.
func (o *Operators) CheckSetup(secret string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.setup.digest != nil && o.clock.Now().Before(o.setup.expires) &&
		subtle.ConstantTimeCompare(o.setup.digest, digestOf(secret)) == 1 {
		return nil
	}
	return bellhop.Errorf(bellhop.CodeForbidden, "Start Bellhop again for a new link, or run bellhop operator add.",
		"This link is used, older than an hour, or not one of this server.")
}

// FirstOwner makes the first owner with the secret of a first-run link and signs them in.
// The link dies with it. CodeForbidden for a wrong secret, CodeInvalid for a name or
// password that cannot be used: then the link stays good; CodeStateConflict when there
// is an operator in the meantime.
func (o *Operators) FirstOwner(ctx context.Context, secret, name, password string) (Session, string, error) {
	if err := o.CheckSetup(secret); err != nil {
		return Session{}, "", err
	}
	hash, name, err := o.prepare(ctx, name, password)
	if err != nil {
		return Session{}, "", err
	}
	op, err := o.store.AddFirstOwner(ctx, bellhop.Operator{Name: name, Role: bellhop.OperatorOwner}, hash)
	if err == nil || bellhop.CodeOf(err) == bellhop.CodeStateConflict {
		o.mu.Lock()
		o.setup = setupLink{}
		o.mu.Unlock()
	}
	if err != nil {
		return Session{}, "", err
	}
	return o.begin(ctx, bellhop.OperatorSession{Operator: op}, nil, "")
}
