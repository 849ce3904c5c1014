"""Receipt maker: shows a delivery of the backlog, or the account of a finished one, as a receipt."""

from __future__ import annotations

from pypes.core.nodetime import Clock
from pypes.ingest.accounts import Account
from pypes.ingest.backlog.backlog import Backlog
from pypes.ingest.backlog.deliveries import Delivery, Group
from pypes.ingest.delivery import Header
from pypes.ingest.receipt import Receipt, ReceiptId, rfc3339


class ReceiptMaker:
    """Makes the receipts of one shard of a node."""

    def __init__(self, node: int, shard: int, clock: Clock) -> None:
        self._node = node
        self._shard = shard
        self._times = clock

    def is_own(self, rid: ReceiptId) -> bool:
        """True for an id that this shard may have given out."""
        return (rid.node, rid.shard) == (self._node, self._shard)

    def id_of(self, key: int, position: int, salt: int) -> ReceiptId:
        """The id of a delivery, by its commit and its place in it."""
        return ReceiptId(self._node, self._shard, key, position, salt)

    def group_of(self, rid: ReceiptId, backlog: Backlog) -> Group | None:
        """The commit of a delivery, while not all of it is done."""
        group = backlog.groups.get(rid.key)
        if group is None or not self.is_own(rid) or rid.salt != group.salt:
            return None
        return group if rid.position < group.entries else None

    def _time(self, at: float) -> str:
        """The time of day at a time of the node, in words."""
        return rfc3339(self._times.shown(at))

    def unfinished(self, rid: ReceiptId, header: Header, delivery: Delivery | None) -> Receipt:
        """The receipt of a delivery that waits, or is being worked on."""
        is_taken = delivery is not None and delivery.attempt > 0
        started = self._time(delivery.started / 1000) if delivery is not None and delivery.started else None
        return Receipt(
            receipt=str(rid),
            state="processing" if is_taken else "queued",
            accepted=header.documents,
            published=0,
            dropped=0,
            failed=0,
            pending=header.documents,
            received=self._time(rid.received),
            started=started,
            finished=None,
            graph=header.graph,
            posted_by=header.poster,
        )

    def finished(self, rid: ReceiptId, account: Account) -> Receipt:
        """The receipt of a delivery that is done."""
        kind, started, finished, _ = account
        return Receipt(
            receipt=str(rid),
            state="failed" if kind.failed else "done",
            accepted=kind.accepted,
            published=kind.published,
            dropped=kind.dropped,
            failed=kind.failed,
            pending=0,
            received=self._time(rid.received),
            started=self._time(rid.received + started / 1000) if started >= 0 else None,
            finished=self._time(rid.received + finished / 1000),
            graph=kind.graph,
            version=kind.version,
            removed=dict(kind.removed) or None,
            posted_by=kind.poster,
        )
