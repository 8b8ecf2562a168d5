// Command bellhop carries what customers say or pay to an AI chatbot to the systems
// that matter, exactly once, or hands it to a person.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"bellhop/internal/cli"
)

// version is set by the release build: -ldflags "-X main.version=v1.2.3".
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal stops gently, the second one at once
	os.Exit(cli.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, cli.Build{Version: version}))
}
