package sandbox

import (
	"fmt"
	"strconv"
	"sync/atomic"
)

// ids makes the vendors' ids. They start at a place that the seed decides, so that
// a sandbox that is started anew does not repeat the ids of an earlier one: whoever
// remembers those would take new events for duplicates.
type ids struct {
	run  string
	base int64
	n    atomic.Int64
}

func newIDs(seed uint64) *ids {
	return &ids{run: fmt.Sprintf("%011s", strconv.FormatUint(seed>>8, 36)), base: int64(seed%900_000+100_000) * 100_000}
}

// number returns the next numeric id, as HubSpot and Zendesk have them.
func (i *ids) number() int64 { return i.base + i.n.Add(1) }

// stripe returns the next id of a Stripe object, "ch_1…".
func (i *ids) stripe(prefix string) string {
	return prefix + "_1" + i.run + fmt.Sprintf("%010s", strconv.FormatInt(i.n.Add(1), 36))
}

// uuid returns the next request or correlation id in the form of a UUID.
func (i *ids) uuid() string {
	n := i.n.Add(1)
	return fmt.Sprintf("%08x-%04x-4000-8000-%012x", uint32(i.base), uint16(i.base>>32), n)
}
