package assistant

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// phoneHit is a phone number in a text, as it was written.
type phoneHit struct {
	start, end int
	phone      string
}

// findPhones returns the phone numbers in text. asked says that the text answers the
// question for a number, so that bare digits are believed.
func findPhones(text string, asked bool) []phoneHit {
	var out []phoneHit
	for i := 0; i < len(text) && len(out) < maxContacts; {
		if !phoneStart(text, i) {
			i++
			continue
		}
		end := phoneEnd(text, i)
		raw := strings.TrimSpace(text[i:end])
		if isPhone(text, i, end, raw, asked) {
			out = append(out, phoneHit{start: i, end: end, phone: strings.Join(strings.Fields(raw), " ")})
		}
		i = max(end, i+1)
	}
	return out
}

// phoneStart reports whether a number may begin at i: not within a word, an address
// or after a sign that makes it something else.
func phoneStart(s string, i int) bool {
	c := s[i]
	if c != '+' && c != '(' && (c < '0' || c > '9') {
		return false
	}
	if i == 0 {
		return true
	}
	prev, _ := utf8.DecodeLastRuneInString(s[:i])
	return !unicode.IsLetter(prev) && !unicode.IsDigit(prev) && !strings.ContainsRune("@#$€£¥_+", prev)
}

func phoneEnd(s string, i int) int {
	end, gap := i, 0
	for j := i; j < len(s) && j-i < 34; j++ {
		switch c := s[j]; {
		case c >= '0' && c <= '9':
			end, gap = j+1, 0
		case strings.IndexByte(" -./()", c) >= 0 || (c == '+' && j == i) || (c == '+' && s[j-1] == '('):
			if gap++; gap > 3 {
				return end
			}
		default:
			return end
		}
	}
	return end
}

// isPhone tells a phone number from an order number, an amount, a date, a card.
func isPhone(text string, start, end int, raw string, asked bool) bool {
	digits, groups := countDigits(raw)
	if digits < 7 || digits > 15 || endsInWord(text, end) || looksLikeDate(groups, raw) || looksLikeAddress(groups, raw) {
		return false
	}
	switch cue := phoneCue(text, start); {
	case cue < 0 && raw[0] != '+':
		return false
	case raw[0] == '+':
		return digits >= 8
	case cue > 0 || asked:
		return true
	}
	if strings.HasPrefix(raw, "(") && len(groups) >= 2 {
		return digits >= 9
	}
	return digits >= 9 && digits <= 12 && (len(groups) >= 3 && groups[0] <= 4 || ownLine(text, start, end) && raw[0] == '0')
}

// countDigits returns the number of digits and the lengths of their groups.
func countDigits(s string) (n int, groups []int) {
	run := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] >= '0' && s[i] <= '9' {
			run++
			n++
			continue
		}
		if run > 0 {
			groups = append(groups, run)
		}
		run = 0
	}
	return n, groups
}

func endsInWord(text string, end int) bool {
	r, _ := utf8.DecodeRuneInString(text[end:])
	return unicode.IsLetter(r) || strings.ContainsRune("@€$£%", r)
}

func looksLikeDate(groups []int, raw string) bool {
	if len(groups) < 3 || strings.ContainsAny(raw, "+()") {
		return false
	}
	g := groups[:3]
	return (g[0] == 4 && g[1] <= 2 && g[2] <= 2) || (g[0] <= 2 && g[1] <= 2 && g[2] == 4)
}

// looksLikeAddress reports an IP address or a number grouped in thousands.
func looksLikeAddress(groups []int, raw string) bool {
	if strings.ContainsAny(raw, " +()-/") || len(groups) < 2 {
		return false
	}
	for _, g := range groups[1:] {
		if g > 3 {
			return false
		}
	}
	return strings.Contains(raw, ".") && len(groups) <= 4 && groups[0] <= 3
}

func ownLine(text string, start, end int) bool {
	head := text[strings.LastIndexByte(text[:start], '\n')+1 : start]
	tail := text[end:]
	if i := strings.IndexByte(tail, '\n'); i >= 0 {
		tail = tail[:i]
	}
	return strings.TrimSpace(head) == "" && strings.TrimSpace(tail) == ""
}

// phoneCue looks at the words before a number: above 0 they announce a phone number,
// below 0 another kind of number. The nearest one decides.
func phoneCue(text string, start int) int {
	before := lastBytes(text[:start], 60)
	before = before[strings.LastIndexByte(before, '\n')+1:]
	ws := words(before)
	for back := 1; back <= 5 && back <= len(ws); back++ {
		w := ws[len(ws)-back]
		if cue := phoneWord(w.fold); cue != 0 {
			return cue
		}
		if w.before >= breakSentence {
			break
		}
	}
	return 0
}

func phoneWord(w string) int {
	switch w {
	case "order", "invoice", "ticket", "ref", "reference", "case", "receipt", "transaction", "account", "id", "vat", "po", "pedido",
		"factura", "compra", "recibo", "fatura", "nota", "boleto", "rechnung", "bestellung", "kundennummer", "iban", "card",
		"tarjeta", "cartao", "karte", "carte", "commande", "facture", "dossier", "serial", "tracking", "charged", "paid", "cnpj", "cpf", "nif":
		return -1
	}
	for _, p := range []string{"tel", "phone", "call", "mobile", "movil", "mobil", "celular", "cell", "whats", "llam", "liga", "ligue",
		"rappel", "appel", "ruf", "anruf", "handy", "fone", "zap", "reach", "sms", "text", "ring", "portable", "joindre"} {
		if strings.HasPrefix(w, p) {
			return 1
		}
	}
	return 0
}
