"""Owners of records: for an id, the one place that keeps what it names; for lists, all places."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from pypes.errors import NotFound
from pypes.ingest.receipt import ReceiptId
from pypes.runtime.contracts.records import RecordCalls
from pypes.runtime.worker.members import Members
from pypes.runtime.worker.peers import Peers

#: Code of what another node has given out.
ELSEWHERE = "receipt.other_node"


class Owner(NamedTuple):
    """A place that keeps records: a shard of this node (``member`` is empty), or another node."""

    member: str
    calls: RecordCalls


class Owners(Protocol):
    """The places that keep records."""

    def of(self, receipt: ReceiptId) -> RecordCalls:
        """The place that keeps what an id names. Raises :class:`NotFound` if there is none, or :class:`Unavailable`."""
        ...

    def every(self) -> list[Owner]:
        """All places."""
        ...


class NodeOwners:
    """The shards of this node."""

    def __init__(self, peers: Peers, node: int) -> None:
        self._peers = peers
        self._node = node

    def of(self, receipt: ReceiptId) -> RecordCalls:
        if (adopted := self.adopted(receipt)) is not None:
            return adopted
        if receipt.node != self._node:
            raise _of_another_node(receipt.node, self._node)
        if receipt.shard not in self._peers.own():
            raise no_receipt()
        return self._peers.shard(receipt.shard)

    def adopted(self, receipt: ReceiptId) -> RecordCalls | None:
        """The shard that keeps what an id names, if it came from another node."""
        slot = None if receipt.node == self._node else self._peers.slot_of(receipt.node, receipt.shard)
        return None if slot is None else self._peers.shard(slot)

    def every(self) -> list[Owner]:
        return [Owner("", calls) for calls in self._peers.every()]


class FleetOwners:
    """The shards of this node, and the other nodes of its fleet; without any, ``here`` alone."""

    def __init__(self, here: NodeOwners, members: Members) -> None:
        self._here = here
        self._members = members

    def of(self, receipt: ReceiptId) -> RecordCalls:
        calls = self._here.adopted(receipt) or self._members.find(receipt.node)
        if calls is None and receipt.node != self._members.node and self._members.all:
            # a node that has just joined takes load before each of the others has been told of it
            return self._members.awaited(receipt.node, _of_another_node(receipt.node, self._members.node))
        return calls or self._here.of(receipt)

    def every(self) -> list[Owner]:
        return [*self._here.every(), *(Owner(name, calls) for name, calls in self._members.others())]


def _of_another_node(node: int, here: int) -> NotFound:
    return NotFound(
        f"the id names node {node}, which is not in the fleet of this one, node {here}: ask that node (GET /healthz tells the "
        "number of each)",
        code=ELSEWHERE,
    )


def no_receipt() -> NotFound:
    """The error of a receipt that is not there."""
    return NotFound("no such receipt; this node never issued the id", code="receipt.not_found")
