package caddymodule

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/dustin/go-humanize"

	"github.com/tallygate/tallygate/gate"
	"github.com/tallygate/tallygate/mcp/scan"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("tallygate", parseApp)
	httpcaddyfile.RegisterHandlerDirective("tallygate", parseGate)
	httpcaddyfile.RegisterHandlerDirective("tallygate_admin", parseAdmin)

	// Inside `encode`, so that the gate sees what the upstream sent; outside
	// `handle` and `route`, which would otherwise answer before a gate that
	// stands beside them in its site.
	httpcaddyfile.RegisterDirectiveOrder("tallygate", httpcaddyfile.After, "encode")
	httpcaddyfile.RegisterDirectiveOrder("tallygate_admin", httpcaddyfile.Before, "respond")
}

// parseApp reads the global option:
//
//	tallygate {
//		store      <dsn>
//		store_wait <duration> | off
//		stale_ok   <duration> | off
//		key_prefix <prefix>
//		registration
//		base_url   <url>
//		ledger     <dsn>
//		journal    [<folder>] {
//			…
//		}
//	}
func parseApp(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		return nil, d.Err("tallygate is configured once; this is the second")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "tallygate", Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile sets the app up from the global option's tokens.
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the option's name
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "store":
			err = parseSingleArg(d, &a.Store)
		case "store_wait":
			err = readDurationOrOff(d, &a.StoreWait, "30s")
		case "stale_ok":
			err = readDurationOrOff(d, &a.StaleOK, "5m")
		case "key_prefix":
			err = parseSingleArg(d, &a.KeyPrefix)
		case "registration":
			if a.Registration = true; d.NextArg() {
				err = d.Err("registration takes no argument")
			}
		case "base_url":
			err = parseSingleArg(d, &a.BaseURL)
		case "ledger":
			err = parseSingleArg(d, &a.Ledger)
		case "journal":
			err = a.Journal.unmarshalCaddyfile(d)
		default:
			err = d.Errf("unknown option %q; there are store, store_wait, stale_ok, key_prefix, registration, base_url, ledger and journal", d.Val())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readDurationOrOff reads the single argument of an option that may be given once;
// off is a negative duration.
func readDurationOrOff(d *caddyfile.Dispenser, value *caddy.Duration, example string) error {
	name := d.Val()
	if *value != 0 {
		return d.Errf("%s is given twice", name)
	}
	args := d.RemainingArgs()
	if len(args) != 1 {
		return d.Errf("%s takes one argument", name)
	}
	if args[0] == "off" {
		*value = -1
		return nil
	}
	var ok bool
	if *value, ok = positiveDuration(args[0]); !ok {
		return d.Errf("%s: %q is neither a duration, as in %s, nor off", name, args[0], example)
	}
	return nil
}

// parseGate reads the directive:
//
//	tallygate [<matcher>] [<server>] {
//		endpoint      <path>...
//		upstream      <url>
//		upstream_path <path>
//		max_body     <size>
//		allow_origin <origin>...
//		identity_headers {
//			user_id [<header>]
//			email   [<header>]
//			key_id  [<header>]
//		}
//		tool <glob> {
//			table    <path>...
//			records  <path>...
//			affected <path>...
//		}
//	}
func parseGate(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	g := new(Gate)
	return g, g.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets the gate up from the directive's tokens.
func (g *Gate) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		g.Server = d.Val()
		if err := gate.CheckServer(g.Server); err != nil {
			return d.WrapErr(err)
		}
		if d.NextArg() {
			return d.ArgErr()
		}
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "endpoint":
			err = parseList(d, &g.Endpoints, gate.CheckEndpoints)
		case "upstream":
			err = parseSingleArg(d, &g.Upstream)
		case "upstream_path":
			err = parseSingleArg(d, &g.UpstreamPath)
		case "max_body":
			err = g.readMaxBody(d)
		case "allow_origin":
			err = parseList(d, &g.AllowOrigin, gate.CheckOrigins)
		case "identity_headers":
			err = parseIdentityHeaders(d, &g.IdentityHeaders)
		case "tool":
			var rule ToolRule
			rule, err = parseToolRule(d)
			g.Tools = append(g.Tools, rule)
		default:
			err = d.Errf("unknown option %q; there are endpoint, upstream, upstream_path, max_body, allow_origin, identity_headers and tool", d.Val())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (g *Gate) readMaxBody(d *caddyfile.Dispenser) error {
	size := strings.Join(d.RemainingArgs(), " ")
	n, err := humanize.ParseBytes(size)
	switch {
	case g.MaxBody != 0:
		return d.Err("max_body is given twice")
	case err != nil || n == 0 || n > gate.MaxMaxBody:
		return d.Errf("max_body: %q is not a size from 1B to 1GiB, as in 4MiB", size)
	}
	g.MaxBody = int64(n)
	return nil
}

// parseIdentityHeaders reads which headers are sent, all of them without a block,
// and their names where they are not the default ones.
func parseIdentityHeaders(d *caddyfile.Dispenser, h *gate.IdentityHeaders) error {
	if *h != (gate.IdentityHeaders{}) {
		return d.Err("identity_headers is given twice")
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var name *string
		switch defaults := gate.DefaultIdentityHeaders; d.Val() {
		case "user_id":
			name, h.UserID = &h.UserID, defaults.UserID
		case "email":
			name, h.Email = &h.Email, defaults.Email
		case "key_id":
			name, h.KeyID = &h.KeyID, defaults.KeyID
		default:
			return d.Errf("unknown option %q of identity_headers; there are user_id, email and key_id", d.Val())
		}
		if d.CountRemainingArgs() > 0 && !d.AllArgs(name) {
			return d.ArgErr()
		}
	}
	if *h == (gate.IdentityHeaders{}) {
		*h = gate.DefaultIdentityHeaders
	}
	if err := h.Check(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func parseToolRule(d *caddyfile.Dispenser) (ToolRule, error) {
	var rule ToolRule
	if err := parseSingleArg(d, &rule.Tool); err != nil {
		return rule, err
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		switch d.Val() {
		case "table", "records", "affected":
			into := map[string]*[]string{"table": &rule.Table, "records": &rule.Records, "affected": &rule.Affected}[d.Val()]
			err := parseList(d, into, func([]string) error {
				_, err := scan.NewExtractors([]scan.Rule{rule.rule()})
				return err
			})
			if err != nil {
				return rule, err
			}
		default:
			return rule, d.Errf("unknown option %q of a tool; there are table, records and affected", d.Val())
		}
	}
	return rule, nil
}

// parseAdmin reads the directive, which has no options:
//
//	tallygate_admin [<matcher>]
func parseAdmin(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	a := new(Admin)
	return a, a.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets the handler up from the directive's tokens.
func (*Admin) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		return d.Errf("unknown option %q; tallygate_admin has none", d.Val())
	}
	return nil
}

// parseList reads the arguments of an option that may be given several times.
func parseList(d *caddyfile.Dispenser, values *[]string, check func([]string) error) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.ArgErr()
	}
	*values = append(*values, args...)
	if err := check(*values); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// parseSingleArg reads the single argument of an option that may be given once.
func parseSingleArg(d *caddyfile.Dispenser, value *string) error {
	name := d.Val()
	if *value != "" {
		return d.Errf("%s is given twice", name)
	}
	if !d.AllArgs(value) || *value == "" {
		return d.Errf("%s takes one argument", name)
	}
	return nil
}

// Interface guards
var (
	_ caddyfile.Unmarshaler = (*App)(nil)
	_ caddyfile.Unmarshaler = (*Gate)(nil)
	_ caddyfile.Unmarshaler = (*Admin)(nil)
)
