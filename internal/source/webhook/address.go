package webhook

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// sender returns the address that a request comes from. A proxy says in X-Forwarded-For
// for whom it asks, after what it was told itself: so the rightmost address that is no
// proxy's counts. The zero address means that it cannot be told.
func sender(req *http.Request, proxies []netip.Prefix) netip.Addr {
	addr := parseAddr(req.RemoteAddr)
	if !within(proxies, addr) {
		return addr
	}
	told := strings.Split(strings.Join(req.Header.Values("X-Forwarded-For"), ","), ",")
	for _, text := range slices.Backward(told) {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if addr = parseAddr(text); !within(proxies, addr) {
			break
		}
	}
	return addr
}

// parseAddr reads an address with or without a port; the zero address is none.
func parseAddr(text string) netip.Addr {
	if with, err := netip.ParseAddrPort(text); err == nil {
		return with.Addr().Unmap().WithZone("")
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// parsePrefix reads 192.0.2.0/24, or one address.
func parsePrefix(text string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), !p.Addr().Is4In6()
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, false
	}
	addr = addr.Unmap()
	return netip.PrefixFrom(addr, addr.BitLen()), true
}

// within reports whether one of the prefixes holds addr. None holds the zero address.
func within(prefixes []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}
