package connector

import (
	"errors"
	"net/netip"
	"syscall"
)

// errPrivateAddress is wrapped by the dial error of a refused address.
var errPrivateAddress = errors.New("the address is private and the URL was not written by the operator")

func refusePrivate(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !PublicAddr(ap.Addr()) {
		return errPrivateAddress
	}
	return nil
}

// PublicAddr reports whether an address is one of the public internet: not loopback,
// private, link-local (cloud metadata lives there), multicast, carrier NAT, benchmark,
// documentation, or a v6 form that embeds such a v4 address.
func PublicAddr(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsValid() || !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	// Source: IANA special-purpose address registries,
	// https://www.iana.org/assignments/iana-ipv4-special-registry and …-ipv6-special-registry.
	for _, p := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
		"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "::/96", "64:ff9b::/96",
		"64:ff9b:1::/48", "2002::/16", "2001::/32", "2001:db8::/32", "3fff::/20", "5f00::/16", "100::/64",
		"fec0::/10"} {
		if netip.MustParsePrefix(p).Contains(a) {
			return false
		}
	}
	return true
}
