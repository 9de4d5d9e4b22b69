"""Makes the judge's corpora: lines of JSON, one query a line.

    corpus.py OUT NAME=FOLDER ...

OUT is the folder for NAME.jsonl. Each line has the fields source, dialect
(sqlglot's name, "" for its own), sql, tables (sorted), kind (query, write,
none, mixed or "") and statements; or skip, the reason why the query is no
part of the comparison, in the place of the last three.
"""

import ast
import json
import multiprocessing
import pathlib
import re
import sys

import sqlglot
from sqlglot.dialects.dialect import Dialects

import oracle

KNOWN = {d.value for d in Dialects}
MAX_QUERY = 64 << 10


def sqlglot_tests(folder):
    """The strings that sqlglot's own tests parse, with their dialects."""
    folder = pathlib.Path(folder)
    for path in sorted((folder / "tests").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for top in tree.body:
            dialect = ""
            if isinstance(top, ast.ClassDef):
                for s in top.body:
                    if (isinstance(s, ast.Assign) and isinstance(s.targets[0], ast.Name)
                            and s.targets[0].id == "dialect" and isinstance(s.value, ast.Constant)):
                        dialect = s.value.value or ""
            for call in ast.walk(top):
                if isinstance(call, ast.Call):
                    yield from strings_of(call, dialect)


def strings_of(call, dialect):
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    words = {k.arg: k.value for k in call.keywords}
    args = [text(a) for a in call.args]
    if name == "validate_identity":
        for a in args[:2] + [text(words.get("write_sql"))]:
            if a:
                yield dialect, a
    elif name == "validate_all":
        if args and args[0]:
            yield dialect, args[0]
        for node in [*call.args[1:3], words.get("read"), words.get("write")]:
            if isinstance(node, ast.Dict):
                for k, v in zip(node.keys, node.values):
                    if text(v) and text(k) is not None:
                        yield text(k), text(v)
    elif name in ("parse_one", "transpile", "validate", "validate_transpile", "parse"):
        read = text(words.get("read")) or text(words.get("dialect"))
        if name == "parse_one" and len(args) > 1 and args[1]:
            read = args[1]
        if not read and isinstance(call.func, ast.Attribute) and name in ("parse_one", "validate_transpile"):
            read = dialect
        for w in ("read", "dialect"):
            if w in words and text(words[w]) is None:
                return
        if args and args[0] and (read or "") in KNOWN:
            yield read or "", args[0]


def text(node):
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def sqlglot_fixtures(folder):
    folder = pathlib.Path(folder) / "tests" / "fixtures"
    for path in sorted(folder.rglob("*.sql")):
        if not path.name.startswith("tpc-"):
            yield from fixtures(path)


def tpc(folder):
    """TPC-H and TPC-DS, as written and as sqlglot's optimizer writes them."""
    for path in sorted((pathlib.Path(folder) / "tests" / "fixtures").rglob("tpc-*.sql")):
        yield from fixtures(path)


def fixtures(path):
    lines = [s for s in path.read_text(encoding="utf-8").splitlines() if s and not s.startswith("--")]
    if path.name == "identity.sql":
        yield from (("", s) for s in lines if not s.startswith("#"))
        return
    dialect = ""
    for part in "\n".join(lines).split(";"):
        part = part.strip()
        if part.startswith("#"):
            dialect = ""
        while part.startswith("#"):
            key, _, part = part.partition("\n")
            if key.startswith("# dialect:"):
                dialect = key.split(":")[1].strip().split(",")[0]
            part = part.lstrip()
        if part:
            yield dialect, part


def split(sql, dialect):
    """Splits a script at its semicolons, as sqlglot's tokenizer sees them."""
    if dialect == "tsql":
        batches = re.split(r"^\s*GO\s*;?\s*$", sql, flags=re.I | re.M)
        if len(batches) > 1:
            for b in batches:
                yield from split(b, dialect)
            return
    try:
        tokens = sqlglot.tokenize(sql, read=dialect or None)
    except Exception:
        return
    start = 0
    for t in tokens:
        if t.token_type.name == "SEMICOLON":
            yield sql[start:t.start].strip()
            start = t.end + 1
    yield sql[start:].strip()


def script(dialect, sql):
    """The statements of a script, and the script itself when it is short."""
    parts = [p for p in split(sql, dialect) if p]
    for p in parts:
        yield dialect, p
    if 1 < len(parts) <= 12 and not (dialect == "tsql" and re.search(r"^\s*GO\b", sql, re.I | re.M)):
        yield dialect, sql


def decoded(path):
    data = path.read_bytes()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def scripts(folder, dialect_of):
    for path in sorted(pathlib.Path(folder).rglob("*.sql")):
        sql = decoded(path)
        dialect = dialect_of(path)
        if sql is not None and dialect is not None and len(sql) <= 4 * MAX_QUERY:
            yield from script(dialect, sql)


SQRUFF = {"ansi": "", "sparksql": "spark", "greenplum": "postgres", "mariadb": "mysql",
           "db2": None, "flink": None, "impala": "hive", "vertica": None}


def sqruff(folder):
    """sqlfluff's fixtures of all dialects, as sqruff's crate has them."""
    root = pathlib.Path(folder) / "test" / "fixtures" / "dialects"

    def dialect_of(path):
        name = path.relative_to(root).parts[0]
        name = SQRUFF.get(name, name)
        return name if name is not None and name in KNOWN else None

    yield from scripts(root, dialect_of)


def plain(folder):
    yield from scripts(folder, lambda path: "")


def doubleclick(folder):
    yield from scripts(folder, lambda path: "clickhouse")


def teesql(folder):
    yield from scripts(folder, lambda path: "tsql")


def marino(folder):
    for path in sorted(pathlib.Path(folder).rglob("input.sql")):
        for case in decoded(path).split("\n-- case\n"):
            if case.strip():
                yield "mysql", case.strip()


def meyer(folder):
    """==== NAME, a script, ----, what comes of it."""
    for path in sorted(pathlib.Path(folder).rglob("*.test")):
        for case in re.split(r"^==== .*$", decoded(path) or "", flags=re.M)[1:]:
            yield from script("sqlite", case.partition("\n----")[0].strip())


def oliphant(folder):
    """== NUMBER, a statement (|-- is -- in it), --, what comes of it."""
    for path in sorted(pathlib.Path(folder).rglob("*.test")):
        for case in re.split(r"^== .*$", decoded(path) or "", flags=re.M)[1:]:
            sql = re.split(r"^--$", case, flags=re.M)[0]
            sql = re.sub(r"^\|--", "--", sql, flags=re.M).strip()
            if sql:
                yield "postgres", sql


def zetajones(folder):
    """Cases apart by ==, in each the statement, --, what comes of it."""
    for path in sorted(pathlib.Path(folder).rglob("*.test")):
        for case in re.split(r"^==$", decoded(path) or "", flags=re.M):
            sql, dashes, answer = case.partition("\n--\n")
            sql = re.sub(r"\A\s*(\[[^\]\n]*\]\s*)+", "", sql).strip()
            if sql and dashes and "ERROR" not in answer:
                yield "bigquery", sql
    yield from scripts(folder, lambda path: "bigquery")


SOURCES = {
    "sqlglot": sqlglot_tests, "fixtures": sqlglot_fixtures, "tpc": tpc, "sqruff": sqruff,
    "doubleclick": doubleclick, "teesql": teesql, "marino": marino, "meyer": meyer,
    "oliphant": oliphant, "zetajones": zetajones, "sqllineage": plain, "sqlparse": plain,
}


def judge(job):
    source, dialect, sql = job
    line = {"source": source, "dialect": dialect, "sql": sql}
    try:
        t = oracle.read(sql, dialect)
        line.update(tables=t.tables, kind=t.kind, statements=t.statements)
    except oracle.Skip as e:
        line["skip"] = str(e)
    except RecursionError:
        line["skip"] = "nested too deep"
    return json.dumps(line, ensure_ascii=False)


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    with multiprocessing.Pool() as pool:
        for arg in sys.argv[2:]:
            source, _, folder = arg.partition("=")
            jobs, seen = [], set()
            for dialect, sql in SOURCES[source](folder):
                usable = dialect in KNOWN and len(sql.encode("utf-8", "replace")) <= MAX_QUERY and "\x00" not in sql
                if usable and (dialect, sql) not in seen:
                    seen.add((dialect, sql))
                    jobs.append((source, dialect, sql))
            path = out / (source + ".jsonl")
            with open(path.with_suffix(".part"), "w", encoding="utf-8") as f:
                for line in pool.imap(judge, jobs, chunksize=64):
                    f.write(line + "\n")
            path.with_suffix(".part").rename(path)
            print(f"{source}: {len(jobs)} queries", flush=True)


if __name__ == "__main__":
    main()
