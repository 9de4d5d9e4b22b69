"""What a query is, as sqlglot reads it: the tables that it names and its kind.

The judge compares the Go reader with this. sqlglot parses; the scoping of
common table expressions and of aliases is done here, on its tree, since what
counts is which names stand for tables of the database. Where sqlglot cannot
say, or where the answer is a matter of definition, the query is skipped with
a reason.
"""

import logging
import re

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ErrorLevel, SqlglotError

from rules import (
    MISREAD, MYSQL, NO_TABLE_COMMANDS, NOT_SQL, OTHER_PLACES, PATHS, QUERY_WORD, RECURSIVE_IMPLIED, SHOW_NONE,
    TABLE_KINDS, TABLE_PLACES, Skip,
)

logging.getLogger("sqlglot").setLevel(logging.CRITICAL)


class Truth:
    def __init__(self, tables, kind, statements):
        self.tables, self.kind, self.statements = tables, kind, statements


def read(sql, dialect):
    """Returns the Truth of a query, or raises Skip."""
    if dialect in NOT_SQL:
        raise Skip("dialect is no SQL")
    for pattern, dialects, why in MISREAD:
        if (not dialects or dialect in dialects) and pattern.search(sql):
            raise Skip(why)
    try:
        trees = sqlglot.parse(sql, read=dialect or None, error_level=ErrorLevel.IMMEDIATE)
    except SqlglotError:
        raise Skip("sqlglot: syntax error") from None
    except RecursionError:
        raise Skip("sqlglot: nested too deep") from None
    except Exception as e:  # a fault of sqlglot's own
        raise Skip(f"sqlglot: {type(e).__name__}") from None
    if len(trees) == 1 and isinstance(trees[0], exp.Command) and str(trees[0].this).upper() == "EXPLAIN":
        return explained(trees[0], dialect)
    trees = [t for t in trees if t is not None and not isinstance(t, exp.Semicolon)]
    if not trees:
        raise Skip("no statement")
    w = Walker(sql, dialect)
    kinds = []
    for tree in trees:
        kinds.append(kind_of(tree))
        w.statement(tree)
    kind = kinds[0] if len(set(kinds)) == 1 else ("" if "" in kinds else "mixed")
    return Truth(sorted(w.tables), kind, len(trees))


EXPLAIN_OPTIONS = re.compile(
    r"\A\s*(\([^()]*\)|(ANALYZE|ANALYSE|VERBOSE|EXTENDED|FORMATTED|CODEGEN|COST|LOGICAL|QUERY\s+PLAN|PLAN\s+FOR"
    r"|PLAN|AST|SYNTAX|PIPELINE|ESTIMATE|QUERY\s+TREE|FORMAT\s*=\s*\w+)\b)", re.I)


