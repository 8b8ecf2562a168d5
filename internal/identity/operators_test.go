package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

const goodPassword = "correct horse battery"

// cheap keeps the tests quick; the form of a hash is the same.
func cheap() PasswordCost { return PasswordCost{MemoryKiB: 64, Passes: 1, Lanes: 1} }

func newOperators(t *testing.T, db *store.DB, c bellhop.Clock, keys Keys) *Operators {
	t.Helper()
	o, err := NewOperators(OperatorsOpts{Store: db, Keys: keys, Clock: c, Cost: cheap()})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// soon is a clock that is moved, ahead of the machine's.
func soon() *clock { return &clock{now: time.Now().UTC()} }

func TestPasswordsAreHashedWithTheirCost(t *testing.T) {
	t.Parallel()
	a, b := cheap().hash(goodPassword), cheap().hash(goodPassword)
	if a == b || !strings.HasPrefix(a, "$argon2id$v=19$m=64,t=1,p=1$") || strings.Contains(a, goodPassword) {
		t.Errorf("hashes %s and %s", a, b)
	}
	if ok, cost, err := verify(a, goodPassword); !ok || cost != cheap() || err != nil {
		t.Errorf("%v %+v %v", ok, cost, err)
	}
	if ok, _, err := verify(a, goodPassword+"x"); ok || err != nil {
		t.Errorf("a wrong password: %v %v", ok, err)
	}
	for _, bad := range []string{"", "x", "$argon2i$v=19$m=64,t=1,p=1$AA$AA", strings.Replace(a, "m=64", "m=4294967295", 1),
		strings.Replace(a, "t=1", "t=0", 1), strings.Replace(a, "p=1", "p=0", 1), strings.Replace(a, "v=19", "v=16", 1), a[:len(a)-4]} {
		if ok, _, err := verify(bad, goodPassword); ok || err == nil {
			t.Errorf("%q: %v %v", bad, ok, err)
		}
	}
}

func TestOperatorsSignInWithNameAndPassword(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx, c := context.Background(), soon()
		o := newOperators(t, db, c, Keys{})
		if some, err := o.Any(ctx); some || err != nil {
			t.Fatalf("anybody: %v %v", some, err)
		}
		for name, password := range map[string]string{"": goodPassword, "a b": goodPassword, "kim": "short", "ki\x00m": goodPassword, "eve": strings.Repeat("x", 257)} {
			if _, err := o.Add(ctx, name, password, bellhop.OperatorOwner); bellhop.CodeOf(err) != bellhop.CodeInvalid {
				t.Errorf("%q: %v", name, err)
			}
		}
		if _, err := o.Add(ctx, " Kim@Example.com ", goodPassword, bellhop.OperatorAgent); err != nil {
			t.Fatal(err)
		}
		s, token, err := o.Login(ctx, "kim@EXAMPLE.com", goodPassword, "192.0.2.1")
		if err != nil || !s.Principal.May(bellhop.OperatorAgent) || s.Principal.May(bellhop.OperatorOwner) || s.Principal.OperatorName != "kim@example.com" {
			t.Fatalf("%+v %v", s.Principal, err)
		}
		if got, ok, err := o.Session(ctx, token); !ok || err != nil || got.Principal.OperatorID != s.Principal.OperatorID || !got.CheckForm(s.CSRF) {
			t.Errorf("%+v %v %v", got, ok, err)
		}
		if got, _, _ := o.Session(ctx, token); got.CheckForm("") || got.CheckForm(s.CSRF+"x") || (Session{}).CheckForm("") {
			t.Error("a form without the session's token passes")
		}
		for _, bad := range []string{"", token + "x", token[1:], strings.Repeat("a", 5000)} {
			if _, ok, err := o.Session(ctx, bad); ok || err != nil {
				t.Errorf("token %.20q: %v %v", bad, ok, err)
			}
		}
		c.add(SessionLength)
		if _, ok, _ := o.Session(ctx, token); ok {
			t.Error("a session outlives its time")
		}
		same := ""
		for name, password := range map[string]string{"kim@example.com": "wrong password", "nobody": goodPassword, "": goodPassword} {
			_, _, err := o.Login(ctx, name, password, "192.0.2.1")
			if bellhop.CodeOf(err) != bellhop.CodeUnauthenticated || (same != "" && err.Error() != same) {
				t.Errorf("%q: %v", name, err)
			}
			same = err.Error()
		}
	})
}

