package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"bellhop"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

const (
	userA = "0b5f4f9e-8a54-4a6c-9a39-6a0a6b6f000a"
	userB = "0b5f4f9e-8a54-4a6c-9a39-6a0a6b6f000b"
	// userC has nothing.
	userC = "0b5f4f9e-8a54-4a6c-9a39-6a0a6b6f000c"
)

// claimsOf is the claims of a Supabase access token.
func claimsOf(user string) []byte {
	return fmt.Appendf(nil, `{"sub":%q,"role":"authenticated","aud":"authenticated","aal":"aal1","app_metadata":{}}`, user)
}

// sqlState is the SQLSTATE of an error, "" when it has none.
func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// owned is what one user has.
type owned struct {
	owner                     bellhop.Owner
	conversation, event, lead string
}

// own makes a user with a conversation of one turn and a lead.
func (f *fixture) own(t *testing.T, user string) owned {
	t.Helper()
	o := owned{owner: bellhop.Owner{UserID: user}}
	c := f.chat(t, o.owner)
	o.conversation = c.id
	o.event = c.turn("m1", bellhop.Decision{Intent: bellhop.IntentLead, Fields: bellhop.LeadFields{Email: user[30:] + "@example.com"}},
		&bellhop.SupportAsk{Reason: bellhop.ReasonLowConfidence, Body: "help"}).EventID
	in := leadIntake(user[30:]+"@example.com", "lead-"+user)
	in.Owner, in.Person.UserID = o.owner, user
	acc := f.accept(t, in)
	reqs, err := f.db.RequestsByEvent(context.Background(), acc.EventID)
	if err != nil || len(reqs) != 1 {
		t.Fatalf("%+v %v", reqs, err)
	}
	o.lead = reqs[0].ID
	return o
}

// login makes a role that serves and returns the database's URL with it. settle says
// whether the role's sessions begin as bellhop_server.
func login(t *testing.T, db *store.DB, base string, settle bool) string {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	role := fmt.Sprintf("serve_%s_%v", u.Path[1:], settle)
	stmts := []string{
		"CREATE ROLE " + role + " LOGIN NOINHERIT NOBYPASSRLS PASSWORD 'serve'",
		"GRANT bellhop_server TO " + role,
	}
	if settle {
		stmts = append(stmts, "ALTER ROLE "+role+" SET role = 'bellhop_server'")
	}
	for _, q := range stmts {
		if _, err := db.Writer().Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	u.User = url.UserPassword(role, "serve")
	return u.String()
}

// readers are the reads of a customer, each of which reports whether it found something.
func readers(c store.Customer, o owned) map[string]func(context.Context) (bool, error) {
	return map[string]func(context.Context) (bool, error){
		"Conversation": func(ctx context.Context) (bool, error) {
			got, err := c.Conversation(ctx, o.conversation)
			return got.ID != "", err
		},
		"Transcript": func(ctx context.Context) (bool, error) {
			got, msgs, reqs, err := c.Transcript(ctx, o.conversation, 10)
			return got.ID != "" && len(msgs) == 2 && len(reqs) > 0, err
		},
		"Messages": func(ctx context.Context) (bool, error) {
			got, err := c.Messages(ctx, o.conversation, 10)
			return len(got) == 2 && got[0].CorrelationID != "", err
		},
		"Turn": func(ctx context.Context) (bool, error) {
			got, err := c.Turn(ctx, o.conversation, o.event)
			return len(got) == 2, err
		},
		"TurnByClientID": func(ctx context.Context) (bool, error) {
			got, _, err := c.TurnByClientID(ctx, o.conversation, "m1")
			return len(got) == 2, err
		},
		"Request": func(ctx context.Context) (bool, error) {
			got, err := c.Request(ctx, o.lead)
			return got.ID != "" && got.PersonHasEmail && len(got.Steps) > 0, err
		},
		"RequestsByConversation": func(ctx context.Context) (bool, error) {
			got, err := c.RequestsByConversation(ctx, o.conversation)
			return len(got) > 0 && (got[0].Support != nil || got[len(got)-1].Support != nil), err
		},
		"Requests": func(ctx context.Context) (bool, error) {
			got, err := c.Requests(ctx, 10)
			return len(got) > 0, err
		},
		"RequestsByEvent": func(ctx context.Context) (bool, error) {
			got, err := c.RequestsByEvent(ctx, o.event)
			return len(got) > 0, err
		},
	}
}

func sees(t *testing.T, who string, c store.Customer, o owned, want bool) {
	t.Helper()
	for name, read := range readers(c, o) {
		if name == "Requests" && !want && strings.HasSuffix(who, "B of A") {
			continue // a list of B's own
		}
		got, err := read(context.Background())
		if err != nil && (want || bellhop.CodeOf(err) != bellhop.CodeNotFound) {
			t.Errorf("%s: %s: %v", who, name, err)
		} else if got != want {
			t.Errorf("%s: %s found it: %v, want %v", who, name, got, want)
		}
	}
}

// Promise: nobody reads what is somebody else's. The query asks for the owner; and on
// Postgres, when it asks for the wrong one, row level security answers for the one who asks.
func TestUsersReadTheirOwnAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, kind := range storetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			base := storetest.URL(t, kind)
			db := storetest.OpenURL(t, base, nil)
			f := newFixture(t, db)
			a, b := f.own(t, userA), f.own(t, userB)
			dbs := map[string]*store.DB{"owner": db}
			if kind == store.Postgres {
				dbs["server's role"] = storetest.OpenURL(t, login(t, db, base, true), nil)
				dbs["exec mode"] = storetest.OpenURL(t, base+"&default_query_exec_mode=exec", nil)
			}
			for name, db := range dbs {
				sees(t, name+", A of A", db.For(a.owner, claimsOf(userA)), a, true)
				sees(t, name+", B of B", db.For(b.owner, claimsOf(userB)), b, true)
				sees(t, name+", B of A", db.For(b.owner, claimsOf(userB)), owned{b.owner, a.conversation, a.event, a.lead}, false)
				if kind == store.Postgres {
					// The check of the handler and of the query is gone: they ask as A.
					sees(t, name+", B as A", db.For(a.owner, claimsOf(userB)), a, false)
					if _, err := db.For(a.owner, nil).Conversation(context.Background(), a.conversation); err == nil {
						t.Errorf("%s: a user without claims was read for", name)
					}
				}
				if _, err := db.For(bellhop.Owner{}, nil).Conversation(context.Background(), a.conversation); bellhop.CodeOf(err) != bellhop.CodeNotFound {
					t.Errorf("%s: nobody in particular: %v", name, err)
				}
			}
		})
	}
}

