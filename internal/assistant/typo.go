package assistant

// minTypoLength is the length from which a word is corrected: of shorter words one
// letter more or less makes another word too often.
const minTypoLength = 5

// typos corrects words that are one edit away from a key word: a letter missing,
// added, changed, or two swapped. It looks words up by what is left of them with one
// letter taken out, so its cost does not grow with the number of key words.
type typos struct {
	known     map[string]bool   // words that are right as they are
	deletions map[string]string // a key word with one letter taken out, and the key word
}

func newTypos(keys, known []string) *typos {
	t := &typos{known: map[string]bool{}, deletions: map[string]string{}}
	for _, k := range known {
		t.known[k] = true
	}
	for _, k := range keys {
		t.known[k] = true
	}
	for _, k := range keys {
		t.deletions[k] = k
		for d := range deletionsOf(k) {
			if _, taken := t.deletions[d]; !taken {
				t.deletions[d] = k
			}
		}
	}
	return t
}

// deletionsOf yields w with each one letter taken out. The first letter stays: people
// rarely miss it, and words that differ in it are mostly other words.
func deletionsOf(w string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := 1; i < len(w); i++ {
			if !yield(w[:i] + w[i+1:]) {
				return
			}
		}
	}
}

// correct returns the key word that w is a misspelling of, or w.
func (t *typos) correct(w string) string {
	if len(w) < minTypoLength || len(w) > 24 || t.known[w] {
		return w
	}
	if k, ok := t.deletions[w]; ok {
		return k
	}
	for d := range deletionsOf(w) {
		if k, ok := t.deletions[d]; ok && len(k)-len(w) <= 1 && len(w)-len(k) <= 1 && k[0] == w[0] && oneEdit(w, k) {
			return k
		}
	}
	return w
}

// oneEdit reports whether a becomes b by one change, one letter more or less, or one
// swap of neighbours.
func oneEdit(a, b string) bool {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	x, y := a[i:], b[i:]
	switch {
	case len(x) == len(y)+1:
		return x[1:] == y
	case len(y) == len(x)+1:
		return y[1:] == x
	case len(x) != len(y) || len(x) == 0:
		return false
	case x[1:] == y[1:]:
		return true
	default:
		return len(x) >= 2 && x[0] == y[1] && x[1] == y[0] && x[2:] == y[2:]
	}
}
