package identity

import (
	"net/http"
	"net/netip"
	"testing"
)

func TestForwardedAddressesAreBelievedFromTrustedProxiesOnly(t *testing.T) {
	t.Parallel()
	trusted, err := NewProxies([]string{"10.0.0.0/8", "2001:db8:1::/48", "::ffff:192.0.2.9"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		peer      string
		forwarded []string
		want      string
	}{
		{"203.0.113.7:1", []string{"198.51.100.1"}, "203.0.113.7"}, // anybody can write a header
		{"10.1.1.1:1", nil, "10.1.1.1"},
		{"10.1.1.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"10.1.1.1:1", []string{"1.2.3.4, 198.51.100.1"}, "198.51.100.1"}, // the first was written by the client
		{"10.1.1.1:1", []string{"1.2.3.4", "198.51.100.1, 10.2.2.2"}, "198.51.100.1"},
		{"10.1.1.1:1", []string{"nonsense"}, "10.1.1.1"},
		{"10.1.1.1:1", []string{"198.51.100.1, nonsense, 10.2.2.2"}, "10.2.2.2"},
		{"10.1.1.1:1", []string{"10.3.3.3"}, "10.3.3.3"},
		{"192.0.2.9:1", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		{"[2001:db8:1::5]:1", []string{"[2001:db8:ffff::1]:80"}, "2001:db8:ffff::1"},
		{"[::ffff:10.1.1.1]:1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
	} {
		r := &http.Request{RemoteAddr: tt.peer, Header: http.Header{"X-Forwarded-For": tt.forwarded}}
		if got := trusted.Client(r); got.String() != tt.want {
			t.Errorf("from %s with %q: %s, want %s", tt.peer, tt.forwarded, got, tt.want)
		}
		if got := (Proxies{}).Client(r); got != parseAddr(tt.peer) {
			t.Errorf("nobody is trusted, but %q of %s became %s", tt.forwarded, tt.peer, got)
		}
	}
	for _, s := range []string{"", "example.com", "10.0.0.0/40", "10.0.0"} {
		if _, err := NewProxies([]string{s}); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
}

func TestAddressesAreCountedAndKeptAsNetworks(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string][2]string{
		"203.0.113.7":           {"203.0.113.7", "203.0.113.0/24"},
		"2001:db8:1:2:3:4:5:6":  {"2001:db8:1:2::/64", "2001:db8:1::/48"},
		"2001:db8:1:2:ffff::":   {"2001:db8:1:2::/64", "2001:db8:1::/48"},
		"::ffff:203.0.113.200":  {"203.0.113.200", "203.0.113.0/24"},
		"fe80::1%eth0":          {"fe80::/64", "fe80::/48"},
		"[2001:db8:1:2::5]:443": {"2001:db8:1:2::/64", "2001:db8:1::/48"},
	} {
		a := parseAddr(addr)
		if OneOf(a) != want[0] || Network(a) != want[1] {
			t.Errorf("%s: %s and %s, want %v", addr, OneOf(a), Network(a), want)
		}
	}
	if OneOf(netip.Addr{}) != "" || Network(netip.Addr{}) != "" {
		t.Error("no address is something")
	}
}
