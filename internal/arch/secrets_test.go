package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"strings"
	"testing"
)

// secretName is what the things are called that a stranger must not find out letter by
// letter from how long a comparison takes.
var secretName = regexp.MustCompile(`(?i)(^|[a-z_])(secret|signature|sig|hmac|mac|csrf|password|bearer|token|apikey|digest)s?$`)

// notCompared says which comparisons are none with a stranger's guess.
func notCompared() map[string]string {
	return map[string]string{
		"internal/config/...":    "the operator's own file, read at start",
		"internal/assistant/...": "its tokens are words",
		"internal/sandbox/...":   "fake vendors, which have nothing to protect",
	}
}

// checkSecretCompares returns every comparison of a secret with == or bytes.Equal; with ""
// and nil it asks whether there is one.
func checkSecretCompares(files []file) []string {
	var out []string
	for _, f := range files {
		if f.forTests() || allowed(notCompared(), f.dir) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			var a, b ast.Expr
			switch n := n.(type) {
			case *ast.BinaryExpr:
				if n.Op == token.EQL || n.Op == token.NEQ {
					a, b = n.X, n.Y
				}
			case *ast.CallExpr:
				if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Equal" && len(n.Args) == 2 {
					if x, ok := s.X.(*ast.Ident); ok && (x.Name == "bytes" || x.Name == "slices") {
						a, b = n.Args[0], n.Args[1]
					}
				}
			}
			if a != nil && !constant(a) && !constant(b) && (secretName.MatchString(nameOf(a)) || secretName.MatchString(nameOf(b))) {
				out = append(out, fmt.Sprintf("%s:%d: a secret is compared in a time that tells about it; use hmac.Equal or "+
					"subtle.ConstantTimeCompare", f.path, f.line(n.Pos())))
			}
			return true
		})
	}
	return out
}

func allowed(rules map[string]string, dir string) bool {
	for pattern := range rules {
		if match(pattern, dir) {
			return true
		}
	}
	return false
}

// constant reports whether an expression is a literal, nil, true or false, a length, or a
// constant of the program, which is called after its type (SettingSecret).
func constant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.Ident:
		return e.Name == "nil" || e.Name == "true" || e.Name == "false" || strings.HasPrefix(e.Name, "Setting")
	case *ast.CallExpr:
		id, ok := e.Fun.(*ast.Ident)
		return ok && id.Name == "len"
	default:
		return false
	}
}

// nameOf returns the last name of an expression: of a.b.Secret.Reveal() "Secret".
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		if e.Sel.Name == "Reveal" {
			return nameOf(e.X)
		}
		return e.Sel.Name
	case *ast.CallExpr:
		if len(e.Args) == 1 {
			if name := nameOf(e.Args[0]); secretName.MatchString(name) {
				return name // a conversion
			}
		}
		return nameOf(e.Fun)
	case *ast.IndexExpr:
		return nameOf(e.X)
	case *ast.SliceExpr:
		return nameOf(e.X)
	case *ast.ParenExpr:
		return nameOf(e.X)
	default:
		return ""
	}
}

func TestSecretsAreComparedInConstantTime(t *testing.T) {
	t.Parallel()
	report(t, checkSecretCompares(load(t)))
}

func TestSecretRuleBites(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		`if got == secret {}`:                      false,
		`if r.FormValue("csrf") != s.csrf {}`:      false,
		`if string(signature) == want {}`:          false,
		`if bytes.Equal(mac, sum) {}`:              false,
		`if k.Secret.Reveal() == given {}`:         false,
		`if secret == "" || token != nil {}`:       true,
		`if len(sig) == len(want) {}`:              true,
		`if hmac.Equal(sig, want) {}`:              true,
		`if state == want && tokens > 3 {}`:        true,
		`if subtle.ConstantTimeCompare(a, b) == 1`: true,
	} {
		if text[len(text)-1] != '}' {
			text += " {}"
		}
		got := checkSecretCompares([]file{source(t, "internal/a/a.go", "package a\nfunc f() { "+text+" }")})
		if (len(got) == 0) != ok {
			t.Errorf("%s: %q", text, got)
		}
	}
}
