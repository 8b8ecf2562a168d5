package desk_test

import (
	"context"
	"fmt"
	"testing"

	"bellhop"
	"bellhop/internal/desk"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// The view my_requests, which browsers read without us, tells the state that the API tells:
// for every state of a step, with and without a support request, an e-mail and a second
// step that is done.
func TestTheViewOfRequestsTellsTheSameState(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := storetest.Open(t, store.Postgres, nil)
	const user = "0b5f4f9e-8a54-4a6c-9a39-6a0a6b6f000a"
	exec := func(text string, args ...any) {
		t.Helper()
		if _, err := db.Writer().Exec(text, args...); err != nil {
			t.Fatal(err)
		}
	}
	task := store.NewID()
	incidents := []any{store.NewID(), store.NewID()}
	exec(`INSERT INTO bellhop.incidents (id, connection, class, task_id, opened_at, updated_at) VALUES ($1, 'crm', 'a', $3, now(), now()),
		($2, 'crm', 'b', NULL, now(), now())`, incidents[0], incidents[1], task)
	step := func(request, person string, state bellhop.StepState, incident any) {
		t.Helper()
		exec(`INSERT INTO bellhop.steps (id, person_id, connection, kind, key, input, state, request_id, task_id, incident_id, correlation_id,
			done_by, due_at, created_at, updated_at) VALUES ($1, $2, 'crm', 'k', $3, '{}', $4, $5, $6, $7, 'c', 'x', now(), now(), now())`,
			store.NewID(), person, store.NewID(), string(state), request, task, incident)
	}
	n := 0
	for _, kind := range []bellhop.RequestKind{bellhop.RequestLead, bellhop.RequestSupport, bellhop.RequestPayment} {
		for _, status := range []bellhop.SupportStatus{"", bellhop.SupportNew, bellhop.SupportAssigned, bellhop.SupportResolved} {
			for i, state := range append([]bellhop.StepState{""}, bellhop.StepStates()...) {
				for variant := range 2 {
					request, person := store.NewID(), store.NewID()
					exec("INSERT INTO bellhop.persons (id, email, created_at, updated_at) VALUES ($1, $2, now(), now())", person,
						map[int]any{0: nil, 1: "ada@example.com"}[(i+variant)%2])
					exec(`INSERT INTO bellhop.requests (id, kind, person_id, user_id, event_id, correlation_id, created_at)
						VALUES ($1, $2, $3, $4, $1, 'c', now())`, request, string(kind), person, user)
					if status != "" {
						exec(`INSERT INTO bellhop.support_requests (id, correlation_id, status, priority, reason, subject, body, due_at, created_at,
							updated_at) VALUES ($1, 'c', $2, 'high', 'requested', 's', 'b', now(), now(), now())`, request, string(status))
					}
					if state != "" {
						step(request, person, state, incidents[variant])
						step(request, person, bellhop.StepDone, nil)
					}
					n++
				}
			}
		}
	}
	claims := fmt.Sprintf(`{"sub":%q,"role":"authenticated"}`, user)
	facts, err := db.For(bellhop.Owner{UserID: user}, []byte(claims)).Requests(ctx, n+1)
	if err != nil || len(facts) != n {
		t.Fatalf("%d requests of %d (%v)", len(facts), n, err)
	}
	tx, err := db.Writer().BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // it only read
	if _, err := tx.Exec("SELECT set_config('role', 'authenticated', true), set_config('request.jwt.claims', $1, true)", claims); err != nil {
		t.Fatal(err)
	}
	for _, f := range facts {
		var state string
		if err := tx.QueryRow("SELECT state FROM bellhop.my_requests WHERE id = $1", f.ID).Scan(&state); err != nil {
			t.Fatal(err)
		}
		if want := desk.View(f).State; state != string(want) {
			t.Errorf("%s, support %+v, steps %v, held %v: the view says %s, the API %s", f.Kind, f.Support, f.Steps, f.HeldByTask, state, want)
		}
	}
}
