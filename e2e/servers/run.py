#!/usr/bin/env python3
"""Real MCP servers in front of real databases, through the gate into the ledger.

    run.py [--binary FILE] [--record] [--keep] [SERVER…]

installs the servers that are named (or all) at pinned versions, starts each
behind a gate, makes its calls with a key, reads the row of each call back from
the ledger and compares its tables and record count with what battery.py and
answers.py say. --record also writes the calls to recordings/, of which a Go
test replays each.
"""

import argparse
import json
import re
import shutil
import signal
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import answers
import battery
import catalog
import client
import databases
import gate
import install

RECORDINGS = Path(__file__).parent / "recordings"
COUNTS, TABLES = 0.95, 0.98  # of what can be known, on the servers that count


@dataclass
class Called:
    server: catalog.Server
    case: battery.Case
    request: dict
    answer: str  # the message, as it came
    want: dict

    @property
    def id(self):
        return self.request["id"]


def truth(server, case, message):
    """What the row of a call has to say: tables, records, and for an answer
    that leaves a choice another count that is right, with the reason."""
    want = {"tables": case.named(server.dialect), "records": None}
    result = message.get("result")
    why = case.why
    if result is None or result.get("isError") or any(re.search(server.failed, t) for t in text_blocks(result)[:1]):
        why = why or "the answer is an error"
    elif case.kind == "none":
        why = why or "hands out no rows that count"
    else:
        found = count(server, case, result)
        check(server, case, found)
        if isinstance(found, answers.Unsure) or found is not None and not case.whole:
            want["or"], why = int(found), why or ("named by nothing, or in a text that breaks its format" if case.whole else "it may be the last statement's")
        else:
            want["records"] = found
            if found is None:
                why = why or ("the answer names no affected rows" if case.kind == "write" else "the answer does not say where a row ends")
    if case.accept is not battery.NOTHING:
        want["or"] = case.accept
    if why:
        want["why"] = why
    return want


def count(server, case, result):
    """What an answer says: rows that it hands out, or affected rows that it
    names. Some servers answer even a write with RETURNING by the latter."""
    if case.read:
        return case.read(result)
    affected = server.affected(result) if server.affected and (case.kind == "write" or "RETURNING" in (case.text(server.dialect) or "")) else None
    if case.kind == "write" or affected is not None:
        return affected
    return server.rows(result)


def text_blocks(result):
    return [c.get("text", "") for c in result.get("content", [])]


def check(server, case, found):
    """Compares what an answer says with what the statement has to yield."""
    number = case.number(server.dialect)
    known = number if isinstance(number, tuple) else (number,)
    if found is None or found in known or server.truncates and case.kind == "query" and found < max(known):
        return
    raise SystemExit(f"{server.name}/{case.name}: the answer says {found}, the data {number}")


def call_all(server, url, key):
    session = client.Client(url, key)
    session.open()
    for case, tool, arguments in server.calls():
        request, answer = session.call(f"{server.name}/{case.name}", tool, arguments)
        try:
            want = truth(server, case, json.loads(answer))
        except (ValueError, SyntaxError, NameError, KeyError, TypeError) as e:
            raise SystemExit(f"{server.name}/{case.name}: the answer is not as answers.py expects: {e!r}\n{answer[:1000]}")
        yield Called(server, case, request, answer, want)


@dataclass
class Score:
    calls: int = 0
    known_counts: int = 0
    right_counts: int = 0
    known_tables: int = 0
    right_tables: int = 0
    wrong: int = 0

    def add(self, other):
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def score(called, rows, problems):
    """Compares the row of a call with the truth."""
    s, row, want = Score(calls=1), rows.get(called.id), called.want
    if row is None:
        problems.append((called.id, "no row in the ledger"))
        return Score(calls=1, wrong=1)
    s.known_counts, s.known_tables = int(want["records"] is not None), int(bool(want["tables"]))
    tables, records = row["tables"] or None, row["record_count"]
    if records is not None and records not in (want["records"], want.get("or")):
        s.wrong += 1
        problems.append((called.id, f"WRONG count {records}, not {want['records']}"))
    elif want["records"] is not None:
        s.right_counts = int(records is not None)
        if records is None:
            problems.append((called.id, f"count is null, not {want['records']}"))
    if tables and tables != want["tables"]:
        s.wrong += 1
        problems.append((called.id, f"WRONG tables {tables}, not {want['tables']}"))
    elif want["tables"]:
        s.right_tables = int(tables is not None)
        if tables is None:
            problems.append((called.id, f"tables are null, not {want['tables']}"))
    return s


