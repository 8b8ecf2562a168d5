package conntest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"bellhop"
	"bellhop/internal/connector"
)

func wantCount(t *testing.T, r *rig, c Case, want int) {
	t.Helper()
	if n := c.Count(r.box.Snapshot()); n != want {
		t.Errorf("%d records at the vendor, want %d", n, want)
	}
}

func wantClass(t *testing.T, err error, want bellhop.ErrorClass) *connector.Error {
	t.Helper()
	var e *connector.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no *connector.Error, want class %s", err, want)
	}
	if e.Class != want {
		t.Fatalf("class %s, want %s (%v)", e.Class, want, e)
	}
	return e
}

func wantTrace(t *testing.T, r *rig) {
	t.Helper()
	calls := r.box.Calls()
	if len(calls) == 0 {
		t.Fatal("the vendor saw no call")
	}
	if tp := calls[len(calls)-1].Traceparent; !strings.HasPrefix(tp, "00-0af7651916cd43dd8448eb211c80319c-") {
		t.Errorf("traceparent %q does not carry the correlation id", tp)
	}
}

// wantNoSecrets searches every form in which an error is shown.
func wantNoSecrets(t *testing.T, r *rig, errs []*connector.Error) {
	t.Helper()
	for _, e := range errs {
		for _, text := range []string{e.Error(), e.Message, fmt.Sprintf("%+v %#v", e, e)} {
			for _, s := range r.secrets {
				if strings.Contains(text, s) {
					t.Errorf("an error shows a secret of the connection")
				}
			}
		}
	}
}
