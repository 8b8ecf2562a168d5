package identity

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"bellhop"
)

// OperatorStore keeps operators and their sessions; the store does. Errors that are to be
// told apart are *bellhop.Error with the code that each method names.
type OperatorStore interface {
	// Operator returns an operator and the hash of their password, or CodeNotFound.
	Operator(ctx context.Context, name string) (bellhop.Operator, string, error)
	// AddOperator returns CodeStateConflict when the name is taken.
	AddOperator(ctx context.Context, o bellhop.Operator, hash string) (bellhop.Operator, error)
	// AddFirstOwner returns CodeStateConflict when there is or was an operator.
	AddFirstOwner(ctx context.Context, o bellhop.Operator, hash string) (bellhop.Operator, error)
	// SetOperatorPassword returns CodeNotFound for an unknown name.
	SetOperatorPassword(ctx context.Context, name, hash string) error
	// HasOperator reports whether somebody can sign in with a password.
	HasOperator(ctx context.Context) (bool, error)
	// FirstRun reports whether there never was an operator.
	FirstRun(ctx context.Context) (bool, error)
	// BeginSession also replaces the password's hash when rehash is not "".
	BeginSession(ctx context.Context, s bellhop.OperatorSession, rehash string) error
	// Session returns CodeNotFound when there is none.
	Session(ctx context.Context, digest []byte) (bellhop.OperatorSession, error)
	SeeSession(ctx context.Context, digest []byte, at time.Time) error
	EndSession(ctx context.Context, digest []byte) error
}

const (
	// SessionLength is how long a session lasts.
	SessionLength = 12 * time.Hour
	// seenEvery is how often it is written that a session or key is used.
	seenEvery = time.Minute
	// hashing is how many passwords are hashed at a time: each takes the memory of
	// PasswordCost, and strangers may ask for it.
	hashing = 2
)

// OperatorsOpts configures Operators.
type OperatorsOpts struct {
	Store OperatorStore
	Keys  Keys          // those of the environment
	Clock bellhop.Clock // nil: the machine's
	Cost  PasswordCost  // zero: DefaultPasswordCost
}

// Operators signs operators in and knows their sessions.
type Operators struct {
	store  OperatorStore
	keys   Keys
	clock  bellhop.Clock
	cost   PasswordCost
	logins *throttle
	slots  chan struct{}
	known  atomic.Bool // somebody can sign in

	mu    sync.Mutex
	setup setupLink
}

// Session is somebody who is signed in.
type Session struct {
	Principal Principal
	CSRF      string // what a form of this session has to carry
	ExpiresAt time.Time
	digest    []byte
}

// NewOperators makes Operators. It returns an error when there is no store.
func NewOperators(o OperatorsOpts) (*Operators, error) {
	if o.Store == nil {
		return nil, errors.New("identity: operators need a store")
	}
	if o.Clock == nil {
		o.Clock = bellhop.SystemClock{}
	}
	if o.Cost == (PasswordCost{}) {
		o.Cost = DefaultPasswordCost()
	}
	return &Operators{store: o.Store, keys: o.Keys, clock: o.Clock, cost: o.Cost, logins: newThrottle(o.Clock),
		slots: make(chan struct{}, hashing)}, nil
}

// Any reports whether anybody can sign in: by password or by the key of the environment.
func (o *Operators) Any(ctx context.Context) (bool, error) {
	if o.keys.hasOperator() || o.known.Load() {
		return true, nil
	}
	has, err := o.store.HasOperator(ctx)
	if has {
		o.known.Store(true)
	}
	return has, err
}

// Add makes an operator. CodeInvalid for a name or password that cannot be used,
// CodeStateConflict when the name is taken.
func (o *Operators) Add(ctx context.Context, name, password string, role bellhop.OperatorRole) (bellhop.Operator, error) {
	hash, name, err := o.prepare(ctx, name, password)
	if err != nil {
		return bellhop.Operator{}, err
	}
	if !role.Covers(bellhop.OperatorViewer) {
		return bellhop.Operator{}, bellhop.Errorf(bellhop.CodeInvalid, "Use viewer, agent or owner.", "There is no such role.")
	}
	return o.store.AddOperator(ctx, bellhop.Operator{Name: name, Role: role}, hash)
}

// SetPassword replaces an operator's password and ends their sessions.
func (o *Operators) SetPassword(ctx context.Context, name, password string) error {
	hash, name, err := o.prepare(ctx, name, password)
	if err != nil {
		return err
	}
	return o.store.SetOperatorPassword(ctx, name, hash)
}

func (o *Operators) prepare(ctx context.Context, name, password string) (hash, normal string, err error) {
	if normal, err = OperatorName(name); err != nil {
		return "", "", err
	}
	if err := CheckPassword(password); err != nil {
		return "", "", err
	}
	err = o.work(ctx, func() { hash = o.cost.hash(password) })
	return hash, normal, err
}

