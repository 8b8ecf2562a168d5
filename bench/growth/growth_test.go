// Package growth measures how a database grows: it takes realistic events in through the
// real Acceptor, carries out what was planned, and tells the bytes of every table and
// index, before and after retention. Run it by hand, one benchmark step an event:
//
//	go test -run '^$' -bench Growth -benchtime 50000x ./bench/growth
package growth

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/connector/stripe"
	"bellhop/internal/intake"
	"bellhop/internal/payments"
	"bellhop/internal/policy"
	"bellhop/internal/sandbox"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// bodySize is the size of a webhook's body: an event of Stripe as its documentation
// shows it has 2 to 4 kB.
const bodySize = 2700

// clock is the machine's time, moved ahead for retention.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().UTC().Add(c.ahead)
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// install is one installation without HTTP: door, policy, store.
type install struct {
	db    *store.DB
	path  string // of the SQLite file
	clock *clock
	acc   *store.Acceptor
	rec   *store.Recorder
	door  *intake.Intake
	box   *sandbox.Server
}

func newInstall(tb testing.TB, kind store.Kind) *install {
	tb.Helper()
	in := &install{clock: &clock{}, box: sandbox.New(sandbox.Options{SearchLag: -1})}
	url := storetest.URL(tb, kind)
	in.path = strings.TrimPrefix(url, "sqlite:")
	in.db = storetest.OpenURL(tb, url, in.clock)
	pol := policy.New(policy.Opts{Targets: []bellhop.Target{
		{Connection: "crm", Vendor: "hubspot", Actions: []bellhop.Action{bellhop.ActionUpsertContact, bellhop.ActionAddNote}},
		{Connection: "helpdesk", Vendor: "zendesk", Actions: []bellhop.Action{bellhop.ActionCreateTicket, bellhop.ActionUpdateTicket}},
		{Connection: "founder", Vendor: "slack", Actions: []bellhop.Action{bellhop.ActionSendAlert}},
	}, TranscriptLink: func(id string) string { return "https://chat.example.com/t/" + id + "?s=" + strings.Repeat("x", 43) }})
	in.acc = store.NewAcceptor(in.db, store.Policies{Plan: pol.Plan, Fold: payments.Fold, Merge: payments.Merge})
	in.rec = store.NewRecorder(in.db, store.IncidentPlans{})
	v := stripe.Vendor()
	settings, err := connector.ParseSettings(v.Manifest, "stripe", map[string]any{"secret_key": sandbox.StripeKey,
		"webhook_secrets": []any{sandbox.DefaultStripeWebhookSecret}})
	if err != nil {
		tb.Fatal(err)
	}
	conn, err := v.New(settings, connector.Env{Clock: in.clock})
	if err != nil {
		tb.Fatal(err)
	}
	in.door = intake.New(intake.Opts{Acceptor: in.acc, Clock: in.clock,
		Verifiers: map[string]connector.Verifier{"stripe": conn.(connector.Verifier)}})
	tb.Cleanup(func() { in.acc.Close(); in.rec.Close() })
	return in
}

// purchase is the three events of one checkout, each padded to the size of a real one.
func (in *install) purchase(ctx context.Context, n int) error {
	evs := in.box.Stripe().PayCheckout(sandbox.CheckoutParams{Email: fmt.Sprintf("customer%d@example.com", n), Name: "Ada Byron",
		Amount: 4900, Currency: "eur", Metadata: map[string]string{"order": store.NewID()}})
	for _, ev := range evs {
		body := string(ev.Body)
		if pad := bodySize - len(body) - len(`"padding":"",`); pad > 0 {
			body = `{"padding":"` + filler(n, pad) + `",` + body[1:]
		}
		h := http.Header{"Stripe-Signature": {sandbox.SignStripe([]byte(body), sandbox.DefaultStripeWebhookSecret, in.clock.Now())}}
		if _, err := in.door.Webhook(ctx, "stripe", h, []byte(body), correlation()); err != nil {
			return err
		}
	}
	return nil
}

