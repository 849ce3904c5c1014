"""Search of the ledger: finished deliveries in whose account or details a text stands. All methods block."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec
import orjson

from pypes.errors import StoreError
from pypes.ingest.accounts import Account, decode
from pypes.ingest.outcome import Details
from pypes.ingest.store.blocks import SPAN, Block, Entry
from pypes.ingest.store.schema import of_graphs
from pypes.ingest.store.store import Store

log = logging.getLogger(__name__)


class LedgerSearch:
    """Looks for texts in what is stored, and decodes only that in which one stands."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def start_of(self, high: int, blocks: int, graphs: Sequence[str]) -> int:
        """The key from which on ``blocks`` blocks lie before another, with those of the same minutes; 0 if there are no more."""
        where = f"AND {of_graphs(graphs)}" if graphs else ""
        sql = f"SELECT first FROM blocks WHERE first < ? {where} ORDER BY first DESC LIMIT 1 OFFSET ?"
        rows = self._store.read(sql, (high, *graphs, blocks - 1))
        if not rows:
            return 0
        low: int = rows[0][0] // SPAN * SPAN
        older = self._store.read(f"SELECT 1 FROM blocks WHERE first < ? {where} LIMIT 1", (low, *graphs))
        return low if older else 0

    def rows(
        self, low: int, high: int, text: str
    ) -> tuple[list[tuple[int, int, int, Account]], dict[tuple[int, int], Details], int]:
        """Deliveries of the commits in rows, from ``low`` to before ``high``, that may have the text.

        Key, position, salt and account of each; by key and position the details in which it stands, those of deliveries of
        unfinished commits too; and the number of deliveries that were looked through.
        """
        span = (low, high - 1)
        details: dict[tuple[int, int], Details] = {}
        sql = "SELECT key, position, data FROM details WHERE key BETWEEN ? AND ? AND instr(data, ?)"
        for key, position, data in self._store.read(sql, (*span, text.encode(errors="replace"))):
            details[key, position] = msgspec.msgpack.decode(data, type=Details)
        found: list[tuple[int, int, int, Account]] = []
        keys = orjson.dumps(sorted({key for key, _ in details})).decode()
        escaped = orjson.dumps(text).decode()
        sql = """SELECT key, salt, data FROM receipts WHERE key BETWEEN ? AND ?
          AND (instr(data, ?) OR key IN (SELECT value FROM json_each(?)))"""
        for key, salt, data in self._store.read(sql, (*span, escaped, keys)):
            try:
                accounts = decode(data)
            except ValueError as error:
                log.error("receipts are left out of a search: %s", error, extra={"commit": key})
                continue
            for position, account in enumerate(accounts):
                if account.id == text or (key, position) in details:
                    found.append((key, position, salt, account))
        (number,) = self._store.read("SELECT coalesce(sum(entries), 0) FROM receipts WHERE key BETWEEN ? AND ?", span)[0]
        return found, details, number

    def blocks(self, low: int, high: int, graphs: Sequence[str]) -> list[int]:
        """The blocks with commits from ``low`` to before ``high``, the newest first."""
        where = f"AND {of_graphs(graphs)}" if graphs else ""
        sql = f"SELECT id FROM blocks WHERE last >= ? AND first < ? {where} ORDER BY last DESC"
        return [id for (id,) in self._store.read(sql, (low, high, *graphs))]

    def block(self, id: int, low: int, high: int, text: str) -> tuple[list[tuple[Entry, Details | None]], int]:
        """As :meth:`rows`, of one block; each delivery with its details."""
        rows = self._store.read("SELECT first, keys, data, details, entries FROM blocks WHERE id = ?", (id,))
        if not rows:
            return [], 0  # forgotten since it was found
        *parts, number = rows[0]
        try:
            found = [each for each in Block(*parts).having(text) if low <= each[0].key < high]
        except StoreError as error:
            log.error("receipts are left out of a search: %s", error, extra={"block": id})
            return [], 0
        return found, number
