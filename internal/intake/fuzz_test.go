package intake

import (
	"errors"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/store"
)

// Whatever somebody emits is either taken in, as an event that has a key and a correlation
// id, or refused with what to do; it never ends the process.
func FuzzOutboxRow(f *testing.F) {
	for _, payload := range []string{`{"email":"ada@example.com","message":"a demo"}`, `{"subject":"It","message":"is broken","priority":"urgent"}`,
		`{"type":"trial.ended","email":"x"}`, `[]`, `{"email":7}`, `{"user_id":"\u0000"}`, `{"correlation_id":"0af7651916cd43dd8448eb211c80319c"}`, "\xff"} {
		for _, kind := range append(OutboxKinds(), "other") {
			f.Add(kind, "k", []byte(payload))
		}
	}
	in := New(Opts{})
	f.Fuzz(func(t *testing.T, kind, key string, payload []byte) {
		it, err := in.fromRow(store.OutboxRow{ID: 1, Kind: kind, Key: key, Payload: payload, CreatedAt: time.Unix(1, 0)})
		var told *bellhop.Error
		switch {
		case errors.As(err, &told):
			if told.Message == "" || told.NextStep == "" {
				t.Errorf("refused without saying what to do: %+v", told)
			}
		case err != nil:
			t.Errorf("refused with an error that tells nobody anything: %v", err)
		case it.Event.Source != sourceOutbox || it.Event.CorrelationID == "" || it.Event.CorrelationID == store.NoCorrelation:
			t.Errorf("taken in as %+v", it.Event)
		}
	})
}
