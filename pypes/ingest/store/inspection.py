"""Inspection of the store of a stopped node: its problems, its size, and the waiting deliveries.

Everything is opened for reading only, so that a look changes nothing: not even the log that a crash left behind.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import orjson

from pypes.errors import StoreError
from pypes.ingest.accounts import decode, decode_some
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.outcome import Details
from pypes.ingest.receipt import ReceiptIds
from pypes.ingest.store.blocks import Block
from pypes.ingest.store.origin import read_origin
from pypes.ingest.store.reading import failure, refuse_newer
from pypes.ingest.store.rows import unpack
from pypes.ingest.store.wal import LogIndex

#: SQL for the number of idempotency keys, by format.
_COUNT_KEYS = MappingProxyType(
    {
        2: "(SELECT count(*) FROM keys)",
        3: "CAST((SELECT total(keys) FROM spans) AS INTEGER) + (SELECT count(*) FROM keys_waiting)",
    }
)

_SHOWN = 20  # lines of SQLite's own check


class Unfinished(NamedTuple):
    """A queued delivery; ``problem`` says why its body cannot be read, if it cannot."""

    receipt: str
    header: Header
    body: bytes | Spooled
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ShardStats:
    """Contents of a shard in numbers; bytes of deliveries are those of whole commits, ``oldest`` is seconds since the epoch."""

    shard: int
    format: int
    deliveries: int
    commits: int
    bytes: int
    oldest: float | None
    receipts: int
    dead_letters: int
    dead_letter_bytes: int
    keys: int
    callbacks: int
    file_bytes: int
    log_bytes: int


class Inspector:
    """One shard's store, open for reading until :meth:`close`. Raises :class:`StoreError` if it cannot be read at all."""

    def __init__(self, folder: Path, node: int, shard: int) -> None:
        self.path = folder / "queue.db"
        self._spool = folder / "spool"
        self._shard = shard
        origin = read_origin(folder)
        self._identity = (node, shard) if origin is None else (origin.node, origin.shard)
        if not self.path.is_file():
            raise StoreError(
                "the shard has no queue; give the node's data directory", code="store.no_such_shard", where=str(folder)
            )
        self._connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=10.0
        )
        self._index: LogIndex | None = None
        try:
            (self.format,) = self._connection.execute("PRAGMA user_version").fetchone()
            self._index = LogIndex(self.path)
            refuse_newer(self._connection, self.format, self.path)
            if self.format == 0:
                raise StoreError("the file is not the store of a queue", code="store.damaged", where=str(self.path))
        except sqlite3.Error as error:
            self.close()
            raise failure(error, self.path) from error
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        self._connection.close()
        if self._index is not None:
            self._index.close()

    # -- check -------------------------------------------------------------------------------------------

    def problems(self) -> Iterator[str]:
        """Everything that is wrong, a sentence each; reads the whole file."""
        for check in (self._log, self._pages, self._commits, self._receipts, self._letters):
            try:
                yield from check()
            except sqlite3.Error as error:
                yield f"{check.__name__.strip('_')}: cannot be read any further: {error}"

    def _log(self) -> Iterator[str]:
        tail = self._index.tail() if self._index is not None else None
        if tail is not None and tail.broken:
            yield (
                f"the log has {tail.broken} frame(s) behind its last commit (frame {tail.valid}) that cannot be read: the "
                "unsynced tail of a power cut, of which nothing was acknowledged, or damage to what was"
            )

    def _pages(self) -> Iterator[str]:
        for (line,) in self._connection.execute(f"PRAGMA quick_check({_SHOWN})"):
            if line != "ok":
                yield f"SQLite: {line}"

    def _commits(self) -> Iterator[str]:
        keys, problem = self._keys()
        if problem:
            yield problem
        marked = self._marked()
        for key, salt, entries in keys:
            ids = ReceiptIds(*self._identity, key, salt)
            name = f"commit {key} (receipts {ids[0]} to {ids[entries - 1]})"
            if key in marked:
                yield f"{name} was found damaged before, its deliveries are among the dead letters: {marked[key]}"
                continue
            try:
                done = self._done(key)
            except (ValueError, TypeError) as error:
                yield f"{name}: its progress cannot be read: {error}"
                done = set()
            for waiting in self._read(key, salt, entries, done):
                if waiting.problem:
                    yield f"{name}, receipt {waiting.receipt}: {waiting.problem}"

    def _receipts(self) -> Iterator[str]:
        if self.format < 2:
            return
        for key, data in self._connection.execute("SELECT key, data FROM receipts"):
            try:
                decode(data)
            except ValueError as error:
                yield f"receipts of commit {key}: {error}"
        for key, position, blob in self._connection.execute("SELECT key, position, data FROM details"):
            try:
                msgspec.msgpack.decode(blob, type=Details)
            except ValueError as error:
                yield f"details of commit {key}, delivery {position}: {error}"
        if self.format >= 3:
            yield from self._blocks()

    def _blocks(self) -> Iterator[str]:
        for graph, first, last, entries, *parts in self._connection.execute(
            "SELECT graph, first, last, entries, keys, data, details FROM blocks"
        ):
            try:
                found = Block(first, *parts).check()
            except StoreError as error:
                yield f"receipts of graph {graph!r} from commit {first} to {last}: {error.message}"
                continue
            if found != entries:
                yield f"receipts of graph {graph!r} from commit {first} to {last}: {found} instead of {entries}"

    def _letters(self) -> Iterator[str]:
        if self.format < 2:
            return
        for (id,) in self._connection.execute("SELECT id FROM dead_letters WHERE id NOT IN (SELECT id FROM packets)"):
            yield f"dead letter {id}: its packet is gone"
        for receipt, header, spool in self._connection.execute("SELECT receipt, header, spool FROM bodies"):
            try:
                Header.decode(header)
            except ValueError as error:
                yield f"body kept for the dead letters of {receipt}: {error}"
            if spool and not (self._spool / spool).is_file():
                yield f"body kept for the dead letters of {receipt}: the file {spool} is gone"

    # -- what waits --------------------------------------------------------------------------------------

    def waiting(self) -> Iterator[Unfinished]:
        """Every queued delivery in order, those that cannot be read with their problem."""
        keys, _ = self._keys()
        marked = self._marked()
        for key, salt, entries in keys:
            if key not in marked:
                yield from self._read(key, salt, entries, self._done(key))

    def _keys(self) -> tuple[list[tuple[int, int, int]], str]:
        """Key, salt and number of deliveries of every commit; and what cannot be read."""
        rows: list[tuple[int, int, int]] = []
        try:
            for row in self._connection.execute("SELECT key, salt, entries FROM commits ORDER BY key"):
                rows.append(row)
        except sqlite3.DatabaseError as error:
            return rows, f"commits after {rows[-1][0] if rows else 'the start'} cannot be listed: {error}"
        return rows, ""

    def _marked(self) -> dict[int, str]:
        if self.format < 2:
            return {}
        return dict(self._connection.execute("SELECT key, reason FROM damaged"))

    def _done(self, key: int) -> set[int]:
        for (data,) in self._connection.execute("SELECT data FROM progress WHERE key = ?", (key,)):
            return {int(position) for position in (decode_some(data) if self.format >= 2 else orjson.loads(data))}
        return set()

    def _read(self, key: int, salt: int, entries: int, done: set[int]) -> Iterator[Unfinished]:
        ids = ReceiptIds(*self._identity, key, salt)
        crc = "crc" if self.format >= 2 else "NULL"
        try:
            (data, expected) = self._connection.execute(f"SELECT data, {crc} FROM commits WHERE key = ?", (key,)).fetchone()
            found = unpack(data, expected)
        except (sqlite3.DatabaseError, StoreError) as error:
            reason = error.message if isinstance(error, StoreError) else str(error)
            yield from (Unfinished(ids[i], Header(""), b"", reason) for i in range(entries) if i not in done)
            return
        for position, (header, body, spool, size) in enumerate(found):
            if position in done:
                continue
            if spool is None:
                yield Unfinished(ids[position], header, body)
                continue
            path = self._spool / spool
            problem = ""
            if not path.is_file():
                problem = f"the file {spool} with the body is gone"
            elif path.stat().st_size != size:
                problem = f"the file {spool} with the body has {path.stat().st_size} bytes instead of {size}"
            yield Unfinished(ids[position], header, Spooled(str(path), size), problem)

    # -- how much ----------------------------------------------------------------------------------------

    def stats(self) -> ShardStats:
        """Count the contents. Raises :class:`StoreError`."""
        try:
            commits, entries, size, oldest = self._one("SELECT count(*), total(entries), total(size), min(key) FROM commits")
            done = sum(len(self._done(key)) for (key,) in self._connection.execute("SELECT key FROM progress").fetchall())
            (receipts,) = self._one("SELECT total(entries) FROM receipts")
            letters, letter_bytes, keys, callbacks = self._one("SELECT count(*), 0, 0, 0 FROM dead_letters")
            if self.format >= 2:
                (letter_bytes,) = self._one("SELECT (SELECT total(size) FROM dead_letters) + (SELECT total(size) FROM bodies)")
                (callbacks,) = self._one("SELECT count(*) FROM callbacks")
                (keys,) = self._one(f"SELECT {_COUNT_KEYS[self.format]}")
            if self.format >= 3:
                (folded,) = self._one("SELECT total(entries) FROM blocks")
                receipts += folded
        except sqlite3.Error as error:
            raise failure(error, self.path) from error
        log = Path(f"{self.path}-wal")
        return ShardStats(
            shard=self._shard,
            format=self.format,
            deliveries=int(entries) - done,
            commits=commits,
            bytes=int(size),
            oldest=(oldest >> 6) / 1000 if oldest is not None else None,
            receipts=int(receipts),
            dead_letters=letters,
            dead_letter_bytes=int(letter_bytes),
            keys=keys,
            callbacks=callbacks,
            file_bytes=self.path.stat().st_size,
            log_bytes=log.stat().st_size if log.exists() else 0,
        )

    def _one(self, sql: str) -> Any:
        return self._connection.execute(sql).fetchone()


def node_of(data_dir: Path) -> int:
    """The node's number, which its receipts carry; 0 if the node never started."""
    path = data_dir / "control.db"
    if not path.is_file():
        return 0
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            (number,) = connection.execute("SELECT value FROM node WHERE key = 'id'").fetchone()
            return int(number)
    except sqlite3.Error as error:
        raise failure(error, path) from error
