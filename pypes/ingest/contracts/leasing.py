"""Leasing: how deliveries leave a queue, each lent to one holder at a time and settled once.

The dispatcher uses :class:`Leasing`, which answers at once. A queue on another machine implements :class:`RemoteLeasing`;
:class:`pypes.ingest.queues.prefetched.Prefetched` makes a :class:`Leasing` of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.outcome import Outcome, Poison
from pypes.ingest.protocol import Rerun


class Stream(NamedTuple):
    """Unit of independent leasing: a lane of a graph."""

    graph: str
    is_bulk: bool


class Lease(msgspec.Struct, frozen=True, gc=False):
    """A delivery lent to a dispatcher; ``token`` fences out a holder that has lost its lease.

    ``decoded`` is the body after decompression when the one who appended had it at hand and it is still in memory.
    ``is_suspect``: its last holder died with it. ``crashes``: deaths recorded while it ran alone. ``rerun``: what was known of
    earlier runs when it was lent; :meth:`Leasing.rerun` tells what is known by now.
    """

    id: str
    token: int
    attempt: int
    header: Header
    body: bytes | Spooled
    decoded: bytes | None = None
    is_suspect: bool = False
    crashes: int = 0
    rerun: Rerun | None = None


class Leasing(Protocol):
    """Lends deliveries in the order in which they were appended, those given back first. No method blocks or waits."""

    #: Called in the event loop whenever something may have become leasable, what was to become so is lost, or what is held has
    #: changed; also when the queue has come to know of what was settled, where that takes a while.
    on_ready: Callable[[], None] | None
    #: Called in the event loop with a lease that is no longer valid, because another holder may have it: what can be stopped
    #: of it should be. Settling it changes nothing any more.
    on_lost: Callable[[Lease], None] | None

    def streams(self) -> list[Stream]:
        """The streams that have something leasable now; of an ordered graph, :meth:`take` may find that it must wait."""
        ...

    def is_held(self, graph: str) -> bool:
        """True if deliveries of an ordered graph wait for others of their keys to be finished."""
        ...

    def waiting(self, stream: Stream) -> int:
        """Bytes of the deliveries of a stream that are lent to nobody, roughly: in memory, or else as they are stored."""
        ...

    def take(self, stream: Stream, n: int, max_bytes: int) -> list[Lease]:
        """Lend up to ``n`` deliveries of a stream of up to ``max_bytes`` in all (at least one, whatever its size).

        An empty list means that nothing is at hand; ``on_ready`` tells when that changes.
        """
        ...

    def ack(self, lease: Lease, outcome: Outcome, id: str | None = None) -> bool:
        """Remove a delivery, done; its dead letters are stored in the same transaction. False if the lease is known to be lost.

        ``id`` is that of its one document, where ``outcome.details`` is ``None``. Returns before anything is durable: a crash
        in between means that the delivery is run again.
        """
        ...

    def ack_all(self, leases: Sequence[Lease], outcome: Outcome, ids: Sequence[str | None]) -> None:
        """As :meth:`ack` for each of these, which have one document and no dead letters. PERF: it asks once what all share."""
        ...

    def nack(self, lease: Lease, delay_s: float = 0.0, *, suspect: bool = False) -> bool:
        """Give a delivery back, leasable again after ``delay_s``; False if the lease is known to be lost."""
        ...

    def dead_letter(self, lease: Lease, code: str, reason: str) -> bool:
        """Move the whole delivery, body included, to the dead letters; False if the lease is known to be lost."""
        ...

    def record_crash(self, lease: Lease) -> int:
        """Count a death of the holder while it ran this delivery alone; returns the count, which outlives a restart."""
        ...

    def record_poison(self, lease: Lease, poison: Poison) -> None:
        """Remember a document that ended its instance, durably with the next commit; the lease stays valid."""
        ...

    def rerun(self, lease: Lease) -> Rerun | None:
        """Present knowledge of earlier runs of a delivery; ``None`` without any."""
        ...

    async def settled(self) -> None:
        """Wait until the queue knows of all that was settled here: from then on receipts and dead letters show it.

        Raises :class:`pypes.errors.Unavailable` if the queue was closed and could not be reached before.
        """
        ...


class Settled(msgspec.Struct, frozen=True, gc=False):
    """End of one lease: with an ``outcome`` the delivery is done, else it returns to the queue, leasable after ``delay_s``.

    ``id`` is that of its one document, see :meth:`Leasing.ack`.
    """

    token: int
    outcome: Outcome | None = None
    id: str | None = None
    delay_s: float = 0.0
    is_suspect: bool = False


class RemoteLeasing(Protocol):
    """Leasing over a network: the same in coroutines, many at a time. How leases are kept alive is the implementation's."""

    #: Called in the event loop when a stream may have something that had nothing.
    on_ready: Callable[[], None] | None
    #: Called in the event loop with the token of a lease that another holder may have by now.
    on_lost: Callable[[int], None] | None

    async def streams(self) -> tuple[list[Stream], frozenset[str]]:
        """The streams that have something, and the ordered graphs of which something waits for others of its keys."""
        ...

    async def fetch(self, stream: Stream, n: int, max_bytes: int) -> list[Lease]:
        """Lend up to ``n`` deliveries of up to ``max_bytes`` in all (at least one); its time runs from now on."""
        ...

    async def record_crash(self, token: int, *, poison: Poison | None = None) -> None:
        """Remember, durably on return, that the holder died, by the document that did it or as one more crash."""
        ...

    async def settle(self, batch: Sequence[Settled]) -> None:
        """End leases, durably or not at all; those that are lost are left out. Raises :class:`StoreError`."""
        ...
