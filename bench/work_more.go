package main

import (
	"context"

	"bellhop/internal/store"
)

func workChat(context.Context, *lab, store.Kind, opts) error       { return nil }
func workBacklog(context.Context, *lab, store.Kind, opts) error    { return nil }
func workGrown(context.Context, *lab, store.Kind, opts) error      { return nil }
func workSlowVendor(context.Context, *lab, store.Kind, opts) error { return nil }
func workIdle(context.Context, *lab, store.Kind, opts) error       { return nil }