// filler is text that compresses as JSON does: words that repeat, ids that do not.
func filler(n, size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		sum := sha256.Sum256(fmt.Append(nil, n, i))
		fmt.Fprintf(&b, "payment_method_details livemode null false %x ", sum[:8])
	}
	return b.String()[:size]
}

// chat is a conversation of four turns; every fifth becomes a lead, every tenth asks for
// a person.
func (in *install) chat(ctx context.Context, n int) error {
	owner := bellhop.Owner{VisitorID: store.NewID()}
	c, err := in.db.CreateConversation(ctx, owner)
	if err != nil {
		return err
	}
	for turn := range 4 {
		t := intake.Turn{ConversationID: c.ID, Owner: owner, ClientID: store.NewID(), CorrelationID: correlation(),
			Text:  "Does the team plan include single sign-on, and can we pay by invoice at the end of the month?",
			Reply: strings.Repeat("The team plan includes single sign-on; see the page on plans. ", 4),
			Decision: bellhop.Decision{Intent: bellhop.IntentQuestion, Confidence: 0.83,
				Summary: "asks about the team plan"}}
		switch {
		case turn == 1 && n%5 == 0:
			t.Decision.Intent = bellhop.IntentLead
			t.Decision.Fields = bellhop.LeadFields{Email: fmt.Sprintf("lead%d@example.com", n), Name: "Dana Scully", Company: "Acme"}
		case turn == 2 && n%10 == 0:
			t.Ask = &bellhop.SupportAsk{Reason: bellhop.ReasonAskedForHuman, Body: "wants to talk to a person"}
		}
		if _, err := in.door.Turn(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

func correlation() string { return strings.ReplaceAll(store.NewID(), "-", "") }

// fill takes in n events with several clients at once and returns how many it took in.
func (in *install) fill(tb testing.TB, n int, one func(context.Context, int) error, each int) int {
	tb.Helper()
	var wg sync.WaitGroup
	jobs := make(chan int)
	for range 32 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range jobs {
				if err := one(context.Background(), i); err != nil {
					tb.Error(err)
				}
			}
		}()
	}
	units := max(1, n/each)
	for i := range units {
		jobs <- i
	}
	close(jobs)
	wg.Wait()
	return units * each
}

// carryOut does every open step as a vendor would that answers well.
func (in *install) carryOut(tb testing.TB) {
	tb.Helper()
	ctx := context.Background()
	for {
		var open []store.DueStep
		for _, c := range []string{"crm", "helpdesk", "founder"} {
			steps, err := in.db.OpenSteps(ctx, c, 1000)
			if err != nil {
				tb.Fatal(err)
			}
			open = append(open, steps...)
		}
		if len(open) == 0 {
			return
		}
		var wg sync.WaitGroup
		for _, s := range open {
			wg.Add(1)
			go func() {
				defer wg.Done()
				_, err := in.rec.Record(ctx, store.Outcome{Step: s.Step, State: bellhop.StepDone, DoneBy: "engine",
					Result: []byte(`{"refs":{"id":"151"},"url":"https://app.example.com/contacts/151"}`),
					Refs:   map[string]string{"id": "151"}, RefsURL: "https://app.example.com/contacts/151",
					Attempt: &bellhop.Attempt{StepID: s.ID, Number: 1, Node: "web-1-2f6c0a1b", StartedAt: in.clock.Now(),
						Duration: 180 * time.Millisecond, VendorRequestID: store.NewID()}})
				if err != nil {
					tb.Error(err)
				}
			}()
		}
		wg.Wait()
	}
}

// resolve resolves every support request, as a person does.
func (in *install) resolve(tb testing.TB) {
	tb.Helper()
	ctx := context.Background()
	for {
		reqs, err := in.db.SupportRequests(ctx, store.SupportFilter{Status: bellhop.SupportNew, Limit: 1000})
		if err != nil {
			tb.Fatal(err)
		}
		if len(reqs) == 0 {
			return
		}
		for _, r := range reqs {
			_, err := in.db.EditSupport(ctx, r.ID, func(bellhop.SupportRequest, bool) (store.SupportEdit, []bellhop.PlannedStep, error) {
				return store.SupportEdit{Status: bellhop.SupportResolved}, nil, nil
			})
			if err != nil {
				tb.Fatal(err)
			}
		}
	}
}

func keep(days int) store.Retention {
	d := time.Duration(days) * 24 * time.Hour
	return store.Retention{Events: d, Messages: d, Attempts: d, Steps: d, SupportRequests: d}
}

// sizes returns the bytes of every table and index.
func (in *install) sizes(tb testing.TB) map[string]int64 {
	tb.Helper()
	if in.db.Kind() == store.SQLite {
		if _, err := in.db.Writer().Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
			tb.Fatal(err)
		}
		out, err := sqlitePages(in.db.Writer(), in.path)
		if err != nil {
			tb.Fatal(err)
		}
		return out
	}
	out := map[string]int64{}
	rows, err := in.db.Writer().Query(`SELECT coalesce(regexp_replace(t.relname, '_(default|\d{4}_\d{2})$', ''), ''),
		CASE c.relkind WHEN 'i' THEN regexp_replace(c.relname, '_(default|\d{4}_\d{2})_', '_') ELSE '' END, pg_relation_size(c.oid)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index i ON i.indexrelid = c.oid
		LEFT JOIN pg_class toast ON toast.reltoastrelid = coalesce(i.indrelid, c.oid)
		LEFT JOIN pg_class t ON t.oid = coalesce(toast.oid, i.indrelid, c.oid)
		WHERE n.nspname IN ('bellhop', 'pg_toast') AND c.relkind IN ('r', 'i', 't') AND
		(t.relnamespace = 'bellhop'::regnamespace)`)
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var table, index string
		var n int64
		if err := rows.Scan(&table, &index, &n); err != nil {
			tb.Fatal(err)
		}
		if index != "" {
			table += " / " + index
		}
		out[table] += n
	}
	return out
}

