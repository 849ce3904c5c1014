"""Searching: the deliveries of a queue on a store that have a document of which only its id or the name of its file is known.

Receipts have no index of names (0005, 0023): those that are kept are looked through, the newest first, a bounded part of them for
each request. Texts are looked for in what is stored before anything of it is decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from pypes.ingest.accounts import Account
from pypes.ingest.backlog.backlog import Backlog
from pypes.ingest.backlog.deliveries import Group
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Details
from pypes.ingest.queues.committer import Committer
from pypes.ingest.queues.receipt_maker import ReceiptMaker
from pypes.ingest.queues.store_thread import StoreThread
from pypes.ingest.receipt import DocumentReport, ReceiptId
from pypes.ingest.store.ledger import Ledger
from pypes.ingest.store.search import LedgerSearch
from pypes.ingest.whereabouts import DocumentQuery, Looked, Whereabouts

#: Blocks that are looked through for one request, and those of the same minutes: a million deliveries, mostly.
MOST_BLOCKS: Final = 256
#: Commits of which nothing is in memory whose headers are read for one request.
MOST_READ: Final = 1000

_LAST_KEY: Final = 1 << 62


class DocumentSearch:
    """Looks through what waits, the receipts in rows, and those in blocks."""

    def __init__(
        self,
        maker: ReceiptMaker,
        backlog: Backlog,
        ledger: Ledger,
        search: LedgerSearch,
        reading: StoreThread,
        committer: Committer,
    ) -> None:
        self._maker = maker
        self._backlog = backlog
        self._ledger = ledger
        self._search = search
        self._reading = reading
        self._committer = committer

    async def look(self, query: DocumentQuery, limit: int, before: int) -> Looked:
        """Look through the commits before one, or (0) all; ends early behind the commit with the document in ``limit`` places."""
        await self._committer.settled()
        high = before or _LAST_KEY
        # those that are finished meanwhile are then in the store as well
        groups = {key: group for key, group in self._backlog.groups.items() if key < high}
        low: int = await self._reading.call(partial(self._search.start_of, high, MOST_BLOCKS, query.graphs))
        rows, details, deliveries = await self._reading.call(partial(self._search.rows, low, high, query.text))
        found: dict[tuple[int, int], tuple[ReceiptId, Account, Details | None]] = {}
        for key, position, salt, account in rows:
            found[key, position] = self._maker.id_of(key, position, salt), account, details.pop((key, position), None)
        for id in await self._reading.call(partial(self._search.blocks, low, high, query.graphs)):
            entries, number = await self._reading.call(partial(self._search.block, id, low, high, query.text))
            deliveries += number
            for (key, position, salt, account), own in entries:
                found.setdefault((key, position), (self._maker.id_of(key, position, salt), account, own))
        places: list[Whereabouts] = []
        for rid, account, own in found.values():
            if query.has(account.kind.graph) and (reports := query.in_finished(account, own, limit)):
                places.append(Whereabouts(self._maker.finished(rid, account), reports))
        read = 0
        for key in sorted(groups, reverse=True):
            if key < low:
                break
            group = groups[key]
            deliveries += group.entries
            headers: Sequence[Header] | None = None
            if group.deliveries is None and group.remaining:
                if read == MOST_READ:
                    low = key + 1
                    break
                read += 1
                headers = await self._reading.call(partial(self._ledger.headers, key))
            places += self._in_group(query, group, headers, details, limit)
        return _cut(places, deliveries, low, limit)

    def _in_group(
        self,
        query: DocumentQuery,
        group: Group,
        headers: Sequence[Header] | None,
        details: dict[tuple[int, int], Details],
        limit: int,
    ) -> list[Whereabouts]:
        """The deliveries of a commit that is not finished, or was not a moment ago, with the document."""
        found: list[Whereabouts] = []
        for position in range(group.entries):
            rid = self._maker.id_of(group.key, position, group.salt)
            reports: list[DocumentReport] = []
            if (account := group.account(position)) is not None:
                if query.has(account.kind.graph) and (
                    reports := query.in_finished(account, details.get((group.key, position)), limit)
                ):
                    found.append(Whereabouts(self._maker.finished(rid, account), reports))
                continue
            delivery = group.deliveries[position] if group.deliveries is not None else None
            header = delivery.header if delivery is not None else headers[position] if headers is not None else None
            if header is not None and query.has(header.graph) and (reports := query.in_waiting(header, limit)):
                found.append(Whereabouts(self._maker.unfinished(rid, header, delivery), reports))
        return found


def _cut(places: list[Whereabouts], deliveries: int, low: int, limit: int) -> Looked:
    """The newest places with ``limit`` documents, and those of the same commit."""
    kept: dict[str, Whereabouts] = {}
    until, documents = low, 0
    for place in sorted(places, key=lambda each: each.receipt.receipt, reverse=True):
        key = ReceiptId.parse(place.receipt.receipt).key
        if key < low:
            break
        if documents >= limit and key != until:
            return Looked([*kept.values()], deliveries, until)
        # one that was finished while it was looked for is there twice
        if place.receipt.receipt not in kept:
            kept[place.receipt.receipt] = place
            documents += len(place.documents)
        if documents >= limit:
            until = key
    return Looked([*kept.values()], deliveries, low)
