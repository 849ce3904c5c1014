"""The queue: a shard of a node, put together of its contracts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pypes.ingest.accounts import Counts
from pypes.ingest.contracts.audited import Audited
from pypes.ingest.contracts.blobs import Blobs
from pypes.ingest.contracts.callbacks import Callbacks
from pypes.ingest.contracts.cursors import Cursors
from pypes.ingest.contracts.intake import Intake
from pypes.ingest.contracts.leasing import Leasing
from pypes.ingest.contracts.letters import Letters
from pypes.ingest.contracts.receipts import Receipts


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
class LaneUse:
    """Deliveries of one graph and lane in a shard that are not done, lent or not; ``oldest_s`` is the age of the oldest, or 0."""

    deliveries: int
    documents: int
    bytes: int
    oldest_s: float


@dataclass(frozen=True, slots=True)
class RecentCounts:
    """Documents of one graph in one shard within the last ``seconds``."""

    seconds: float
    accepted: int
    published: int
    dropped: int
    failed: int


@dataclass(frozen=True, slots=True)
class GraphUse:
    """Usage of one graph in one shard: what waits, its dead letters with the bodies kept for them, its receipts and keys.

    ``accepted``, ``published``, ``dropped`` and ``failed`` are documents, since the shard was made.
    ``limits`` has the bounds in force for it at the moment by the names of limits: its own, or its share of the node's.
    ``lanes`` has what is not done by the name of its lane, ``live`` or ``bulk``. ``lately`` is ``None`` of a shard that was just
    opened.
    """

    deliveries: int
    bytes: int
    dead_letters: int
    dead_letter_bytes: int
    receipt_bytes: int
    keys: int
    limits: Mapping[str, int]
    accepted: int = 0
    published: int = 0
    dropped: int = 0
    failed: int = 0
    lanes: Mapping[str, LaneUse] = field(default_factory=dict)
    lately: RecentCounts | None = None

    def shares(self) -> dict[str, float]:
        """The used share of each of the limits, 1 if all of it is used."""
        used = {
            "queue_max_deliveries": self.deliveries,
            "queue_max_bytes": self.bytes,
            "dead_letters_kept": self.dead_letters,
            "dead_letters_bytes": self.dead_letter_bytes,
            "keys_kept": self.keys,
            "disk_bytes": self.bytes + self.dead_letter_bytes + self.receipt_bytes,
        }
        # a graph may be over a share that has become smaller since, and a limit of 0 has no room
        return {name: used[name] / most if most else 1.0 for name, most in self.limits.items()}


class Queue(Protocol):
    """A first-in-first-out queue of deliveries with leases, acknowledgements and dead letters."""

    @property
    def intake(self) -> Intake: ...
    @property
    def leasing(self) -> Leasing: ...
    @property
    def receipts(self) -> Receipts: ...
    @property
    def letters(self) -> Letters: ...
    @property
    def callbacks(self) -> Callbacks: ...
    @property
    def cursors(self) -> Cursors: ...
    @property
    def blobs(self) -> Blobs: ...
    @property
    def audited(self) -> Audited: ...

    def stats(self) -> QueueStats:
        """A snapshot of the queue, as far as it is known here."""
        ...

    def uses(self) -> dict[str, GraphUse]:
        """The usage of each graph that is deployed or has something left, as far as it is known here."""
        ...

    def totals(self) -> Mapping[str, Counts]:
        """Documents accepted, published, dropped and failed, by graph, since the queue was made."""
        ...

    async def unfinished(self, graph: str) -> int:
        """Deliveries of a graph that are not done; waits for earlier appends to reach the store."""
        ...

    async def close(self) -> None:
        """Make appends and acknowledgements durable, then release the store. Leases are void."""
        ...