// work runs what takes much memory, a few at a time.
func (o *Operators) work(ctx context.Context, fn func()) error {
	select {
	case o.slots <- struct{}{}:
		defer func() { <-o.slots }()
		fn()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refuseLogin is the same for every cause, so that it tells nobody which names there are.
func refuseLogin() error {
	return refuse("Check both. An owner can set a new password with bellhop operator password.", "Name and password do not belong together.")
}

// Login signs in with name and password. It returns the session's token, which goes into
// the browser and nowhere else; *Throttled; or CodeUnauthenticated. An unknown name costs
// the same work as a wrong password.
func (o *Operators) Login(ctx context.Context, name, password, address string) (Session, string, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	if err := o.try("address:"+address, MaxFailures); err != nil {
		return Session{}, "", err
	}
	if len(name) > 254 || len(password) > maxPassword { // no operator's: it must not count for any
		return Session{}, "", refuseLogin()
	}
	if err := o.try("name:"+name, maxNameFailures); err != nil {
		return Session{}, "", err
	}
	op, hash, err := o.store.Operator(ctx, name)
	if err != nil && bellhop.CodeOf(err) != bellhop.CodeNotFound {
		return Session{}, "", err
	}
	good, cost := false, o.cost
	if workErr := o.work(ctx, func() {
		if err == nil && op.DisabledAt.IsZero() {
			good, cost, err = verify(hash, password)
			return
		}
		o.cost.key(password, make([]byte, saltSize))
		err = nil
	}); workErr != nil {
		return Session{}, "", workErr
	}
	if err != nil {
		return Session{}, "", err
	}
	if !good {
		return Session{}, "", refuseLogin()
	}
	o.logins.giveBack("address:" + address)
	o.logins.giveBack("name:" + name)
	rehash := ""
	if cost != o.cost {
		if err := o.work(ctx, func() { rehash = o.cost.hash(password) }); err != nil {
			return Session{}, "", err
		}
	}
	return o.begin(ctx, bellhop.OperatorSession{Operator: op}, nil, rehash)
}

// LoginWithKey signs in with the operator key of the environment.
func (o *Operators) LoginWithKey(ctx context.Context, bearer, address string) (Session, string, error) {
	if err := o.try("address:"+address, MaxFailures); err != nil {
		return Session{}, "", err
	}
	p, ok := o.keys.Find(bearer)
	if !ok || p.Role != RoleOperator {
		return Session{}, "", refuse("It is the value of BELLHOP_OPERATOR_KEY that the server was started with.",
			"That is not an operator key of this server.")
	}
	o.logins.giveBack("address:" + address)
	digest := sha256.Sum256([]byte(bearer))
	return o.begin(ctx, bellhop.OperatorSession{}, digest[:], "")
}

func (o *Operators) try(key string, most int) error {
	if wait, ok := o.logins.take(key, most); !ok {
		return &Throttled{Wait: wait}
	}
	return nil
}

// begin stores a new session. keyDigest is that of the operator key, when one was used.
func (o *Operators) begin(ctx context.Context, s bellhop.OperatorSession, keyDigest []byte, rehash string) (Session, string, error) {
	token := rand.Text() + rand.Text() // 260 bits
	s.CreatedAt = o.clock.Now()
	s.ExpiresAt, s.SeenAt = s.CreatedAt.Add(SessionLength), s.CreatedAt
	s.Digest, s.CSRF = digestOf(token), rand.Text()
	if keyDigest != nil {
		s.KeyProof = proof(token, keyDigest)
	}
	if err := o.store.BeginSession(ctx, s, rehash); err != nil {
		return Session{}, "", err
	}
	return o.sessionOf(s, token), token, nil
}

func digestOf(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

func proof(token string, keyDigest []byte) []byte {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write(keyDigest)
	return mac.Sum(nil)
}

// sessionOf returns the session as it is now; its Principal is zero when it is worth nothing.
func (o *Operators) sessionOf(s bellhop.OperatorSession, token string) Session {
	out := Session{CSRF: s.CSRF, ExpiresAt: s.ExpiresAt, digest: s.Digest}
	switch {
	case s.KeyProof != nil:
		if name, ok := o.keys.proven(token, s.KeyProof); ok {
			out.Principal = Principal{Role: RoleOperator, OperatorRole: bellhop.OperatorOwner, KeyName: name}
		}
	case s.Operator.ID != "" && s.Operator.DisabledAt.IsZero():
		out.Principal = Principal{Role: RoleOperator, OperatorRole: s.Operator.Role, OperatorID: s.Operator.ID,
			OperatorName: s.Operator.Name}
	}
	return out
}

// Session returns the session of a token. ok is false when there is none, it has expired,
// its operator was disabled, or the key that began it is no longer the server's.
func (o *Operators) Session(ctx context.Context, token string) (_ Session, ok bool, err error) {
	if token == "" || len(token) > maxToken {
		return Session{}, false, nil
	}
	s, err := o.store.Session(ctx, digestOf(token))
	if bellhop.CodeOf(err) == bellhop.CodeNotFound && err != nil {
		return Session{}, false, nil
	}
	if err != nil {
		return Session{}, false, err
	}
	now := o.clock.Now()
	out := o.sessionOf(s, token)
	if !now.Before(s.ExpiresAt) || out.Principal.Role != RoleOperator {
		return Session{}, false, nil
	}
	if now.Sub(s.SeenAt) >= seenEvery {
		if err := o.store.SeeSession(ctx, s.Digest, now); err != nil {
			return Session{}, false, err
		}
	}
	return out, true, nil
}

// End signs out, on every node.
func (o *Operators) End(ctx context.Context, s Session) error {
	return o.store.EndSession(ctx, s.digest)
}

// CheckForm reports whether a form carries what this session's forms carry.
func (s Session) CheckForm(csrf string) bool {
	return s.CSRF != "" && subtle.ConstantTimeCompare([]byte(s.CSRF), []byte(csrf)) == 1
}
