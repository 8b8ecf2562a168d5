package assistant

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sort"
	"strings"
	"sync"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/ext/fts5"
)

// candidates is how many sections of the search are looked at closely.
const candidates = 12

// index is the knowledge in an in-memory full-text table. BM25 finds the sections;
// whether one really answers is judged by how much of the question it covers.
type index struct {
	mu       sync.Mutex // a connection serves one caller at a time
	db       *sqlite3.Conn
	search   *sqlite3.Stmt
	sections []section
	tokens   [][]string // of each section, sorted
	heads    [][]string // of each section's title and heading, sorted
}

// newIndex indexes sections. Text is folded before it goes into the table, so that
// questions and sections are folded the same way.
func newIndex(ctx context.Context, sections []section) (ix *index, err error) {
	ix = &index{sections: sections}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("assistant: index: %w", err), ix.close())
			ix = nil
		}
	}()
	if ix.db, err = sqlite3.Open(":memory:"); err != nil {
		return ix, err
	}
	if err = fts5.Register(ix.db); err != nil {
		return ix, err
	}
	const create = `CREATE VIRTUAL TABLE sections USING fts5(title, heading, body, tokenize="unicode61 remove_diacritics 2")`
	if err = ix.db.Exec(create); err != nil {
		return ix, err
	}
	if err = ix.fill(ctx); err != nil {
		return ix, err
	}
	ix.search, _, err = ix.db.Prepare(`SELECT rowid FROM sections WHERE sections MATCH ?1 ORDER BY bm25(sections, 2.0, 4.0, 1.0) LIMIT ?2`)
	return ix, err
}

func (ix *index) fill(ctx context.Context) (err error) {
	if err = ix.db.Exec(`BEGIN`); err != nil {
		return err
	}
	insert, _, err := ix.db.Prepare(`INSERT INTO sections(rowid, title, heading, body) VALUES (?1, ?2, ?3, ?4)`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, insert.Close()) }()
	for i, s := range ix.sections {
		if err := ctx.Err(); err != nil {
			return err
		}
		title, heading, body := fold(s.Title), fold(s.Section), fold(s.Body)
		ix.tokens = append(ix.tokens, sortedTokens(title, heading, body))
		ix.heads = append(ix.heads, sortedTokens(title, heading))
		err := errors.Join(insert.BindInt64(1, int64(i)+1), insert.BindText(2, title), insert.BindText(3, heading),
			insert.BindText(4, body))
		if err == nil {
			err = insert.Exec()
		}
		if err != nil {
			return err
		}
	}
	return ix.db.Exec(`COMMIT`)
}

func (ix *index) close() error {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	var err error
	if ix.search != nil {
		err = ix.search.Close()
		ix.search = nil
	}
	if ix.db != nil {
		err = errors.Join(err, ix.db.Close())
		ix.db = nil
	}
	return err
}

func sortedTokens(texts ...string) []string {
	seen := map[string]bool{}
	var out []string
	for _, t := range texts {
		for _, w := range words(t) {
			for part := range strings.FieldsFuncSeq(w.fold, func(r rune) bool { return strings.ContainsRune(".@+%&_", r) }) {
				if !seen[part] {
					seen[part] = true
					out = append(out, part)
				}
			}
		}
	}
	sort.Strings(out)
	return out
}

// hit is a section that may answer a question.
type hit struct {
	section
	coverage float64 // share of the question's weight that the section speaks of
	matched  int     // how many of the question's terms it speaks of
	inHead   int     // how many of them its title or heading speaks of
}

// lookup returns the section that covers most of terms, if any.
func (ix *index) lookup(ctx context.Context, terms []term) (best hit, ok bool, err error) {
	query := matchQuery(terms)
	if query == "" || len(ix.sections) == 0 {
		return hit{}, false, nil
	}
	rows, err := ix.match(ctx, query)
	if err != nil {
		return hit{}, false, fmt.Errorf("assistant: search: %w", err)
	}
	weights := ix.weights(terms)
	for _, i := range rows {
		h := ix.judge(i, terms, weights)
		if !ok || h.coverage > best.coverage+0.001 {
			best, ok = h, true
		}
	}
	return best, ok, nil
}

func (ix *index) match(ctx context.Context, query string) (rows []int, err error) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if ix.search == nil {
		return nil, errors.New("closed")
	}
	old := ix.db.SetInterrupt(ctx)
	defer ix.db.SetInterrupt(old)
	defer func() { err = errors.Join(err, ix.search.Reset()) }()
	if err := errors.Join(ix.search.BindText(1, query), ix.search.BindInt(2, candidates)); err != nil {
		return nil, err
	}
	for ix.search.Step() {
		rows = append(rows, ix.search.ColumnInt(0)-1)
	}
	return rows, ix.search.Err()
}

// weights returns how much each term tells: one that stands everywhere tells little,
// and one that stands nowhere as much as the rarest, as the question is about it.
func (ix *index) weights(terms []term) []float64 {
	out := make([]float64, len(terms))
	for i, t := range terms {
		df := 0
		for _, tokens := range ix.tokens {
			if t.in(tokens) {
				df++
			}
		}
		out[i] = math.Log(1 + (float64(len(ix.tokens))+1)/(float64(df)+0.5))
	}
	return out
}

// headBonus is how much more a term counts that stands in the heading: what a
// section is about, not what it mentions.
const headBonus = 1.35

func (ix *index) judge(i int, terms []term, weights []float64) hit {
	h := hit{section: ix.sections[i]}
	sum, covered := 0.0, 0.0
	for j, t := range terms {
		sum += weights[j]
		switch {
		case t.in(ix.heads[i]):
			h.matched++
			h.inHead++
			covered += weights[j] * headBonus
		case t.in(ix.tokens[i]):
			h.matched++
			covered += weights[j]
		}
	}
	if sum > 0 {
		h.coverage = min(1, covered/sum)
	}
	return h
}
