"""Tables for Lookup: a CSV file in memory, or one of a database of SQLite."""

from __future__ import annotations

import csv
import logging
import sqlite3
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pypes.errors import ComponentError, Unreachable

Row = Mapping[str, Any]


class Source(Protocol):
    """The parameters that say where a table is."""

    path: str
    key: str
    take: Mapping[str, str]
    table: str
    delimiter: str
    ignore_case: bool
    check_s: float
    max_rows: int


class Table(Protocol):
    """Rows by the value of the key column. Any one thread at a time."""

    @property
    def blocks(self) -> bool: ...
    @property
    def columns(self) -> Sequence[str]: ...
    def rows(self, keys: Collection[str]) -> dict[str, Row]: ...
    def close(self) -> None: ...


def table_of(data_dir: str, source: Source, log: logging.LoggerAdapter[logging.Logger]) -> Table:
    """Open a table. Raises ``ComponentError`` that says what is wrong with it."""
    path = Path(data_dir, source.path)
    return SQLiteTable(path, source) if source.table else CSVTable(path, source, log)


class CSVTable:
    """A CSV file in memory, read again when it has changed."""

    def __init__(self, path: Path, source: Source, log: logging.LoggerAdapter[logging.Logger]) -> None:
        self._path, self._source, self._log = path, source, log
        self._mark = _mark(path)
        self.columns: Sequence[str] = ()
        self._rows: dict[str, tuple[str, ...]] = {}
        self._read()
        self._looked_s = time.monotonic()

    @property
    def blocks(self) -> bool:
        """True if the next question may read the file."""
        return time.monotonic() - self._looked_s >= self._source.check_s

    def rows(self, keys: Collection[str]) -> dict[str, Row]:
        self._look()
        fold = str.casefold if self._source.ignore_case else str
        found = ((key, self._rows.get(fold(key))) for key in keys)
        return {key: dict(zip(self.columns, cells, strict=False)) for key, cells in found if cells is not None}

    def close(self) -> None:
        """Nothing is open."""

    def _look(self) -> None:
        if not self.blocks:
            return
        self._looked_s = time.monotonic()
        try:
            mark = _mark(self._path)
            if mark != self._mark:
                self._read()
                self._mark = mark
                self._log.info("the table of %s was read again: %d rows", self._source.path, len(self._rows))
        except ComponentError as error:
            self._log.warning("the former table stays in use: %s", error.message)

    def _read(self) -> None:
        source = self._source
        delimiter = source.delimiter or ("\t" if self._path.suffix.lower() in (".tsv", ".tab") else ",")
        fold = str.casefold if source.ignore_case else str
        rows: dict[str, tuple[str, ...]] = {}
        try:
            with self._path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file, delimiter=delimiter, strict=True)
                columns = next(reader, [])
                _check(source, columns)
                at = columns.index(source.key)
                for row in reader:
                    if len(row) > at:
                        rows.setdefault(fold(row[at]), tuple(row))
                    if len(rows) > source.max_rows:
                        raise _bad(source, f"has more than {source.max_rows} rows (max_rows); put it into a database of SQLite")
        except OSError as error:
            raise _bad(source, f"cannot be read: {error.strerror}") from error
        except (csv.Error, UnicodeDecodeError) as error:
            raise _bad(source, f"is no CSV of UTF-8: {error}") from error
        self.columns, self._rows = columns, rows


class SQLiteTable:
    """A table that is asked each time. A file that another one has replaced is opened anew."""

    blocks = True

    def __init__(self, path: Path, source: Source) -> None:
        self._path, self._source = path, source
        self._database: sqlite3.Connection | None = None
        self._file = 0
        try:
            self._open()
        except sqlite3.Error as error:
            self.close()
            raise _bad(source, f"cannot be read: {error}") from error

    def _open(self) -> None:
        self.close()
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        self._database = sqlite3.connect(uri, uri=True, check_same_thread=False, timeout=10.0)
        file = _mark(self._path)[0]
        table = _quoted(self._source.table)
        found = self._database.execute(f"SELECT * FROM {table} LIMIT 0")
        self.columns: Sequence[str] = [each[0] for each in found.description]
        _check(self._source, self.columns)
        self._statement = f"SELECT * FROM {table} WHERE {_quoted(self._source.key)} = ? LIMIT 1"
        kinds = {name: kind for _, name, kind, *_ in self._database.execute(f"PRAGMA table_info({table})")}
        self._has_kinds = kinds.get(self._source.key, "").upper() not in ("", "BLOB")
        self._file = file

    def rows(self, keys: Collection[str]) -> dict[str, Row]:
        """Raises :class:`Unreachable` while the database cannot be read."""
        try:
            if _mark(self._path)[0] != self._file:
                self._open()
            assert self._database is not None
            found = ((key, self._row(self._database, key)) for key in keys)
            return {key: dict(zip(self.columns, cells, strict=True)) for key, cells in found if cells is not None}
        except (sqlite3.Error, ComponentError) as error:
            raise Unreachable(f"{self._source.path}: {error}") from error

    def _row(self, database: sqlite3.Connection, key: str) -> Any:
        """The row of a key. SQLite compares the text as the type of the column says; without one, numbers are asked for, too."""
        row = database.execute(self._statement, (key,)).fetchone()
        if row is None and not self._has_kinds and (number := _number(key)) is not None:
            row = database.execute(self._statement, (number,)).fetchone()
        return row

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


def _mark(path: Path) -> tuple[int, int, int]:
    """Number, time and size of a file: another file has others."""
    try:
        found = path.stat()
    except OSError as error:
        raise ComponentError(f"{path.name} cannot be read: {error.strerror}", code="lookup.file") from error
    return found.st_ino, found.st_mtime_ns, found.st_size


def _check(source: Source, columns: Sequence[str]) -> None:
    """Raise ``ComponentError`` unless a table has all columns that are needed."""
    absent = [name for name in (source.key, *source.take) if name not in columns]
    if absent:
        raise _bad(source, f"has no column {absent[0]!r}; it has {', '.join(columns) or 'none'}")


def _bad(source: Source, what: str) -> ComponentError:
    return ComponentError(f"{source.path} {what}", code="lookup.file")


def _number(text: str) -> int | float | None:
    """The number that is written like this and no other way; ``None`` if it is none that SQLite has."""
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if str(number) == text and (kind is float or -(2**63) <= number < 2**63):
            return number
    return None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
