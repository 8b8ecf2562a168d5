package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"bellhop"
	"bellhop/internal/identity"
	"bellhop/internal/store"
)

// keyCmd makes and ends the keys of the product's own servers.
type keyCmd struct {
	Create createKeyCmd `cmd:"" help:"Make a server key; it is shown once."`
	List   listKeysCmd  `cmd:"" help:"List the server keys."`
	Revoke revokeKeyCmd `cmd:"" help:"End a server key, at once and for ever."`
}

// Help is the command's longer help.
func (keyCmd) Help() string {
	return "Scopes: " + scopeWords() + ". It works while the server runs.\n\nExamples:\n\n" +
		"    bellhop key create shop --scope leads:write --scope support:write\n    bellhop key list"
}

func scopeWords() string {
	var out []string
	for _, s := range bellhop.Scopes() {
		out = append(out, string(s))
	}
	return strings.Join(out, ", ")
}

// createKeyCmd makes a key.
type createKeyCmd struct {
	Name  string          `arg:"" help:"What it is for; shown in lists and records."`
	Scope []bellhop.Scope `required:"" placeholder:"SCOPE" help:"What it may do; several times for several."`
	JSON  bool            `help:"As JSON."`
}

// Help is the command's longer help.
func (createKeyCmd) Help() string {
	return "Scopes: " + scopeWords() + ". Only a digest of the key is kept: who loses it makes another.\n\nExample:\n\n" +
		"    bellhop key create shop --scope leads:write --scope support:write"
}

// keyLine is a key as reports tell of it.
type keyLine struct {
	Name       string          `json:"name"`
	Scopes     []bellhop.Scope `json:"scopes"`
	Key        string          `json:"key,omitempty"` // once, when it was just made
	CreatedAt  time.Time       `json:"created_at"`
	RevokedAt  *time.Time      `json:"revoked_at,omitempty"`
	LastUsedAt *time.Time      `json:"last_used_at,omitempty"`
}

func keyLineOf(k bellhop.ServerKey) keyLine {
	return keyLine{Name: k.Name, Scopes: k.Scopes, CreatedAt: k.CreatedAt, RevokedAt: timeOrNil(k.RevokedAt),
		LastUsedAt: timeOrNil(k.LastUsedAt)}
}

// Run makes the key.
func (c *createKeyCmd) Run(s *session) error {
	name, err := identity.OperatorName(c.Name) // the same alphabet
	if err != nil {
		return fmt.Errorf("%q cannot be the name of a key; use letters, digits and . _ - + @", c.Name)
	}
	for _, scope := range c.Scope {
		if !slices.Contains(bellhop.Scopes(), scope) {
			return fmt.Errorf("there is no scope %q; there are %s", scope, scopeWords())
		}
	}
	slices.Sort(c.Scope)
	return s.withStore(func(ctx context.Context, db *store.DB) error {
		secret, digest := identity.NewServerKey()
		k, err := db.AddServerKey(ctx, bellhop.ServerKey{Name: name, Digest: digest, Scopes: slices.Compact(c.Scope)})
		if err != nil {
			return err
		}
		if err := audit(ctx, s, db, store.SecurityKeys, "created the server key "+k.Name); err != nil {
			return err
		}
		line := keyLineOf(k)
		line.Key = secret.Reveal()
		if c.JSON {
			return writeJSON(s.stdout, line)
		}
		// The key alone on standard output, so that it can be piped to where it is kept.
		fmt.Fprintf(s.stderr, "The key %s, which is not shown again:\n", k.Name)
		_, err = fmt.Fprintln(s.stdout, line.Key)
		return err
	})
}

// listKeysCmd lists the keys.
type listKeysCmd struct {
	JSON bool `help:"As JSON."`
}

// Help is the command's longer help.
func (listKeysCmd) Help() string { return "Example:\n\n    bellhop key list --json" }

// Run prints the list.
func (c *listKeysCmd) Run(s *session) error {
	return s.withStore(func(ctx context.Context, db *store.DB) error {
		keys, err := db.ServerKeys(ctx)
		if err != nil {
			return err
		}
		lines := []keyLine{}
		for _, k := range keys {
			lines = append(lines, keyLineOf(k))
		}
		if c.JSON {
			return writeJSON(s.stdout, lines)
		}
		if len(lines) == 0 {
			_, err := fmt.Fprintln(s.stdout, "There is no server key yet: bellhop key create NAME --scope leads:write makes one.")
			return err
		}
		w := tabwriter.NewWriter(s.stdout, 0, 0, 3, ' ', 0)
		fmt.Fprintln(w, "NAME\tSCOPES\tSINCE\tLAST USED\tREVOKED")
		for _, l := range lines {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", l.Name, strings.Trim(fmt.Sprint(l.Scopes), "[]"), l.CreatedAt.Format(time.DateOnly),
				dateOr(l.LastUsedAt, "never"), dateOr(l.RevokedAt, "no"))
		}
		return w.Flush()
	})
}

// revokeKeyCmd ends a key.
type revokeKeyCmd struct {
	Name string `arg:"" help:"The key's name."`
	JSON bool   `help:"As JSON."`
}

// Help is the command's longer help.
func (revokeKeyCmd) Help() string {
	return "It is refused from the next request on. The name stays taken, because records carry it.\n\nExample:\n\n" +
		"    bellhop key revoke shop"
}

// Run ends the key.
func (c *revokeKeyCmd) Run(s *session) error {
	return s.withStore(func(ctx context.Context, db *store.DB) error {
		if err := db.RevokeServerKey(ctx, strings.ToLower(c.Name)); err != nil {
			return unknownName(err, "key", c.Name)
		}
		if err := audit(ctx, s, db, store.SecurityKeys, "revoked the server key "+strings.ToLower(c.Name)); err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(s.stdout, map[string]string{"revoked": strings.ToLower(c.Name)})
		}
		_, err := fmt.Fprintf(s.stdout, "%s is refused from now on\n", c.Name)
		return err
	})
}