func TestSessionsEndAtOnce(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx, c := context.Background(), soon()
		o := newOperators(t, db, c, Keys{})
		if _, err := o.Add(ctx, "kim", goodPassword, bellhop.OperatorOwner); err != nil {
			t.Fatal(err)
		}
		login := func(password string) (Session, string) {
			t.Helper()
			s, token, err := o.Login(ctx, "kim", password, "a")
			if err != nil {
				t.Fatal(err)
			}
			return s, token
		}
		good := func(token string) bool {
			t.Helper()
			_, ok, err := newOperators(t, db, c, Keys{}).Session(ctx, token) // another node
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		s, one := login(goodPassword)
		_, two := login(goodPassword)
		if err := o.End(ctx, s); err != nil || good(one) || !good(two) {
			t.Errorf("signing out: %v, %v, %v", err, good(one), good(two))
		}
		if err := o.SetPassword(ctx, "kim", goodPassword+"2"); err != nil || good(two) {
			t.Errorf("a new password: %v, %v", err, good(two))
		}
		_, three := login(goodPassword + "2")
		if err := db.DisableOperator(ctx, "kim"); err != nil || good(three) {
			t.Errorf("disabled: %v, %v", err, good(three))
		}
		if _, _, err := o.Login(ctx, "kim", goodPassword+"2", "a"); bellhop.CodeOf(err) != bellhop.CodeUnauthenticated {
			t.Errorf("a disabled operator signs in: %v", err)
		}
	})
}

// A session that a key of the environment began ends when that key is another one.
func TestAKeysSessionEndsWithTheKey(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx, c := context.Background(), soon()
		o := newOperators(t, db, c, NewKeys("op-key", "srv-key"))
		s, token, err := o.LoginWithKey(ctx, "op-key", "a")
		if err != nil || !s.Principal.May(bellhop.OperatorOwner) {
			t.Fatalf("%+v %v", s.Principal, err)
		}
		for _, bad := range []string{"srv-key", "", "op-key2"} {
			if _, _, err := o.LoginWithKey(ctx, bad, "a"); bellhop.CodeOf(err) != bellhop.CodeUnauthenticated {
				t.Errorf("%q: %v", bad, err)
			}
		}
		for name, tt := range map[string]struct {
			keys Keys
			want bool
		}{"the same": {NewKeys("op-key", ""), true}, "another": {NewKeys("op-key-2", ""), false}, "none": {Keys{}, false},
			"now the server's": {NewKeys("", "op-key"), false}} {
			if _, ok, err := newOperators(t, db, c, tt.keys).Session(ctx, token); ok != tt.want || err != nil {
				t.Errorf("%s: %v %v", name, ok, err)
			}
		}
	})
}

func TestAnOldHashIsReplacedAtLogin(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx, c := context.Background(), soon()
		if _, err := newOperators(t, db, c, Keys{}).Add(ctx, "kim", goodPassword, bellhop.OperatorOwner); err != nil {
			t.Fatal(err)
		}
		dearer := PasswordCost{MemoryKiB: 128, Passes: 2, Lanes: 1}
		o, err := NewOperators(OperatorsOpts{Store: db, Clock: c, Cost: dearer})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, _, err := o.Login(ctx, "kim", goodPassword, "a"); err != nil {
				t.Fatal(err)
			}
			if _, hash, _ := db.Operator(ctx, "kim"); !strings.Contains(hash, "$m=128,t=2,p=1$") {
				t.Errorf("the hash is still %s", hash)
			}
		}
	})
}

