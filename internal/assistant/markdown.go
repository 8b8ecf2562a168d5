package assistant

import (
	"path"
	"strings"
	"unicode/utf8"
)

// maxSection bounds a section in bytes; a longer one is cut at a paragraph, so that
// a long page does not win every search by its length.
const maxSection = 3000

// section is a part of a Markdown file under one heading.
type section struct {
	Source
	Body string // Markdown without the heading
}

// splitMarkdown splits a file into sections by its headings. Front matter and
// comments are left out: they are not meant for readers. Headings within code
// fences are code.
func splitMarkdown(file, data string) []section {
	s := splitter{file: file}
	data = strings.TrimPrefix(strings.ToValidUTF8(data, "�"), "\ufeff")
	data = strings.ReplaceAll(strings.ReplaceAll(data, "\r\n", "\n"), "\r", "\n")
	for line := range strings.SplitSeq(stripFrontMatter(data), "\n") {
		s.line(line)
	}
	s.flush()
	title := s.title
	if title == "" {
		title = titleOf(file)
	}
	for i := range s.out {
		s.out[i].Title = title
	}
	return s.out
}

// titleOf makes a title of a file name: "getting-started.md" is "Getting started".
func titleOf(file string) string {
	name := strings.TrimSuffix(path.Base(file), path.Ext(file))
	name = strings.TrimSpace(strings.NewReplacer("-", " ", "_", " ").Replace(name))
	r, n := utf8.DecodeRuneInString(name)
	return strings.ToUpper(string(r)) + name[n:]
}

func stripFrontMatter(s string) string {
	for _, fence := range []string{"---", "+++"} {
		rest, ok := strings.CutPrefix(s, fence+"\n")
		if !ok {
			continue
		}
		if _, body, ok := strings.Cut("\n"+rest, "\n"+fence+"\n"); ok {
			return body
		}
		if strings.HasSuffix(rest, "\n"+fence) {
			return ""
		}
	}
	return s
}

type splitter struct {
	file    string
	title   string // the first heading of the first level
	heading string
	body    []string
	size    int
	fence   string // what closes the open code fence, "" outside
	comment bool
	out     []section
}

func (s *splitter) line(line string) {
	if s.fence != "" {
		if t := strings.TrimSpace(line); strings.HasPrefix(t, s.fence) && strings.Trim(t, s.fence[:1]) == "" {
			s.fence = ""
		}
		s.add(line)
		return
	}
	line = s.dropComments(line)
	if f := fenceOf(line); f != "" {
		s.fence = f
		s.add(line)
		return
	}
	if level, text := headingOf(line); level > 0 {
		s.head(level, text)
		return
	}
	if level := underlineOf(line); level > 0 && s.canUnderline() {
		text := s.body[len(s.body)-1]
		s.body = s.body[:len(s.body)-1]
		s.head(level, strings.TrimSpace(text))
		return
	}
	if strings.TrimSpace(line) == "" && s.size > maxSection {
		s.flush()
	}
	s.add(line)
}

func (s *splitter) head(level int, text string) {
	s.flush()
	s.heading = plainInline(text)
	if level == 1 && s.title == "" {
		s.title = s.heading
	}
}

func (s *splitter) add(line string) {
	s.body = append(s.body, line)
	s.size += len(line) + 1
	if s.size > 4*maxSection { // no paragraph ends for so long
		s.flush()
	}
}

// flush ends the section; one with nothing below its heading is none.
func (s *splitter) flush() {
	body := strings.TrimSpace(strings.Join(s.body, "\n"))
	if body != "" {
		s.out = append(s.out, section{Source: Source{File: s.file, Section: s.heading}, Body: body})
	}
	s.body, s.size = s.body[:0], 0
}

// dropComments removes <!-- … --> from a line, and the rest of an open one.
func (s *splitter) dropComments(line string) string {
	var b strings.Builder
	for line != "" {
		if s.comment {
			_, rest, ok := strings.Cut(line, "-->")
			if !ok {
				return b.String()
			}
			s.comment, line = false, rest
			continue
		}
		head, rest, ok := strings.Cut(line, "<!--")
		b.WriteString(head)
		if !ok {
			break
		}
		s.comment, line = true, rest
	}
	return b.String()
}

