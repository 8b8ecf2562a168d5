package connector

import (
	"net/http"
	"testing"
	"time"
)

func TestParseRetryAfter(t *testing.T) {
	t.Parallel()
	now := testNow.Now()
	for in, want := range map[string]time.Duration{
		"": 0, " ": 0, "5": 5 * time.Second, " 5 ": 5 * time.Second, "0.5": 500 * time.Millisecond, "0": 0, "-1": 0,
		"-0": 0, "soon": 0, "NaN": 0, "Inf": 0, "-Inf": 0, "1e3": MaxRetryAfter, "99999999999999999999": MaxRetryAfter,
		"900": MaxRetryAfter, "899": 899 * time.Second, "5 seconds": 0,
		now.Add(7 * time.Second).Format(http.TimeFormat):  7 * time.Second,
		now.Add(-7 * time.Second).Format(http.TimeFormat): 0,
		now.Add(48 * time.Hour).Format(http.TimeFormat):   MaxRetryAfter,
		now.Add(7 * time.Second).Format(time.RFC850):      7 * time.Second,
		now.Add(7 * time.Second).Format(time.ANSIC):       7 * time.Second,
		"Sun, 99 Mar 2026 12:00:07 GMT":                   0,
		"Fri, 31 Dec 9999 23:59:59 GMT":                   MaxRetryAfter,
	} {
		if got := ParseRetryAfter(in, now); got != want {
			t.Errorf("ParseRetryAfter(%q) = %s, want %s", in, got, want)
		}
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	for _, s := range []string{"5", "0.5", "-1", "NaN", "Sun, 01 Mar 2026 12:00:07 GMT", "1e400"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d := ParseRetryAfter(s, testNow.Now()); d < 0 || d > MaxRetryAfter {
			t.Errorf("%q: %s", s, d)
		}
	})
}
