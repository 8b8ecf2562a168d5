package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"bellhop"
)

// progress shows what the demo is doing: on a terminal a block that updates itself,
// elsewhere one line for each act.
type progress struct {
	w     io.Writer
	clock bellhop.Clock
	live  func() string // one line of figures
	tty   bool

	mu    sync.Mutex
	name  string
	began time.Time
	drawn bool // the block is on the screen
	stop  chan struct{}
	done  sync.WaitGroup
}

func newProgress(w io.Writer, clock bellhop.Clock, live func() string) *progress {
	p := &progress{w: w, clock: clock, live: live, tty: isTerminal(w), stop: make(chan struct{})}
	if !p.tty {
		return p
	}
	p.done.Go(func() {
		tick := time.NewTicker(120 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.draw()
			case <-p.stop:
				return
			}
		}
	})
	return p
}

// begin starts an act.
func (p *progress) begin(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.name, p.began = name, p.clock.Now()
	if !p.tty {
		fmt.Fprintf(p.w, "%s …\n", name)
	}
}

// end says that the act is over.
func (p *progress) end(ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	mark := "✓"
	if !ok {
		mark = "✗"
	}
	took := p.clock.Now().Sub(p.began).Seconds()
	if !p.tty {
		fmt.Fprintf(p.w, "  %s %.1f s   %s\n", mark, took, p.live())
		return
	}
	p.erase()
	fmt.Fprintf(p.w, "%s %s (%.1f s)\n", mark, p.name, took)
	p.name = ""
}

func (p *progress) draw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.name == "" {
		return
	}
	p.erase()
	fmt.Fprintf(p.w, "… %s (%.1f s)\n  %s\n", p.name, p.clock.Now().Sub(p.began).Seconds(), p.live())
	p.drawn = true
}

// erase takes the block's two lines off the screen.
func (p *progress) erase() {
	if p.drawn {
		fmt.Fprint(p.w, "\x1b[2A\x1b[J")
	}
	p.drawn = false
}

// close ends the display.
func (p *progress) close() {
	close(p.stop)
	p.done.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
}

// colours reports whether the output takes colours.
func colours(s *session) bool {
	no, _ := s.env("NO_COLOR")
	return no == "" && isTerminal(s.stdout)
}

// printRows shows the table. A row that does not hold shows what was expected below.
func printRows(w io.Writer, rows []row, colour bool) {
	paint := func(code, s string) string {
		if !colour {
			return s
		}
		return "\x1b[" + code + "m" + s + "\x1b[0m"
	}
	asked, found := len("WHAT WAS ASKED"), len("WHAT THE VENDORS REALLY HOLD")
	for _, r := range rows {
		asked, found = max(asked, utf8.RuneCountInString(r.Asked)), max(found, utf8.RuneCountInString(r.Found))
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, paint("1", "   "+pad("WHAT WAS ASKED", asked)+"  "+pad("WHAT THE VENDORS REALLY HOLD", found)+"  TWICE  LOST    TIME"))
	good := 0
	for _, r := range rows {
		mark := paint("32", "✓")
		if !r.OK {
			mark = paint("31", "✗")
		} else {
			good++
		}
		took := ""
		if r.Seconds > 0 {
			took = fmt.Sprintf("%.1f s", r.Seconds)
		}
		fmt.Fprintf(w, "%s  %s  %s  %5d %5d %7s\n", mark, pad(r.Asked, asked), pad(r.Found, found), r.Duplicates, r.Lost, took)
		if !r.OK {
			fmt.Fprintf(w, "   %s  %s\n", pad("  expected:", asked), paint("31", r.Expected))
		}
	}
	fmt.Fprintf(w, "\n%d of %d expectations held.\n", good, len(rows))
}

// pad fills s up to n characters.
func pad(s string, n int) string { return s + strings.Repeat(" ", max(n-utf8.RuneCountInString(s), 0)) }
