"""The servers: what is installed, how each is started, which of its tools are
called and what its answers look like."""

import os
from dataclasses import dataclass, field

import answers
import battery
import databases
import install
from install import npm, pypi

BRIDGE = "mcp-proxy==0.13.0"


@dataclass
class Server:
    package: str  # with its version, as pip or npm takes it
    dialect: str  # the database, by its method in databases.py
    command: object  # (database, port) -> command and environment
    query: object  # (case, sql) -> tool and arguments; None leaves the case out
    rows: object  # result -> rows that the answer hands out, None where it does not say
    affected: object = None  # result -> affected rows that the answer names
    failed: str = r"^(Database )?[Ee]rror"  # an answer that is an error without isError
    native: bool = False  # speaks streamable HTTP itself; the others stand behind BRIDGE
    counted: bool = True  # one of the servers that the threshold is for
    truncates: bool = False  # hands out fewer rows than there are
    rule: list = field(default_factory=list)  # lines of a tool block, where docs/metering.md has one
    more: list = field(default_factory=list)  # calls of other tools

    @property
    def name(self):
        return self.package.replace("==", "@").rsplit("@", 1)[0].lstrip("@").replace("/", "-")

    @property
    def version(self):
        return self.package.replace("==", "@").rsplit("@", 1)[1]

    def start(self, processes, database, port):
        command, env = self.command(database, port)
        if not self.native:
            command = [pypi(BRIDGE) / "mcp-proxy", "--host", "127.0.0.1", "--port", port, "--pass-environment", "--", *command]
        process = processes.start(self.name, command, cwd=processes.folder, env={**os.environ, **{k: str(v) for k, v in env.items()}})
        processes.wait_for(process, lambda: databases.listening(port), 90)
        return process

    def calls(self):
        """The calls of a run: case, tool and arguments."""
        for call in self.more:
            yield call.case, call.tool, call.arguments
        if self.query:
            for case in battery.CASES:
                sql = case.text(self.dialect)
                if sql and (call := self.query(case, sql)):
                    yield case, *call


@dataclass
class More:
    """A call of a tool of the server's own. `count` is its rows, or None where
    the answer is no list of rows; `accept` is another count that is right."""
    tool: str
    arguments: dict
    tables: list | None = None
    count: int | None = None
    accept: object = battery.NOTHING
    name: str = ""
    why: str = ""
    read: object = None  # reads that count from the answer

    @property
    def case(self):
        kind = "none" if self.count is None else "query"
        return battery.Case(self.name or self.tool.replace("_", "-"), kind, "", self.tables, self.count,
                            accept=self.accept, read=self.read, why=self.why)


def by(tool, argument="sql"):
    return lambda case, sql: (tool, {argument: sql})


def sqlite_tool(case, sql):
    if case.name == "create-table":
        return "create_table", {"query": sql}
    reads = case.kind == "query" and "RETURNING" not in sql or sql.startswith("EXPLAIN") or sql.startswith("SELEC")
    return ("write_query" if not reads or sql.startswith("EXPLAIN") or sql.startswith("SELEC ") else "read_query"), {"query": sql}


def henkey_tool(case, sql):
    if case.kind == "query" and sql.startswith("SELECT") and "several" not in case.name:
        return "pg_execute_query", {"operation": "select", "query": sql}
    return "pg_execute_sql", {"sql": sql}


def mysql_env(d, password):
    return {"MYSQL_HOST": d["host"], "MYSQL_PORT": d["port"], "MYSQL_USER": d["user"], password: d["password"]}


PLAN = "a plan is no rows"
OBJECT = "an object with a list in it, which need not be rows"
PROSE = "words"
STATUS = "a status"
LONE = "one object, a record or a status"
FOUND = answers.json_rows("data", "results")

