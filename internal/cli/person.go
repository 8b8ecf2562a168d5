package cli

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"bellhop"
	"bellhop/internal/config"
	"bellhop/internal/policy"
	"bellhop/internal/store"
)

// personCmd gathers what concerns one person.
type personCmd struct {
	Export  personExportCmd  `cmd:"" help:"Print everything about a person as JSON."`
	Erase   personEraseCmd   `cmd:"" help:"Erase a person everywhere, and ask the vendors that can to do the same."`
	Receipt personReceiptCmd `cmd:"" help:"Show that a person was erased, and check the receipt's signature."`
}

// Help is the command's longer help.
func (personCmd) Help() string {
	return "A person is named by e-mail address, by your product's own user id, or by the id that Bellhop gave them.\n\nExamples:\n\n" +
		"    bellhop person export ada@example.com --out ada.json\n    bellhop person erase ada@example.com"
}

// personExportCmd prints everything about a person.
type personExportCmd struct {
	Who string `arg:"" name:"email-or-id" help:"E-mail address, user id or person id."`
	Out string `type:"path" placeholder:"FILE" help:"Write to a new file that only you can read, instead of standard output."`
}

// Help is the command's longer help.
func (personExportCmd) Help() string {
	return "Example:\n\n    bellhop person export ada@example.com --out ada.json"
}

// Run exports.
func (c *personExportCmd) Run(s *session) error {
	_, db, err := s.openStore()
	if err != nil {
		return err
	}
	defer db.Close()
	exp, err := db.ExportPerson(s.ctx, c.Who)
	if err != nil {
		return notThere(err)
	}
	if err := audit(s.ctx, s, db, store.SecurityExported, "exported the person "+exp.PersonID); err != nil {
		return err
	}
	if c.Out == "" {
		return writeJSON(s.stdout, exp)
	}
	f, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already and is not overwritten; give the export another name", c.Out)
	}
	if err != nil {
		return err
	}
	if err := errors.Join(writeJSON(f, exp), f.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.stdout, "%s holds everything about the person: keep it where only you can read it.\n", c.Out)
	return err
}

// personEraseCmd erases a person.
type personEraseCmd struct {
	Who   string `arg:"" name:"email-or-id" help:"E-mail address, user id or person id."`
	Yes   bool   `help:"Do not ask."`
	Force bool   `help:"Also when there are unfinished steps: drop them."`
	By    string `placeholder:"NAME" help:"Who asked for it; kept in the receipt. Without it: the name of the user that runs this."`
	JSON  bool   `help:"The receipt as JSON."`
}

// Help is the command's longer help.
func (personEraseCmd) Help() string {
	return "It cannot be undone; export first if somebody may ask what there was. Names, addresses, messages, bodies of events and " +
		"inputs of steps go; ids, keys, times and the amounts of payments stay, so that the books can be proven and nothing that " +
		"is sent again counts twice. A person with unfinished steps is refused (exit code 1): wait, settle them, or --force.\n\n" +
		"Examples:\n\n    bellhop person erase ada@example.com --by \"Sam, ticket 4711\"\n    bellhop person erase ada@example.com --yes --json"
}

// Run erases.
func (c *personEraseCmd) Run(s *session) error {
	cfg, db, err := s.openStore()
	if err != nil {
		return err
	}
	defer db.Close()
	l, err := connect(cfg, s.clock)
	if err != nil {
		return err
	}
	defer l.close()
	person, err := db.FindPerson(s.ctx, c.Who)
	if err != nil {
		return notThere(err)
	}
	if err := c.confirm(s, person); err != nil {
		return err
	}
	rec, err := db.ErasePerson(s.ctx, store.EraseOpts{Who: person.ID, By: cmp.Or(c.By, userName(s)), DropOpen: c.Force,
		Plan: policy.Erasure(l.targets)})
	if bellhop.CodeOf(err) == bellhop.CodeStateConflict {
		return &exitError{exitFindings, err}
	}
	if err != nil {
		return err
	}
	if err := audit(s.ctx, s, db, store.SecurityErased, "erased the person "+person.ID); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s.stdout, rec)
	}
	return printReceipt(s.stdout, rec)
}