func TestLoginsAreThrottledByAddressAndName(t *testing.T) {
	t.Parallel()
	ctx, c := context.Background(), soon()
	o := newOperators(t, storetest.Open(t, store.SQLite, nil), c, NewKeys("op-key", ""))
	if _, err := o.Add(ctx, "kim", goodPassword, bellhop.OperatorOwner); err != nil {
		t.Fatal(err)
	}
	throttled := func(err error) bool {
		var many *Throttled
		return errors.As(err, &many) && many.Wait > 0 && many.Wait <= FailureWindow && bellhop.CodeOf(err) == bellhop.CodeRateLimited
	}
	for i := range MaxFailures { // names differ: the address is counted
		if _, _, err := o.Login(ctx, fmt.Sprintf("n%d", i), "wrong", "192.0.2.1"); throttled(err) || err == nil {
			t.Fatalf("try %d: %v", i, err)
		}
	}
	if _, _, err := o.Login(ctx, "kim", goodPassword, "192.0.2.1"); !throttled(err) {
		t.Errorf("the address is not throttled: %v", err)
	}
	if _, _, err := o.LoginWithKey(ctx, "op-key", "192.0.2.1"); !throttled(err) {
		t.Errorf("the address is not throttled for keys: %v", err)
	}
	if _, _, err := o.Login(ctx, "kim", goodPassword, "192.0.2.2"); err != nil {
		t.Errorf("another address: %v", err)
	}
	for i := range maxNameFailures { // addresses differ: the name is counted
		if _, _, err := o.Login(ctx, "kim", "wrong", fmt.Sprint(i)); throttled(err) || err == nil {
			t.Fatalf("try %d: %v", i, err)
		}
	}
	if _, _, err := o.Login(ctx, "kim", goodPassword, "fresh"); !throttled(err) {
		t.Errorf("the name is not throttled: %v", err)
	}
	c.add(FailureWindow)
	for range 3 * MaxFailures { // good ones do not count
		if _, _, err := o.Login(ctx, "kim", goodPassword, "192.0.2.1"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range maxThrottled + 10 {
		o.logins.take(fmt.Sprint("x", i), MaxFailures)
	}
	if n := len(o.logins.tries); n > maxThrottled {
		t.Errorf("%d are remembered", n)
	}
}

func TestTheFirstRunLinkMakesOneOwner(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx, c := context.Background(), soon()
		if secret, err := newOperators(t, db, c, NewKeys("op-key", "")).OpenSetup(ctx); secret != "" || err != nil {
			t.Errorf("a link beside an operator key: %q %v", secret, err)
		}
		o := newOperators(t, db, c, NewKeys("", "srv-key"))
		old, err := o.OpenSetup(ctx)
		if err != nil || old == "" {
			t.Fatalf("%q %v", old, err)
		}
		c.add(SetupLength)
		if err := o.CheckSetup(old); bellhop.CodeOf(err) != bellhop.CodeForbidden {
			t.Errorf("after an hour: %v", err)
		}
		secret, err := o.OpenSetup(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"", old, secret + "x"} {
			if _, _, err := o.FirstOwner(ctx, bad, "eve", goodPassword); bellhop.CodeOf(err) != bellhop.CodeForbidden {
				t.Errorf("%q: %v", bad, err)
			}
		}
		if _, _, err := o.FirstOwner(ctx, secret, "kim", "short"); bellhop.CodeOf(err) != bellhop.CodeInvalid {
			t.Errorf("a short password: %v", err)
		}
		s, token, err := o.FirstOwner(ctx, secret, "kim", goodPassword)
		if err != nil || !s.Principal.May(bellhop.OperatorOwner) {
			t.Fatalf("%+v %v", s.Principal, err)
		}
		if _, ok, err := o.Session(ctx, token); !ok || err != nil {
			t.Errorf("the owner is not signed in: %v", err)
		}
		if _, _, err := o.FirstOwner(ctx, secret, "eve", goodPassword); bellhop.CodeOf(err) != bellhop.CodeForbidden {
			t.Errorf("used twice: %v", err)
		}
		if err := db.DisableOperator(ctx, "kim"); err != nil {
			t.Fatal(err)
		}
		if secret, err := newOperators(t, db, c, Keys{}).OpenSetup(ctx); secret != "" || err != nil {
			t.Errorf("a link after everybody was disabled: %q %v", secret, err)
		}
	})
}

