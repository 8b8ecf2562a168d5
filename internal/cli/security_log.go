package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"bellhop/internal/api"
	"bellhop/internal/config"
	"bellhop/internal/identity"
	"bellhop/internal/store"
)

// securityLogCmd is what can be done with the security log.
type securityLogCmd struct {
	Export exportSecurityCmd `cmd:"" help:"Write the security log as JSON lines, oldest first."`
}

// exportSecurityCmd writes the security log as JSON lines.
type exportSecurityCmd struct {
	Since string `placeholder:"TIME" help:"Only what went on since then: 2026-11-24, 2026-11-24T13:00:00Z, or an age as in 30d or 12h."`
	Kind  string `help:"Only this kind, as in signature_refused."`
}

// Help is the command's longer help.
func (exportSecurityCmd) Help() string {
	return "What was refused, what hit a limit and what operators did, one JSON object a line. It holds no keys, no e-mail " +
		"addresses and nothing that customers wrote. The server may run meanwhile. To go on where the last export ended, give " +
		"the last line's time as --since and skip ids that you have.\n\nExample:\n\n" +
		"    bellhop security-log export --since 30d > security.jsonl"
}

// Run exports.
func (c *exportSecurityCmd) Run(s *session) (err error) {
	cfg, err := s.config()
	if err != nil {
		return err
	}
	f := store.SecurityFilter{Kind: store.SecurityKind(c.Kind), Limit: 1000}
	if f.Since, err = sinceOf(c.Since, s.clock.Now()); err != nil {
		return err
	}
	db, err := openThere(s, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.SchemaCurrent(s.ctx); err != nil {
		return err
	}
	if err := db.RecordSecurity(s.ctx, store.SecurityRecord{Kind: store.SecurityRead, Role: string(identity.RoleOperator),
		Actor: "command line", Detail: "as JSON lines"}); err != nil {
		return err
	}
	enc := json.NewEncoder(s.stdout)
	enc.SetEscapeHTML(false)
	for {
		recs, err := db.SecurityLogFrom(s.ctx, f)
		if err != nil {
			return err
		}
		for _, r := range recs {
			if err := enc.Encode(api.SecurityLineOf(r)); err != nil {
				return err
			}
		}
		if len(recs) < f.Limit {
			return nil
		}
		f.After = recs[len(recs)-1].ID
	}
}

// openThere opens the database that is configured, and makes none where there is none.
func openThere(s *session, cfg config.Config) (*store.DB, error) {
	if cfg.Database.IsSQLite() {
		if _, err := os.Stat(cfg.Database.Path()); err != nil {
			return nil, fmt.Errorf("there is no database %s yet; start bellhop serve in the folder where it shall be", cfg.Database.Path())
		}
	}
	return store.Open(s.ctx, store.Opts{URL: cfg.Database.Reveal(), Clock: s.clock})
}

// sinceOf reads a day, an instant or an age; "" is the zero time.
func sinceOf(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	if digits, inDays := strings.CutSuffix(text, "d"); inDays {
		if n, err := strconv.ParseUint(digits, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("--since %s is no time; write 2026-11-24, 2026-11-24T13:00:00Z, 30d or 12h", text)
}
