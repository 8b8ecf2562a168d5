package assistant

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"

	"bellhop"
)

// maxExcerpt bounds in runes what is quoted from a section.
const maxExcerpt = 700

// excerpt returns the part of a section's Markdown that speaks most of terms, as
// plain text. A short section is quoted as a whole.
func excerpt(body string, terms []term) string {
	var parts []string
	for _, p := range paragraphs(body) {
		if p = plainBlock(p); p != "" {
			parts = append(parts, p)
		}
	}
	whole := strings.Join(parts, "\n\n")
	if utf8.RuneCountInString(whole) <= maxExcerpt {
		return whole
	}
	best, most := 0, -1
	for i, p := range parts {
		n, tokens := 0, sortedTokens(p)
		for _, t := range terms {
			if t.in(tokens) {
				n++
			}
		}
		if n > most {
			best, most = i, n
		}
	}
	text := parts[best]
	for i := best + 1; i < len(parts) && utf8.RuneCountInString(text)+utf8.RuneCountInString(parts[i]) < maxExcerpt; i++ {
		text += "\n\n" + parts[i]
	}
	if utf8.RuneCountInString(text) <= maxExcerpt {
		return text
	}
	cut := string([]rune(text)[:maxExcerpt])
	if i := strings.LastIndexAny(cut, ".!?\n"); i > maxExcerpt/3 {
		return cut[:i+1] + " …"
	}
	if i := strings.LastIndexByte(cut, ' '); i > 0 {
		cut = cut[:i]
	}
	return cut + " …"
}

// paragraphs splits Markdown at blank lines, but not within code fences.
func paragraphs(body string) []string {
	var out []string
	var cur []string
	fence := ""
	for line := range strings.SplitSeq(body, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case fence != "" && strings.HasPrefix(trimmed, fence):
			fence = ""
		case fence == "" && fenceOf(line) != "":
			fence = fenceOf(line)
		case fence == "" && trimmed == "":
			if len(cur) > 0 {
				out, cur = append(out, strings.Join(cur, "\n")), nil
			}
			continue
		}
		cur = append(cur, line)
	}
	if len(cur) > 0 {
		out = append(out, strings.Join(cur, "\n"))
	}
	return out
}

// plainBlock takes the marks off a paragraph; code keeps its lines as they are.
func plainBlock(p string) string {
	var out []string
	fence := ""
	for line := range strings.SplitSeq(p, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case fence != "":
			if strings.HasPrefix(trimmed, fence) {
				fence = ""
				continue
			}
			out = append(out, line)
			continue
		case fenceOf(line) != "":
			fence = fenceOf(line)
			continue
		case strings.Trim(trimmed, "-*_ ") == "" || strings.Trim(trimmed, "|-: ") == "":
			continue
		}
		trimmed = strings.TrimSpace(strings.TrimPrefix(trimmed, ">"))
		bullet := ""
		if rest, ok := cutBullet(trimmed); ok {
			bullet, trimmed = "- ", rest
		}
		out = append(out, bullet+plainInline(trimmed))
	}
	return strings.TrimSpace(strings.Join(out, "\n"))
}

func cutBullet(s string) (string, bool) {
	for _, b := range []string{"- ", "* ", "+ "} {
		if rest, ok := strings.CutPrefix(s, b); ok {
			return rest, true
		}
	}
	return s, false
}

// sentences cuts text into pieces that are shown one after the other; together they
// are the text.
func sentences(text string) []string {
	var out []string
	start := 0
	for i := 0; i < len(text); i++ {
		end := i + 1
		if strings.IndexByte(".!?\n", text[i]) < 0 || end < len(text) && text[end] != ' ' && text[end] != '\n' {
			continue
		}
		for end < len(text) && (text[end] == ' ' || text[end] == '\n') {
			end++
		}
		out = append(out, text[start:end])
		start, i = end, end-1
	}
	if start < len(text) {
		out = append(out, text[start:])
	}
	return out
}

func sortNewest(rs []bellhop.Request) {
	sort.SliceStable(rs, func(i, j int) bool {
		a, b := rs[i], rs[j]
		if !a.UpdatedAt.Equal(b.UpdatedAt) {
			return a.UpdatedAt.After(b.UpdatedAt)
		}
		return a.CreatedAt.After(b.CreatedAt)
	})
}

// maxSummary bounds in runes what the summary quotes of a message.
const maxSummary = 200

// summary is one sentence for the person who takes over: who, what about, their words.
func (k *talk) summary() string {
	who := "The customer"
	if k.fields.Name != "" {
		who = clipWords(k.fields.Name, 80)
	}
	if k.fields.Company != "" {
		who += " of " + clipWords(k.fields.Company, 80)
	}
	if k.fields.Email != "" {
		who += " (" + k.fields.Email + ")"
	}
	about := map[bellhop.Intent]string{
		bellhop.IntentLead:     "is interested in the product",
		bellhop.IntentBilling:  "has a matter of billing",
		bellhop.IntentSupport:  "needs support",
		bellhop.IntentQuestion: "asks a question",
		bellhop.IntentOther:    "wrote something else",
	}[k.intent]
	if k.a.human {
		about = "asked for a person"
		if k.intent == bellhop.IntentBilling {
			about += " about billing"
		}
	}
	text := clipWords(k.turn.Text, maxSummary)
	if text == "" {
		return fmt.Sprintf("%s %s.", who, about)
	}
	return fmt.Sprintf("%s %s: “%s”", who, about, text)
}
