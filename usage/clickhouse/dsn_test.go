package clickhouse

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"pgregory.net/rapid"
)

func driverOptions(dsn string) (*clickhouse.Options, error) {
	s, err := parseDSN(dsn)
	return s.driver, err
}

func TestOptions(t *testing.T) {
	for _, test := range []struct {
		dsn      string
		protocol clickhouse.Protocol
		addr     string
		tls      bool
	}{
		{"clickhouse://h/db", clickhouse.Native, "h:9000", false},
		{"clickhouse://h:9001/db", clickhouse.Native, "h:9001", false},
		{"clickhouse://h/db?secure=true", clickhouse.Native, "h:9440", true},
		{"clickhouse://[::1]/db", clickhouse.Native, "[::1]:9000", false},
		{"http://h:8123/db", clickhouse.HTTP, "h:8123", false},
		{"https://h:8443/db", clickhouse.HTTP, "h:8443", true},
		{"https://h/db", clickhouse.HTTP, "h", true},
	} {
		opt, err := driverOptions(test.dsn)
		if err != nil {
			t.Errorf("%s: %v", test.dsn, err)
			continue
		}
		if opt.Protocol != test.protocol || opt.Addr[0] != test.addr || (opt.TLS != nil) != test.tls || opt.Auth.Database != "db" {
			t.Errorf("%s: protocol %v, address %v, TLS %v, database %q", test.dsn, opt.Protocol, opt.Addr, opt.TLS != nil, opt.Auth.Database)
		}
		if opt.Compression == nil || opt.Compression.Method != clickhouse.CompressionLZ4 || opt.DialTimeout != dialTimeout {
			t.Errorf("%s: compression %+v, dial timeout %v", test.dsn, opt.Compression, opt.DialTimeout)
		}
	}

	opt, err := driverOptions("clickhouse://u%40x:p%2Fw@h/?database=d&compress=zstd&dial_timeout=2s")
	if err != nil {
		t.Fatal(err)
	}
	if opt.Auth != (clickhouse.Auth{Database: "d", Username: "u@x", Password: "p/w"}) ||
		opt.Compression.Method != clickhouse.CompressionZSTD || opt.DialTimeout.Seconds() != 2 {
		t.Errorf("options %+v", opt)
	}
	for _, off := range []string{"false", "none"} {
		opt, err := driverOptions("http://h/?compress=" + off)
		if err != nil || opt.Compression != nil && opt.Compression.Method != clickhouse.CompressionNone {
			t.Errorf("compress=%s: %+v, %v", off, opt.Compression, err)
		}
	}
}

func TestOwnParameters(t *testing.T) {
	for query, want := range map[string]settings{
		"":                                   {ttlDays: leaveTTL},
		"ttl=90d":                            {ttlDays: 90},
		"ttl=none":                           {ttlDays: 0},
		"cluster=prod-1":                     {layout: layout{"prod-1", true}, ttlDays: leaveTTL},
		"cluster={cluster}&ttl=1d":           {layout: layout{"{cluster}", true}, ttlDays: 1},
		"cluster=c&replicated=true":          {layout: layout{"c", true}, ttlDays: leaveTTL},
		"cluster=c&replicated=0&compress=br": {layout: layout{"c", false}, ttlDays: leaveTTL},
	} {
		got, err := parseDSN("http://h/db?" + query)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		for _, name := range []string{"cluster", "replicated", "ttl"} {
			if _, sent := got.driver.Settings[name]; sent {
				t.Errorf("%s: %s goes to the server as a setting", query, name)
			}
		}
		if got.driver = nil; got != want {
			t.Errorf("%s: %+v, want %+v", query, got, want)
		}
	}
}

func TestOptionsErrors(t *testing.T) {
	for dsn, want := range map[string]string{
		"":                                   "not of the form",
		"clickhouse:":                        "not of the form",
		"clickhouse:///db":                   "not of the form",
		"clickhouse://h1:9000,h2:9000/db":    "several hosts",
		"postgres://h/db":                    `unknown scheme "postgres"`,
		"clickhouse://h/db?clusters=x":       `unknown parameter "clusters"`,
		"clickhouse://h/db?cluster=":         `cluster=""`,
		"clickhouse://h/db?cluster=a'b":      `cluster="a'b"`,
		"clickhouse://h/db?replicated=false": "there is no cluster",
		"clickhouse://h/db?cluster=c&replicated=perhaps": `replicated="perhaps"`,
		"clickhouse://h/db?ttl=90":                       `ttl="90"`,
		"clickhouse://h/db?ttl=0d":                       `ttl="0d"`,
		"clickhouse://h/db?ttl=":                         `ttl=""`,
		"clickhouse://h/db?dial_timout=1s":               `unknown parameter "dial_timout"`,
		"clickhouse://h/db?alt_hosts=i":                  `unknown parameter "alt_hosts"`,
		"clickhouse://h/db?dial_timeout=1":               "dial timeout",
		"clickhouse://h/db?compress=best":                `compress="best"`,
		"clickhouse://h/db?secure=maybe":                 "secure",
		"clickhouse://h/db?secure=%zz":                   "percent-encoded",
		"http://h/db?secure=true":                        "TLS",
		"clickhouse://u:a/b@h:9000/db":                   "percent-encoded",
		"clickhouse://u:12/b@h:9000/db":                  "percent-encoded",
		"clickhouse://u:a?b=c@h:9000/db":                 "percent-encoded",
		"clickhouse://u:a#b@h:9000/db":                   "percent-encoded",
		"clickhouse://u:a%zz@h:9000/db":                  "percent-encoded",
		"clickhouse://u@h:9000/db?password=@":            "percent-encoded",
		"clickhouse://h:9000/db?password=a":              "before the host",
	} {
		if opt, err := driverOptions(dsn); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want an error with %q", dsn, opt, err, want)
		}
	}
}

// TestOptionsShowNoPassword puts a password into a DSN as it is, as people do.
// Whatever stands in it, no piece of it turns up in an error, nor where it
// would turn up in one later: in the address, the database, a setting.
func TestOptionsShowNoPassword(t *testing.T) {
	checks := flag.Lookup("rapid.checks").Value
	few := checks.String()
	setChecks := func(n string) {
		if err := checks.Set(n); err != nil {
			t.Fatal(err)
		}
	}
	setChecks("10000")
	defer setChecks(few)
	rapid.Check(t, func(t *rapid.T) {
		const secret = "Xq7Zk" // stands on both sides of whatever breaks the DSN
		breaker := rapid.StringOf(rapid.SampledFrom([]rune("@:/?#%&=;[] \\\"'\x00é,+1ab"))).Draw(t, "breaker")
		dsn := rapid.SampledFrom([]string{
			"clickhouse://user:PASS@host:9000/db", "http://user:PASS@host:8123/db?compress=lz4", "https://user:PASS@host/db",
			"clickhouse://host/db?password=PASS", "clickhouse://host/db?username=u&password=PASS&secure=true",
		}).Draw(t, "dsn")
		dsn = strings.ReplaceAll(dsn, "PASS", secret+breaker+secret)
		opt, err := driverOptions(dsn)
		if err != nil {
			if strings.Contains(err.Error(), secret) {
				t.Fatalf("%s: the password shows in %v", dsn, err)
			}
			return
		}
		if seen := fmt.Sprint(opt.Addr, opt.Auth.Database, opt.Auth.Username, opt.Settings, opt.ClientInfo); strings.Contains(seen, secret) {
			t.Fatalf("%s: the password shows in %s", dsn, seen)
		}
	})
}
