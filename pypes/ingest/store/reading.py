"""Reading commits from a store that may be damaged, and what its errors mean."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

import msgspec
import orjson

from pypes.errors import StoreError, StoreFull
from pypes.ingest.outcome import Poison
from pypes.ingest.store.rows import Row, salvage, unpack
from pypes.ingest.store.schema import FORMAT


def decode_poisons(data: bytes) -> tuple[Poison, ...]:
    return msgspec.msgpack.decode(data, type=tuple[Poison, ...])


def refuse_newer(connection: sqlite3.Connection, found: int, path: Path) -> None:
    """Raise :class:`StoreError` with the version needed if the store has a later format."""
    if found > FORMAT:
        (written_by,) = connection.execute("SELECT value FROM meta WHERE name = 'version'").fetchone() or ("",)
        raise StoreError(
            f"the queue has format {found}, this version reads up to {FORMAT}; run Pypes {written_by or '(later)'} or newer",
            code="store.too_new",
            where=str(path),
        )


_SCANNED = "SELECT key, salt, entries, size, spools FROM commits"


def scan_commits(connection: sqlite3.Connection) -> tuple[list[tuple[int, int, int, int, str | None]], list[str]]:
    """Reads the commits for :meth:`Store.scan`. Around a damaged page it reads from both ends."""
    marked = {key for (key,) in connection.execute("SELECT key FROM damaged")}
    rows: list[tuple[int, int, int, int, str | None]] = []
    problems: list[str] = []
    try:
        for row in connection.execute(f"{_SCANNED} ORDER BY key"):
            rows.append(row)
    except sqlite3.DatabaseError as error:
        first = rows[-1][0] if rows else -1
        behind: list[tuple[int, int, int, int, str | None]] = []
        with suppress(sqlite3.DatabaseError):
            for row in connection.execute(f"{_SCANNED} WHERE key > ? ORDER BY key DESC", (first,)):
                behind.append(row)
        last = behind[-1][0] if behind else None
        until = f"before commit {last}" if last is not None else "to the end"
        problems.append(f"commits after {first if rows else 'the start'} and {until} cannot be read ({error})")
        rows += reversed(behind)
    return [row for row in rows if row[0] not in marked], problems


def letters_by_graph(connection: sqlite3.Connection) -> list[tuple[str, int, int]]:
    """Graph, count and bytes of the dead letters, and of the bodies kept for them; as far as they can be read."""
    found: list[tuple[str, int, int]] = []
    with suppress(sqlite3.DatabaseError):
        sql = "SELECT graph, count(*), CAST(total(size) AS INTEGER) FROM dead_letters GROUP BY graph"
        found += connection.execute(sql)
        # PERF: each of the two is read from an index alone; the table has the bodies in it
        sizes = dict(connection.execute("SELECT rowid, size FROM bodies INDEXED BY bodies_size"))
        sql = """SELECT rowid, (SELECT graph FROM dead_letters WHERE id > receipt || '-' AND id < receipt || '.' LIMIT 1)
          FROM bodies INDEXED BY sqlite_autoindex_bodies_1"""
        found += ((graph or "", 0, sizes.get(rowid, 0)) for rowid, graph in connection.execute(sql))
    return found


def load_rows(connection: sqlite3.Connection, keys: list[int], path: Path, *, is_last_try: bool = False) -> list[Row]:
    """Implements :meth:`Store.load` on any connection."""
    try:
        found = connection.execute(
            "SELECT key, data, crc FROM commits WHERE key IN (SELECT value FROM json_each(?))", (orjson.dumps(keys).decode(),)
        ).fetchall()
    except sqlite3.Error:
        found = []  # one of them is the cause: one after the other
    data = {key: (blob, crc) for key, blob, crc in found}
    rows = []
    refused: sqlite3.Error | None = None
    for key in keys:
        try:
            blob, crc = data[key] if key in data else _load_row(connection, key)
        except StoreError as error:
            rows.append(Row(key, None, error.message))
            continue
        except sqlite3.Error as error:
            if not _is_damage(error):
                refused = error
            rows.append(Row(key, None, f"a row of the queue cannot be read: {error}"))
            continue
        try:
            rows.append(Row(key, unpack(blob, crc)))
        except StoreError as error:
            rows.append(Row(key, None, error.message, salvage(blob)))
    # a disk that gives nothing at all may be back in a moment; one that gives the others has lost this
    if refused is not None and not is_last_try and all(row.entries is None for row in rows):
        raise failure(refused, path) from refused
    return rows


def _load_row(connection: sqlite3.Connection, key: int) -> tuple[bytes, int | None]:
    found = connection.execute("SELECT data, crc FROM commits WHERE key = ?", (key,)).fetchone()
    if found is None:
        raise StoreError("a row of the queue is gone", code="store.damaged")
    return found  # type: ignore[no-any-return]


def _is_damage(error: sqlite3.Error) -> bool:
    """True if the data are at fault, not the disk or the moment."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or isinstance(error, UnicodeError)


def failure(error: sqlite3.Error, path: Path) -> StoreError:
    """Map an error of SQLite to an error for the client: no room (507), or a failed store (503)."""
    code = getattr(error, "sqlite_errorcode", 0)
    if code & 0xFF == sqlite3.SQLITE_FULL:
        return StoreFull("the queue's disk is full; free some space, then post again", where=str(path))
    if code & 0xFF == sqlite3.SQLITE_READONLY:
        return StoreError("the queue's disk is read-only; make it writable, then post again", where=str(path))
    return StoreError(f"the queue cannot use its disk: {error}; free some space or replace the disk", where=str(path))
