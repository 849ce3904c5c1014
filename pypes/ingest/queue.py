"""The queue: what every implementation does, whatever it keeps the deliveries in.

All methods are called in one asyncio event loop and return at once; those that must wait for the store are
coroutines or return a future. Deliveries are leased in the order in which they were appended, those given back first.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from pypes.ingest.deadletter import KeptLetter, LetterGroup, LetterQuery, Replayed
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.outcome import Blame, DeadLetter, Outcome
from pypes.ingest.protocol import Rerun
from pypes.ingest.receipt import DocumentReport, Receipt


class Stream(NamedTuple):
    """What is leased independently of each other: a lane of a graph."""

    graph: str
    is_bulk: bool


class Key(NamedTuple):
    """An idempotency key: its name as the caller scopes it, and the digest of the request that came with it."""

    name: str
    digest: bytes


class Callback(msgspec.Struct, frozen=True, gc=False):
    """A finished receipt to be posted to ``url``, not before ``due`` (seconds since the epoch), after ``attempts`` failures."""

    receipt: str
    url: str
    due: float
    attempts: int


class Lease(msgspec.Struct, frozen=True, gc=False):
    """A delivery lent to whoever works on it; ``token`` fences out a holder whose lease has run out.

    ``decoded`` is the body after decompression when the one who appended had it at hand and it is still in memory.
    ``is_suspect``: its last holder died with it. ``crashes``: deaths recorded while it ran alone. ``rerun``: what was known of
    earlier runs when it was lent; :meth:`Queue.rerun` tells what is known by now.
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