def explained(command, dialect):
    """Returns the Truth of what an EXPLAIN explains, which hands out no rows."""
    rest = command.expression.name if isinstance(command.expression, exp.Expression) else str(command.expression)
    while m := EXPLAIN_OPTIONS.match(rest):
        rest = rest[m.end():]
    if not re.match(r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE|MERGE|CREATE|VALUES|\()", rest, re.I):
        raise Skip("EXPLAIN")
    t = read(rest.strip(), dialect)
    return Truth(t.tables, "none", t.statements)


def kind_of(tree):
    """Returns query, write, none, or "" where it is a matter of definition."""
    if isinstance(tree, exp.Select) and tree.args.get("into"):
        return "write"
    if isinstance(tree, (exp.Query, exp.Values, exp.Pivot)):
        return "query"
    if isinstance(tree, (exp.Insert, exp.Update, exp.Delete, exp.Merge)):
        returning = tree.args.get("returning")
        return "query" if returning and not returning.args.get("into") else "write"
    if isinstance(tree, (exp.Create, exp.Drop, exp.Alter, exp.Set, exp.Use, exp.Transaction,
                         exp.Commit, exp.Rollback, exp.Grant, exp.Revoke, exp.Comment,
                         exp.TruncateTable)):
        return "none"
    return ""


def args_of(node):
    """Yields (argument, child) of a node, in the order of its arguments."""
    for key, value in node.args.items():
        for child in value if isinstance(value, list) else (value,):
            if isinstance(child, exp.Expression):
                yield key, child
            elif isinstance(child, list):
                for c in child:
                    if isinstance(c, exp.Expression):
                        yield key, c


class Scope:
    """The names that hide tables: common table expressions, range variables."""

    def __init__(self, outer=None):
        self.ctes = dict(outer.ctes) if outer else {}
        self.aliases = set(outer.aliases) if outer else set()


class Walker:
    def __init__(self, sql, dialect):
        self.sql, self.name = sql, dialect
        self.dialect = Dialect.get_or_raise(dialect or None)
        self.tables = set()

    def statement(self, tree):
        if isinstance(tree, exp.Command):
            if str(tree.this).upper() in NO_TABLE_COMMANDS and not QUERY_WORD.search(self.sql):
                return
            raise Skip(f"sqlglot: raw command {str(tree.this).upper()[:20]}")
        method = getattr(self, "statement_" + type(tree).__name__.lower(), None)
        if method:
            method(tree)
        elif isinstance(tree, (exp.Query, exp.DML, exp.Merge, exp.Copy, exp.TruncateTable,
                               exp.Cache, exp.Uncache, exp.LoadData, exp.Summarize,
                               exp.MultitableInserts, exp.Values, exp.Pivot)):
            self.node(tree, Scope(), None, "")
        elif isinstance(tree, (exp.Set, exp.Use, exp.Transaction, exp.Commit, exp.Rollback,
                               exp.Kill, exp.Attach, exp.Detach)):
            if any(tree.find_all(exp.Query)) or QUERY_WORD.search(self.sql):
                raise Skip(f"query inside of {type(tree).__name__}")
        elif isinstance(tree, (exp.Condition, exp.Alias, exp.DataType, exp.Tuple, exp.Aliases)):
            raise Skip("an expression, no statement")
        else:
            raise Skip(f"statement {type(tree).__name__}")

    # Statements whose objects may be other things than tables.

    def statement_create(self, tree):
        kind = (tree.args.get("kind") or "").upper()
        if kind in TABLE_KINDS:
            self.node(tree, Scope(), None, "")
        elif kind == "INDEX":
            index = tree.this
            table = index.args.get("table") if isinstance(index, exp.Index) else None
            if not isinstance(table, exp.Table):
                raise Skip("CREATE INDEX without a table")
            self.table(table, Scope())
        elif kind in {"SCHEMA", "DATABASE", "SEQUENCE", "STAGE", "WAREHOUSE", "ROLE", "USER"}:
            for place, table in self.places(tree):
                if place != ("Create", "this") and place != ("Schema", "this"):
                    raise Skip(f"CREATE {kind}: {place}")
        elif kind in {"FUNCTION", "PROCEDURE"}:
            tables = [t for t in tree.find_all(exp.Table)
                      if not isinstance(t.parent, exp.UserDefinedFunction) and t is not tree.this]
            if tables or any(tree.find_all(exp.Command)):
                raise Skip(f"CREATE {kind} with tables in its body")
        else:
            raise Skip(f"CREATE {kind}")

    def statement_drop(self, tree):
        kind = (tree.args.get("kind") or "").upper()
        if kind in TABLE_KINDS:
            for key in ("this", "tables", "expressions"):
                value = tree.args.get(key)
                for t in value if isinstance(value, list) else [value]:
                    if isinstance(t, exp.Table):
                        self.table(t, Scope())
        elif kind in {"SCHEMA", "DATABASE", "SEQUENCE", "FUNCTION", "PROCEDURE", "STAGE", "WAREHOUSE", "ROLE", "USER"}:
            return
        else:
            raise Skip(f"DROP {kind}")

    def statement_alter(self, tree):
        kind = (tree.args.get("kind") or "").upper()
        if kind not in TABLE_KINDS:
            raise Skip(f"ALTER {kind}")
        for node in tree.find_all(exp.Command):
            raise Skip("ALTER with a raw command")
        self.node(tree, Scope(), None, "")

    def statement_describe(self, tree):
        kind = (tree.args.get("kind") or "")
        kind = (kind if isinstance(kind, str) else kind.name).upper()
        if kind and kind not in TABLE_KINDS:
            raise Skip(f"DESCRIBE {kind}")
        self.node(tree, Scope(), None, "")

    def statement_comment(self, tree):
        kind = (tree.args.get("kind") or "").upper()
        if kind in TABLE_KINDS:
            self.table(tree.this, Scope())
        elif kind not in {"SCHEMA", "DATABASE", "FUNCTION", "SEQUENCE"}:
            raise Skip(f"COMMENT ON {kind}")

    def statement_grant(self, tree):
        securable = tree.args.get("securable")
        kind = (tree.args.get("kind") or "").upper()
        if not isinstance(securable, exp.Table) or kind not in {"", "TABLE"}:
            raise Skip(f"GRANT ON {kind}")
        self.table(securable, Scope())

    statement_revoke = statement_grant

    def statement_show(self, tree):
        if tree.name.upper() not in SHOW_NONE:
            raise Skip(f"SHOW {tree.name.upper()}")

    def statement_analyze(self, tree):
        kind = (tree.args.get("kind") or "").upper()
        if kind not in {"", "TABLE"}:
            raise Skip(f"ANALYZE {kind}")
        if any(isinstance(t.this, exp.Func) for t in tree.find_all(exp.Table)):
            raise Skip("sqlglot: ANALYZE of a table's columns")
        self.node(tree, Scope(), None, "")

    def statement_refresh(self, tree):
        if (tree.args.get("kind") or "").upper() not in TABLE_KINDS:
            raise Skip("REFRESH")
        self.table(tree.this, Scope())

    def places(self, tree):
        for t in tree.find_all(exp.Table):
            yield (type(t.parent).__name__, t.arg_key), t

    # The walk. Each node is visited with the names that hide tables there.

    def node(self, node, scope, parent, key):
        if isinstance(node, exp.Table):
            self.table_place(node, scope, parent, key)
            return
        if isinstance(node, (exp.Update, exp.Delete)):
            self.change(node, scope)
            return
        if isinstance(node, exp.With):
            raise Skip(f"WITH in {type(parent).__name__}")
        outer, scope = scope, self.with_scope(node, scope)
        if isinstance(node, exp.Select):
            self.select(node, scope)
            return
        if isinstance(node, exp.Insert) or isinstance(node, exp.Merge):
            # The target is never a common table expression.
            target = node.this
            if isinstance(target, exp.Schema):
                target = target.this
            if isinstance(target, exp.Table):
                self.table(target, scope, target=True)
            elif isinstance(target, (exp.Directory, exp.Func)) and not isinstance(target, exp.Values):
                self.node(target, scope, node, "this")
            else:
                raise Skip(f"{type(node).__name__} without a table")
            self.rest(node, scope, {"this", "with_"})
            return
        if isinstance(node, exp.Lateral) and isinstance(node.this, exp.Identifier):
            raise Skip("sqlglot: APPLY of a name")
        if isinstance(node, exp.Returning) and isinstance(node.args.get("into"), exp.Identifier):
            self.tables.add(self.text(node.args["into"]))
        if isinstance(node, exp.In) and isinstance(node.args.get("field"), (exp.Column, exp.Dot)):
            self.in_name(node.args["field"], scope)
        self.rest(node, scope, {"with_"})
        if isinstance(node, (exp.Subquery, exp.UDTF)) and node.alias:
            outer.aliases.add(node.alias.casefold())

    def rest(self, node, scope, done):
        for key, child in args_of(node):
            if key not in done:
                self.node(child, scope, node, key)

    def with_scope(self, node, scope):
        """Returns the scope of a node, with what its WITH defines."""
        clause = node.args.get("with_")
        if not isinstance(clause, exp.With):
            return scope
        scope = self.copy(scope)
        ctes = clause.expressions
        if clause.args.get("recursive") or self.name == "sqlite":
            for cte in ctes:
                self.define(scope, cte)
        for cte in ctes:
            if self.name in RECURSIVE_IMPLIED:
                self.define(scope, cte)
            elif not clause.args.get("recursive") and not cte.args.get("scalar") and self.names_itself(cte):
                raise Skip("a common table expression names itself, without RECURSIVE")
            inner = self.copy(scope)
            inner.aliases = set()
            self.node(cte.this, inner, cte, "this")
            self.define(scope, cte)
        return scope

    def names_itself(self, cte):
        name = cte.alias.casefold()
        return any(t.name.casefold() == name and not t.args.get("db") for t in cte.this.find_all(exp.Table))

    def define(self, scope, cte):
        if cte.args.get("scalar"):
            return
        ident = cte.args["alias"].this
        scope.ctes[self.fold(ident)] = True
        scope.ctes.setdefault(("loose", ident.name.casefold()), True)

    def copy(self, scope):
        return Scope(scope)

    def fold(self, ident):
        return self.dialect.normalize_identifier(ident.copy()).name

    def select(self, node, scope):
        """Walks FROM and the joins first, so that aliases are known."""
        scope = self.copy(scope)
        order = ("from_", "laterals", "joins")
        for key in order:
            value = node.args.get(key)
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, exp.Expression):
                    self.node(child, scope, node, key)
        into = node.args.get("into")
        if into:
            self.into(into, scope)
        self.rest(node, scope, {"with_", "into", *order})

    def into(self, into, scope):
        if self.name == "oracle":
            raise Skip("INTO a variable of PL/SQL")
        if not isinstance(into.this, exp.Table):
            raise Skip("INTO of something else than a table")
        self.table(into.this, Scope())

    def change(self, node, scope):
        """Walks an UPDATE or DELETE, whose target may be an alias."""
        scope = self.copy(self.with_scope(node, scope))
        sources = [node.args.get("from_")]
        using = node.args.get("using")
        sources += using if isinstance(using, list) else []
        sources += node.args.get("joins") or []
        targets = node.args.get("tables") or []
        target = node.this
        if targets and isinstance(target, exp.Expression):
            sources.append(target)
            target = None
        if isinstance(target, exp.From):
            sources.append(target)
            target = None
        named = bool(targets) or self.name in {"tsql", "fabric"}
        for s in sources:
            if isinstance(s, exp.Expression):
                self.node(s, scope, node, "from_")
        for t in [*targets, target]:
            if isinstance(t, exp.Table) and isinstance(t.this, exp.Identifier):
                alias = not t.args.get("db") and self.is_source(t.this, sources, named)
                cte = not t.args.get("db") and self.hidden(t.this, scope) and self.name in {"tsql", "fabric"}
                if alias or cte:
                    self.alias(t, scope)
                    self.inner(t, scope)
                else:
                    self.table(t, scope, target=True)
            elif isinstance(t, exp.Expression):
                self.node(t, scope, node, "this")
        self.rest(node, scope, {"this", "tables", "from_", "using", "joins", "with_"})

    def is_source(self, ident, sources, named):
        """Reports whether a target is a source's alias, or its name where named."""
        name = ident.name.casefold()
        for s in sources:
            if isinstance(s, exp.Expression):
                for t in s.find_all(exp.Table, exp.Subquery):
                    if t.alias.casefold() == name or named and not t.alias and t.name.casefold() == name:
                        return True
        return False

    def hidden(self, ident, scope):
        """Reports whether a name is a common table expression's."""
        exact = self.fold(ident) in scope.ctes
        loose = ("loose", ident.name.casefold()) in scope.ctes
        if exact != loose:
            if self.dialect.__class__.__name__ in {"Postgres", "Redshift"} or ident.args.get("quoted"):
                return exact
            raise Skip("a common table expression that differs in case")
        return exact

    def table_place(self, node, scope, parent, key):
        place = (type(parent).__name__, key)
        if place in OTHER_PLACES:
            return
        if place == ("Copy", "files") and isinstance(node.this, exp.Identifier) and self.quote(node.this) == "'":
            return
        if place in TABLE_PLACES or isinstance(parent, (exp.Create, exp.Alter)) and key == "this":
            self.table(node, scope)
        elif place == ("Lateral", "this"):
            self.inner(node, scope)
        else:
            raise Skip(f"a table in {place[0]}.{place[1]}")

    def in_name(self, field, scope):
        """x IN t: SQLite's t is a table, ClickHouse's may be one."""
        if self.name == "clickhouse":
            raise Skip("IN of a name, which may be a table's")
        if self.name == "sqlite" and isinstance(field, exp.Column):
            parts = [p for p in field.parts]
            if len(parts) > 1 or not self.hidden(parts[0], scope):
                self.tables.add(".".join(self.text(p) for p in parts))

    def inner(self, node, scope):
        """Walks what a table reference has below it: joins, pivots, functions."""
        for key, child in args_of(node):
            if key not in ("db", "catalog", "alias") and not (key == "this" and isinstance(child, (exp.Identifier, exp.Dot))):
                self.node(child, scope, node, key)

    def alias(self, node, scope):
        name = node.alias or node.name
        if name:
            scope.aliases.add(name.casefold())

    def table(self, node, scope, target=False):
        """Takes a table, with what hangs below it."""
        if not isinstance(node, exp.Table):
            raise Skip(f"{type(node).__name__} in the place of a table")
        this = node.this
        if isinstance(this, (exp.Identifier, exp.Dot)):
            if target and not node.args.get("db") and isinstance(this, exp.Identifier) and self.hidden(this, scope):
                raise Skip("the target is named like a common table expression")
            self.named(node, scope)
        elif isinstance(this, exp.DynamicIdentifier):
            if not (isinstance(this.this, exp.Literal) and this.this.is_string):
                raise Skip("IDENTIFIER of a variable")
            self.tables.add(".".join(p.strip('"`') for p in this.this.this.split(".")))
        elif isinstance(this, exp.Var) and str(this.this).startswith("@"):
            pass  # a stage
        elif isinstance(this, (exp.Parameter, exp.SessionParameter)):
            if self.name not in {"tsql", "fabric"}:
                raise Skip("a parameter in the place of a table")
        elif isinstance(this, (exp.Func, exp.Anonymous, exp.Table)):
            if self.name == "clickhouse" and node.args.get("db"):
                raise Skip("a function in a database, or a view with parameters")
        else:
            raise Skip(f"{type(this).__name__} as a table's name")
        self.alias(node, scope)
        self.inner(node, scope)

    def named(self, node, scope):
        parts = self.parts(node)
        first = parts[0]
        if any("'" == self.quote(p) for p in parts):
            raise Skip("a file in the place of a table")
        if len(parts) == 1:
            if first.name.casefold() == "dual" and not first.args.get("quoted") and self.name in MYSQL:
                raise Skip("dual")
            if self.hidden(first, scope):
                return
        elif first.name.casefold() in scope.aliases:
            if self.name in PATHS:
                if self.quote(first) == "`" and f"`{first.name}." in self.sql:
                    raise Skip("a path behind a range variable in one quoted name")
                return
            raise Skip("a path behind a range variable")
        name = ".".join(self.text(p) for p in parts)
        if not name or name.startswith(".") or name.endswith("."):
            raise Skip("a name with an empty end")
        self.tables.add(name)

    def parts(self, node):
        parts = []
        for key in ("catalog", "db"):
            p = node.args.get(key)
            if isinstance(p, exp.Identifier):
                if p.name.endswith("."):
                    raise Skip("a number in a table's name")
                parts.append(p)
            elif p == "" or isinstance(p, str):
                parts.append(exp.Identifier(this="", quoted=False))
            elif p is not None:
                raise Skip(f"{type(p).__name__} in a table's name")
        this = node.this
        if isinstance(this, exp.Dot):
            for p in this.flatten():
                if not isinstance(p, exp.Identifier):
                    raise Skip(f"{type(p).__name__} in a table's name")
                parts.append(p)
        else:
            parts.append(this)
        return parts

    def quote(self, ident):
        """Returns the character that an identifier starts with in the query."""
        start = ident.meta.get("start")
        return self.sql[start] if start is not None and start < len(self.sql) else ""

    def text(self, ident):
        prefix = "##" if ident.args.get("global_") else "#" if ident.args.get("temporary") else ""
        return prefix + ident.name
