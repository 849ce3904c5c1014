"""The queue: what every implementation does, whatever it keeps the deliveries in.

All methods are called in one asyncio event loop and return at once; those that must wait for the store are
coroutines or return a future. Deliveries are leased in the order in which they were appended, those given back first.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.outcome import DeadLetter, Outcome
from pypes.ingest.receipt import Receipt


class Lease(msgspec.Struct, frozen=True, gc=False):
    """A delivery lent to whoever works on it; ``token`` fences out a holder whose lease has run out.

    ``decoded`` is the body after decompression when the one who appended had it at hand and it is still in memory.
    ``is_suspect``: its last holder died with it. ``crashes``: deaths recorded while it ran alone.
    """

    id: str
    token: int
    attempt: int
    header: Header
    body: bytes | Spooled
    decoded: bytes | None = None
    is_suspect: bool = False
    crashes: int = 0


@dataclass(frozen=True, slots=True)
class QueueStats:
    """A snapshot: ``ready`` can be leased now (or once read from the store), ``delayed`` later; bytes are those of bodies."""

    deliveries: int
    bytes: int
    ready: int
    leased: int
    delayed: int
    appended: int
    acknowledged: int
    dead_letters: int
    cached_bytes: int
    oldest_s: float
    commits: int
    is_failed: bool


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an implementation can do: survive a restart, be used by several nodes, and its durability."""

    is_durable: bool
    is_shared: bool
    durability: str


class Queue(ABC):
    """A durable first-in-first-out queue of deliveries with leases, acknowledgements and dead letters."""

    #: Called in the event loop whenever something may have become leasable; set by whoever leases.
    on_ready: Callable[[], None] | None = None

    @abstractmethod
    def append(self, header: Header, body: bytes | Spooled, decoded: bytes | None = None) -> asyncio.Future[str]:
        """Append a delivery; the future gives its receipt's id once it is durable.

        Raises :class:`QueueFull` or :class:`StoreError` at once; the future fails with :class:`StoreError` when the commit
        did, and nothing was accepted then. The queue takes ownership of a spooled body in either case.
        """

    @abstractmethod
    def lease(self, n: int, max_bytes: int, ttl_s: float | None = None) -> list[Lease]:
        """Lend up to ``n`` deliveries of up to ``max_bytes`` in all (at least one, whatever its size); never blocks.

        A lease that is not acknowledged within ``ttl_s`` (``None``: ever) becomes leasable again under a new token.
        An empty list means that nothing is at hand; ``on_ready`` tells when that changes.
        """

    @abstractmethod
    def extend(self, lease: Lease, ttl_s: float) -> bool:
        """Let a lease run for another ``ttl_s`` from now; False if it is no longer valid."""

    @abstractmethod
    def ack(self, lease: Lease, outcome: Outcome) -> bool:
        """Remove a delivery, done; its dead letters are stored in the same transaction. False if the lease is not valid.

        Returns before that is durable: a crash in between means that the delivery is run again.
        """

    @abstractmethod
    def nack(self, lease: Lease, delay_s: float = 0.0, reason: str = "", suspect: bool = False) -> bool:
        """Give a delivery back, leasable again after ``delay_s``; False if the lease is not valid."""

    @abstractmethod
    def record_crash(self, lease: Lease) -> int:
        """Count a death of the holder while it ran this delivery alone; returns the count, which outlives a restart."""

    @abstractmethod
    def dead_letter(self, lease: Lease, code: str, reason: str) -> bool:
        """Move the whole delivery, body included, to the dead letters; False if the lease is not valid."""

    @abstractmethod
    async def redrive(self, ids: Sequence[str]) -> list[str]:
        """Append whole deliveries from the dead letters anew; returns the new receipts. Other dead letters are left alone."""

    @abstractmethod
    async def dead_letters(self, limit: int = 100, after: str = "") -> list[DeadLetter]:
        """Up to ``limit`` dead letters in the order of their ids, those beyond ``after``."""

    @abstractmethod
    async def receipt(self, id: str) -> Receipt | None:
        """Where a delivery is; ``None`` if this queue never had it or has forgotten it. Raises :class:`NotFound` for a non-id."""

    @abstractmethod
    async def wait_receipt(self, id: str, wait_s: float) -> Receipt | None:
        """As :meth:`receipt`, but waits up to ``wait_s`` for the delivery to be finished."""

    @abstractmethod
    def stats(self) -> QueueStats:
        """A snapshot of the queue."""

    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What this implementation can do."""

    @abstractmethod
    async def close(self) -> None:
        """Make durable what was appended and acknowledged, then let go of the store. Leases are void."""
