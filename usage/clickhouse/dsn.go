package clickhouse

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/tallygate/tallygate/usage"
)

// Bounds for calls whose context has no deadline of its own.
const (
	dialTimeout = 5 * time.Second
	readTimeout = time.Minute
)

// leaveTTL, as ttlDays, leaves the table's TTL as it is.
const leaveTTL = -1

// settings are the contents of a DSN.
type settings struct {
	driver  *clickhouse.Options
	layout  layout
	ttlDays int // 0 to keep events for ever
}

var clusterName = regexp.MustCompile(`^[A-Za-z0-9_.{}-]+$`) // braces: the name of a macro

// parseDSN reads a DSN as Open documents it.
func parseDSN(dsn string) (s settings, err error) {
	u, query, err := split(dsn)
	if err != nil {
		return s, err
	}
	take := func(name string) (value string, given bool) {
		value, given = query.Get(name), query.Has(name)
		query.Del(name)
		return value, given
	}
	s.ttlDays = leaveTTL
	if value, given := take("ttl"); given {
		var ok bool
		if s.ttlDays, ok = usage.ParseTTL(value); !ok {
			return s, fmt.Errorf("ClickHouse DSN: ttl=%q is neither a number of days, as in 90d, nor none", value)
		}
	}
	value, given := take("cluster")
	if given && !clusterName.MatchString(value) {
		return s, fmt.Errorf("ClickHouse DSN: cluster=%q is no name of a cluster: letters, digits and any of _ . - { }", value)
	}
	s.layout = layout{Cluster: value, Replicated: given}
	if value, given := take("replicated"); given {
		replicated, err := strconv.ParseBool(value)
		switch {
		case err != nil:
			return s, fmt.Errorf("ClickHouse DSN: replicated=%q is neither true nor false", value)
		case s.layout.Cluster == "":
			return s, errors.New("ClickHouse DSN: replicated says something about a cluster, and there is no cluster=NAME")
		}
		s.layout.Replicated = replicated
	}
	s.driver, err = options(u, query)
	return s, err
}

// parameters are the ledger's own and those of clickhouse-go that it accepts. Any
// other would be sent as a server setting, and a misspelled one would be an error in
// every query.
var parameters = []string{
	"client_info_product", "cluster", "compress", "compress_level", "conn_max_lifetime",
	"database", "dial_timeout", "http_path", "http_proxy", "max_idle_conns",
	"max_open_conns", "read_timeout", "replicated", "secure", "skip_verify", "tls_server_name", "ttl",
}

// split splits a DSN. Its error never contains a malformed DSN, since any part of
// that may be the password.
func split(dsn string) (*url.URL, url.Values, error) {
	u, err := url.Parse(dsn)
	if err != nil || u.Host == "" || strings.ContainsAny(u.Path+u.RawQuery, "@") || u.Fragment != "" {
		return nil, nil, errors.New("ClickHouse DSN is not of the form clickhouse://USER:PASSWORD@HOST:PORT/DATABASE " +
			"(or http://, https://); characters like @ : / ? # % in USER and PASSWORD must be percent-encoded")
	}
	if strings.Contains(u.Host, ",") {
		return nil, nil, errors.New("ClickHouse DSN: it names several hosts; a batch that is sent again is only known to the server that has it")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, nil, errors.New("ClickHouse DSN: what follows the ? is not of the form NAME=VALUE&NAME=VALUE, percent-encoded")
	}
	if query.Has("username") || query.Has("password") {
		return nil, nil, errors.New("ClickHouse DSN: user and password belong before the host, as USER:PASSWORD@HOST")
	}
	for name := range query {
		if !slices.Contains(parameters, name) {
			return nil, nil, fmt.Errorf("ClickHouse DSN: unknown parameter %q; known are %s", name, strings.Join(parameters, ", "))
		}
	}
	return u, query, nil
}

// options returns clickhouse-go's options for a DSN, with our defaults.
func options(u *url.URL, query url.Values) (*clickhouse.Options, error) {
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
		// Without a password clickhouse-go would log in with a client certificate.
		opt.HttpHeaders = map[string]string{"X-ClickHouse-SSL-Certificate-Auth": "off"}
	}
	maps.Copy(opt.Settings, querySettings)
	return opt, nil
}

// querySettings are sent with each query, so that no profile of the user's decides what
// it means. What only bounds a query's cost is left to the profile, but a query that
// reaches a bound fails: a part of an answer would look like all of it.
var querySettings = clickhouse.Settings{
	// We send whole batches. The server's own batching, the default since 26.3,
	// would only add a delay and a token of its own.
	"async_insert": 0,
	// A write to a Distributed table returns when the shards have the batch.
	"distributed_foreground_insert": 1,

	"session_timezone":                   "UTC",
	"limit":                              0,
	"offset":                             0,
	"extremes":                           0,
	"additional_result_filter":           "",
	"additional_table_filters":           "{}",
	"aggregate_functions_null_for_empty": 0,
	"group_by_use_nulls":                 0,
	"prefer_column_name_to_alias":        0,
	"union_default_mode":                 "",

	"read_overflow_mode":      "throw",
	"read_overflow_mode_leaf": "throw",
	"group_by_overflow_mode":  "throw",
	"sort_overflow_mode":      "throw",
	"result_overflow_mode":    "throw",
	"distinct_overflow_mode":  "throw",
	"timeout_overflow_mode":   "throw",
	"transfer_overflow_mode":  "throw",

	// What clickhouse-go can read.
	"low_cardinality_allow_in_native_format":             1,
	"output_format_native_encode_types_in_binary_format": 0,
}

// nativePort is the default port of ClickHouse's native protocol.
func nativePort(tls *tls.Config) string {
	if tls != nil {
		return "9440"
	}
	return "9000"
}