ALL = [
    Server("postgres-mcp==0.3.0", "postgres",
           # Its pglast 7.2.0 is not on PyPI any more: 7.20 is the nearest. It wants the first SDK.
           lambda d, port: ([pypi("postgres-mcp==0.3.0", no_deps=True, needs=[
               "attrs>=25.3.0", "humanize", "instructor", "mcp[cli]==1.30.0", "psycopg-pool", "psycopg[binary]", "pglast==7.20"])
               / "postgres-mcp", d["url"]], {}),
           by("execute_sql"), answers.python_list, more=[
               More("list_schemas", {}, None, 4),
               More("list_objects", {"schema_name": "public"}, None, 9),
               More("list_objects", {"schema_name": "public", "object_type": "view"}, None, 0, name="list-views"),
               More("get_object_details", {"schema_name": "public", "object_name": "customers"}, why="a dict of lists; object_name need not be a table"),
               More("explain_query", {"sql": "SELECT name FROM customers"}, ["customers"], why=PLAN),
               More("analyze_db_health", {"health_type": "index"}, why=PROSE),
               More("get_top_queries", {}, why=PROSE),
           ]),
    Server("mcp-server-sqlite==2025.4.25", "sqlite",
           lambda d, port: ([pypi("mcp-server-sqlite==2025.4.25", needs=["mcp==1.30.0"]) / "mcp-server-sqlite", "--db-path", d["path"]], {}),
           sqlite_tool, answers.python_list, answers.words(r"^\[\{'affected_rows': (\d+)\}\]$"), more=[
               More("list_tables", {}, None, 9),
               More("describe_table", {"table_name": "customers"}, ["customers"], 3),
               More("append_insight", {"insight": "[1, 2] rows"}, why=STATUS),
           ]),
    Server("mcp-server-duckdb==1.1.0", "duckdb",
           lambda d, port: ([pypi("mcp-server-duckdb==1.1.0", needs=["mcp==1.30.0"]) / "mcp-server-duckdb", "--db-path", d["path"]], {}),
           # A write is answered by [(3,)]: no name says that 3 is the affected rows.
           by("query", "query"), answers.python_list, lambda result: answers.Unsure(answers.words(r"^\[\((\d+),\)\]$")(result))),
    Server("mcp-server-motherduck==1.1.0", "duckdb",
           lambda d, port: ([pypi("mcp-server-motherduck==1.1.0") / "mcp-server-motherduck", "--transport", "http", "--host", "127.0.0.1",
                             "--port", port, "--db-path", d["path"], "--read-write"], {}),
           by("execute_query"), answers.json_rows("rows"), answers.duckdb_count, native=True, truncates=True, more=[
               More("list_databases", {}, accept=1, why=OBJECT),
               More("list_tables", {}, accept=9, why=OBJECT),
               More("list_columns", {"table": "customers"}, ["customers"], accept=3, why=OBJECT),
           ]),
    Server("mcp-clickhouse==0.7.0", "clickhouse",
           lambda d, port: ([pypi("mcp-clickhouse==0.7.0") / "mcp-clickhouse"], {
               "CLICKHOUSE_HOST": d["host"], "CLICKHOUSE_PORT": d["port"], "CLICKHOUSE_USER": d["user"], "CLICKHOUSE_PASSWORD": d["password"],
               "CLICKHOUSE_DATABASE": d["database"], "CLICKHOUSE_SECURE": "false", "CLICKHOUSE_ALLOW_WRITE_ACCESS": "true",
               "CLICKHOUSE_ALLOW_DROP": "true", "CLICKHOUSE_MCP_SERVER_TRANSPORT": "http", "CLICKHOUSE_MCP_BIND_PORT": port,
               "CLICKHOUSE_MCP_AUTH_DISABLED": "true"}),
           by("run_query", "query"), answers.json_rows("rows"), native=True, more=[
               More("list_databases", {}, None, 5, read=answers.json_list),
               More("list_tables", {"database": "shop"}, accept=9, why=OBJECT),
           ]),
    Server("mcp-alchemy==2026.10.15.202659", "postgres",
           lambda d, port: ([pypi("mcp-alchemy==2026.10.15.202659", needs=["psycopg[binary]==3.3.9"]) / "mcp-alchemy",
                             "--transport", "streamable-http", "--port", port], {"DB_URL": d["url"].replace("postgresql:", "postgresql+psycopg:")}),
           by("execute_query", "query"),
           answers.words(r"\nResult: showing first (\d+) rows \(output truncated\)$", r"\nResult: (\d+) rows$", r"^No rows returned$"),
           answers.words(r"^Success: (\d+) rows affected$"), native=True, truncates=True, more=[
               More("all_table_names", {}, why=PROSE),
               More("filter_table_names", {"q": "o"}, why=PROSE),
               More("schema_definitions", {"table_names": ["customers", "orders"]}, ["customers", "orders"], why=PROSE),
           ]),
    Server("@bytebase/dbhub@1.4.0", "postgres",
           lambda d, port: ([npm("@bytebase/dbhub@1.4.0") / "dbhub", "--transport", "http", "--port", port,
                             "--dsn", d["url"].replace("postgresql:", "postgres:") + "?sslmode=disable"], {}),
           by("execute_sql"), answers.json_sum("data", "statements", "rows"), answers.json_sum("data", "statements", "count"), native=True, more=[
               More("search_objects", {"object_type": "table"}, None, 9, read=FOUND),
               More("search_objects", {"object_type": "column", "schema": "public", "table": "customers", "detail_level": "full"}, ["customers"], 3, name="search-columns", read=FOUND),
               More("search_objects", {"object_type": "table", "pattern": "x%"}, None, 0, name="search-nothing", read=FOUND),
           ]),
    Server("@benborla29/mcp-server-mysql@2.0.9", "mysql",
           lambda d, port: ([npm("@benborla29/mcp-server-mysql@2.0.9") / "mcp-server-mysql"], {
               **mysql_env(d, "MYSQL_PASS"), "MYSQL_DB": d["database"], "ALLOW_INSERT_OPERATION": "true", "ALLOW_UPDATE_OPERATION": "true",
               "ALLOW_DELETE_OPERATION": "true", "ALLOW_DDL_OPERATION": "true"}),
           by("mysql_query"), answers.json_list, answers.words(r"Affected rows: (\d+)")),
    Server("@henkey/postgres-mcp-server@1.0.7", "postgres",
           lambda d, port: ([npm("@henkey/postgres-mcp-server@1.0.7") / "postgres-mcp", "--connection-string", d["url"]], {}),
           henkey_tool, answers.words(r"Retrieved (\d+) rows\."), more=[
               More("pg_manage_schema", {"operation": "get_info"}, None, 9, read=answers.json_second),
               More("pg_manage_schema", {"operation": "get_info", "tableName": "customers"}, ["customers"], why="an object of lists", name="table-info"),
               More("pg_execute_query", {"operation": "count", "query": "SELECT id FROM customers"}, ["customers"],
                    why="a number in a sentence, of rows that were counted and not handed out", name="count-operation"),
               More("pg_execute_query", {"operation": "exists", "query": "SELECT id FROM customers"}, ["customers"], why=PROSE, name="exists-operation"),
               More("pg_execute_mutation", {"operation": "insert", "table": "log", "data": {"id": 30, "what": "x"}}, ["log"], accept=0,
                    why="it says 0 where it wrote 1 row: the server's mistake", name="mutation-insert"),
               More("pg_execute_mutation", {"operation": "delete", "table": "log", "where": "id = 30", "returning": "*"}, ["log"], 1, name="mutation-returning", read=answers.returned),
               More("pg_manage_query", {"operation": "explain", "query": "SELECT name FROM customers"}, ["customers"], why=PLAN, name="explain-tool"),
           ]),

    # Beyond those nine.
    Server("@modelcontextprotocol/server-postgres@0.6.2", "postgres",
           lambda d, port: ([npm("@modelcontextprotocol/server-postgres@0.6.2") / "mcp-server-postgres", d["url"]], {}),
           by("query"), answers.json_list, counted=False),
    Server("mysql-mcp-server==0.4.4", "mysql",
           lambda d, port: ([pypi("mysql-mcp-server==0.4.4") / "mysql_mcp_server"], {**mysql_env(d, "MYSQL_PASSWORD"), "MYSQL_DATABASE": d["database"]}),
           by("execute_sql", "query"), answers.strict_csv, answers.words(r"Rows affected: (\d+)$"), counted=False,
           failed=r"^Error executing|^Only single statements|No results returned\.$",  # none, or none that it knows of
           rule=["table arguments.query|@sql:mysql", "records result.content.0.text|@csv|#", "affected result.content.0.text|@affected"]),
    Server("@toolbox-sdk/server@1.12.0", "postgres",
           lambda d, port: ([npm("@toolbox-sdk/server@1.12.0") / "toolbox", "--prebuilt", "postgres", "--address", "127.0.0.1", "--port", port], {
               "POSTGRES_HOST": d["host"], "POSTGRES_PORT": d["port"], "POSTGRES_DATABASE": d["database"], "POSTGRES_USER": d["user"],
               "POSTGRES_PASSWORD": d["password"]}),
           by("execute_sql"), answers.text_each, native=True, counted=False, more=[
               More("list_tables", {"table_names": "customers"}, ["customers"], accept=1, name="list-one-table", why=LONE),
               More("list_schemas", {}, accept=1, why=LONE),
               More("get_query_plan", {"query": "SELECT name FROM customers"}, ["customers"], why=PLAN),
           ]),
    Server("redis-mcp-server==0.5.1", "redis",
           lambda d, port: ([pypi("redis-mcp-server==0.5.1") / "redis-mcp-server", "--url", f"redis://127.0.0.1:{d['port']}/0"], {}),
           None, None, counted=False, more=[
               More("lrange", {"name": "list", "start": 0, "stop": -1}, None, 5, read=answers.json_list),
               More("lrange", {"name": "list", "start": 0, "stop": 0}, None, 1, name="lrange-one", read=answers.json_list),
               More("lrange", {"name": "none", "start": 0, "stop": -1}, why=PROSE, name="lrange-none"),
               More("smembers", {"name": "tags"}, None, 3, read=answers.text_values),
               More("zrange", {"key": "scores", "start": 0, "end": -1}, None, 3, read=answers.python_list),
               More("xrange", {"key": "events", "count": 10}, None, 2, read=answers.python_list),
               More("scan_all_keys", {"pattern": "*"}, None, 8, read=answers.text_values),
               More("scan_keys", {"pattern": "*"}, accept=8, why=OBJECT),
               More("hgetall", {"name": "customer:1"}, accept=1, why=LONE),
               More("hget", {"name": "customer:1", "key": "name"}, why="a value"),
               More("get", {"key": "greeting"}, why="a value"),
               More("get", {"key": "text"}, why="a value that looks like rows", name="get-text", accept=3),
               More("type", {"key": "list"}, why=STATUS),
               More("dbsize", {}, why="a number of keys that are not handed out"),
               More("llen", {"name": "list"}, why="a number of values that are not handed out"),
               More("set", {"key": "a", "value": "[1, 2]"}, why=STATUS),
               More("lpush", {"name": "list", "value": "item-0"}, why=STATUS),
               More("sadd", {"name": "tags", "value": "d"}, why=STATUS),
               More("hset", {"name": "customer:2", "key": "email", "value": "bob@example.com"}, why=STATUS),
               More("delete", {"key": "none"}, why=PROSE),
               More("expire", {"name": "list", "expire_seconds": 100}, why=STATUS),
               More("json_get", {"name": "greeting"}, why="an error: there is no JSON module"),
           ]),
]
