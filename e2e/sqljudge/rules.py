"""What the oracle knows of dialects and of sqlglot's tree and mistakes."""

import re

# Dialects that sqlglot knows and that are no SQL, or no dialect of queries.
NOT_SQL = {"prql", "dax", "tableau", "solr"}

# Dialects in which the name of a range variable in front of a point, in FROM,
# makes a path into its columns: FROM orders o, o.lines.
PATHS = {"bigquery", "redshift"}

# Dialects in which a common table expression may name itself without the word
# RECURSIVE.
RECURSIVE_IMPLIED = {"tsql", "fabric", "oracle", "sqlite", "teradata", "exasol"}

# MySQL and its kin, where FROM dual names no table.
MYSQL = {"mysql", "singlestore", "doris", "starrocks"}

# What a Command may start with and still plainly name no table.
NO_TABLE_COMMANDS = {"SET", "RESET", "BEGIN", "START", "SAVEPOINT", "RELEASE", "CHECKPOINT"}

# Words that may stand for a query in what sqlglot keeps as text.
QUERY_WORD = re.compile(r"\b(FROM|SELECT)\b", re.I)

# The kinds of objects of CREATE, DROP and ALTER that are tables.
TABLE_KINDS = {"TABLE", "VIEW", "MATERIALIZED VIEW", "DYNAMIC TABLE", "EXTERNAL TABLE", "FOREIGN TABLE"}

# Where a Table node of sqlglot's tree stands for a table: the class above it
# and the argument it is in.
TABLE_PLACES = {
    ("From", "this"), ("Join", "this"), ("Insert", "this"), ("Update", "this"),
    ("Delete", "this"), ("Merge", "this"), ("Merge", "using"), ("Into", "this"),
    ("Schema", "this"), ("TruncateTable", "expressions"), ("Describe", "this"),
    ("Pivot", "this"), ("Clone", "this"), ("LikeProperty", "this"),
    ("PartitionedOfProperty", "this"), ("InheritsProperty", "expressions"),
    ("ToTableProperty", "this"), ("Copy", "this"), ("Subquery", "this"),
    ("Paren", "this"), ("Table", "joins"), ("Delete", "using"), ("Cache", "this"),
    ("Uncache", "this"), ("LoadData", "this"), ("Reference", "this"),
    ("Analyze", "this"), ("Summarize", "this"), ("SwapTable", "this"),
    ("AlterRename", "this"), ("Refresh", "this"), ("Tuple", "expressions"),
    ("Update", "from_"), ("MultitableInserts", "expressions"), ("MultitableInserts", "source"),
    ("Delete", "from_"), ("Analyze", "tables"), ("ReplacePartition", "source"),
    ("WithSystemVersioningProperty", "this"), ("GapFill", "this"), ("Predict", "expression"),
    ("Copy", "files"), ("From", "joins"),
}

# Where a Table node is the name of a range variable, a column or a model.
OTHER_PLACES = {("JoinHint", "expressions"), ("Lock", "expressions"), ("Predict", "this"), ("Drop", "tables"), ("Drop", "this")}

# SHOW of these names no table.
SHOW_NONE = {"TABLES", "DATABASES", "SCHEMAS", "VIEWS", "STATUS", "VARIABLES", "PROCESSLIST", "USERS",
             "FUNCTIONS", "ENGINES", "PLUGINS", "WARNINGS", "ERRORS", "CHARACTER SET", "COLLATION"}

# What sqlglot takes for something else: a pattern, the dialects (empty: all),
# and what happens.
MISREAD = [
    (re.compile(r"^\s*(UPDATE|DELETE)\s+(LOW_PRIORITY|HIGH_PRIORITY|QUICK|DELAYED|IGNORE)\b", re.I | re.M), MYSQL,
     "sqlglot takes MySQL's modifiers for tables"),
    (re.compile(r"\bINDEX\s+(IF\s+NOT\s+EXISTS\s+)?[^\s.(]+\s*\.\s*\S+\s+ON\b", re.I), set(),
     "sqlglot takes an index in a schema for the table"),
    (re.compile(r"\bRENAME\s+(?!TO\b|AS\b|COLUMN\b|TABLE\b)\S+\s+TO\b", re.I), set(),
     "sqlglot takes a column that is renamed for a table"),
    (re.compile(r"^\s*DESC(RIBE)?\s+(TABLE\s+)?[\w.]+\s*\(", re.I | re.M), {"clickhouse"},
     "sqlglot takes a table function for a table"),
    (re.compile(r"\bdictionary\s*\(|\bINFILE\b", re.I), {"clickhouse"}, "sqlglot takes a table function for a table"),
    (re.compile(r"^\s*DELETE\s+(TOP|HISTORY)\b", re.I | re.M), {"tsql", "fabric"} | MYSQL,
     "sqlglot takes a word behind DELETE for a table"),
    (re.compile(r"(?<!\bWITH)\s+\(\s*(NOLOCK|TABLOCK|TABLOCKX|HOLDLOCK|READPAST|ROWLOCK|UPDLOCK|PAGLOCK|XLOCK)\b", re.I),
     {"tsql", "fabric"}, "sqlglot takes a table with hints for a function"),
    (re.compile(r"#@|\bINSERT\s+(INTO\s+)?[\w.]+\(\s*\)", re.I), {"tsql", "fabric"}, "sqlglot takes a name for something else"),
    (re.compile(r"\(\s*TABLE\s+[\w.`]+\s*\)", re.I), {"bigquery"}, "sqlglot takes TABLE for a table"),
]


class Skip(Exception):
    """The query stays out of the corpus; the message says why."""
