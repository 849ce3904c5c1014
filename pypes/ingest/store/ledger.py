"""The ledger of a store, read: receipts, what documents became, replays, callbacks, keys, cursors. All methods block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import orjson

from pypes.ingest.accounts import Account, decode
from pypes.ingest.contracts.callbacks import Callback
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Details
from pypes.ingest.replaying import Link
from pypes.ingest.store.rows import index_bytes, unpack_index
from pypes.ingest.store.store import Store

_START_BYTES = 4096  # of a row: enough for the index of a commit of a few deliveries


class Entry(msgspec.Struct, frozen=True, gc=False):
    """The accounts of a commit of which every delivery is done, by position."""

    key: int
    salt: int
    accounts: Sequence[Account]


class Ledger:
    """Reads the history that a store keeps."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # -- deliveries --------------------------------------------------------------------------------------

    def headers(self, key: int) -> list[Header] | None:
        """The headers of an unfinished commit, without reading its bodies; ``None`` if it is gone."""
        start = self._store.row_start(key, _START_BYTES)
        if start is None:
            return None
        size = index_bytes(start)
        if size > len(start):
            start = self._store.row_start(key, size)
            if start is None:
                return None
        return [header for header, _, _ in unpack_index(start)]

    def entry(self, key: int) -> Entry | None:
        """The accounts of one commit."""
        rows = self._store.read("SELECT salt, data FROM receipts WHERE key = ?", (key,))
        return Entry(key, rows[0][0], decode(rows[0][1])) if rows else None

    def entries(self, first: int, last: int, limit: int, *, newest: bool, only_failed: bool) -> list[Entry]:
        """Up to ``limit`` commits from one key to another, in order or in the opposite one; ``only_failed``: with a failure."""
        order, where = "DESC" if newest else "", "AND failed" if only_failed else ""
        sql = f"SELECT key, salt, data FROM receipts WHERE key BETWEEN ? AND ? {where} ORDER BY key {order} LIMIT ?"
        return [Entry(key, salt, decode(data)) for key, salt, data in self._store.read(sql, (first, last, limit))]

    def details(self, key: int, position: int) -> Details | None:
        """The fates of the documents of a delivery, where they are more than its account says."""
        rows = self._store.read("SELECT data FROM details WHERE key = ? AND position = ?", (key, position))
        return msgspec.msgpack.decode(rows[0][0], type=Details) if rows else None

    def key(self, name: str) -> tuple[bytes, str] | None:
        """Digest and receipt of an idempotency key."""
        rows: list[tuple[bytes, str]] = self._store.read("SELECT digest, receipt FROM keys WHERE name = ?", (name,))
        return rows[0] if rows else None

    # -- replays -----------------------------------------------------------------------------------------

    def has_replays(self) -> bool:
        return bool(self._store.read("SELECT 1 FROM replays LIMIT 1"))

    def link(self, key: int, position: int) -> Link | None:
        """Origin of a delivery, if it is a replay."""
        sql = "SELECT origin, letter, start, documents FROM replays WHERE key = ? AND position = ?"
        rows = self._store.read(sql, (key, position))
        return _link(*rows[0]) if rows else None

    def replays(self, origin: str, latest: int) -> list[tuple[str, Link]]:
        """Receipts of the deliveries that run documents of another again, and what they run; the last one first."""
        sql = (
            "SELECT receipt, origin, letter, start, documents FROM replays WHERE origin = ? "
            "ORDER BY key DESC, position DESC LIMIT ?"
        )
        return [(receipt, _link(*row)) for receipt, *row in self._store.read(sql, (origin, latest))]

    # -- callbacks and cursors ---------------------------------------------------------------------------

    def callbacks(self, now: float, limit: int) -> list[Callback]:
        sql = "SELECT receipt, url, due, attempts FROM callbacks WHERE due <= ? ORDER BY due LIMIT ?"
        return [Callback(*row) for row in self._store.read(sql, (now, limit))]

    def next_callback(self) -> float | None:
        due: float | None = self._store.read("SELECT min(due) FROM callbacks")[0][0]
        return due

    def cursors_of_filter(self, filter: str, graph: str | None) -> dict[str, str]:
        """Cursors of the filters of one name, by graph; of one ``graph``, or of all."""
        # the column ``node`` holds the name of the filter
        sql = "SELECT graph, cursor FROM cursors WHERE node = ? AND graph = coalesce(?, graph)"
        return dict(self._store.read(sql, (filter, graph)))

    def cursors_of_graph(self, graph: str) -> dict[str, str]:
        """Cursors of one graph, by filter."""
        return dict(self._store.read("SELECT node, cursor FROM cursors WHERE graph = ?", (graph,)))


def _link(origin: str, letter: str, start: str | None, documents: Any) -> Link:
    return Link(origin, letter, start, tuple(orjson.loads(documents)))
