"""Readers of the servers' answers, one for each form: how many rows an answer
hands out, and how many affected rows it names. They are the second witness
beside the numbers in battery.py, and share nothing with Tallygate."""

import csv
import datetime
import decimal
import io
import ipaddress
import json
import re
import uuid
import zoneinfo


class Unsure(int):
    """A count that an answer lets a reader take, but does not name, or only in
    a text that breaks its format: right for who takes it, and no fault for who
    does not."""

    def __new__(cls, count):
        return None if count is None else super().__new__(cls, count)


def from_json(text):
    """A value, and whether its text is JSON. Python writes NaN and Infinity."""
    strange = []
    return json.loads(text, parse_constant=strange.append), not strange


def texts(result):
    return [c["text"] for c in result.get("content", []) if c.get("type") == "text"]


def text(result):
    """The only text of a result, or its first."""
    return (texts(result) or [""])[0]


# What repr writes by name.
NAMES = {"__builtins__": {}, "Decimal": decimal.Decimal, "datetime": datetime, "UUID": uuid.UUID, "zoneinfo": zoneinfo,
         "nan": float("nan"), "inf": float("inf"), "IPv4Address": ipaddress.IPv4Address}


def python_list(result):
    value = eval(text(result), NAMES)
    return len(value) if isinstance(value, list) else None


def json_list(result):
    value = json.loads(text(result))
    return len(value) if isinstance(value, list) else None


def json_second(result):
    """The list in the second text, behind a title."""
    value = json.loads(texts(result)[1])
    return len(value) if isinstance(value, list) else None


def json_rows(*path):
    """The array at a path in the JSON of the first text."""
    def read(result):
        value, sure = from_json(text(result))
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if not isinstance(value, list):
            return None
        return len(value) if sure else Unsure(len(value))
    return read


def json_sum(*path):
    """The sum of the arrays, or of the numbers, that the last name gives in
    each element of the array at the path before it."""
    *path, last = path

    def read(result):
        value = json.loads(text(result))
        for name in path:
            value = value[name]
        return sum(len(v[last]) if isinstance(v[last], list) else v[last] for v in value)
    return read


def text_each(result):
    """A text for each row, a JSON object in each; None where one is not."""
    try:
        rows = [json.loads(t) for t in texts(result)]
    except ValueError:
        return None
    return len(rows)


def text_values(result):
    """A text for each value, as the SDK makes of a list of strings."""
    return len(texts(result))


def returned(result):
    """The JSON list behind the words `Returning data:`."""
    return len(json.loads(text(result).partition("Returning data:\n")[2]))


def strict_csv(result):
    """Rows of CSV of two columns or more; None where a row is of another
    length than the header, since the server does not quote."""
    rows = list(csv.reader(io.StringIO(text(result)), strict=True))
    if not rows or len(rows[0]) < 2 or any(len(r) != len(rows[0]) for r in rows):
        return None
    return len(rows) - 1


def words(*patterns):
    """The number in the first of the patterns that is found; a pattern without a group is none, 0."""
    def read(result):
        for pattern in patterns:
            if found := re.search(pattern, text(result)):
                return int(found.group(1)) if found.groups() else 0
        return None
    return read


def duckdb_count(result):
    """MotherDuck's answer to a write: one column `Count`, one row."""
    value = json.loads(text(result))
    return value["rows"][0][0] if value["columns"] == ["Count"] and value["rows"] else None