// confirm asks on a terminal; elsewhere --yes has to be said.
func (c *personEraseCmd) confirm(s *session, p bellhop.Person) error {
	if c.Yes {
		return nil
	}
	if f, ok := s.stdin.(*os.File); !ok || !terminal(f) {
		return errors.New("this cannot be undone: say --yes where nobody can be asked")
	}
	fmt.Fprintf(s.stderr, "Erase %s, known since %s? This cannot be undone. Type yes: ", cmp.Or(p.Email, p.UserID, p.ID),
		p.CreatedAt.Format("2 January 2006"))
	answer, err := bufio.NewReader(s.stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(answer) != "yes" {
		return errors.New("nothing was erased")
	}
	return nil
}

// personReceiptCmd shows receipts.
type personReceiptCmd struct {
	Who  string `arg:"" name:"email-or-id" help:"E-mail address, person id or the erasure's id."`
	JSON bool   `help:"As JSON."`
}

// Help is the command's longer help.
func (personReceiptCmd) Help() string {
	return "Exit code 1: there is none, or one is not as it was signed.\n\nExample:\n\n    bellhop person receipt ada@example.com --json"
}

// receiptLine is a receipt with the outcome of its check.
type receiptLine struct {
	store.Receipt
	Valid bool `json:"valid"`
}

// Run shows the receipts.
func (c *personReceiptCmd) Run(s *session) error {
	_, db, err := s.openStore()
	if err != nil {
		return err
	}
	defer db.Close()
	recs, valid, err := db.Receipts(s.ctx, c.Who)
	if err != nil {
		return notThere(err)
	}
	lines := make([]receiptLine, len(recs))
	for i, r := range recs {
		lines[i] = receiptLine{r, valid[i]}
	}
	if c.JSON {
		err = writeJSON(s.stdout, lines)
	} else {
		for _, l := range lines {
			err = errors.Join(err, printReceipt(s.stdout, l.Receipt))
		}
	}
	if err == nil && slices.Contains(valid, false) {
		return findings("a receipt is not as it was signed: it was changed, or the database's signing secret was")
	}
	return err
}

func printReceipt(w io.Writer, r store.Receipt) error {
	fmt.Fprintf(w, "Erasure %s, %s, asked for by %s\n", r.ID, r.ErasedAt.Format("2006-01-02 15:04:05 MST"), r.RequestedBy)
	for _, table := range slices.Sorted(maps.Keys(r.Removed)) {
		fmt.Fprintf(w, "  %-18s %s emptied or deleted\n", table, count(r.Removed[table], "row"))
	}
	if r.Dropped > 0 {
		fmt.Fprintf(w, "  %s dropped\n", count(r.Dropped, "unfinished step"))
	}
	for _, v := range r.AtVendors {
		fmt.Fprintf(w, "  %s is asked to delete the person (step %s)\n", v.Connection, v.Step)
	}
	for _, line := range r.ByHand {
		fmt.Fprintf(w, "  %s\n", line)
	}
	_, err := fmt.Fprintf(w, "  what was there: sha256 %s\n  signed: %s\n", r.SHA256, r.Signature)
	return err
}

// openStore opens the configured database, which must have this program's schema. It makes
// no file.
func (s *session) openStore() (config.Config, *store.DB, error) {
	cfg, err := s.config()
	if err != nil {
		return cfg, nil, err
	}
	if cfg.Database.IsSQLite() {
		if _, err := os.Stat(cfg.Database.Path()); errors.Is(err, fs.ErrNotExist) {
			return cfg, nil, fmt.Errorf("there is no database at %s", cfg.Database.Path())
		}
	}
	db, err := store.Open(s.ctx, store.Opts{URL: cfg.Database.Reveal(), Clock: s.clock})
	if err != nil {
		return cfg, nil, err
	}
	if err := db.SchemaCurrent(s.ctx); err != nil {
		return cfg, nil, errors.Join(err, db.Close())
	}
	return cfg, db, nil
}

// notThere makes an answer of "there is none" a finding.
func notThere(err error) error {
	if bellhop.CodeOf(err) == bellhop.CodeNotFound {
		return &exitError{exitFindings, err}
	}
	return err
}

// userName is who runs the command, as the environment tells.
func userName(s *session) string {
	for _, name := range []string{"USER", "LOGNAME", "USERNAME"} {
		if v, ok := s.env(name); ok && v != "" {
			return v
		}
	}
	return "the command line"
}
