package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/ncruces/go-sqlite3/driver"

	"bellhop/internal/sandbox"
)

// The floor is what a good programmer writes by hand for one webhook and one database:
// check the signature, insert one row, answer. It has no persons, steps, lanes, retries or
// tasks; it is there to show what the machine can do at all.

// hook is one verified webhook.
type hook struct {
	id   string
	body []byte
}

// sink stores hooks; it returns after the commit.
type sink interface {
	store(ctx context.Context, h hook) error
}

// floorGroup is how many webhooks share a commit at most.
const floorGroup = 256

// floorOpts configures a floor process.
type floorOpts struct {
	listen  string
	db      string // sqlite:path or postgres://…
	grouped bool
	call    string // base URL of a HubSpot to call after the commit, "" for none
}

// runFloor serves until SIGTERM.
func runFloor(o floorOpts) error {
	s, err := openSink(o)
	if err != nil {
		return err
	}
	h := &floorHandler{sink: s, call: o.call,
		client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 64}}}
	ln, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	go func() {
		<-stop
		_ = srv.Close() // the benchmark is over
	}()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type floorHandler struct {
	sink   sink
	call   string
	client *http.Client
}

func (f *floorHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil || !signed(r.Header.Get("Stripe-Signature"), body) {
		http.Error(w, "bad", http.StatusBadRequest)
		return
	}
	var ev struct {
		ID   string `json:"id"`
		Data struct {
			Object struct {
				BillingDetails struct {
					Email string `json:"email"`
					Name  string `json:"name"`
				} `json:"billing_details"`
			} `json:"object"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &ev); err != nil || ev.ID == "" {
		http.Error(w, "bad", http.StatusBadRequest)
		return
	}
	if err := f.sink.store(r.Context(), hook{ev.ID, body}); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	if f.call != "" {
		if err := f.upsert(r.Context(), ev.Data.Object.BillingDetails.Email, ev.Data.Object.BillingDetails.Name); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"status":"accepted"}`)) // the client is gone if it fails
}

// signed checks a Stripe signature as its documentation tells.
func signed(header string, body []byte) bool {
	var stamp, sig string
	for _, part := range strings.Split(header, ",") {
		switch k, v, _ := strings.Cut(part, "="); k {
		case "t":
			stamp = v
		case "v1":
			sig = v
		}
	}
	secs, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || time.Since(time.Unix(secs, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, []byte(sandbox.DefaultStripeWebhookSecret))
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	got, err := hex.DecodeString(sig)
	return err == nil && hmac.Equal(got, mac.Sum(nil))
}

// upsert makes the call that Bellhop makes for a payment: the contact becomes a customer.
func (f *floorHandler) upsert(ctx context.Context, email, name string) error {
	body, err := json.Marshal(map[string]any{"inputs": []any{map[string]any{"id": email, "idProperty": "email",
		"properties": map[string]string{"email": email, "firstname": name, "lifecyclestage": "customer"}}}})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.call+"/crm/v3/objects/contacts/batch/upsert", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+sandbox.Token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := f.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("the vendor answered %d", resp.StatusCode)
	}
	return nil
}

func openSink(o floorOpts) (sink, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if path, ok := strings.CutPrefix(o.db, "sqlite:"); ok {
		db, err := driver.Open("file:" + path + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)&_txlock=immediate")
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(1)
		if _, err := db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS hooks (id TEXT PRIMARY KEY, body BLOB NOT NULL, at TEXT NOT NULL)"); err != nil {
			return nil, err
		}
		insert, err := db.PrepareContext(ctx, "INSERT INTO hooks (id, body, at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING")
		if err != nil {
			return nil, err
		}
		return grouped(o, 1, &sqliteSink{db, insert}), nil
	}
	pool, err := pgxpool.New(ctx, o.db)
	if err != nil {
		return nil, err
	}
	if _, err := pool.Exec(ctx, "CREATE TABLE IF NOT EXISTS hooks (id text PRIMARY KEY, body bytea NOT NULL, at timestamptz NOT NULL)"); err != nil {
		return nil, err
	}
	return grouped(o, 2, &postgresSink{pool}), nil
}

// batchSink stores several hooks in one commit.
type batchSink interface {
	storeAll(ctx context.Context, hooks []hook) error
}

type sqliteSink struct {
	db     *sql.DB
	insert *sql.Stmt
}

func (s *sqliteSink) storeAll(ctx context.Context, hooks []hook) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	insert := tx.StmtContext(ctx, s.insert)
	at := time.Now().UTC().Format(time.RFC3339Nano)
	for _, h := range hooks {
		if _, err := insert.ExecContext(ctx, h.id, h.body, at); err != nil {
			return err
		}
	}
	return tx.Commit()
}

type postgresSink struct{ pool *pgxpool.Pool }

func (s *postgresSink) storeAll(ctx context.Context, hooks []hook) error {
	ids, bodies := make([]string, len(hooks)), make([][]byte, len(hooks))
	for i, h := range hooks {
		ids[i], bodies[i] = h.id, h.body
	}
	_, err := s.pool.Exec(ctx, "INSERT INTO hooks (id, body, at) SELECT id, body, now() FROM unnest($1::text[], $2::bytea[]) AS t(id, body) "+
		"ON CONFLICT (id) DO NOTHING", ids, bodies)
	return err
}

// one commits each hook by itself.
type one struct{ s batchSink }

func (o one) store(ctx context.Context, h hook) error { return o.s.storeAll(ctx, []hook{h}) }

// waiting is a hook whose sender waits for the commit.
type waiting struct {
	hook hook
	done chan error
}

type groups struct{ ch chan waiting }

func grouped(o floorOpts, committers int, s batchSink) sink {
	if !o.grouped {
		return one{s}
	}
	g := &groups{ch: make(chan waiting, 4*floorGroup)}
	for range committers {
		go g.loop(s)
	}
	return g
}

func (g *groups) store(_ context.Context, h hook) error {
	w := waiting{h, make(chan error, 1)}
	g.ch <- w
	return <-w.done
}

func (g *groups) loop(s batchSink) {
	for first := range g.ch {
		items := []waiting{first}
		for more := true; more && len(items) < floorGroup; {
			select {
			case w := <-g.ch:
				items = append(items, w)
			default:
				more = false
			}
		}
		hooks := make([]hook, len(items))
		for i, w := range items {
			hooks[i] = w.hook
		}
		err := s.storeAll(context.Background(), hooks)
		for _, w := range items {
			w.done <- err
		}
	}
}
