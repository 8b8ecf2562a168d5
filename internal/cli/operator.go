package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"bellhop"
	"bellhop/internal/identity"
	"bellhop/internal/store"
)

// operatorCmd says who may sign in to the console.
type operatorCmd struct {
	Add      addOperatorCmd      `cmd:"" help:"Make an operator."`
	List     listOperatorsCmd    `cmd:"" help:"List the operators."`
	Disable  disableOperatorCmd  `cmd:"" help:"Take an operator's access away, at once."`
	Password operatorPasswordCmd `cmd:"" help:"Set an operator's password and end their sessions."`
}

// Help is the command's longer help.
func (operatorCmd) Help() string {
	return "A viewer reads what operators see, an agent also works on support requests and settles steps, an owner also drops " +
		"steps in bulk. It works while the server runs.\n\nExamples:\n\n    bellhop operator add ada@example.com --role owner\n" +
		"    bellhop operator list"
}

// addOperatorCmd makes an operator.
type addOperatorCmd struct {
	Name string               `arg:"" help:"A name or an e-mail, to sign in with."`
	Role bellhop.OperatorRole `required:"" enum:"viewer,agent,owner" help:"viewer, agent or owner."`
	JSON bool                 `help:"As JSON."`
}

// Help is the command's longer help.
func (addOperatorCmd) Help() string {
	return "The password is asked for on a terminal, else it is the first line of standard input; never an argument, because " +
		"those are seen by everybody on the machine.\n\nExamples:\n\n    bellhop operator add ada@example.com --role owner\n" +
		"    pass bellhop/ada | bellhop operator add ada --role agent"
}

// operatorLine is an operator as reports tell of them.
type operatorLine struct {
	Name        string               `json:"name"`
	Role        bellhop.OperatorRole `json:"role"`
	CreatedAt   time.Time            `json:"created_at"`
	DisabledAt  *time.Time           `json:"disabled_at,omitempty"`
	LastLoginAt *time.Time           `json:"last_login_at,omitempty"`
}

func operatorLineOf(o bellhop.Operator) operatorLine {
	return operatorLine{o.Name, o.Role, o.CreatedAt, timeOrNil(o.DisabledAt), timeOrNil(o.LastLoginAt)}
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Run makes the operator.
func (c *addOperatorCmd) Run(s *session) error {
	if _, err := identity.OperatorName(c.Name); err != nil {
		return err
	}
	return s.withStore(func(ctx context.Context, db *store.DB) error {
		password, err := s.password()
		if err != nil {
			return err
		}
		people, err := identity.NewOperators(identity.OperatorsOpts{Store: db, Clock: db.Clock()})
		if err != nil {
			return err
		}
		o, err := people.Add(ctx, c.Name, password, c.Role)
		if err != nil {
			return err
		}
		if err := audit(ctx, s, db, store.SecurityOperators, "added the operator "+o.ID+", "+string(o.Role)); err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(s.stdout, operatorLineOf(o))
		}
		_, err = fmt.Fprintf(s.stdout, "%s may sign in as %s\n", o.Name, o.Role)
		return err
	})
}

// listOperatorsCmd lists the operators.
type listOperatorsCmd struct {
	JSON bool `help:"As JSON."`
}

// Help is the command's longer help.
func (listOperatorsCmd) Help() string { return "Example:\n\n    bellhop operator list --json" }

// Run prints the list.
func (c *listOperatorsCmd) Run(s *session) error {
	return s.withStore(func(ctx context.Context, db *store.DB) error {
		all, err := db.Operators(ctx)
		if err != nil {
			return err
		}
		lines := []operatorLine{}
		for _, o := range all {
			lines = append(lines, operatorLineOf(o))
		}
		if c.JSON {
			return writeJSON(s.stdout, lines)
		}
		if len(lines) == 0 {
			_, err := fmt.Fprintln(s.stdout, "There is no operator yet: bellhop operator add NAME --role owner makes one.")
			return err
		}
		w := tabwriter.NewWriter(s.stdout, 0, 0, 3, ' ', 0)
		fmt.Fprintln(w, "NAME\tROLE\tSINCE\tLAST LOGIN\tDISABLED")
		for _, l := range lines {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", l.Name, l.Role, l.CreatedAt.Format(time.DateOnly), dateOr(l.LastLoginAt, "never"),
				dateOr(l.DisabledAt, "no"))
		}
		return w.Flush()
	})
}

