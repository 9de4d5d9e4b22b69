package clickhouse

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Bounds for calls whose context has no deadline of its own.
const (
	dialTimeout = 5 * time.Second
	readTimeout = time.Minute
)

// parameters are those of clickhouse-go's DSN that the ledger takes. Any other
// would travel as a server setting, a misspelt one as an error in every query.
var parameters = []string{
	"client_info_product", "compress", "compress_level", "conn_max_lifetime",
	"database", "dial_timeout", "http_path", "http_proxy", "max_idle_conns",
	"max_open_conns", "read_timeout", "secure", "skip_verify", "tls_server_name",
}

// options reads a DSN as Open documents it. A malformed one never shows up in
// the error, for there is no telling which part of it is the password.
func options(dsn string) (*clickhouse.Options, error) {
	u, err := url.Parse(dsn)
	if err != nil || u.Host == "" || strings.ContainsAny(u.Path+u.RawQuery, "@") || u.Fragment != "" {
		return nil, errors.New("ClickHouse DSN is not of the form clickhouse://USER:PASSWORD@HOST:PORT/DATABASE " +
			"(or http://, https://); characters like @ : / ? # % in USER and PASSWORD must be percent-encoded")
	}
	if strings.Contains(u.Host, ",") {
		return nil, errors.New("ClickHouse DSN: it names several hosts; a batch that is sent again is only known to the server that has it")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("ClickHouse DSN: what follows the ? is not of the form NAME=VALUE&NAME=VALUE, percent-encoded")
	}
	if query.Has("username") || query.Has("password") {
		return nil, errors.New("ClickHouse DSN: user and password belong before the host, as USER:PASSWORD@HOST")
	}
	for name := range query {
		if !slices.Contains(parameters, name) {
			return nil, fmt.Errorf("ClickHouse DSN: unknown parameter %q; known are %s", name, strings.Join(parameters, ", "))
		}
	}
	switch u.Scheme {
	case "clickhouse", "http":
	case "https":
		query.Set("secure", "true")
	default:
		return nil, fmt.Errorf("ClickHouse DSN: unknown scheme %q; known are clickhouse, http, https", u.Scheme)
	}

	u.RawQuery = query.Encode()
	opt, err := clickhouse.ParseDSN(u.String())
	if err != nil {
		return nil, fmt.Errorf("ClickHouse DSN: %w", err)
	}
	switch compress := query.Get("compress"); {
	case compress == "" && opt.Compression == nil:
		opt.Compression = &clickhouse.Compression{Method: clickhouse.CompressionLZ4}
	case compress != "" && (opt.Compression == nil || opt.Compression.Method == clickhouse.CompressionNone):
		if off, err := strconv.ParseBool(compress); (err != nil || off) && compress != "none" {
			return nil, fmt.Errorf("ClickHouse DSN: compress=%q is none of true, false, none, lz4, lz4hc, zstd, gzip, deflate, br", compress)
		}
	}
	if opt.Protocol == clickhouse.Native && u.Port() == "" {
		opt.Addr = []string{net.JoinHostPort(u.Hostname(), nativePort(opt.TLS))}
	}
	if opt.DialTimeout == 0 {
		opt.DialTimeout = dialTimeout
	}
	if opt.ReadTimeout == 0 {
		opt.ReadTimeout = readTimeout
	}
	if u.Scheme == "https" {
		// Without a password clickhouse-go would log in by a client certificate.
		opt.HttpHeaders = map[string]string{"X-ClickHouse-SSL-Certificate-Auth": "off"}
	}
	// Batches come ready-made. The server's own batching (the default since
	// 26.3) would only put its token and delay on top of ours.
	opt.Settings["async_insert"] = 0
	return opt, nil
}

// nativePort is the port that ClickHouse has for its native protocol by default.
func nativePort(tls *tls.Config) string {
	if tls != nil {
		return "9440"
	}
	return "9000"
}