def line(name, s):
    return f"{name:38} {s.calls:5} {s.wrong:6} {s.right_counts:7}/{s.known_counts:<6} {s.right_tables:7}/{s.known_tables:<6}"


def report(all_called, rows):
    """Prints the table and returns whether the rows are good enough."""
    problems, totals, wrong = [], Score(), 0
    print(f"{'server':38} {'calls':>5} {'wrong':>6} {'counts':>14} {'tables':>14}")
    for server in {c.server.name: c.server for c in all_called}.values():
        total = Score()
        for c in all_called:
            if c.server is server:
                total.add(score(c, rows, problems))
        print(line(f"{server.name} {server.version}", total))
        wrong += total.wrong
        if server.counted:
            totals.add(total)
    print(line("together, of the first nine", totals))
    for id, words in problems:
        print(f"  {id}: {words}")
    return (wrong == 0 and totals.right_counts >= COUNTS * totals.known_counts
            and totals.right_tables >= TABLES * totals.known_tables)


def record(server, called, secrets):
    """Writes the calls of a server, one a line."""
    lines = []
    for c in called:
        if c.case.live_only:
            continue
        answer = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8123", c.answer)
        head = {"server": server.package, "transport": "streamable HTTP" if server.native else f"stdio behind {catalog.BRIDGE}",
                "call": c.case.name, "want": c.want}
        if server.rule:
            head["rule"] = server.rule
        text = json.dumps(head, ensure_ascii=False)[:-1]
        lines.append(f'{text}, "request": {json.dumps(c.request, ensure_ascii=False)}, "response": {answer}}}')
        json.loads(lines[-1])
    text = "[\n" + ",\n".join(lines) + "\n]\n"
    for secret in secrets:
        if secret in text:
            raise SystemExit(f"{server.name}: the recording has {secret!r} in it")
    RECORDINGS.mkdir(exist_ok=True)
    (RECORDINGS / f"{server.name}.json").write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("servers", nargs="*", help="names of servers; all, unless given: " + ", ".join(s.name for s in catalog.ALL))
    parser.add_argument("--binary", help="a built tallygate; without it one is built")
    parser.add_argument("--record", action="store_true", help="write the calls to recordings/")
    parser.add_argument("--keep", action="store_true", help="keep the folder of data and logs")
    arguments = parser.parse_args()
    unknown = set(arguments.servers) - {s.name for s in catalog.ALL}
    if unknown:
        parser.error(f"no server is named {', '.join(sorted(unknown))}")
    chosen = [s for s in catalog.ALL if not arguments.servers or s.name in arguments.servers]

    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))  # what was started is stopped
    install.debian()
    folder = tempfile.mkdtemp(prefix="tallygate-servers-")
    processes = databases.Processes(folder)
    try:
        at = gate.Gate(processes, arguments.binary, chosen)
        bases, called = databases.Databases(processes), []
        for server in chosen:
            install.say("==", server.name, server.version)
            process = server.start(processes, bases.new(server.dialect), at.upstreams[server.name])
            of_this = list(call_all(server, at.url(server), at.key))
            processes.stop(process)
            if arguments.record:
                record(server, of_this, [folder, databases.PASSWORD, at.key, socket.gethostname() + ":", str(Path.home()), str(install.CACHE)])
            called += of_this
        good = report(called, at.wait_for_rows(len(called)))
    except install.Missing as e:
        sys.exit(str(e))
    finally:
        processes.stop_all()
        if arguments.keep:
            install.say("data and logs are in", folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(not good)


if __name__ == "__main__":
    main()