func dateOr(t *time.Time, none string) string {
	if t == nil {
		return none
	}
	return t.Format("2006-01-02 15:04 MST")
}

// disableOperatorCmd takes access away.
type disableOperatorCmd struct {
	Name string `arg:"" help:"The operator's name."`
	JSON bool   `help:"As JSON."`
}

// Help is the command's longer help.
func (disableOperatorCmd) Help() string {
	return "Their sessions end at once. The name stays taken, because what they did is recorded under it.\n\nExample:\n\n" +
		"    bellhop operator disable ada@example.com"
}

// Run disables the operator.
func (c *disableOperatorCmd) Run(s *session) error {
	return s.changeOperator(c.Name, c.JSON, "has no access any more", func(ctx context.Context, db *store.DB, name string) error {
		return db.DisableOperator(ctx, name)
	})
}

// operatorPasswordCmd sets a password.
type operatorPasswordCmd struct {
	Name string `arg:"" help:"The operator's name."`
	JSON bool   `help:"As JSON."`
}

// Help is the command's longer help.
func (operatorPasswordCmd) Help() string {
	return "The password is read as in bellhop operator add.\n\nExample:\n\n    bellhop operator password ada@example.com"
}

// Run sets the password.
func (c *operatorPasswordCmd) Run(s *session) error {
	return s.changeOperator(c.Name, c.JSON, "has a new password and is signed out everywhere", func(ctx context.Context, db *store.DB, name string) error {
		password, err := s.password()
		if err != nil {
			return err
		}
		people, err := identity.NewOperators(identity.OperatorsOpts{Store: db, Clock: db.Clock()})
		if err != nil {
			return err
		}
		return people.SetPassword(ctx, name, password)
	})
}

func (s *session) changeOperator(name string, asJSON bool, done string, fn func(context.Context, *store.DB, string) error) error {
	return s.withStore(func(ctx context.Context, db *store.DB) error {
		name, err := identity.OperatorName(name)
		if err != nil {
			return err
		}
		if err := fn(ctx, db, name); err != nil {
			return unknownName(err, "operator", name)
		}
		o, _, err := db.Operator(ctx, name)
		if err != nil {
			return err
		}
		if err := audit(ctx, s, db, store.SecurityOperators, "the operator "+o.ID+" "+done); err != nil {
			return err
		}
		if asJSON {
			return writeJSON(s.stdout, operatorLineOf(o))
		}
		_, err = fmt.Fprintf(s.stdout, "%s %s\n", name, done)
		return err
	})
}

// unknownName says in the words of the command line that there is no such name.
func unknownName(err error, what, name string) error {
	if bellhop.CodeOf(err) != bellhop.CodeNotFound {
		return err
	}
	return fmt.Errorf("there is no %s %q; bellhop %s list shows them", what, name, what)
}

// withStore runs fn on the configured database. It brings a database to this program's
// schema that no server has brought there yet.
func (s *session) withStore(fn func(context.Context, *store.DB) error) error {
	cfg, err := s.config()
	if err != nil {
		return err
	}
	db, err := store.Open(s.ctx, store.Opts{URL: cfg.Database.Reveal(), Clock: s.clock})
	if err != nil {
		return err
	}
	if db.SchemaCurrent(s.ctx) != nil {
		if err := db.Lock(s.ctx); err != nil {
			return errors.Join(err, db.Close())
		}
		if err := db.Migrate(s.ctx); err != nil {
			return errors.Join(err, db.Close())
		}
	}
	return errors.Join(fn(s.ctx, db), db.Close())
}

// password reads a password: twice and unseen on a terminal, else the first line of
// standard input.
func (s *session) password() (string, error) {
	f, ok := s.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(s.stdin, 4096)).ReadString('\n')
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			return "", errors.New("no password came on standard input; type it on a terminal, or pipe it in as one line")
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		return line, nil
	}
	ask := func(prompt string) (string, error) {
		fmt.Fprint(s.stderr, prompt)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(s.stderr)
		return string(b), err
	}
	first, err := ask("Password, at least 12 characters: ")
	if err != nil {
		return "", err
	}
	if err := identity.CheckPassword(first); err != nil {
		return "", err
	}
	second, err := ask("The same again: ")
	if err == nil && first != second {
		err = errors.New("the two passwords are not the same; nothing was changed")
	}
	return first, err
}
