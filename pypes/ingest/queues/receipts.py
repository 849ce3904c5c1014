"""Receipts of a queue on a store: from memory while a delivery is there, else from the ledger."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from pypes.core.nodetime import Clock
from pypes.errors import Gone
from pypes.ingest.accounts import Account, report, report_pending
from pypes.ingest.backlog.backlog import Backlog
from pypes.ingest.backlog.deliveries import Group
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import KeptTrace
from pypes.ingest.queues.committer import Committer
from pypes.ingest.queues.lending import Lending
from pypes.ingest.queues.receipt_maker import ReceiptMaker
from pypes.ingest.queues.replays import LinkedReceipts, Replay
from pypes.ingest.queues.searching import DocumentSearch
from pypes.ingest.queues.store_thread import StoreThread
from pypes.ingest.queues.traces import forgotten_trace, not_finished, not_traced
from pypes.ingest.receipt import DocumentReport, Receipt, ReceiptId, ReceiptQuery, first_key, rfc3339, time_of
from pypes.ingest.replaying import Link
from pypes.ingest.store.blocks import Entry
from pypes.ingest.store.ledger import Ledger
from pypes.ingest.whereabouts import DocumentQuery, Looked

#: Greater than the key of any commit.
_LAST_KEY = 1 << 62


class StoredReceipts(LinkedReceipts):
    """Reads receipts from the store in a thread, after waiting for acknowledgements that are not there yet."""

    def __init__(
        self,
        maker: ReceiptMaker,
        backlog: Backlog,
        lending: Lending,
        ledger: Ledger,
        reading: StoreThread,
        committer: Committer,
        clock: Clock,
        search: DocumentSearch,
    ) -> None:
        self._maker = maker
        self._backlog = backlog
        self._lending = lending
        self._ledger = ledger
        self._reading = reading
        self._committer = committer
        self._times = clock
        self._search = search
        #: True if anything was ever replayed; ``None`` as long as the store was not asked.
        self._knows_replays: bool | None = None

    async def wait(self, id: str, wait_s: float) -> Receipt | None:
        rid = ReceiptId.parse(id)
        group = self._find(rid)
        if group is not None and group.account(rid.position) is None and wait_s > 0:
            await self._lending.wait_finished(rid.key, rid.position, wait_s)
        return await self.get(id)

    def _find(self, rid: ReceiptId) -> Group | None:
        return self._maker.group_of(rid, self._backlog)

    async def plain(self, id: str) -> Receipt | None:
        rid = ReceiptId.parse(id)
        group = self._find(rid)
        if group is not None:
            account = group.account(rid.position)
            if account is not None:
                return self._maker.finished(rid, account)
            header = await self._header(group, rid.position)
            if header is not None:
                delivery = group.deliveries[rid.position] if group.deliveries is not None else None
                account = group.account(rid.position)  # finished while its header was read
                if account is not None:
                    return self._maker.finished(rid, account)
                return self._maker.unfinished(rid, header, delivery)
        account = await self._account(rid)
        return self._maker.finished(rid, account) if account is not None else None

    async def _header(self, group: Group, position: int) -> Header | None:
        """The header of an unfinished delivery, from memory or the store; ``None`` if it is there no more."""
        if group.deliveries is not None and (delivery := group.deliveries[position]) is not None:
            return delivery.header
        headers = await self._reading.call(partial(self._ledger.headers, group.key))
        return headers[position] if headers is not None else None

    async def _account(self, rid: ReceiptId) -> Account | None:
        """The account of a finished delivery in the store. Raises :class:`Gone` if it was forgotten."""
        if not self._maker.is_own(rid):
            return None
        found: Account | bool = await self._reading.call(partial(self._ledger.account, rid.key, rid.position, rid.salt))
        if isinstance(found, Account):
            return found
        if found and rid.key not in self._backlog.groups:
            raise Gone(
                "the receipt was issued here and has been forgotten; receipts are kept for a limited time",
                code="receipt.forgotten",
            )
        return None

    async def plain_documents(self, id: str, limit: int, after: int) -> list[DocumentReport] | None:
        rid = ReceiptId.parse(id)
        group = self._find(rid)
        if group is not None and group.account(rid.position) is None:
            header = await self._header(group, rid.position)
            if header is not None and group.account(rid.position) is None:
                return report_pending(header, limit, after)
        await self._committer.settled()
        details = await self._reading.call(partial(self._ledger.details, rid.key, rid.position))
        # after its details: what is forgotten in between is then gone, and not told without them
        group = self._find(rid)
        account = group.account(rid.position) if group is not None else None
        if account is None and (account := await self._account(rid)) is None:
            return None
        return report(account, details, limit, after)

    async def trace(self, id: str) -> KeptTrace | None:
        receipt = await self.plain(id)
        if receipt is None:
            return None
        if receipt.finished is None:
            raise not_finished()
        rid = ReceiptId.parse(id)
        await self._committer.settled()
        found: KeptTrace | bool = await self._reading.call(partial(self._ledger.trace, rid.key, rid.position))
        if isinstance(found, KeptTrace):
            return found
        raise forgotten_trace() if found else not_traced()

    # -- replays -----------------------------------------------------------------------------------------

    def note_replay(self) -> None:
        """Something is being replayed: from now on receipts are looked up among the replays, too."""
        self._knows_replays = True

    async def link_of(self, rid: ReceiptId) -> Link | None:
        if not await self._has_replays():
            return None
        link: Link | None = await self._reading.call(partial(self._ledger.link, rid.key, rid.position))
        return link

    async def replays_of(self, origin: str, latest: int) -> list[Replay]:
        if not await self._has_replays():
            return []
        found: list[Replay] = await self._reading.call(partial(self._ledger.replays, origin, latest))
        return found

    async def _has_replays(self) -> bool:
        """False as long as nothing was replayed here: then receipts are not looked up twice."""
        if self._knows_replays is None:
            self._knows_replays = await self._reading.call(self._ledger.has_replays)
        return self._knows_replays

    async def look(self, query: DocumentQuery, limit: int, before: int = 0) -> Looked:
        looked = await self._search.look(query, limit, before)
        found = [replace(each, documents=await self.linked(each.receipt.receipt, each.documents)) for each in looked.found]
        since = rfc3339(self._times.shown(time_of(looked.until))) if looked.until else ""
        return replace(looked, found=found, since=since)

    # -- lists -------------------------------------------------------------------------------------------

    async def find(self, query: ReceiptQuery, limit: int, after: str = "", *, newest: bool = False) -> list[Receipt]:
        first, last = first_key(self._times.first(query.since)), _LAST_KEY
        edge: tuple[int, int] | None = None
        if after:
            rid = ReceiptId.parse(after)
            edge = (rid.key, rid.position)
            first, last = (first, rid.key) if newest else (max(first, rid.key), last)
        found: list[Receipt] = []
        async with aclosing(self._entries(query, first, last, limit, newest=newest)) as entries:
            async for rid, account, group in entries:
                place = (rid.key, rid.position)
                if edge is None or (place < edge if newest else place > edge):
                    receipt = await self._listed(rid, account, group)
                    if receipt is not None and query.matches(receipt):
                        found.append(receipt)
                        if len(found) == limit:
                            break
        return found

    async def _entries(
        self, query: ReceiptQuery, first: int, last: int, page: int, *, newest: bool
    ) -> AsyncGenerator[tuple[ReceiptId, Account | None, Group | None], None]:
        """Candidates for a state between two commits, in order, with the group of deliveries unfinished now or before."""
        has_finished = query.state in (None, "done", "failed")
        has_unfinished = query.state in (None, "queued", "processing")
        only_failed = query.state == "failed"
        graphs = (query.graph,) if query.graph else query.among
        # what is finished while the store is read is in one of the two: its group knows its account
        groups = {
            key: group
            for key, group in self._backlog.groups.items()
            if first <= key <= last and (has_unfinished or group.outcomes is not None)
        }
        waiting = sorted(groups)
        while True:
            stored: dict[int, list[Entry]] = {}
            if has_finished:
                read = partial(self._ledger.entries, first, last, page, newest=newest, only_failed=only_failed, graphs=graphs)
                stored = await self._reading.call(read)
            until = [*stored][-1] if len(stored) == page else None
            low = until if newest and until is not None else first
            high = until if not newest and until is not None else last
            others = waiting[bisect_left(waiting, low) : bisect_right(waiting, high)]
            for key in sorted({*stored, *others}, reverse=newest):
                if key in stored:
                    for entry in stored[key]:
                        yield self._maker.id_of(key, entry.position, entry.salt), entry.account, None
                    continue
                group = groups[key]
                for position in reversed(range(group.entries)) if newest else range(group.entries):
                    account = group.account(position)
                    if (account is None and has_unfinished) or (account is not None and has_finished):
                        yield self._maker.id_of(key, position, group.salt), account, group
            if until is None:
                return
            first, last = (first, until - 1) if newest else (until + 1, last)

    async def _listed(self, rid: ReceiptId, account: Account | None, group: Group | None) -> Receipt | None:
        if account is not None:
            return self._maker.finished(rid, account)
        assert group is not None
        header = await self._header(group, rid.position)
        if (account := group.account(rid.position)) is not None:
            return self._maker.finished(rid, account)
        if header is None:
            return None
        delivery = group.deliveries[rid.position] if group.deliveries is not None else None
        return self._maker.unfinished(rid, header, delivery)
