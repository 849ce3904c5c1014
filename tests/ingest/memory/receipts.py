"""Receipts of a queue in memory."""

from __future__ import annotations

from pypes.ingest.accounts import Account, report, report_pending
from pypes.ingest.backlog.deliveries import Delivery
from pypes.ingest.outcome import KeptTrace
from pypes.ingest.queues.replays import LinkedReceipts, Replay
from pypes.ingest.queues.traces import not_finished, not_traced
from pypes.ingest.receipt import DocumentReport, Receipt, ReceiptId, ReceiptIds, ReceiptQuery, first_key
from pypes.ingest.replaying import Link
from pypes.ingest.whereabouts import DocumentQuery, Looked, Whereabouts
from tests.ingest.memory.shelf import Shelf
from tests.ingest.memory.step import step


class MemoryReceipts(LinkedReceipts):
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def wait(self, id: str, wait_s: float) -> Receipt | None:
        rid = ReceiptId.parse(id)
        if wait_s > 0 and self._shelf.maker.group_of(rid, self._shelf.backlog) is not None:
            await self._shelf.lending.wait_finished(rid.key, rid.position, wait_s)
        return await self.get(id)

    def _waiting(self, rid: ReceiptId) -> Delivery | None:
        group = self._shelf.maker.group_of(rid, self._shelf.backlog)
        return group.deliveries[0] if group is not None and group.deliveries is not None else None

    async def plain(self, id: str) -> Receipt | None:
        await step()
        rid, maker = ReceiptId.parse(id), self._shelf.maker
        if (delivery := self._waiting(rid)) is not None:
            return maker.unfinished(rid, delivery.header, delivery)
        account = self._account(rid)
        return None if account is None else maker.finished(rid, account)

    def _account(self, rid: ReceiptId) -> Account | None:
        shelf = self._shelf
        if rid.position or rid.salt or not shelf.maker.is_own(rid):
            return None
        finished = shelf.groups.get(rid.key)
        return finished.account(0) if finished is not None else None

    async def plain_documents(self, id: str, limit: int, after: int) -> list[DocumentReport] | None:
        await step()
        rid = ReceiptId.parse(id)
        if (delivery := self._waiting(rid)) is not None:
            return report_pending(delivery.header, limit, after)
        account = self._account(rid)
        return None if account is None else report(account, self._shelf.details.get(rid.key), limit, after)

    async def trace(self, id: str) -> KeptTrace | None:
        receipt = await self.plain(id)
        if receipt is None:
            return None
        if receipt.finished is None:
            raise not_finished()
        found = self._shelf.traces.get(ReceiptId.parse(id).key)
        if found is None:
            raise not_traced()
        return found

    async def link_of(self, rid: ReceiptId) -> Link | None:
        await step()
        return self._shelf.links.get(str(rid))

    async def replays_of(self, origin: str, latest: int) -> list[Replay]:
        await step()
        found = [(receipt, link) for receipt, link in sorted(self._shelf.links.items(), reverse=True) if link.origin == origin]
        return found[:latest]

    async def look(self, query: DocumentQuery, limit: int, before: int = 0) -> Looked:
        shelf = self._shelf
        found: list[Whereabouts] = []
        keys = [key for key in sorted({*shelf.groups, *shelf.backlog.groups}, reverse=True) if not before or key < before]
        count = 0
        for key in keys:
            id = ReceiptIds(shelf.node, shelf.shard, key, 0)[0]
            rid, receipt = ReceiptId.parse(id), await self.plain(id)
            if receipt is None or not query.has(receipt.graph):
                continue
            if (delivery := self._waiting(rid)) is not None:
                reports = query.in_waiting(delivery.header, limit)
            else:
                account = self._account(rid)
                assert account is not None
                reports = query.in_finished(account, shelf.details.get(key), limit)
            if reports:
                found.append(Whereabouts(receipt, await self.linked(id, reports)))
                count += len(reports)
            if count >= limit and key != keys[-1]:
                return Looked(found, len(keys), key)
        return Looked(found, len(keys), 0)

    async def find(self, query: ReceiptQuery, limit: int, after: str = "", *, newest: bool = False) -> list[Receipt]:
        shelf = self._shelf
        found: list[Receipt] = []
        first = first_key(shelf.clock.first(query.since))
        for key in sorted([*shelf.groups, *shelf.backlog.groups], reverse=newest):
            id = ReceiptIds(shelf.node, shelf.shard, key, 0)[0]
            is_beyond = not after or (id < after if newest else id > after)
            if is_beyond and key >= first:
                receipt = await self.plain(id)
                if receipt is not None and query.matches(receipt):
                    found.append(receipt)
        return found[:limit]
