package assistant

import "strings"

// detectLanguage returns the language that ws, the words of text, are most likely
// in. When they give nothing away it is fallback, and English when that is unknown.
func (lx *lexicon) detectLanguage(text string, ws []word, fallback string) string {
	points := map[string]int{}
	for _, w := range ws {
		for lang, n := range lx.language[w.fold] {
			points[lang] += n
		}
	}
	lower := strings.ToLower(text)
	for _, hint := range []struct {
		chars, lang string
		points      int
	}{{"ñ¿¡", "es", 3}, {"ãõ", "pt", 3}, {"ç", "pt", 1}, {"ç", "fr", 1}, {"ß", "de", 3}, {"äöü", "de", 2},
		{"èêœûù", "fr", 2}} {
		if strings.ContainsAny(lower, hint.chars) {
			points[hint.lang] += hint.points
		}
	}
	if fallback == "" {
		fallback = "en"
	}
	best, most := fallback, points[fallback]
	for _, lang := range languages() {
		if points[lang] > most {
			best, most = lang, points[lang]
		}
	}
	return best
}
