package connector

import (
	"fmt"
	"math"
	"strconv"
)

// The bounds of the limits that an operator may write. The upper ones only catch typing
// mistakes.
const (
	maxConcurrency   = 1000
	maxRatePerSecond = 100_000
)

// setLimit takes the settings that every connection has beside base_url; ours is false
// for a name that is none of them.
func (s *Settings) setLimit(name string, v any) (ours bool, err error) {
	switch name {
	case "concurrency":
		n, err := strconv.Atoi(fmt.Sprint(v))
		if err != nil || n < 1 || n > maxConcurrency {
			return true, fmt.Errorf("must be a whole number from 1 to %d: how many calls may be open at the same time", maxConcurrency)
		}
		s.limits.Concurrency = n
		return true, nil
	case "rate_per_second":
		f, err := strconv.ParseFloat(fmt.Sprint(v), 64)
		if err != nil || math.IsNaN(f) || f < 0.01 || f > maxRatePerSecond {
			return true, fmt.Errorf("must be a number from 0.01 to %d: how many calls may begin in a second", maxRatePerSecond)
		}
		s.limits.RatePerSecond = f
		return true, nil
	default:
		return false, nil
	}
}
