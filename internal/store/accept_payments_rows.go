package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"

	"bellhop"
)

const paymentColumns = `id, connection, person_id, status, amount, amount_refunded, currency, customer_ref, paid_at,
	state, told, has_money, has_invoice, linked, merged_into, created_at`

func scanPayRow(r interface{ Scan(...any) error }) (*payRow, error) {
	p := &payRow{}
	var toldJSON []byte
	var st string
	err := r.Scan(&p.id, &p.connection, &p.personID, &st, &p.fold.Payment.Amount, &p.fold.Payment.AmountRefunded,
		&p.fold.Payment.Currency, &p.customerRef, timeDest{&p.paidAt}, &p.fold.State, &toldJSON, &p.hasMoney, &p.hasInvoice, &p.linked,
		strDest{&p.mergedInto}, timeDest{&p.createdAt})
	if err != nil {
		return nil, err
	}
	p.fold.Payment.Status = bellhop.PaymentStatus(st)
	return p, json.Unmarshal(toldJSON, &p.told)
}

func (b *batch) loadPayments(ctx context.Context, ids []string) error {
	slices.Sort(ids)
	return queryIn(ctx, b.t, "SELECT "+paymentColumns+" FROM bellhop.payments WHERE id IN (?) ORDER BY id"+b.t.forUpdate(),
		slices.Compact(ids), func(r *sql.Rows) error {
			p, err := scanPayRow(r)
			if err == nil && b.pays[p.id] == nil {
				b.pays[p.id] = p
				b.ofCustomer(p)
			}
			return err
		})
}

func (b *batch) loadPerson(ctx context.Context, id string) error {
	p, err := scanPerson(b.t.queryRow(ctx, "SELECT id, email, user_id, name, phone, created_at FROM bellhop.persons WHERE id = $1", id))
	if err != nil {
		return err
	}
	b.persons[id] = &personRow{Person: p}
	return nil
}

func (b *batch) writePayments(ctx context.Context) error {
	var rows [][]any
	for _, p := range sorted(b.pays) {
		if !p.dirty {
			continue
		}
		t, err := json.Marshal(p.told)
		if err != nil {
			return err
		}
		pay := p.fold.Payment
		rows = append(rows, []any{p.id, p.connection, p.personID, string(pay.Status), pay.Amount, pay.AmountRefunded,
			pay.Currency, p.customerRef, p.paidAt, string(p.fold.State), string(t), p.hasMoney, p.hasInvoice, p.linked,
			nul(p.mergedInto), p.createdAt, b.t.now})
	}
	err := b.t.insertRows(ctx, `INSERT INTO bellhop.payments (id::uuid, connection, person_id::uuid, status, amount::bigint,
		amount_refunded::bigint, currency, customer_ref, paid_at::timestamptz, state::jsonb, told::jsonb, has_money::boolean,
		has_invoice::boolean, linked::boolean, merged_into::uuid, created_at::timestamptz, updated_at::timestamptz)`,
		`ON CONFLICT (id) DO UPDATE SET person_id = excluded.person_id, status = excluded.status, amount = excluded.amount,
		 amount_refunded = excluded.amount_refunded, currency = excluded.currency, customer_ref = excluded.customer_ref,
		 paid_at = excluded.paid_at, state = excluded.state, told = excluded.told, has_money = excluded.has_money,
		 has_invoice = excluded.has_invoice, linked = excluded.linked, merged_into = excluded.merged_into, updated_at = excluded.updated_at`, rows, nil)
	if err != nil || len(b.newRefs) == 0 {
		return err
	}
	slices.Sort(b.newRefs)
	b.newRefs = slices.Compact(b.newRefs)
	refs := make([][]any, len(b.newRefs))
	for n, ref := range b.newRefs {
		refs[n] = []any{ref, b.refs[ref]}
	}
	// Looked for before: one that is there now came from another node, and commit begins anew.
	return b.t.insertRows(ctx, "INSERT INTO bellhop.payment_refs (ref, payment_id::uuid)", "", refs, nil)
}
