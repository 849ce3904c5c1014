"""Dialects: what SQL of PostgreSQL and of SQLite differ in, for tables of documents."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any, ClassVar, Final

import orjson

from pypes_basic.mapped_columns import Mapped
from pypes_basic.postgresql_session import found_columns

#: Types of columns in SQLite (https://www.sqlite.org/stricttables.html).
_SQLITE_TYPES: Final = {
    "integer": "INTEGER",
    "bigint": "INTEGER",
    "boolean": "INTEGER",
    "double precision": "REAL",
    "numeric": "REAL",
}
#: Functions of SQLite that give NULL for a text that is no such time.
_SQLITE_TIMES: Final = {"date": "date", "timestamp with time zone": "datetime"}
_BOOLEANS: Final = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1"), "1"),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0"), "0"),
}


class Dialect(ABC):
    """The differences, statement by statement."""

    #: Stands for a parameter.
    mark: ClassVar[str]
    #: Declaration of a column with versions, which are compared byte by byte.
    version: ClassVar[str]
    #: Options behind the columns of a new table.
    options: ClassVar[str] = ""

    @abstractmethod
    def declared(self, mapped: Mapped) -> str:
        """The declaration of a mapped column."""

    @abstractmethod
    def type_of(self, kind: str) -> str:
        """A type by the name that the database has for it."""

    @abstractmethod
    def marked(self, kind: str) -> str:
        """A parameter that is read as a value of a type."""

    @abstractmethod
    def value(self, value: Any, kind: str) -> Any:
        """A value of a mapped column as a parameter."""

    @abstractmethod
    def among(self, column: str) -> str:
        """The condition that a column is one of the texts of a parameter."""

    @abstractmethod
    def listed(self, texts: Collection[str]) -> Any:
        """Texts as that parameter."""

    @abstractmethod
    def columns_of(self, db: Any, table: str) -> dict[str, str]:
        """Columns of a table with their types; none if it is not there."""

    def fits(self, there: str, kind: str) -> bool:
        """True if a column of a type that is there takes values of ``kind``."""
        return there == self.type_of(kind)

    def lock(self, db: Any, table: str) -> None:  # noqa: B027 (a dialect may need none)
        """Have instances that begin at the same time make tables one after the other, until the transaction ends."""


class PostgresDialect(Dialect):
    """PostgreSQL, from 9.5 on."""

    mark = "%s"
    version = 'text COLLATE "C" NOT NULL'

    def declared(self, mapped: Mapped) -> str:
        return f"{mapped.column} {mapped.type}"

    def type_of(self, kind: str) -> str:
        return kind

    def marked(self, kind: str) -> str:
        return f"%s::{kind}"

    def value(self, value: Any, kind: str) -> Any:
        return value

    def among(self, column: str) -> str:
        return f"{column} = ANY(%s::text[])"

    def listed(self, texts: Collection[str]) -> Any:
        return list(texts)

    def columns_of(self, db: Any, table: str) -> dict[str, str]:
        return found_columns(db, table)

    def lock(self, db: Any, table: str) -> None:
        db.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"pypes {table}",))


class SqliteDialect(Dialect):
    """SQLite, from 3.37 on: tables are strict, and texts of times are checked."""

    mark = "?"
    version = "TEXT NOT NULL"
    options = " STRICT"

    def declared(self, mapped: Mapped) -> str:
        column, _, kind = mapped
        check = f" CHECK ({column} IS NULL OR {_SQLITE_TIMES[kind]}({column}) IS NOT NULL)" if kind in _SQLITE_TIMES else ""
        return f"{column} {self.type_of(kind)}{check}"

    def type_of(self, kind: str) -> str:
        return _SQLITE_TYPES.get(kind, "TEXT")

    def marked(self, kind: str) -> str:
        return "?"

    def value(self, value: Any, kind: str) -> Any:
        if isinstance(value, list):
            return orjson.dumps(value).decode()
        return _BOOLEANS.get(value.lower(), value) if kind == "boolean" and value is not None else value

    def among(self, column: str) -> str:
        return f"{column} IN (SELECT value FROM json_each(?))"

    def listed(self, texts: Collection[str]) -> Any:
        return orjson.dumps(list(texts)).decode()

    def columns_of(self, db: sqlite3.Connection, table: str) -> dict[str, str]:
        return {name: kind.upper() for _, name, kind, *_ in db.execute(f"PRAGMA table_info({table})")}

    def fits(self, there: str, kind: str) -> bool:
        affinity = _affinity(there)
        return affinity in ("", self.type_of(kind))


def _affinity(declared: str) -> str:
    """The type to which SQLite turns values in a column of a declared type; empty where it leaves them as they are, or may."""
    if "INT" in declared:
        return "INTEGER"
    if any(each in declared for each in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    return "REAL" if any(each in declared for each in ("REAL", "FLOA", "DOUB")) else ""
