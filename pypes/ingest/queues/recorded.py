"""What a queue on a store tells of the past: receipts, documents, callbacks."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec
import orjson

from pypes.errors import Gone
from pypes.ingest.accounts import Account, decode, report, report_pending
from pypes.ingest.backlog.group import Group
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Details
from pypes.ingest.queue import Callback
from pypes.ingest.queues.committer import Committer
from pypes.ingest.queues.lane import Lane
from pypes.ingest.queues.linked import LinkedQueue, Replay
from pypes.ingest.queues.outbox import Outbox
from pypes.ingest.queues.replaying import Link
from pypes.ingest.queues.retention import Retention
from pypes.ingest.receipt import DocumentReport, Receipt, ReceiptId, first_key
from pypes.ingest.store.rows import index_bytes, unpack_index
from pypes.ingest.store.store import Store

_START_BYTES = 4096  # of a row: enough for the index of a commit of a few deliveries


#: Greater than the key of any commit.
_LAST_KEY = 1 << 62


class RecordedQueue(LinkedQueue):
    """Reads in a thread what the store has; what was acknowledged and is not yet there is waited for."""

    _store: Store
    _reading: Lane
    _outbox: Outbox
    _committer: Committer
    _retention: Retention
    #: Whether anything was ever replayed; ``None`` as long as the store was not asked.
    _knows_replays: bool | None = None

    async def _read(self, sql: str, *parameters: Any) -> list[Any]:
        rows: list[Any] = await self._reading.call(partial(self._store.read, sql, parameters))
        return rows

    # -- receipts ----------------------------------------------------------------------------------------

    async def _receipt(self, id: str) -> Receipt | None:
        rid = ReceiptId.parse(id)
        group = self._find(rid)
        if group is not None:
            account = group.account(rid.position)
            if account is not None:
                return self._finished_receipt(rid, account)
            header = await self._header(group, rid.position)
            if header is not None:
                delivery = group.deliveries[rid.position] if group.deliveries is not None else None
                account = group.account(rid.position)  # finished while its header was read
                return (
                    self._finished_receipt(rid, account)
                    if account is not None
                    else self._unfinished_receipt(rid, header, delivery)
                )
        account = await self._account(rid)
        return self._finished_receipt(rid, account) if account is not None else None

    async def _header(self, group: Group, position: int) -> Header | None:
        """The header of an unfinished delivery, from memory or the store; None if it is there no more."""
        if group.deliveries is not None and (delivery := group.deliveries[position]) is not None:
            return delivery.header
        headers = await self._reading.call(partial(_headers, self._store, group.key))
        return headers[position] if headers is not None else None

    async def _account(self, rid: ReceiptId) -> Account | None:
        """The account of a finished delivery in the store. Raises :class:`Gone` if it was forgotten."""
        if (rid.node, rid.shard) != (self._node, self._shard):
            return None
        rows = await self._read("SELECT salt, data FROM receipts WHERE key = ?", rid.key)
        if rows:
            salt, data = rows[0]
            accounts = decode(data) if salt == rid.salt else []
            return accounts[rid.position] if rid.position < len(accounts) else None
        if self._retention.has_forgotten(rid.key) and rid.key not in self._backlog.groups:
            raise Gone("this receipt was given out here and is forgotten by now", code="receipt.forgotten")
        return None

    async def _documents(self, id: str, limit: int, after: int) -> list[DocumentReport] | None:
        rid = ReceiptId.parse(id)
        group = self._find(rid)
        account = group.account(rid.position) if group is not None else None
        if group is not None and account is None:
            header = await self._header(group, rid.position)
            account = group.account(rid.position)
            if header is not None and account is None:
                return report_pending(header, limit, after)
        if account is None and (account := await self._account(rid)) is None:
            return None
        await self._committer.settled()
        rows = await self._read("SELECT data FROM details WHERE key = ? AND position = ?", rid.key, rid.position)
        details = msgspec.msgpack.decode(rows[0][0], type=Details) if rows else None
        return report(account, details, limit, after)

    async def _link(self, rid: ReceiptId) -> Link | None:
        if not await self._has_replays():
            return None
        sql = "SELECT origin, letter, start, documents FROM replays WHERE key = ? AND position = ?"
        rows = await self._read(sql, rid.key, rid.position)
        return _link(*rows[0]) if rows else None

    async def _replays(self, origin: str, latest: int) -> list[Replay]:
        if not await self._has_replays():
            return []
        sql = (
            "SELECT receipt, origin, letter, start, documents FROM replays WHERE origin = ? "
            "ORDER BY key DESC, position DESC LIMIT ?"
        )
        return [(receipt, _link(*row)) for receipt, *row in await self._read(sql, origin, latest)]

    async def _has_replays(self) -> bool:
        """False as long as nothing was replayed here: then receipts are not looked up twice."""
        if self._knows_replays is None:
            self._knows_replays = bool(await self._read("SELECT 1 FROM replays LIMIT 1"))
        return self._knows_replays

    async def receipts(
        self, state: str | None, since: float, limit: int, after: str = "", *, newest: bool = False, graph: str = ""
    ) -> list[Receipt]:
        first, last = first_key(self._times.first(since)), _LAST_KEY
        edge: tuple[int, int] | None = None
        if after:
            rid = ReceiptId.parse(after)
            edge = (rid.key, rid.position)
            first, last = (first, rid.key) if newest else (max(first, rid.key), last)
        found: list[Receipt] = []
        async with aclosing(self._entries(state, first, last, limit, newest=newest)) as entries:
            async for rid, account, group in entries:
                place = (rid.key, rid.position)
                if edge is None or (place < edge if newest else place > edge):
                    receipt = await self._listed(rid, account, group)
                    if receipt is not None and state in (None, receipt.state) and graph in ("", receipt.graph):
                        found.append(receipt)
                        if len(found) == limit:
                            break
        return found

    async def _entries(
        self, state: str | None, first: int, last: int, page: int, *, newest: bool
    ) -> AsyncGenerator[tuple[ReceiptId, Account | None, Group | None], None]:
        """What may be in a state, from a commit to another, in order; the group of what is not finished, or was not before."""
        has_finished = state in (None, "done", "failed")
        has_unfinished = state in (None, "queued", "processing")
        # what is finished while the store is read is in one of the two: its group knows its account
        groups = {
            key: group
            for key, group in self._backlog.groups.items()
            if first <= key <= last and (has_unfinished or group.outcomes is not None)
        }
        waiting = sorted(groups)
        order = "DESC" if newest else ""
        where = "AND failed" if state == "failed" else ""
        while True:
            rows: list[Any] = []
            if has_finished:
                sql = f"SELECT key, salt, data FROM receipts WHERE key BETWEEN ? AND ? {where} ORDER BY key {order} LIMIT ?"
                rows = await self._read(sql, first, last, page)
            until = rows[-1][0] if rows and len(rows) == page else None
            stored = {key: (salt, decode(data)) for key, salt, data in rows}
            low = until if newest and until is not None else first
            high = until if not newest and until is not None else last
            others = waiting[bisect_left(waiting, low) : bisect_right(waiting, high)]
            for key in sorted({*stored, *others}, reverse=newest):
                accounts: Sequence[Account | None]
                if key in stored:
                    group, (salt, accounts) = None, stored[key]
                else:
                    group = groups[key]
                    salt, accounts = group.salt, [group.account(position) for position in range(group.entries)]
                places = reversed(range(len(accounts))) if newest else range(len(accounts))
                for position in places:
                    account = accounts[position]
                    if (account is None and has_unfinished) or (account is not None and has_finished):
                        yield ReceiptId(self._node, self._shard, key, position, salt), account, group
            if until is None:
                return
            first, last = (first, until - 1) if newest else (until + 1, last)

    async def _listed(self, rid: ReceiptId, account: Account | None, group: Group | None) -> Receipt | None:
        if account is not None:
            return self._finished_receipt(rid, account)
        assert group is not None
        header = await self._header(group, rid.position)
        if (account := group.account(rid.position)) is not None:
            return self._finished_receipt(rid, account)
        if header is None:
            return None
        delivery = group.deliveries[rid.position] if group.deliveries is not None else None
        return self._unfinished_receipt(rid, header, delivery)

    # -- callbacks ---------------------------------------------------------------------------------------

    async def callbacks(self, now: float, limit: int) -> list[Callback]:
        await self._committer.settled()
        rows = await self._read(
            "SELECT receipt, url, due, attempts FROM callbacks WHERE due <= ? ORDER BY due LIMIT ?", now, limit
        )
        return [Callback(*row) for row in rows]

    async def next_callback(self) -> float | None:
        await self._committer.settled()
        rows = await self._read("SELECT min(due) FROM callbacks")
        due: float | None = rows[0][0]
        return due

    def callback_done(self, receipt: str) -> None:
        self._outbox.called(receipt)
        self._committer.kick_soon()

    def callback_failed(self, receipt: str, due: float) -> None:
        self._outbox.postponed(receipt, due)
        self._committer.kick_soon()


def _link(origin: str, letter: str, start: str | None, documents: str) -> Link:
    return Link(origin, letter, start, tuple(orjson.loads(documents)))


def _headers(store: Store, key: int) -> list[Header] | None:
    """The headers of a commit, without reading its bodies; None if it is gone."""
    start = store.row_start(key, _START_BYTES)
    if start is None:
        return None
    size = index_bytes(start)
    if size > len(start):
        start = store.row_start(key, size)
        if start is None:
            return None
    return [header for header, _, _ in unpack_index(start)]
