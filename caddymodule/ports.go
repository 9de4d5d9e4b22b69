package caddymodule

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/procfs"
)

// addListens records where the server that a handler is in listens.
func (a *App) addListens(ctx caddy.Context) {
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		a.listens = append(a.listens, server.Listen...)
	}
}

// tcpListener is a listening TCP socket of this machine, or of this container.
type tcpListener struct {
	address netip.AddrPort
	ours    bool // this process has it open
}

// tcpListeners returns the listening TCP sockets, and none where there is no Linux
// to ask.
func tcpListeners() []tcpListener {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return nil
	}
	// Without IPv6 there is no list of its sockets.
	v4, _ := fs.NetTCP()  //nolint:staticcheck // deprecated as slow; this is once a start
	v6, _ := fs.NetTCP6() //nolint:staticcheck // the same
	self, err := fs.Self()
	if err != nil {
		return nil
	}
	open, err := self.FileDescriptorTargets()
	if err != nil {
		return nil
	}
	const listening = 10 // TCP_LISTEN in the kernel's tcp_states.h
	var found []tcpListener
	for _, s := range slices.Concat(v4, v6) {
		if ip, ok := netip.AddrFromSlice(s.LocalAddr); ok && s.St == listening {
			found = append(found, tcpListener{
				address: netip.AddrPortFrom(ip.Unmap(), uint16(s.LocalPort)),
				ours:    slices.Contains(open, fmt.Sprintf("socket:[%d]", s.Inode)),
			})
		}
	}
	return found
}

// checkPorts returns an error if another process listens at one of the addresses,
// which are those of Caddy servers. Caddy sets SO_REUSEPORT, so that listening
// there would succeed, and the system would give some connections to one process
// and some to the other.
func checkPorts(addresses []string, listeners []tcpListener) error {
	for _, text := range addresses {
		address, err := caddy.ParseNetworkAddress(text)
		if err != nil || !strings.HasPrefix(cmp.Or(address.Network, "tcp"), "tcp") {
			continue // Caddy checks the addresses itself
		}
		for _, l := range listeners {
			port := uint(l.address.Port())
			if !l.ours && address.StartPort <= port && port <= address.EndPort && overlap(address.Host, l.address.Addr()) {
				return fmt.Errorf("port %d: another process listens on it already, perhaps another gate, and clients would reach one or the other: stop that process, or give this one another port (ss -ltnp shows who listens)", port)
			}
		}
	}
	return nil
}

// overlap reports whether a listener on a host, "" for all addresses, may get
// connections that are meant for a listener on an IP address.
func overlap(host string, ip netip.Addr) bool {
	resolved, err := net.ResolveIPAddr("ip", host)
	if host == "" || err != nil || resolved.IP.IsUnspecified() || ip.IsUnspecified() {
		return true
	}
	own, _ := netip.AddrFromSlice(resolved.IP)
	return own.Unmap() == ip
}

// warnIfControlled warns of Caddy's default control port, at which every process of
// this machine may read and change the config without a password.
func (a *App) warnIfControlled(listeners []tcpListener) {
	address, err := caddy.ParseNetworkAddress(caddy.DefaultAdminListen)
	if err != nil {
		return
	}
	for _, l := range listeners {
		if l.ours && uint(l.address.Port()) == address.StartPort {
			a.ctx.Slogger().Warn("any process on this machine, the MCP server too, can read and change the config, and so go past the gate: write \"admin unix/tallygate.sock|0600\" or \"admin off\" among the global options",
				"control_port", caddy.DefaultAdminListen)
			return
		}
	}
}
