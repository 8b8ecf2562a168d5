package payments_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bellhop"
	"bellhop/internal/payments"
)

var t0 = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func money(obj string, st bellhop.FactStatus, amount, refunded int64, at time.Duration) bellhop.PaymentFact {
	return bellhop.PaymentFact{Object: obj, Type: bellhop.FactMoney, Status: st, Amount: amount, AmountRefunded: refunded,
		Currency: "eur", At: t0.Add(at)}
}

func refund(obj string, st bellhop.FactStatus, amount int64, at time.Duration) bellhop.PaymentFact {
	return bellhop.PaymentFact{Object: obj, Type: bellhop.FactRefund, Status: st, Amount: amount, Currency: "eur",
		At: t0.Add(at)}
}

func fold(t interface{ Fatalf(string, ...any) }, facts ...bellhop.PaymentFact) bellhop.PaymentFold {
	var out bellhop.PaymentFold
	var err error
	for _, f := range facts {
		out, err = payments.Fold(out.State, []bellhop.PaymentFact{f})
		if err != nil {
			t.Fatalf("Fold: %v", err)
		}
	}
	return out
}

func TestFoldAddsUp(t *testing.T) {
	t.Parallel()
	ok, fail := bellhop.FactSucceeded, bellhop.FactFailed
	for name, c := range map[string]struct {
		facts    []bellhop.PaymentFact
		status   bellhop.PaymentStatus
		amount   int64
		refunded int64
	}{
		"paid once though three objects say so": {[]bellhop.PaymentFact{money("pi_1", ok, 4900, 0, 0),
			money("ch_1", ok, 4900, 0, 0), money("cs_1", ok, 4900, 0, 0)}, bellhop.PaymentSucceeded, 4900, 0},
		"refund told before success": {[]bellhop.PaymentFact{refund("re_1", ok, 1000, time.Minute),
			money("ch_1", ok, 4900, 0, 0)}, bellhop.PaymentPartiallyRefunded, 4900, 1000},
		"charge.refunded before charge.succeeded": {[]bellhop.PaymentFact{money("ch_1", ok, 4900, 4900, time.Minute),
			money("ch_1", ok, 4900, 0, 0)}, bellhop.PaymentRefunded, 4900, 4900},
		"refund and its charge are one refund": {[]bellhop.PaymentFact{money("ch_1", ok, 4900, 1000, time.Minute),
			refund("re_1", ok, 1000, time.Minute)}, bellhop.PaymentPartiallyRefunded, 4900, 1000},
		"a refund that failed later": {[]bellhop.PaymentFact{money("ch_1", ok, 4900, 1000, time.Minute),
			refund("re_1", ok, 1000, time.Minute), refund("re_1", fail, 1000, time.Hour)},
			bellhop.PaymentSucceeded, 4900, 0},
		"failed, then paid": {[]bellhop.PaymentFact{money("pi_1", fail, 4900, 0, 0),
			money("pi_1", ok, 4900, 0, time.Minute)}, bellhop.PaymentSucceeded, 4900, 0},
		"failed only": {[]bellhop.PaymentFact{money("pi_1", fail, 4900, 0, 0)}, bellhop.PaymentFailed, 4900, 0},
		"disputed and lost": {[]bellhop.PaymentFact{money("ch_1", ok, 4900, 0, 0),
			{Object: "dp_1", Type: bellhop.FactDispute, Status: bellhop.FactLost, At: t0}},
			bellhop.PaymentDisputed, 4900, 0},
		"disputed and won": {[]bellhop.PaymentFact{money("ch_1", ok, 4900, 0, 0),
			{Object: "dp_1", Type: bellhop.FactDispute, Status: bellhop.FactWon, At: t0},
			{Object: "dp_1", Type: bellhop.FactDispute, Status: bellhop.FactOpen, At: t0}},
			bellhop.PaymentSucceeded, 4900, 0},
	} {
		got := fold(t, c.facts...).Payment
		if got.Status != c.status || got.Amount != c.amount || got.AmountRefunded != c.refunded {
			t.Errorf("%s: got %s %d refunded %d, want %s %d refunded %d", name, got.Status, got.Amount,
				got.AmountRefunded, c.status, c.amount, c.refunded)
		}
	}
}

// The promise of the package: order and repetition of events do not matter.
func TestFoldIsIndependentOfOrderAndRepetition(t *testing.T) {
	t.Parallel()
	statuses := map[bellhop.FactType][]bellhop.FactStatus{
		bellhop.FactMoney:   {bellhop.FactPending, bellhop.FactFailed, bellhop.FactSucceeded, bellhop.FactCanceled},
		bellhop.FactInvoice: {bellhop.FactPending, bellhop.FactFailed, bellhop.FactSucceeded},
		bellhop.FactRefund:  {bellhop.FactPending, bellhop.FactSucceeded, bellhop.FactFailed, bellhop.FactCanceled},
		bellhop.FactDispute: {bellhop.FactOpen, bellhop.FactWon, bellhop.FactLost},
	}
	types := []bellhop.FactType{bellhop.FactMoney, bellhop.FactInvoice, bellhop.FactRefund, bellhop.FactDispute}
	fact := rapid.Custom(func(t *rapid.T) bellhop.PaymentFact {
		ty := rapid.SampledFrom(types).Draw(t, "type")
		return bellhop.PaymentFact{
			Object: fmt.Sprintf("%s_%d", ty, rapid.IntRange(1, 3).Draw(t, "n")), Type: ty,
			Status:         rapid.SampledFrom(statuses[ty]).Draw(t, "status"),
			Amount:         rapid.Int64Range(0, 5000).Draw(t, "amount"),
			AmountRefunded: rapid.Int64Range(0, 5000).Draw(t, "refunded"),
			Currency:       "eur", Reason: rapid.SampledFrom([]string{"", "fraudulent", "card_declined"}).Draw(t, "reason"),
			At: t0.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "at")) * time.Second),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		facts := rapid.SliceOfN(fact, 1, 8).Draw(t, "facts")
		want := fold(t, facts...)
		again := append(append([]bellhop.PaymentFact{}, facts...), facts[:rapid.IntRange(0, len(facts)).Draw(t, "dup")]...)
		got := fold(t, rapid.Permutation(again).Draw(t, "order")...)
		if string(got.State) != string(want.State) || got.Payment.Status != want.Payment.Status ||
			got.Payment.Amount != want.Payment.Amount || got.Payment.AmountRefunded != want.Payment.AmountRefunded ||
			got.Failure != want.Failure || got.Dispute != want.Dispute {
			t.Fatalf("order matters:\n%s %+v\n%s %+v", want.State, want.Payment, got.State, got.Payment)
		}
	})
}
