// Package cli is the command line: one file per command. serve.go is the only place
// that wires everything; the demo runs the very same server. A command ends with exit
// code 0 (good), 1 (it looked and found something wrong) or 2 (wrong usage, or it
// cannot run), and tells an error on standard error in words that say what to do.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"bellhop"
	"bellhop/internal/config"
	"bellhop/internal/connector"
	"bellhop/internal/connector/all"
)

// The exit codes.
const (
	exitGood     = 0
	exitFindings = 1
	exitUsage    = 2
)

// Build says which program this is and by which clock it goes.
type Build struct {
	Version string
	Clock   bellhop.Clock // nil means the machine's
}

// commands is the grammar. The fields' order is the order of the help.
type commands struct {
	Config  string           `short:"c" type:"path" placeholder:"FILE" help:"Configuration file. Without it: bellhop.yaml in this folder, if there is one."`
	Version kong.VersionFlag `help:"Print the version and stop."`

	Demo        demoCmd        `cmd:"" help:"Play the whole product against fake vendors on this machine."`
	Serve       serveCmd       `cmd:"" help:"Run the server."`
	Migrate     migrateCmd     `cmd:"" help:"Bring the database to this program's schema."`
	Backup      backupCmd      `cmd:"" help:"Copy the SQLite database while it is served."`
	Restore     restoreCmd     `cmd:"" help:"Put a backup in the place of the SQLite database."`
	Person      personCmd      `cmd:"" help:"Export or erase everything about one person."`
	Operator    operatorCmd    `cmd:"" help:"Say who may sign in to the console."`
	Key         keyCmd         `cmd:"" help:"Make and revoke the keys of your own servers."`
	SecurityLog securityLogCmd `cmd:"" name:"security-log" help:"Export the security log."`
	Connectors  connectorsCmd  `cmd:"" help:"List the vendors that can be connected, and the connections there are."`
	VersionCmd  versionCmd     `cmd:"" name:"version" help:"Print the version."`
}

// session is what every command works with.
type session struct {
	ctx        context.Context
	stdin      io.Reader
	stdout     io.Writer
	stderr     io.Writer
	build      Build
	configFile string // "" for the default
	env        func(string) (string, bool)
	clock      bellhop.Clock
}

// exit is what kong's help and version flags end the program with; Run catches it.
type exit int

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error
}

// Error returns what is wrong.
func (e *exitError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *exitError) Unwrap() error { return e.err }

// findings is the error of a command that ran and found something wrong.
func findings(format string, args ...any) error {
	return &exitError{code: exitFindings, err: fmt.Errorf(format, args...)}
}

// Run carries out one command line and returns the exit code. Cancelling ctx stops what
// runs, gently.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, b Build) (code int) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(exit)
			if !ok {
				panic(r)
			}
			code = int(e)
		}
	}()
	s := &session{ctx: ctx, stdin: stdin, stdout: stdout, stderr: stderr, build: b, env: os.LookupEnv, clock: b.Clock}
	if s.clock == nil {
		s.clock = bellhop.SystemClock{}
	}
	var cmds commands
	parser, err := kong.New(&cmds, kong.Name("bellhop"), kong.Description(
		"Carries what customers say or pay to your chatbot to the CRM, the helpdesk and you: exactly once, or to a person."),
		kong.Writers(stdout, stderr), kong.Exit(func(c int) { panic(exit(c)) }), kong.Bind(s),
		kong.Vars{"version": versionLine(b)}, kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}))
	if err != nil {
		return fail(stderr, err)
	}
	kctx, err := parser.Parse(args)
	if err != nil {
		return fail(stderr, usage(args, err))
	}
	s.configFile = cmds.Config
	if err := kctx.Run(); err != nil {
		return fail(stderr, err)
	}
	return exitGood
}

// usage says what to do about a command line that cannot be understood.
func usage(args []string, err error) error {
	help := "bellhop --help"
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context.Command() != "" && len(args) > 0 {
		help = "bellhop " + strings.Fields(parse.Context.Command())[0] + " --help"
	}
	return fmt.Errorf("%w; see %s", err, help)
}

// fail tells an error and returns its exit code.
func fail(stderr io.Writer, err error) int {
	text, next := err.Error(), ""
	var told *bellhop.Error
	if errors.As(err, &told) {
		text, next = told.Message, told.NextStep
	}
	if next != "" {
		text = strings.TrimRight(text, ".") + "; " + next
	}
	fmt.Fprintln(stderr, "bellhop: "+text)
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	return exitUsage
}

// config reads the configuration of this run.
func (s *session) config() (config.Config, error) {
	return config.Load(config.LoadOpts{Path: s.configFile, Explicit: s.configFile != "", Env: s.env, Vendors: manifests()})
}

// manifests returns the manifest of every vendor, by name.
func manifests() []connector.Manifest {
	vendors := all.Vendors()
	out := make([]connector.Manifest, len(vendors))
	for i, v := range vendors {
		out[i] = v.Manifest
	}
	return out
}
