package cli

import (
	"context"
	"io"
	"log/slog"
	"os"
	"regexp"
	"strings"

	"bellhop/internal/config"
)

// newLogger writes structured lines: text for a person at a terminal, JSON otherwise.
// Whatever gets into a line, e-mail addresses and the configuration's secrets do not
// get out of it.
func newLogger(w io.Writer, isTerminal bool, secrets []string) *slog.Logger {
	var h slog.Handler = slog.NewJSONHandler(w, nil)
	if isTerminal {
		h = slog.NewTextHandler(w, nil)
	}
	return slog.New(newRedactor(h, secrets))
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && terminal(f)
}

// secretsOf returns every secret of a configuration.
func secretsOf(c config.Config) []string {
	out := []string{c.OperatorKey.Reveal(), c.ServerKey.Reveal(), c.Assistant.APIKey.Reveal(),
		c.Auth.Supabase.JWTSecret.Reveal()}
	if !c.Database.IsSQLite() {
		out = append(out, c.Database.Reveal())
	}
	byVendor := map[string]int{}
	ms := manifests()
	for i, m := range ms {
		byVendor[m.Vendor] = i
	}
	for _, conn := range c.Connections {
		out = append(out, conn.Settings.SecretValues(ms[byVendor[conn.Vendor]])...)
	}
	return out
}

// redactor is the last line of defence: packages do not log personal data or secrets,
// but an error text of a library or a vendor can carry some.
type redactor struct {
	next    slog.Handler
	secrets *strings.Replacer
	email   *regexp.Regexp
	token   *regexp.Regexp
}

func newRedactor(next slog.Handler, secrets []string) *redactor {
	var pairs []string
	for _, s := range secrets {
		if len(s) >= 6 { // a shorter one would mask ordinary words
			pairs = append(pairs, s, "***")
		}
	}
	return &redactor{next: next, secrets: strings.NewReplacer(pairs...),
		email: regexp.MustCompile(`[^\s<>"'(),;:=/&?\[\]{}]+@[^\s<>"'(),;:=/&?\[\]{}]+\.[^\s<>"'(),;:=/&?\[\]{}]+`),
		token: regexp.MustCompile(`\bbhv1_[A-Za-z0-9_-]+|(?i:\bbearer )[A-Za-z0-9._~+/-]+=*`)}
}

func (r *redactor) text(s string) string {
	s = r.secrets.Replace(s)
	if strings.Contains(s, "@") {
		s = r.email.ReplaceAllString(s, "***@***")
	}
	return r.token.ReplaceAllString(s, "***")
}

// Enabled asks the handler behind.
func (r *redactor) Enabled(ctx context.Context, l slog.Level) bool { return r.next.Enabled(ctx, l) }

// Handle passes the line on with its texts cleaned.
func (r *redactor) Handle(ctx context.Context, rec slog.Record) error {
	out := slog.NewRecord(rec.Time, rec.Level, r.text(rec.Message), rec.PC)
	rec.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(r.attr(a))
		return true
	})
	return r.next.Handle(ctx, out)
}

func (r *redactor) attr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		return slog.String(a.Key, r.text(v.String()))
	case slog.KindGroup:
		in := v.Group()
		group := make([]any, len(in))
		for i, x := range in {
			group[i] = r.attr(x)
		}
		return slog.Group(a.Key, group...)
	case slog.KindAny:
		if err, ok := v.Any().(error); ok {
			return slog.String(a.Key, r.text(err.Error()))
		}
		if list, ok := v.Any().([]string); ok {
			clean := make([]string, len(list))
			for i, x := range list {
				clean[i] = r.text(x)
			}
			return slog.Any(a.Key, clean)
		}
		// Whatever else it is, it is shown as its text, which can be cleaned.
		return slog.String(a.Key, r.text(v.String()))
	default:
		return slog.Attr{Key: a.Key, Value: v}
	}
}

// WithAttrs cleans the attributes once.
func (r *redactor) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = r.attr(a)
	}
	out := *r
	out.next = r.next.WithAttrs(clean)
	return &out
}

// WithGroup opens a group behind.
func (r *redactor) WithGroup(name string) slog.Handler {
	out := *r
	out.next = r.next.WithGroup(name)
	return &out
}
