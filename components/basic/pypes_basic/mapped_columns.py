"""Mapped columns: columns of a table that hold a field, or metadata, of the documents published to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Final, NamedTuple

import orjson

from pypes import Help
from pypes_basic.records import Record

#: Types that a mapped column may have, as PostgreSQL names them.
TYPES: Final = (
    *("text", "integer", "bigint", "double precision", "numeric", "boolean", "date", "timestamp with time zone", "jsonb"),
    *("text[]", "integer[]"),
)
SHORT: Final = {"timestamptz": "timestamp with time zone", "int": "integer", "float": "double precision", "bool": "boolean"}
#: Stands for all fields together.
ALL_FIELDS: Final = "*"
_META: Final = "meta:"


#: The parameter of a publisher whose table has no other columns for what a document says.
Columns = Annotated[
    dict[str, str],
    Help(
        'Columns: {"name": "name", "born": "born integer", "team": "meta:team", "all": "* jsonb"}, each with a field, '
        "metadata, or * for all fields, and its type.",
        min_length=1,
    ),
]


class Mapped(NamedTuple):
    """A column for a field, for metadata (``meta:NAME``), or for all fields (``*``)."""

    column: str
    source: str
    type: str


def parse_columns(given: Mapping[str, str], reserved: Collection[str]) -> tuple[Mapped, ...]:
    """Columns of a parameter: ``{"written": "created date"}`` is a column ``written`` of type ``date`` with field ``created``.

    Raises ``ValueError`` for a column or a type that cannot be, and for those that are ``reserved``.
    """
    found = []
    for column, source in given.items():
        name, _, kind = source.strip().partition(" ")
        kind = SHORT.get(kind.strip().lower(), kind.strip().lower()) or ("jsonb" if name == ALL_FIELDS else "text")
        if column in reserved:
            raise ValueError(f"column {column!r} is one of the table's own: {', '.join(reserved)}")
        if not (column.isascii() and column.isidentifier() and column == column.lower()):
            raise ValueError(f"column {column!r}: a name of a-z, 0-9 and _ is needed, such as {'written'!r}")
        if kind not in TYPES:
            raise ValueError(f"column {column!r}: no type {kind!r}; there are {', '.join(TYPES)}")
        found.append(Mapped(column, name, kind))
    return tuple(found)


def metadata_of(mapped: Collection[Mapped]) -> set[str]:
    """The names of the metadata that columns hold."""
    return {each.source.removeprefix(_META) for each in mapped if each.source.startswith(_META)}


def value_of(record: Record, mapped: Mapped) -> Any:
    """The value of a mapped column, as text that a database reads by its type; ``None`` where there is none."""
    source = mapped.source
    value: Any
    if source == ALL_FIELDS:
        value = record.fields
    elif source.startswith(_META):
        value = record.meta.get(source.removeprefix(_META))
    else:
        value = record.fields.get(source)
    if value is None or mapped.type == "jsonb":
        return None if value is None else json_text(value)
    if mapped.type.endswith("[]"):
        return [_text(each) for each in (value if isinstance(value, list) else [value])]
    return _text(value)


def json_text(value: Any) -> str:
    """A value as JSON."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value)
