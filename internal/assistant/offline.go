package assistant

import (
	"context"
	"errors"
	"io/fs"
	"sync"

	"bellhop"
)

// defaultThreshold is the confidence below which a person decides.
const defaultThreshold = 0.6

// OfflineOpts are what NewOffline needs to know.
type OfflineOpts struct {
	Knowledge fs.FS         // a folder of Markdown files, nil for none
	Threshold float64       // confidence below which a person decides; 0 means 0.6
	Clock     bellhop.Clock // nil means the machine's
}

// Offline is an Assistant that works by rules and full-text search on this machine.
// It is safe for concurrent use.
type Offline struct {
	opts OfflineOpts
	lx   *lexicon

	mu sync.RWMutex
	ix *index // nil after Close
}

var _ Assistant = (*Offline)(nil)

// NewOffline reads and indexes the knowledge. It fails when the folder cannot be read
// or is too large, and names the file.
func NewOffline(opts OfflineOpts) (*Offline, error) {
	if opts.Threshold == 0 {
		opts.Threshold = defaultThreshold
	}
	if opts.Threshold < 0 || opts.Threshold > 1 {
		return nil, errors.New("assistant: the confidence threshold must lie between 0 and 1")
	}
	if opts.Clock == nil {
		opts.Clock = bellhop.SystemClock{}
	}
	lx, err := newLexicon()
	if err != nil {
		return nil, err
	}
	o := &Offline{opts: opts, lx: lx}
	if o.ix, err = o.load(context.Background()); err != nil {
		return nil, err
	}
	return o, nil
}

func (o *Offline) load(ctx context.Context) (*index, error) {
	var sections []section
	if o.opts.Knowledge != nil {
		var err error
		if sections, err = readKnowledge(ctx, o.opts.Knowledge); err != nil {
			return nil, err
		}
	}
	return newIndex(ctx, sections)
}

// errClosed is returned by calls after Close.
var errClosed = errors.New("assistant: closed")

// Reload reads the knowledge again. When that fails, the assistant goes on with what
// it had.
func (o *Offline) Reload(ctx context.Context) error {
	ix, err := o.load(ctx)
	if err != nil {
		return err
	}
	o.mu.Lock()
	old := o.ix
	if old != nil {
		o.ix = ix
	}
	o.mu.Unlock()
	if old == nil {
		return errors.Join(errClosed, ix.close())
	}
	return old.close()
}

// Close frees the index. The assistant cannot be used after it.
func (o *Offline) Close() error {
	o.mu.Lock()
	ix := o.ix
	o.ix = nil
	o.mu.Unlock()
	if ix == nil {
		return nil
	}
	return ix.close()
}

// lookup searches the knowledge. The read lock keeps a reload from closing the index
// in the middle of a search.
func (o *Offline) lookup(ctx context.Context, ws []word) (hit, bool, error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if o.ix == nil {
		return hit{}, false, errClosed
	}
	return o.ix.lookup(ctx, o.lx.terms(ws))
}
