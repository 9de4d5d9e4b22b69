package clickhouse_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/clickhouse"
	"github.com/tallygate/tallygate/usage/clickhouse/clickhousetest"
	"github.com/tallygate/tallygate/usage/usagetest"
)

// trapped has all that an administrator can set for a user and that changes what a
// query answers.
const trapped = `<clickhouse>
	<profiles><default></default><trapped>
		<session_timezone>Pacific/Auckland</session_timezone>
		<limit>3</limit><offset>1</offset><extremes>1</extremes>
		<aggregate_functions_null_for_empty>1</aggregate_functions_null_for_empty>
		<group_by_use_nulls>1</group_by_use_nulls>
		<prefer_column_name_to_alias>1</prefer_column_name_to_alias>
		<additional_result_filter>rand() % 2 = 0</additional_result_filter>
		<union_default_mode>DISTINCT</union_default_mode>
		<low_cardinality_allow_in_native_format>0</low_cardinality_allow_in_native_format>
		<output_format_native_encode_types_in_binary_format>1</output_format_native_encode_types_in_binary_format>
	</trapped><bounded>
		<max_rows_to_read>50</max_rows_to_read><read_overflow_mode>break</read_overflow_mode>
		<max_rows_to_group_by>50</max_rows_to_group_by><group_by_overflow_mode>any</group_by_overflow_mode>
	</bounded></profiles>
	<users>
		<default><password></password><profile>default</profile><quota>default</quota><networks><ip>::/0</ip></networks></default>
		<trapped><password></password><profile>trapped</profile><quota>default</quota><networks><ip>::/0</ip></networks></trapped>
		<bounded><password></password><profile>bounded</profile><quota>default</quota><networks><ip>::/0</ip></networks></bounded>
	</users>
	<quotas><default></default></quotas>
</clickhouse>`

// startTrapped starts a server with the users trapped and bounded.
func startTrapped(t *testing.T) *clickhousetest.Server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "users.xml")
	if err := os.WriteFile(file, []byte(trapped), 0o600); err != nil {
		t.Fatal(err)
	}
	return clickhousetest.Start(t, clickhousetest.Config(t, "<clickhouse><users_config>"+file+"</users_config></clickhouse>"))
}

// TestZones: whatever the time zone of the server and the settings of the user's
// profile are, every query answers the same.
func TestZones(t *testing.T) {
	for _, zone := range []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Tokyo"} {
		t.Run(zone, func(t *testing.T) {
			t.Setenv("TZ", zone) // of the server's machine
			server := startTrapped(t)
			if got := server.Query(t, "SELECT serverTimezone()"); got != zone {
				t.Fatalf("the server is in the zone %s", got)
			}
			for _, protocol := range protocols {
				t.Run(protocol, func(t *testing.T) {
					usagetest.RunHours(t, func(t *testing.T) func() (usage.Ledger, error) {
						dsn := as(newDatabase(t, server, protocol), "trapped", "")
						return func() (usage.Ledger, error) { return clickhouse.Open(dsn) }
					})
				})
			}
		})
	}
}

// TestBounds: a query that a bound of the user's profile cuts off is an error, and
// not a part of the answer, although the profile says "break".
func TestBounds(t *testing.T) {
	server := startTrapped(t)
	dsn := newDatabase(t, server, "clickhouse")
	b := batch(0, 100)
	for i := range b.Events {
		b.Events[i].Tool = fmt.Sprint("tool ", i)
	}
	if err := open(t, dsn).Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	bounded := open(t, as(dsn, "bounded", ""))
	if page, err := bounded.History(t.Context(), usage.HistoryQuery{Page: 1, PageSize: 100}); err == nil {
		t.Errorf("the history has %d of %d events", len(page.Events), page.Total)
	}
	if groups, err := bounded.Breakdown(t.Context(), usage.BreakdownQuery{StatsQuery: usage.StatsQuery{Days: 1, Now: b.Events[0].Time}, By: usage.ByTool, Limit: 1000}); err == nil {
		t.Errorf("the breakdown has %d groups", len(groups))
	}
}
