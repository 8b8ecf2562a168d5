package identity

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// HSTS is the header by which a browser comes back over TLS only, for a year. It names no
// subdomains: those are not this server's.
// Source: https://www.rfc-editor.org/rfc/rfc6797#section-6.1
const HSTS = "max-age=31536000"

// Proxies are the networks whose word on where a request came from is believed. The zero
// value believes nobody: whoever can reach the port could write the header.
type Proxies struct{ networks []netip.Prefix }

// NewProxies takes networks as in 10.0.0.0/8, and single addresses.
func NewProxies(list []string) (Proxies, error) {
	var p Proxies
	for _, s := range list {
		n, err := netip.ParsePrefix(s)
		if err != nil {
			a, err := netip.ParseAddr(s)
			if err != nil {
				return p, fmt.Errorf("%q is neither an address nor a network, as in 10.0.0.0/8", s)
			}
			n = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		}
		p.networks = append(p.networks, n.Masked())
	}
	return p, nil
}

// maxForwarded bounds how many hops of X-Forwarded-For are looked at.
const maxForwarded = 20

// Client returns the address that a request came from: the peer's, or, when that is a
// trusted proxy, the last one in X-Forwarded-For that is not. What stands before it was
// written by whoever sent it, and is not believed. The zero address when there is none.
// Source: https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/X-Forwarded-For
func (p Proxies) Client(r *http.Request) netip.Addr {
	at := parseAddr(r.RemoteAddr)
	if !p.trusts(at) {
		return at
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= max(0, len(hops)-maxForwarded); i-- {
		hop := parseAddr(strings.TrimSpace(hops[i]))
		if !hop.IsValid() {
			return at
		}
		if at = hop; !p.trusts(at) {
			return at
		}
	}
	return at
}

func (p Proxies) trusts(a netip.Addr) bool {
	for _, n := range p.networks {
		if a.IsValid() && n.Contains(a) {
			return true
		}
	}
	return false
}

// parseAddr reads an address with or without a port.
func parseAddr(s string) netip.Addr {
	host, _, err := net.SplitHostPort(s)
	if err != nil {
		host = strings.Trim(s, "[]")
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// OneOf returns what limits count an address as: an IPv6 one as its network of 64 bits,
// because one customer of a provider has the whole of it.
func OneOf(a netip.Addr) string { return network(a, 32, 64) }

// Network returns what the security log keeps of an address: its network, 24 bits of an
// IPv4 address and 48 of an IPv6 one. It tells one attacker from another and names
// nobody. "" for the zero address.
func Network(a netip.Addr) string { return network(a, 24, 48) }

func network(a netip.Addr, v4, v6 int) string {
	if !a.IsValid() {
		return ""
	}
	bits := v6
	if a.Is4() {
		bits = v4
	}
	if bits == a.BitLen() {
		return a.String()
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}
