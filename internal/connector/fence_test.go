package connector

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"bellhop"
)

// A request whose time is over does not leave, whatever has been sent before it.
func TestAFencedRequestIsNotSent(t *testing.T) {
	t.Parallel()
	var got atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { got.Add(1) }))
	defer srv.Close()
	c := NewClient(ClientOpts{AllowPrivate: true})
	defer c.CloseIdle()
	over, asked := errors.New("over"), 0
	ctx := WithFence(context.Background(), func() error {
		if asked++; asked > 1 {
			return over
		}
		return nil
	})
	if _, err := c.Do(ctx, Request{Method: "POST", URL: srv.URL, Body: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	_, err := c.Do(ctx, Request{Method: "POST", URL: srv.URL, Body: []byte("{}")})
	var ce *Error
	if !errors.As(err, &ce) || ce.Class != bellhop.ClassNotSent || !errors.Is(err, over) || got.Load() != 1 {
		t.Errorf("%v after %d requests; want not_sent after one", err, got.Load())
	}
}
