package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"bellhop"
	"bellhop/internal/connector/all"
	"bellhop/internal/engine"
	"bellhop/internal/payments"
	"bellhop/internal/policy"
	"bellhop/internal/sandbox"
	"bellhop/internal/store"
)

// workBacklog measures how fast a backlog of steps is drained (W5), by its size. The
// backlog is made by the real intake and the real engine that never starts, in this
// process; then a server is started on it.
func workBacklog(ctx context.Context, l *lab, kind store.Kind, o opts) error {
	sizes := []int{20_000, 200_000}
	if o.full {
		sizes = append(sizes, 1_000_000)
	}
	for _, size := range sizes {
		rounds := 1
		if size <= 20_000 {
			rounds = l.rounds
		}
		for range rounds {
			if err := l.backlog(ctx, kind, size); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *lab) backlog(ctx context.Context, kind store.Kind, size int) error {
	db, err := l.database(ctx, kind)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := fillSteps(ctx, db, size); err != nil {
		return fmt.Errorf("filling: %w", err)
	}
	fmt.Fprintf(l.out.w, "  W5 %-8s a backlog of %d steps was made in %s\n", kind, size, time.Since(began).Round(time.Second))
	calls := l.vendor.calls.Load()
	t, err := l.bellhop(ctx, db, unlimited)
	if err != nil {
		return err
	}
	began = time.Now()
	deadline := began.Add(time.Minute + time.Duration(size)*10*time.Millisecond)
	for l.vendor.calls.Load()-calls < int64(size) && ctx.Err() == nil {
		if time.Now().After(deadline) {
			err = fmt.Errorf("of %d steps only %d were carried out", size, l.vendor.calls.Load()-calls)
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	rate := float64(size) / time.Unix(0, l.vendor.last.Load()).Sub(began).Seconds()
	figure := fmt.Sprintf("steps/s, backlog of %d", size)
	if err == nil {
		l.out.add("W5", string(kind), subjectBellhop, figure, rate)
	}
	_, mem := memory(t.cmd.Process.Pid)
	l.out.add("W5", string(kind), subjectBellhop, fmt.Sprintf("peak memory, MiB, backlog of %d", size), mem)
	fmt.Fprintf(l.out.w, "  W5 %-8s %7.0f steps/s with a backlog of %d\n", kind, rate, size)
	err = errors.Join(err, t.stop(), l.dropDatabase(ctx, kind, db))
	l.box.Reset()
	return err
}

// fillSteps takes in so many payments of new customers, each with one step.
func fillSteps(ctx context.Context, url string, size int) error {
	db, err := store.Open(ctx, store.Opts{URL: url})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Migrate(ctx); err != nil {
		return err
	}
	var crm engine.Connection
	for _, v := range all.Vendors() {
		if v.Manifest.Vendor == "hubspot" {
			crm = engine.Connection{Name: "crm", Manifest: v.Manifest}
		}
	}
	if _, err := engine.New(engine.Opts{DB: db, Connections: []engine.Connection{crm}, Node: "fill"}); err != nil {
		return err
	}
	target := bellhop.Target{Connection: "crm", Vendor: "hubspot"}
	for _, a := range crm.Manifest.Actions {
		target.Actions = append(target.Actions, a.Action)
	}
	pol := policy.New(policy.Opts{Targets: []bellhop.Target{target}})
	acc := store.NewAcceptor(db, store.Policies{Plan: pol.Plan, Fold: payments.Fold, Merge: payments.Merge})
	defer acc.Close()
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, 256)
	for range 256 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := next.Add(1); n <= int64(size); n = next.Add(1) {
				if _, err := acc.Accept(ctx, paymentIntake(n)); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	wg.Wait()
	close(errs)
	return <-errs // nil when none failed
}

func paymentIntake(n int64) store.Intake {
	now := time.Now().UTC()
	cus := fmt.Sprintf("cus_%d", n)
	return store.Intake{
		Event: bellhop.Event{ID: store.NewID(), Source: "stripe", ExternalID: fmt.Sprintf("evt_fill_%d", n),
			Kind: bellhop.KindPaymentSucceeded, CorrelationID: fmt.Sprintf("%032x", uint64(n)*0x9e3779b97f4a7c15),
			Body: []byte(`{"id":"evt_fill","object":"event"}`), OccurredAt: now, ReceivedAt: now},
		Person: bellhop.PersonHint{Email: fmt.Sprintf("fill%d@example.com", n), CustomerRef: "stripe:" + cus},
		Payment: &bellhop.PaymentFact{Type: bellhop.FactMoney, Object: fmt.Sprintf("ch_%d", n), Refs: []string{fmt.Sprintf("ch_%d", n),
			fmt.Sprintf("pi_%d", n)}, Amount: 4900, Currency: "eur", CustomerRef: cus, Status: bellhop.FactSucceeded, At: now}}
}

// workSlowVendor measures the CRM's deliveries while the helpdesk takes five seconds for
// each answer and has a queue, beside the same without (W7).
func workSlowVendor(ctx context.Context, l *lab, kind store.Kind, _ opts) error {
	const calm, slow = "bellhop, all vendors well", "bellhop, helpdesk takes 5 s"
	one := func(name string, queue int) error {
		return l.with(ctx, kind, func(db string) (*target, error) { return l.bellhop(ctx, db, unlimited) }, func(t *target) error {
			warm := l.webhooks(t.addr, "/webhooks/stripe", nil)
			warm.last = l.seconds / 3
			calls := l.vendor.calls.Load()
			if err := l.finished(ctx, warm.run(ctx), calls); err != nil {
				return err
			}
			l.box.SetFaults(sandbox.Zendesk, sandbox.Fault{Mode: sandbox.FaultSlow, Delay: 5 * time.Second})
			defer l.box.ClearFaults("")
			if err := askForSupport(ctx, t.addr, queue); err != nil {
				return err
			}
			load := l.webhooks(t.addr, "/webhooks/stripe", nil)
			load.rate = 150
			s := load.run(ctx)
			l.out.latency("W7 accept at 150/s", string(kind), name, s)
			idle := l.idleLatency(ctx, t, "/webhooks/stripe")
			l.out.latency("W7 sent to called", string(kind), name, idle)
			hub, began := l.vendor.of("hubspot"), time.Now()
			peak := l.webhooks(t.addr, "/webhooks/stripe", nil).run(ctx)
			for l.vendor.of("hubspot")-hub < peak.count && time.Since(began) < 10*l.seconds+time.Minute {
				time.Sleep(time.Millisecond)
			}
			l.out.add("W7", string(kind), name, "finished calls/s", float64(peak.count)/time.Since(began).Seconds())
			return ctx.Err()
		})
	}
	for round := range l.rounds {
		order := []func() error{func() error { return one(calm, 0) }, func() error { return one(slow, 300) }}
		if round%2 == 1 {
			order[0], order[1] = order[1], order[0]
		}
		for _, f := range order {
			if err := f(); err != nil {
				return err
			}
		}
		l.out.ratio("W7", string(kind), slow, calm, "finished calls/s")
		l.out.ratio("W7 accept at 150/s", string(kind), slow, calm, "p50 ms")
		l.out.ratio("W7 sent to called", string(kind), slow, calm, "p50 ms")
	}
	return nil
}

// askForSupport posts support requests, each of a person of its own.
func askForSupport(ctx context.Context, addr string, n int) error {
	for i := range n {
		body := fmt.Sprintf(`{"subject":"Help","message":"Please call me.","email":"slow%d@example.com"}`, i)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/v1/support-requests", strings.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+serverKey)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", fmt.Sprintf("slow-%d", i))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted {
			return fmt.Errorf("support request: status %d", resp.StatusCode)
		}
	}
	return nil
}

// workIdle measures what an idle node costs (W8): CPU time, and on Postgres the
// statements it sends.
func workIdle(ctx context.Context, l *lab, kind store.Kind, _ opts) error {
	return l.with(ctx, kind, func(db string) (*target, error) { return l.bellhop(ctx, db, "") }, func(t *target) error {
		settle := time.NewTimer(15 * time.Second)
		defer settle.Stop()
		select {
		case <-settle.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		before, sent := cpu(t.cmd.Process.Pid), l.statements(ctx, t, kind)
		minute := time.NewTimer(time.Minute)
		defer minute.Stop()
		select {
		case <-minute.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		l.out.add("W8", string(kind), subjectBellhop, "CPU ms a minute", float64((cpu(t.cmd.Process.Pid) - before).Milliseconds()))
		if kind == store.Postgres {
			l.out.add("W8", string(kind), subjectBellhop, "transactions a minute", float64(l.statements(ctx, t, kind)-sent))
		}
		now, _ := memory(t.cmd.Process.Pid)
		l.out.add("W8", string(kind), subjectBellhop, "memory, MiB", now)
		return nil
	})
}

// statements returns how many transactions the target's Postgres database has seen. A
// statement outside a transaction is one of its own.
func (l *lab) statements(ctx context.Context, t *target, kind store.Kind) int64 {
	if kind != store.Postgres {
		return 0
	}
	db, err := store.Open(ctx, store.Opts{URL: t.db})
	if err != nil {
		return 0
	}
	defer db.Close()
	var n int64
	// The numbers of a session reach the view when it is idle, up to a second later.
	if err := db.Writer().QueryRowContext(ctx, "SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database WHERE datname = current_database()").
		Scan(&n); err != nil {
		return 0
	}
	return n
}
