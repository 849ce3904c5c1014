"""The ledger of a store, read: receipts, what documents became, replays, callbacks, keys, cursors. All methods block."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import orjson

from pypes.core.trace_context import TraceContext
from pypes.errors import StoreError
from pypes.ingest.accounts import Account, decode
from pypes.ingest.contracts.callbacks import Callback
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Details, KeptTrace
from pypes.ingest.replaying import Link
from pypes.ingest.store.blocks import EMPTY, SPAN, Block, Entry
from pypes.ingest.store.rows import index_bytes, unpack_index
from pypes.ingest.store.schema import of_graphs
from pypes.ingest.store.store import Store

log = logging.getLogger(__name__)

_START_BYTES = 4096  # of a row: enough for the index of a commit of a few deliveries


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

    def account(self, key: int, position: int, salt: int) -> Account | bool:
        """The account of a finished delivery; else, whether it may have been forgotten.

        False for an id that was never given out, as far as is known, or whose delivery waits.
        """
        for own_salt, data in self._store.read("SELECT salt, data FROM receipts WHERE key = ?", (key,)):
            accounts = _decode(data)
            return accounts[position] if salt == own_salt and position < len(accounts) else False
        damage: StoreError | None = None
        for block in self._blocks_with(key):
            try:
                if block.ordinals(key) is None:
                    continue
                if block.salt(key) != salt:
                    return False
                if (ordinal := block.ordinal(key, position)) is not None:
                    return block.account(ordinal)
            except StoreError as error:
                damage = error  # it may be in another
        if damage is not None:
            raise damage
        # asked for last: it moves in the transaction in which the block goes
        born, forgotten = self._store.horizon()
        return born <= key <= forgotten

    def entries(
        self, first: int, last: int, limit: int, *, newest: bool, only_failed: bool, graphs: Sequence[str] = ()
    ) -> dict[int, list[Entry]]:
        """Finished deliveries of up to ``limit`` commits from one key to another, in order or in the opposite one, by commit.

        ``only_failed``: those with a failed document, and perhaps others of their commits. With ``graphs``, names or
        patterns, those of others may be missing. All of these of each commit are there, but for those in rows and blocks that are
        damaged.
        """
        order, where = "DESC" if newest else "", "AND failed" if only_failed else ""
        sql = f"SELECT key, salt, data FROM receipts WHERE key BETWEEN ? AND ? {where} ORDER BY key {order} LIMIT ?"
        found: dict[int, dict[int, Entry]] = {}
        # rows first: what is folded meanwhile is then found twice, not missed
        for key, salt, data in self._store.read(sql, (first, last, limit)):
            found[key] = {}
            try:
                accounts = _decode(data)
            except StoreError as error:
                log.error("receipts are left out of a list: %s", error, extra={"commit": key})
                continue
            found[key] = {position: Entry(key, position, salt, account) for position, account in enumerate(accounts)}
        bound = _Nearest(limit, newest=newest)
        for key in found:
            bound.add(key)
        if graphs:
            where += f" AND {of_graphs(graphs)}"
        edge, order = ("last", "DESC") if newest else ("first", "")
        sql = f"""SELECT id, {edge} FROM blocks WHERE last BETWEEN ?1 AND ?2 AND first <= ?3 {where}
          ORDER BY {edge} {order}"""
        parameters = (first, last // SPAN * SPAN + SPAN - 1, last, *graphs)
        for id, nearest in self._store.each(sql, parameters):
            if bound.is_beyond(nearest):
                break
            try:
                entries = list(self._block(id).entries(first, last, only_failed=only_failed))
            except StoreError as error:
                log.error("receipts are left out of a list: %s", error, extra={"block": id})
                continue
            for entry in entries:
                found.setdefault(entry.key, {})[entry.position] = entry
                bound.add(entry.key)
        keys = sorted(found, reverse=newest)[:limit]
        return {key: [found[key][position] for position in sorted(found[key], reverse=newest)] for key in keys}

    def details(self, key: int, position: int) -> Details | None:
        """The fates of the documents of a delivery, where they are more than its account says."""
        rows = self._store.read("SELECT data FROM details WHERE key = ? AND position = ?", (key, position))
        if rows:
            return msgspec.msgpack.decode(rows[0][0], type=Details)
        damage: StoreError | None = None
        for block in self._blocks_with(key, "details"):
            try:
                if (ordinal := block.ordinal(key, position)) is not None:
                    return block.details(ordinal)
            except StoreError as error:
                damage = error  # it may be in another
        if damage is not None:
            raise damage
        return None

    def trace(self, key: int, position: int) -> KeptTrace | bool:
        """The trace of a delivery; else, whether it may have been forgotten."""
        rows = self._store.read("SELECT run, data FROM traces WHERE key = ? AND position = ?", (key, position))
        return KeptTrace(rows[0][1], rows[0][0]) if rows else key <= self._store.traces_horizon()

    def _blocks_with(self, key: int, details: str = "NULL") -> Iterator[Block]:
        """The blocks that may have deliveries of a commit; with the column of details, or without."""
        sql = "SELECT id FROM blocks WHERE last BETWEEN ? AND ? AND first <= ? ORDER BY last"
        for (id,) in self._store.read(sql, (key, key // SPAN * SPAN + SPAN - 1, key)):
            yield self._block(id, details)

    def _block(self, id: int, details: str = "NULL") -> Block:
        rows = self._store.read(f"SELECT first, keys, data, {details} FROM blocks WHERE id = ?", (id,))
        # forgotten since it was found
        return Block(*rows[0]) if rows else EMPTY

    def key(self, name: str) -> tuple[bytes, int, int, int] | None:
        """Digest of an idempotency key's request, and key, position and salt of its delivery."""
        return self._store.find_key(name)

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
        sql = (
            "SELECT receipt, url, due, attempts, context FROM callbacks LEFT JOIN callback_contexts USING (receipt)"
            " WHERE due <= ? ORDER BY due LIMIT ?"
        )
        return [
            Callback(receipt, url, due, attempts, None if data is None else msgspec.msgpack.decode(data, type=TraceContext))
            for receipt, url, due, attempts, data in self._store.read(sql, (now, limit))
        ]

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


class _Nearest:
    """The ``limit`` least keys so far, or the greatest ones, to tell when no more of them can come."""

    def __init__(self, limit: int, *, newest: bool) -> None:
        self._limit = limit
        self._sign = -1 if newest else 1
        self._keys: set[int] = set()

    def add(self, key: int) -> None:
        self._keys.add(self._sign * key)

    def is_beyond(self, key: int) -> bool:
        """True if what comes from this key on is behind all that is wanted."""
        if len(self._keys) > self._limit:
            self._keys = set(sorted(self._keys)[: self._limit])
        return len(self._keys) == self._limit and max(self._keys) < self._sign * key


def _decode(data: str) -> list[Account]:
    """The accounts of a commit. Raises :class:`StoreError` if its row is damaged."""
    try:
        return decode(data)
    except ValueError as error:
        raise StoreError(f"a row of receipts is damaged: {error}", code="store.damaged") from error


def _link(origin: str, letter: str, start: str | None, documents: Any) -> Link:
    return Link(origin, letter, start, tuple(orjson.loads(documents)))