func requestsAre(t *testing.T, db *store.DB, user string, want int) {
	t.Helper()
	got, err := db.For(bellhop.Owner{UserID: user}, claimsOf(user)).Requests(context.Background(), 10)
	if err != nil || len(got) != want {
		t.Errorf("%s has %d requests (%v), want %d", user, len(got), err, want)
	}
}

func TestVisitorsReadTheirOwn(t *testing.T) {
	t.Parallel()
	storetest.ForEach(t, nil, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		f := newFixture(t, db)
		c := f.chat(t, bellhop.Owner{VisitorID: "v1"})
		c.turn("m1", bellhop.Decision{Intent: bellhop.IntentOther}, nil)
		for visitor, want := range map[string]int{"v1": 2, "v2": 0} {
			got, err := db.For(bellhop.Owner{VisitorID: visitor}, nil).Messages(ctx, c.id, 10)
			if err != nil || len(got) != want {
				t.Errorf("%s sees %d messages (%v), want %d", visitor, len(got), err, want)
			}
		}
		requestsAre(t, db, userC, 0)
	})
}

// What a user's read has set is gone when it is over: the same connections go on as before.
func TestAUsersRightsEndWithTheRead(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := storetest.Open(t, store.Postgres, nil)
	f := newFixture(t, db)
	a := f.own(t, userA)
	db.Writer().SetMaxOpenConns(1)
	for range 3 {
		if _, err := db.For(a.owner, claimsOf(userA)).Conversation(ctx, a.conversation); err != nil {
			t.Fatal(err)
		}
		var user, claims, timeout string
		if err := db.Writer().QueryRow(`SELECT current_user = session_user, coalesce(current_setting('request.jwt.claims', true), ''),
			current_setting('statement_timeout')`).Scan(&user, &claims, &timeout); err != nil {
			t.Fatal(err)
		}
		if user != "true" || claims != "" || timeout != "0" {
			t.Errorf("after a read: role is the session's: %s, claims %q, statement_timeout %s", user, claims, timeout)
		}
	}
}

// Behind a transaction pooler, where two clients get one session in turn, nobody is left
// with the rights or the claims of somebody else.
func TestUsersReadTheirOwnBehindATransactionPooler(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c := storetest.Postgres(t)
	if err := c.CreateDB(ctx, "users_pooled"); err != nil {
		t.Fatal(err)
	}
	p, err := c.StartPooler(2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	db := storetest.OpenURL(t, p.DSN("users_pooled"), nil)
	if !db.Pooled() {
		t.Fatal("the pooler was not found out")
	}
	f := newFixture(t, db)
	users := []owned{f.own(t, userA), f.own(t, userB)}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			mine, other := users[i%2], users[(i+1)%2]
			me := db.For(mine.owner, claimsOf(mine.owner.UserID))
			for range 20 {
				if got, err := me.Conversation(ctx, mine.conversation); err != nil || got.ID == "" {
					t.Errorf("one's own: %v", err)
				}
				if _, err := db.For(other.owner, claimsOf(mine.owner.UserID)).Conversation(ctx, other.conversation); bellhop.CodeOf(err) != bellhop.CodeNotFound {
					t.Errorf("somebody else's: %v", err)
				}
				if n, err := db.RequestsByEvent(ctx, other.event); err != nil || len(n) == 0 {
					t.Errorf("the server's own reads: %d, %v", len(n), err)
				}
			}
		}()
	}
	wg.Wait()
}
