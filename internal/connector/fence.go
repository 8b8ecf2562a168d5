package connector

import (
	"context"

	"bellhop"
)

type fenceKey struct{}

// WithFence returns a context whose requests are asked about right before they leave:
// an error of may keeps them from being sent. It is for a process that can lose the
// right to make a call while it stands still and does not notice.
func WithFence(ctx context.Context, may func() error) context.Context {
	return context.WithValue(ctx, fenceKey{}, may)
}

// fenced returns the error of a request that must not be sent any more.
func fenced(ctx context.Context) *Error {
	may, _ := ctx.Value(fenceKey{}).(func() error)
	if may == nil {
		return nil
	}
	if err := may(); err != nil {
		return &Error{Class: bellhop.ClassNotSent, Message: "it was not sent, because it was too late for it", Err: err}
	}
	return nil
}