// fenceOf returns the run of ` or ~ that opens a code fence, or "".
func fenceOf(line string) string {
	t := strings.TrimLeft(line, " ")
	if len(line)-len(t) > 3 {
		return ""
	}
	for _, c := range []string{"`", "~"} {
		n := len(t) - len(strings.TrimLeft(t, c))
		if n >= 3 && !(c == "`" && strings.Contains(t[n:], "`")) {
			return t[:n]
		}
	}
	return ""
}

// headingOf reads "## Refunds ##".
func headingOf(line string) (level int, text string) {
	t := strings.TrimLeft(line, " ")
	if len(line)-len(t) > 3 {
		return 0, ""
	}
	for level < len(t) && t[level] == '#' {
		level++
	}
	if level == 0 || level > 6 || level < len(t) && t[level] != ' ' && t[level] != '\t' {
		return 0, ""
	}
	text = strings.TrimSpace(t[level:])
	if trimmed := strings.TrimRight(text, "#"); trimmed == "" || strings.HasSuffix(trimmed, " ") {
		text = strings.TrimSpace(trimmed)
	}
	return level, text
}

// underlineOf recognises the line below a heading that is underlined with = or -.
func underlineOf(line string) int {
	t := strings.TrimSpace(line)
	switch {
	case len(t) >= 2 && strings.Trim(t, "=") == "":
		return 1
	case len(t) >= 2 && strings.Trim(t, "-") == "":
		return 2
	}
	return 0
}

// canUnderline reports whether the line before may be a heading: a paragraph of one
// line, no list, table or quote.
func (s *splitter) canUnderline() bool {
	n := len(s.body)
	if n == 0 || n > 1 && strings.TrimSpace(s.body[n-2]) != "" {
		return false
	}
	last := strings.TrimSpace(s.body[n-1])
	return last != "" && len(last) < 200 && !strings.ContainsAny(last[:1], "-*+>|`~")
}

// plainInline removes the marks of inline Markdown that a chat would show as they are.
func plainInline(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		switch {
		case s[i] == '\\' && i+1 < len(s) && strings.IndexByte("\\`*_{}[]()#+-.!|<>", s[i+1]) >= 0:
			b.WriteByte(s[i+1])
			i += 2
		case s[i] == '`' || s[i] == '*':
			i++
		case s[i] == '_' && (i == 0 || s[i-1] == ' ' || i+1 == len(s) || s[i+1] == ' ' || s[i+1] == '.' || s[i+1] == ','):
			i++
		case s[i] == '[' || s[i] == '!' && i+1 < len(s) && s[i+1] == '[':
			n, text := linkAt(s[i:])
			b.WriteString(text)
			i += n
		default:
			b.WriteByte(s[i])
			i++
		}
	}
	return strings.TrimSpace(b.String())
}

// maxLink bounds how far the end of a link is looked for.
const maxLink = 500

// linkAt reads "[text](url)" at the beginning of s: how much of it to skip and what
// to show. An image shows nothing.
func linkAt(s string) (n int, show string) {
	image := s[0] == '!'
	open := 0
	if image {
		open = 1
	}
	part := s[:min(len(s), maxLink)]
	mid := strings.Index(part, "](")
	if mid < 0 {
		return 1, s[:1]
	}
	end := strings.IndexByte(part[mid:], ')')
	if end < 0 {
		return 1, s[:1]
	}
	text, url := part[open+1:mid], strings.TrimSpace(part[mid+2:mid+end])
	url, _, _ = strings.Cut(url, " ")
	switch {
	case image:
		return mid + end + 1, ""
	case strings.HasPrefix(url, "http") && url != text:
		return mid + end + 1, text + " (" + url + ")"
	default:
		return mid + end + 1, text
	}
}
