package store_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/payments"
	"bellhop/internal/policy"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// BenchmarkAccept takes in payments of new customers, 64 at a time, without HTTP and
// without an engine: what intake costs the store. The end-to-end figures are in bench/.
func BenchmarkAccept(b *testing.B) {
	for _, kind := range storetest.Kinds() {
		b.Run(string(kind), func(b *testing.B) {
			db := storetest.Open(b, kind, nil)
			pol := policy.New(policy.Opts{Targets: []bellhop.Target{{Connection: "crm", Vendor: "hubspot",
				Actions: []bellhop.Action{bellhop.ActionUpsertContact, bellhop.ActionAddNote}}}})
			acc := store.NewAcceptor(db, store.Policies{Plan: pol.Plan, Fold: payments.Fold, Merge: payments.Merge})
			defer acc.Close()
			var n atomic.Int64
			body := make([]byte, 2700)
			for i := range body {
				body[i] = byte('a' + i%23)
			}
			b.SetParallelism(32)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := n.Add(1)
					cus, now := fmt.Sprintf("cus_%d", i), time.Now().UTC()
					in := payment(fmt.Sprintf("evt_%d", i), bellhop.PaymentFact{Type: bellhop.FactMoney, Object: fmt.Sprintf("ch_%d", i),
						Refs: []string{fmt.Sprintf("ch_%d", i), fmt.Sprintf("pi_%d", i)}, Amount: 4900, Currency: "eur", CustomerRef: cus,
						Status: bellhop.FactSucceeded, At: now}, fmt.Sprintf("c%d@example.com", i), cus)
					in.Event.Body, in.Event.CorrelationID = body, fmt.Sprintf("%032x", i*7919)
					if _, err := acc.Accept(context.Background(), in); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
