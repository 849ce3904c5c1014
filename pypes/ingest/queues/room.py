"""Room of a queue: the remaining capacity, in total and for each graph, and the time until there is more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping

from pypes.core.graph_limits import GraphLimits
from pypes.core.limits import Limits
from pypes.errors import DiskFull, LettersFull, QueueFull
from pypes.ingest.contracts.queue import GraphUse
from pypes.ingest.delivery import Header
from pypes.ingest.queues.drain import MAX_RETRY_S, DrainRate
from pypes.ingest.queues.shares import MOST, Reached, Shares

log = logging.getLogger(__name__)

#: Part of a full queue that must have drained before who was refused shall post again.
_SPARE = 0.01
#: Part of a queue up to which the bulk lane may fill it, so that what is live finds room.
_BULK_SHARE = 0.9


class Room:
    """Counts deliveries and bytes against their bounds. ``held`` is filled with graphs that have too many dead letters.

    ``on_freed()`` is called when a graph that was held is not held any more.
    """

    def __init__(self, limits: Limits, held: set[str], shard: int, on_freed: Callable[[], None]) -> None:
        self.deliveries = 0
        self.bytes = 0
        self.acknowledged = 0
        self._acknowledged_bytes = 0
        #: Bodies that are being written to the disk and are not in the queue yet.
        self._arriving_bytes = 0
        self._limits = limits
        self._held = held
        self._shard = shard
        self._on_freed = on_freed
        self._loop = asyncio.get_running_loop()
        self._drain = DrainRate(self._loop.time())
        self._shares = Shares(limits, held)
        self._own = self._shares.own
        # below these no graph can be beyond its share
        self._shared_deliveries, self._shared_bytes = (
            int(MOST * b) for b in (limits.queue_max_deliveries, limits.queue_max_bytes)
        )

    # -- what is asked before anything is taken on -------------------------------------------------------

    def check(self, size: int, graph: str = "", *, is_bulk: bool = False, is_replay: bool = False) -> None:
        """As :meth:`Intake.check_room`; a replay makes room among the dead letters itself."""
        limits = self._limits
        if graph in self._held and not is_replay:
            self._refuse_letters(graph)
        max_deliveries, max_bytes = limits.queue_max_deliveries, limits.queue_max_bytes
        if is_bulk:
            max_deliveries, max_bytes = int(_BULK_SHARE * max_deliveries), int(_BULK_SHARE * max_bytes)
        deliveries, total = self.deliveries, self.bytes + self._arriving_bytes
        if deliveries >= max_deliveries or total + size > max_bytes:
            raise QueueFull(
                "the queue is full; post again after the time in Retry-After",
                retry_after_s=self._retry_after_s(deliveries + 1, total + size, max_deliveries, max_bytes),
                limit="queue_max_deliveries" if deliveries >= max_deliveries else "queue_max_bytes",
            )
        # PERF: far from full, no graph is looked at that has no limits of its own
        if graph and (
            deliveries + 1 > self._shared_deliveries
            or total + size > self._shared_bytes
            or is_bulk
            or (graph in self._own and not self._shares.is_within_own(graph, size))
        ):
            reached = self._shares.reached(graph, size, (deliveries, self.bytes), _BULK_SHARE if is_bulk else 1.0)
            # a replay takes of the disk what its dead letters had
            if reached is not None and not (is_replay and reached.limit == "disk_bytes"):
                self._refuse(graph, size, reached, max_deliveries, max_bytes)

    def _refuse(self, graph: str, size: int, reached: Reached, max_deliveries: int, max_bytes: int) -> None:
        """Say which bound of the queue, or of the disk, a graph has reached. Raises :class:`QueueFull`."""
        use = self._shares.uses[graph]
        if reached.limit == "disk_bytes":
            excess = use.disk_bytes + size - reached.share
            self.show_drain()
            raise DiskFull(
                f"graph {graph!r} has reached its own limit disk_bytes ({reached.share} in this shard): {use.bytes} bytes "
                f"wait, {use.letter_bytes} are dead letters, {use.receipt_bytes} receipts; replay or delete dead letters, or "
                "raise the limit in the graph, then post again",
                # what is run leaves the disk, dead letters do not go by themselves
                retry_after_s=self._drain.retry_after_s(0, excess) if excess <= use.bytes else MAX_RETRY_S,
                where=graph,
                limit=reached.limit,
            )
        share = (max_deliveries, reached.share) if reached.limit == "queue_max_bytes" else (reached.share, max_bytes)
        raise QueueFull(
            f"graph {graph!r} has reached its own limit {reached.limit} ({reached.share} in this shard); post again after "
            "the time in Retry-After, or raise the limit in the graph"
            if reached.is_own
            else f"graph {graph!r} fills its share of the queue ({reached}); post again after the time in Retry-After",
            retry_after_s=self._retry_after_s(use.deliveries + 1, use.bytes + size, *share),
            where=graph,
            limit=reached.limit,
        )

    def _refuse_letters(self, graph: str) -> None:
        reached = self._shares.reached_letters(graph)
        assert reached is not None
        raise LettersFull(
            f"the dead letters of graph {graph!r} have reached its own limit {reached.limit} ({reached.share} in this shard); "
            "replay or delete some, or raise the limit in the graph, then post again"
            if reached.is_own
            else f"there is no room for more dead letters of graph {graph!r} ({reached}); replay or delete some, then post again",
            retry_after_s=MAX_RETRY_S,
            where=graph,
            limit=reached.limit,
        )

    def check_keys(self, graph: str) -> None:
        """Raise :class:`QueueFull` if a graph has so many idempotency keys that no more are remembered."""
        reached = self._shares.reached_keys(graph)
        if reached is None:
            return
        raise QueueFull(
            f"graph {graph!r} has reached its own limit keys_kept ({reached.share} in this shard); post without an idempotency "
            "key, or later, or raise the limit in the graph"
            if reached.is_own
            else f"graph {graph!r} fills its share of the idempotency keys ({reached}); post without a key, or later",
            retry_after_s=MAX_RETRY_S,
            where=graph,
            limit=reached.limit,
        )

    def _retry_after_s(self, deliveries: int, size: int, max_deliveries: int, max_bytes: int) -> float:
        """Seconds until so much will have become less than may be, at the pace of the drain."""
        self.show_drain()
        return self._drain.retry_after_s(deliveries - int((1 - _SPARE) * max_deliveries), size - int((1 - _SPARE) * max_bytes))

    # -- what is taken on, and what leaves ----------------------------------------------------------------

    def reserve_arriving(self, size: int, *, is_repeatable: bool = False) -> None:
        """As :meth:`Intake.reserve_arriving`."""
        if not is_repeatable:
            self.check(size)
        elif self._arriving_bytes + size > self._limits.queue_max_bytes:
            raise QueueFull(
                "the queue has no room for more bodies at the moment; post again after the time in Retry-After",
                limit="queue_max_bytes",
            )
        self._arriving_bytes += size

    def release_arriving(self, size: int) -> None:
        """As :meth:`Intake.release_arriving`."""
        self._arriving_bytes -= size

    def reserve(self, header: Header, size: int, *, is_replay: bool = False) -> None:
        """Make room for a delivery. Raises :class:`QueueFull` or :class:`LettersFull`."""
        self.check(size, header.graph, is_bulk=header.is_bulk, is_replay=is_replay)
        self.count(header.graph, 1, size)

    def count(self, graph: str, deliveries: int, size: int) -> None:
        """Add deliveries and bytes of a graph; less than zero for what leaves."""
        self.deliveries += deliveries
        self.bytes += size
        use = self._shares.uses[graph]
        use.deliveries += deliveries
        use.bytes += size

    def finished(self, graph: str, deliveries: int, size: int) -> None:
        """Free the room of deliveries that are done."""
        self.count(graph, -deliveries, -size)
        self.acknowledged += deliveries
        self._acknowledged_bytes += size

    # -- dead letters, and graphs that share ---------------------------------------------------------------

    def deployed(self, graphs: Mapping[str, GraphLimits]) -> None:
        """As :meth:`Intake.deployed`."""
        self._watch(lambda: self._shares.deploy(graphs))

    def add_letters(self, changes: Iterable[tuple[str, int, int]]) -> None:
        """Count dead letters that came or went: graph, count, bytes."""

        def add() -> None:
            for change in changes:
                self._shares.add_letters(*change)

        self._watch(add)

    def set_letters(self, found: Iterable[tuple[str, int, int]]) -> None:
        """Count these dead letters and no others."""
        self._watch(lambda: self._shares.set_letters(found))

    def set_receipts(self, graph: str, size: int) -> None:
        """The receipts of a graph take so many bytes."""
        self._watch(lambda: self._shares.set_receipts(graph, size))

    def add_keys(self, graph: str, count: int) -> None:
        """Count idempotency keys that came, or were forgotten (less than zero)."""
        self._shares.add_keys(graph, count)

    def _watch(self, change: Callable[[], None]) -> None:
        """Make a change to the dead letters or the graphs that share, and tell of graphs that are held or freed by it."""
        before = frozenset(self._held)
        change()
        held = self._held
        if held == before:
            return
        for graph in held - before:
            reached = self._shares.reached_letters(graph)
            assert reached is not None
            log.warning(
                "a graph has too many dead letters: it accepts and runs nothing until some are replayed or deleted",
                extra={"shard": self._shard, "graph": graph, "limit": reached.limit, "share": reached.share},
            )
        for graph in before - held:
            log.info("a graph has room for dead letters again", extra={"shard": self._shard, "graph": graph})
        if before - held:
            self._on_freed()

    # -- what is told of it --------------------------------------------------------------------------------

    def show_drain(self) -> None:
        """Note how much was acknowledged up to now."""
        self._drain.show(self.acknowledged, self._acknowledged_bytes, self._loop.time())

    def uses(self) -> dict[str, GraphUse]:
        """As :meth:`Queue.uses`."""
        return self._shares.shown(self.deliveries, self.bytes)

    @property
    def drain_bytes_s(self) -> float:
        return self._drain.rates[1]

    @property
    def letters(self) -> int:
        return self._shares.letters

    @property
    def letter_bytes(self) -> int:
        return self._shares.letter_bytes

    @property
    def held_deliveries(self) -> int:
        return self._shares.held_deliveries
