"""Conditions: which documents a question is about, as they are written and as SQL."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import orjson

from pypes.errors import InvalidInput
from pypes_basic.values import NOBODY

_WRITTEN: Final = re.compile(r"\s*([^\s=<>!][^=<>!]*?)\s*(>=|<=|!=|=|>|<)\s*(.*?)\s*", re.DOTALL)
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_NUMBER: Final = re.compile(r"-?\d{1,18}(\.\d{1,18})?")
#: Columns that conditions may name; everything else is a field or metadata of a document.
_COLUMNS: Final = {"route": "d.route", "id": "d.id", "part": "d.part", "title": "d.title"}
#: So many conditions a question may have: each is looked at for every document that its words match.
MOST_CONDITIONS: Final = 32
MOST_PRINCIPALS: Final = 1_000

#: A piece of SQL and the values in it.
Sql = tuple[str, list[Any]]


class Condition(NamedTuple):
    """``name`` compared with ``value``; of several values of a document, one has to match."""

    name: str
    operator: str
    value: str


def parse(written: str) -> Condition:
    """A condition such as ``language=de`` or ``created>=2026-01-01``. Raises ``InvalidInput`` that says what is wrong."""
    found = _WRITTEN.fullmatch(written)
    if found is None or '"' in found[1]:
        raise InvalidInput(
            f"{written!r} is no condition; write name=value, or != < <= > >=, such as language=de or created>=2026-01-01",
            code="search.bad_filter",
        )
    return Condition(*found.groups())


def sql_of(written: Sequence[str], principals: Iterable[str], route: str | None, *, has_acl: bool = True) -> Sql:
    """The conditions for rows ``d``, of which all hold, but only one of those that say ``=`` of the same name.

    Rows with an access list have to name one of the principals. Raises ``InvalidInput``.
    """
    principals = list(principals)
    if len(written) > MOST_CONDITIONS or len(principals) > MOST_PRINCIPALS:
        raise InvalidInput(
            f"a question may have up to {MOST_CONDITIONS} filters and {MOST_PRINCIPALS} principals", code="search.bad_filter"
        )
    if NOBODY in principals:
        raise InvalidInput(f"{NOBODY!r} is no principal: it stands for nobody in access lists", code="search.bad_principal")
    alternatives: dict[tuple[str, str], list[Sql]] = {}
    for number, condition in enumerate(map(parse, written)):
        # one name is compared with several values if it is to equal any of them, or else with all
        key = condition.name, "=" if condition.operator == "=" else str(number)
        alternatives.setdefault(key, []).append(_compared(condition))
    pieces = [_joined(each, " OR ") for each in alternatives.values()]
    if route is not None:
        pieces.append(("d.route = ?", [route]))
    if has_acl:
        pieces.append(_allowed(principals))
    return _joined(pieces, " AND ") if pieces else ("true", [])


def _allowed(principals: Sequence[str]) -> Sql:
    if not principals:
        return "d.acl IS NULL", []
    sql = "d.acl IS NULL OR EXISTS (SELECT 1 FROM json_each(d.acl) WHERE value IN (SELECT value FROM json_each(?)))"
    return sql, [orjson.dumps(principals).decode()]


def _compared(condition: Condition) -> Sql:
    name, operator, value = condition
    if operator == "!=":
        sql, values = _compared(Condition(name, "=", value))
        return f"NOT ({sql})", values
    column = _COLUMNS.get(name)
    if column is not None:
        return _text(column, operator, value)
    alternatives = [("e.type = 'text' AND ", _text("e.value", operator, value))]
    if (number := _number(operator, value)) is not None:
        alternatives.append(("e.type IN ('integer', 'real') AND ", number))
    if value in ("true", "false") and operator == "=":
        alternatives.append(("", ("e.type = ?", [value])))
    matched = _joined([(f"{kind}({sql})", values) for kind, (sql, values) in alternatives], " OR ")
    path = orjson.dumps(name).decode()
    sources = " UNION ALL ".join("SELECT type, value FROM json_each(d.fields, ?)" for _ in range(2))
    return f"EXISTS (SELECT 1 FROM ({sources}) e WHERE {matched[0]})", [f"$.meta.{path}", f"$.fields.{path}", *matched[1]]


def _text(place: str, operator: str, value: str) -> Sql:
    """Compared as text; a day is compared with as much of a time as it says."""
    if operator in ("<=", ">"):
        return f"substr({place}, 1, ?) {operator} ?", [len(value), value]
    return f"{place} {operator} ?", [value]


def _number(operator: str, value: str) -> Sql | None:
    """Compared as a number: a number itself, or the seconds at which a day begins or has ended."""
    if _NUMBER.fullmatch(value):
        return f"e.value {operator} ?", [float(value) if "." in value else int(value)]
    if not _DAY.match(value):
        return None
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        end = moment + timedelta(days=1) if _DAY.fullmatch(value) else moment
    except (ValueError, OverflowError):
        return None
    start_s, end_s = moment.timestamp(), end.timestamp()
    if operator == "=":
        return "e.value >= ? AND e.value < ?", [start_s, max(end_s, start_s + 1)]
    if end_s == start_s:
        return f"e.value {operator} ?", [start_s]
    return (
        (f"e.value {'<' if operator == '<=' else '>='} ?", [end_s])
        if operator in ("<=", ">")
        else (
            f"e.value {operator} ?",
            [start_s],
        )
    )


def _joined(pieces: Sequence[Sql], by: str) -> Sql:
    return by.join(f"({sql})" for sql, _ in pieces), [value for _, values in pieces for value in values]