@dataclass(frozen=True, slots=True)
class QueueStats:
    """A snapshot: ``ready`` can be leased now (or once read from the store), ``delayed`` later; bytes are those of bodies.

    ``bulk_deliveries`` and ``bulk_bytes`` are the share of the bulk lane in ``deliveries`` and ``bytes``. ``dead_letter_bytes``
    is what the dead letters take with the bodies kept for them, ``drain_bytes_s`` what was acknowledged per second of late.
    ``held`` are deliveries of graphs with so many dead letters that nothing of them is lent.
    """

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
    dead_letter_bytes: int = 0
    drain_bytes_s: float = 0.0
    bulk_deliveries: int = 0
    bulk_bytes: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an implementation can do: survive a restart, be used by several nodes, and its durability."""

    is_durable: bool
    is_shared: bool
    durability: str


class Queue(ABC):
    """A durable first-in-first-out queue of deliveries with leases, acknowledgements and dead letters."""

    #: Called in the event loop whenever something may have become leasable, or what was to become so is lost; set by whoever
    #: leases.
    on_ready: Callable[[], None] | None = None

    #: Called in the event loop when a callback became due to be posted that was not there before.
    on_callback: Callable[[], None] | None = None

    # -- deliveries --------------------------------------------------------------------------------------

    @abstractmethod
    def append(
        self, header: Header, body: bytes | Spooled, decoded: bytes | None = None, key: Key | None = None
    ) -> asyncio.Future[str]:
        """Append a delivery; the future gives its receipt's id once it is durable.

        With a ``key`` that is known for the same digest, the future gives the first receipt (once that is durable) and nothing
        is appended; for another digest, :class:`Conflict` (``idempotency.mismatch``) is raised. Concurrent appends of
        one key are one delivery; a key whose append failed is free again. Keys are forgotten with the receipts.

        Raises :class:`QueueFull` (``queue.full``), :class:`LettersFull` (until dead letters of the graph are replayed or deleted)
        or :class:`StoreError` at once; the future fails with :class:`StoreError` when the commit did, and nothing was accepted
        then. The queue takes ownership of a spooled body in any case.
        """

    @abstractmethod
    def check_room(self, size: int, graph: str = "", *, is_bulk: bool = False) -> None:
        """Raise :class:`QueueFull` as :meth:`append` would for a body of ``size`` bytes now: before it is read, not after.

        Without a ``graph``, only what is bounded for all of them together is looked at.
        """

    @abstractmethod
    def reserve_arriving(self, size: int, *, is_repeatable: bool = False) -> None:
        """Count ``size`` more bytes of a body that is being written to the disk. Raises :class:`QueueFull` (``queue.full``).

        ``is_repeatable``: the body has a key and may have come before, so it needs no room beside what is queued.
        """

    @abstractmethod
    def release_arriving(self, size: int) -> None:
        """Say that bytes are no longer arriving: their body is about to be appended, or was given up."""

    @abstractmethod
    def deployed(self, graphs: Collection[str]) -> None:
        """Say which graphs share the bounds. While there is but one, and nothing of others is left, it may use the whole of them.

        Of a graph at its bound of dead letters, nothing is taken or lent.
        """

    @abstractmethod
    def streams(self) -> list[Stream]:
        """The streams that have something leasable now; of an ordered graph, :meth:`lease` may find that it must wait."""

    @abstractmethod
    def is_held(self, graph: str) -> bool:
        """True if deliveries of an ordered graph wait for others of their keys to be finished."""

    @abstractmethod
    def lease(self, n: int, max_bytes: int, ttl_s: float | None = None, stream: Stream | None = None) -> list[Lease]:
        """Lend up to ``n`` deliveries of up to ``max_bytes`` in all (at least one, whatever its size); never blocks.

        Of one ``stream``, or of any: then the oldest first, live before bulk. A lease that is not acknowledged within ``ttl_s``
        (``None``: ever) becomes leasable again under a new token. An empty list means that nothing is at hand;
        ``on_ready`` tells when that changes.
        """

    @abstractmethod
    def extend(self, lease: Lease, ttl_s: float) -> bool:
        """Let a lease run for another ``ttl_s`` from now; False if it is no longer valid."""

    @abstractmethod
    def ack(self, lease: Lease, outcome: Outcome, id: str | None = None) -> bool:
        """Remove a delivery, done; its dead letters are stored in the same transaction. False if the lease is not valid.

        ``id`` is that of its one document, where ``outcome.details`` is ``None``. Returns before anything is durable: a crash
        in between means that the delivery is run again.
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
    def blame(self, lease: Lease, blame: Blame) -> None:
        """Remember a document that ended its instance, durably with the next commit; the lease stays valid."""

    @abstractmethod
    def committed(self, lease: Lease, publisher: str, documents: Sequence[int]) -> None:
        """Remember, while this queue object lives, that a publisher has committed documents (ordinals) of a delivery."""

    @abstractmethod
    def rerun(self, lease: Lease) -> Rerun | None:
        """What is known of earlier runs of a delivery by now; ``None`` if nothing is."""

    # -- receipts ----------------------------------------------------------------------------------------

    @abstractmethod
    async def receipt(self, id: str) -> Receipt | None:
        """Where a delivery is; ``None`` if this queue never had it.

        Raises :class:`Gone` (``receipt.forgotten``) for one that was given out and is forgotten by now, :class:`NotFound`
        for what is no id.
        """

    @abstractmethod
    async def wait_receipt(self, id: str, wait_s: float) -> Receipt | None:
        """As :meth:`receipt`, but waits up to ``wait_s`` for the delivery to be finished."""

    @abstractmethod
    async def documents(self, id: str, limit: int, after: int = -1) -> list[DocumentReport] | None:
        """What became of up to ``limit`` documents of a delivery, in order, beyond the ordinal ``after``.

        ``None`` and errors as :meth:`receipt`.
        """

    @abstractmethod
    async def receipts(
        self, state: str | None, since: float, limit: int, after: str = "", *, newest: bool = False, graph: str = ""
    ) -> list[Receipt]:
        """Up to ``limit`` receipts beyond ``after`` in the order of their ids, accepted at ``since`` or later.

        With ``newest``, in the opposite order. ``since`` is seconds since the epoch. ``state``: only those in it, ``None`` for
        all; ``graph``: only those of it, empty for all.
        """

    @abstractmethod
    async def callbacks(self, now: float, limit: int) -> list[Callback]:
        """Up to ``limit`` callbacks due at ``now`` (seconds since the epoch), the longest due first; only what is durable."""

    @abstractmethod
    async def next_callback(self) -> float | None:
        """When the next callback is due, seconds since the epoch; ``None`` if there is none."""

    @abstractmethod
    def callback_done(self, receipt: str) -> None:
        """Forget a callback: it was posted, or given up. Durable with the next commit."""

    @abstractmethod
    def callback_failed(self, receipt: str, due: float) -> None:
        """Count a failed attempt at a callback; it is due again at ``due``. Durable with the next commit."""

    # -- dead letters ------------------------------------------------------------------------------------

    @abstractmethod
    async def letters(
        self, query: LetterQuery | None = None, limit: int = 100, after: str = "", *, newest: bool = False
    ) -> list[DeadLetter]:
        """Up to ``limit`` dead letters that match, in the order of their ids, those beyond ``after``.

        With ``newest``, in the opposite order: those of the newest deliveries first. Without packets and tracebacks, which
        :meth:`letter` has.
        """

    @abstractmethod
    async def letter(self, id: str) -> KeptLetter | None:
        """One dead letter with what is kept of its delivery's body."""

    @abstractmethod
    async def letter_groups(self, query: LetterQuery | None = None) -> list[LetterGroup]:
        """The dead letters that match, counted by graph, filter and code; most first."""

    @abstractmethod
    async def edit_letter(self, id: str, packet: bytes) -> bool:
        """Replace the packet (its JSON form) of a dead letter, durably on return; False if there is no such dead letter."""

    @abstractmethod
    async def delete_letters(self, ids: Sequence[str]) -> int:
        """Delete dead letters, durably on return; returns how many there were."""

    @abstractmethod
    async def replay(self, id: str, from_start: bool) -> str:
        """Turn a dead letter into a new delivery in one transaction; returns the new receipt once it is durable.

        From the filter in which it failed on, with the packet as it was there (or was edited to); or from the start, with those
        documents of the delivery's body that it was made from, and all other dead letters of these documents go with it. What
        failed before the first filter, or stands for many, always goes from the start, unless it was edited. Raises
        :class:`NotFound`, :class:`Conflict` (``deadletters.not_kept``) if what it takes is not kept, :class:`QueueFull` and
        :class:`StoreError`.
        """

    @abstractmethod
    async def replay_together(self, ids: Sequence[str], from_start: bool) -> Replayed:
        """Turn dead letters of one receipt into one delivery that runs their documents from the start, body read once.

        Without ``from_start`` only those that cannot go on from their filter; the others are ``left``, each to be replayed by
        itself. Raises as :meth:`replay`.
        """

    # -- the rest ----------------------------------------------------------------------------------------

    @abstractmethod
    def stats(self) -> QueueStats:
        """A snapshot of the queue."""

    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What this implementation can do."""

    @abstractmethod
    async def close(self) -> None:
        """Make durable what was appended and acknowledged, then let go of the store. Leases are void."""