// report logs what was added to an empty database, per event, largest first.
func report(tb testing.TB, what string, empty, sizes map[string]int64, events int) float64 {
	tb.Helper()
	names := make([]string, 0, len(sizes))
	var total int64
	for name := range sizes {
		sizes[name] -= empty[name]
		total += sizes[name]
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return int(sizes[b] - sizes[a]) })
	per := float64(total) / float64(events)
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d events, %.0f B an event, %.2f GB a million\n", what, events, per, per/1000)
	for _, name := range names {
		if each := float64(sizes[name]) / float64(events); each >= 1 {
			fmt.Fprintf(&b, "  %8.1f B  %s\n", each, name)
		}
	}
	tb.Log("\n" + b.String())
	return per
}

// events is how many events are taken in: few, so that the measurement itself is tested
// with everything else, or as many as BELLHOP_GROWTH_EVENTS says.
func events(t *testing.T) int {
	t.Helper()
	v := os.Getenv("BELLHOP_GROWTH_EVENTS")
	if v == "" {
		return 240
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 12 {
		t.Fatalf("BELLHOP_GROWTH_EVENTS must be a number of events from 12 on, not %q", v)
	}
	return n
}

// Not parallel: it measures.
func TestGrowth(t *testing.T) {
	for _, kind := range storetest.Kinds() {
		for _, load := range []string{"stripe", "chat"} {
			t.Run(string(kind)+"/"+load, func(t *testing.T) {
				in := newInstall(t, kind)
				one, each := in.purchase, 3
				if load == "chat" {
					one, each = in.chat, 4
				}
				empty := in.sizes(t)
				n := in.fill(t, events(t), one, each)
				in.carryOut(t)
				in.resolve(t)
				full := report(t, "kept in full", empty, in.sizes(t), n)
				in.clock.move(1000 * 24 * time.Hour)
				if _, err := in.db.Prune(context.Background(), keep(400)); err != nil {
					t.Fatal(err)
				}
				if kind == store.Postgres {
					if _, err := in.db.Writer().Exec("VACUUM"); err != nil { // as autovacuum does
						t.Fatal(err)
					}
				}
				left := report(t, "after retention", empty, in.sizes(t), n)
				if left > full/2 && n > 5000 {
					t.Errorf("retention left %.0f of %.0f B an event", left, full)
				}
			})
		}
	}
}