func TestServerKeysComeFromTheStore(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx, c := context.Background(), soon()
		a := mustNew(t, Opts{Keys: NewKeys("op-key", "srv-key"), Tokens: mustTokens(t, c, secret("a")), ServerKeys: db, Clock: c})
		key, digest := NewServerKey()
		if _, err := db.AddServerKey(ctx, bellhop.ServerKey{Name: "shop", Digest: digest, Scopes: []bellhop.Scope{bellhop.ScopeLeadsWrite}}); err != nil {
			t.Fatal(err)
		}
		used := func() time.Time {
			t.Helper()
			k, err := db.ServerKey(ctx, digest)
			if err != nil {
				t.Fatal(err)
			}
			return k.LastUsedAt
		}
		p, err := ask(a, "Bearer "+key.Reveal())
		if err != nil || p.Role != RoleServer || p.KeyName != "shop" || !p.Has(bellhop.ScopeLeadsWrite) || p.Has(bellhop.ScopeMetricsRead) || p.OperatorRole != "" {
			t.Fatalf("%+v %v", p, err)
		}
		first := used()
		c.add(seenEvery - time.Second)
		if _, err := ask(a, "Bearer "+key.Reveal()); err != nil || first.IsZero() || used() != first {
			t.Errorf("used at %s, then %s (%v): written more than once a minute", first, used(), err)
		}
		c.add(time.Second)
		if _, err := ask(a, "Bearer "+key.Reveal()); err != nil || !used().After(first) {
			t.Errorf("used at %s (%v): not written after a minute", used(), err)
		}
		if p, err := ask(a, "Bearer srv-key"); err != nil || !p.Has(bellhop.ScopeMetricsRead) || !p.Has(bellhop.ScopeSupportWrite) {
			t.Errorf("the environment's key: %+v %v", p, err)
		}
		if p, err := ask(a, "Bearer op-key"); err != nil || !p.May(bellhop.OperatorOwner) || p.Has(bellhop.ScopeMetricsRead) {
			t.Errorf("the operator key: %+v %v", p, err)
		}
		if err := db.RevokeServerKey(ctx, "shop"); err != nil {
			t.Fatal(err)
		}
		_, err = ask(a, "Bearer "+key.Reveal())
		checkRefusal(t, "revoked", key.Reveal(), err)
		other, _ := NewServerKey()
		_, err = ask(a, "Bearer "+other.Reveal())
		checkRefusal(t, "forged", other.Reveal(), err)
	})
}

func TestAppMetadataMakesOperatorsAndUserMetadataDoesNot(t *testing.T) {
	t.Parallel()
	c := newClock()
	a := newAuthenticator(t, c)
	for name, tt := range map[string]struct {
		claims map[string]any
		want   bellhop.OperatorRole
	}{
		"viewer":            {map[string]any{"app_metadata": map[string]any{"bellhop_role": "viewer"}}, bellhop.OperatorViewer},
		"owner":             {map[string]any{"app_metadata": map[string]any{"bellhop_role": "owner"}}, bellhop.OperatorOwner},
		"no such role":      {map[string]any{"app_metadata": map[string]any{"bellhop_role": "root"}}, ""},
		"another spelling":  {map[string]any{"app_metadata": map[string]any{"Bellhop_Role": "owner"}}, ""},
		"not a word":        {map[string]any{"app_metadata": map[string]any{"bellhop_role": []string{"owner"}}}, ""},
		"user_metadata":     {map[string]any{"user_metadata": map[string]any{"bellhop_role": "owner"}, "app_metadata": nil}, ""},
		"a claim beside":    {map[string]any{"bellhop_role": "owner"}, ""},
		"anonymous sign-in": {map[string]any{"app_metadata": map[string]any{"bellhop_role": "owner"}, "is_anonymous": true}, ""},
		"App_Metadata":      {map[string]any{"App_Metadata": map[string]any{"bellhop_role": "owner"}, "app_metadata": nil}, ""},
		"nothing":           {nil, ""},
	} {
		p, err := ask(a, "Bearer "+signed(t, hs256(), []byte(jwtSecret), claims(c, tt.claims)))
		if err != nil || p.Role != RoleUser || p.OperatorRole != tt.want {
			t.Errorf("%s: %+v %v", name, p, err)
		}
	}
}
