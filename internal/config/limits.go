package config

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Rate is how often something may happen: N times at once, and N times in Per after
// that. The zero Rate is no limit.
type Rate struct {
	N   int
	Per time.Duration
}

// String returns the form of the file.
func (r Rate) String() string {
	if r.N == 0 {
		return "0"
	}
	per := r.Per.String()
	if s, whole := strings.CutSuffix(per, "m0s"); whole {
		per = s + "m"
	}
	if s, whole := strings.CutSuffix(per, "h0m"); whole {
		per = s + "h"
	}
	return fmt.Sprintf("%d/%s", r.N, per)
}

// Limits bounds what one caller may ask of one process; see api.Limits. The money is
// counted in the database, for all processes together.
type Limits struct {
	Address  Rate
	Caller   Rate
	Key      Rate
	Visitors Rate
	Messages Rate
	Streams  int
	// SpendPerPerson and SpendPerDay are what hosted models may cost in a day (UTC), in
	// millionths of a dollar; 0 is no cap.
	SpendPerPerson int64
	SpendPerDay    int64
}

const (
	maxRate    = 100_000_000
	maxPer     = 24 * time.Hour
	maxStreams = 1000
	maxDollars = 1_000_000
	maxProxies = 100
)

func (d *decoder) limits() Limits {
	return Limits{Address: d.rate("limits.address"), Caller: d.rate("limits.caller"), Key: d.rate("limits.key"),
		Visitors: d.rate("limits.visitors"), Messages: d.rate("limits.messages"), Streams: d.streams("limits.streams"),
		SpendPerPerson: d.dollars("limits.spend_per_person"), SpendPerDay: d.dollars("limits.spend_per_day")}
}

// rate reads "600/1m"; "0" is no limit.
func (d *decoder) rate(path string) Rate {
	s := d.str(path)
	if s == "0" {
		return Rate{}
	}
	count, per, _ := strings.Cut(s, "/")
	n, err := strconv.Atoi(count)
	p, perr := time.ParseDuration(per)
	if err != nil || perr != nil || n < 1 || n > maxRate || p <= 0 || p > maxPer {
		d.wrong(path, "must be how many in which time, as in 600/1m, or 0 for no limit, not %s", quote(s))
		return Rate{}
	}
	return Rate{N: n, Per: p}
}

func (d *decoder) streams(path string) int {
	s := d.str(path)
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > maxStreams {
		d.wrong(path, "must be a whole number from 0, for no limit, to %d, not %s", maxStreams, quote(s))
	}
	return n
}

// dollars reads an amount of money as millionths.
func (d *decoder) dollars(path string) int64 {
	s := d.str(path)
	n, err := strconv.ParseFloat(s, 64)
	// Written so that NaN fails too.
	if inside := n >= 0 && n <= maxDollars; err != nil || !inside {
		d.wrong(path, "must be an amount in dollars, as in 0.50, or 0 for no cap, not %s", quote(s))
		return 0
	}
	return int64(math.Round(n * 1e6))
}

// proxies reads the networks whose X-Forwarded-For is believed.
func (d *decoder) proxies() []string {
	list := d.list("trusted_proxies")
	if len(list) > maxProxies {
		d.wrong("trusted_proxies", "has %d entries; at most %d", len(list), maxProxies)
		return nil
	}
	for i, s := range list {
		_, err := netip.ParsePrefix(s)
		if err != nil {
			_, err = netip.ParseAddr(s)
		}
		if err != nil {
			d.wrong(join("trusted_proxies", strconv.Itoa(i)), "must be an address or a network, as in 10.0.0.0/8, not %s", quote(s))
		}
	}
	return list
}
