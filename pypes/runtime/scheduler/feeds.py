"""Feeds of a running graph, pulled a wave at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from pypes.core.shown import shown
from pypes.runtime.scheduler.completing import Completing
from pypes.runtime.scheduler.core import Core, Filter
from pypes.runtime.scheduler.dead import as_json, named
from pypes.runtime.scheduler.epoch import Epoch, Failure
from pypes.runtime.scheduler.feed import BARRIER
from pypes.runtime.scheduler.inheriting import note


class Feeds:
    """The epochs that are fed, one after the other. A feed puts one wave on a wire, and the next when that one was taken."""

    __slots__ = ("_by_name", "_completing", "_core", "_inherit", "_joins", "fed", "waiting")

    def __init__(
        self, core: Core, by_name: Mapping[str, Filter], joins: int, inherit: tuple[str, ...], completing: Completing | None
    ) -> None:
        self._core = core
        self._by_name = by_name
        #: Bits of the filters that are joins.
        self._joins = joins
        #: Metadata of documents that is to be kept in mind.
        self._inherit = inherit
        #: Set if components are told of complete documents.
        self._completing = completing
        self.waiting: deque[Epoch] = deque()
        #: The ordinal after that of the document that was fed last.
        self.fed = 0

    def pull(self) -> bool:
        """Let every feed put one wave on its wire, unless its last one still waits there; True if one did, or ended."""
        moved = False
        if self._completing is not None and self._completing.is_clogged:
            return False
        waiting = self.waiting
        for _ in range(len(waiting)):
            epoch = waiting.popleft()
            if self._pull_from(epoch):
                moved = True
            if epoch.feeding:
                waiting.append(epoch)
        if moved:
            self._core.pulls += 1
        return moved

    def put_whole(self, epoch: Epoch, packets: Mapping[str, Any]) -> None:
        """Put the only document of an epoch on the wires of the filters that take its packets."""
        epoch.fed = 1
        for filter, packet in packets.items():
            wire = self._by_name[filter].entry
            for trace in epoch.traces:
                trace.entered(epoch, filter, [packet], range(1))
            wire.feed(epoch, [packet], range(1))
            epoch.entries[wire] = 1

    @property
    def can_any_pull(self) -> bool:
        """True if :meth:`pull` would do something now."""
        is_clogged = self._completing is not None and self._completing.is_clogged
        return not is_clogged and any(map(self.can_pull, self.waiting))

    @property
    def are_at_barrier(self) -> bool:
        """True if a feed waits until all that it has fed is finished."""
        return any(epoch.at_barrier for epoch in self.waiting)

    def can_pull(self, epoch: Epoch) -> bool:
        if epoch.at_barrier:
            return epoch.holds == 1  # the feed's own
        # PERF: asked twice for every epoch, so that a generator would cost more than what it looks at
        for wire in epoch.entries:
            # a join waits until a document is complete, and others may wait for more to take at once: neither is to wait here
            if epoch in wire.waiting and not wire.bit & (self._joins | self._core.ready.gathering):
                return False
        return True

    def _pull_from(self, epoch: Epoch) -> bool:
        if not self.can_pull(epoch):
            return False
        epoch.at_barrier = False
        try:
            batch = next(epoch.feed.batches, None)
        except Exception as error:
            rest = tuple(range(epoch.fed, epoch.feed.documents))
            text = shown(error, self._core.secrets.redact)
            code = getattr(error, "code", "ingest.malformed")
            epoch.fail(Failure(rest, "", "", code, text, "", b"", 1, self._core.wall_clock(), False))
            batch = None
        if batch is None:
            epoch.feeding = False
            epoch.release()
            return True
        if batch is BARRIER:
            epoch.at_barrier = True
            return True
        filter, packets, lineages = batch  # type: ignore[misc]
        if lineages:
            fed = self.fed = lineages[-1] + 1
            if fed > epoch.fed:
                epoch.fed = fed
        if not packets:  # nothing would ever take it off the wire
            return True
        if self._inherit:
            note(self._inherit, epoch, packets, lineages)
        target = self._by_name.get(filter)
        if target is None:
            self._refuse(epoch, filter, packets, lineages)
            return True
        wire = target.entry
        for trace in epoch.traces:
            trace.entered(epoch, filter, packets, lineages)
        wire.feed(epoch, list(packets), lineages)
        epoch.entries[wire] = self.fed
        return True

    def _refuse(self, epoch: Epoch, filter: str, packets: Sequence[Any], lineages: Sequence[int]) -> None:
        """Fail packets for a filter that the graph does not have, such as replays of what failed in an earlier version of it."""
        reason = f"the graph has no filter {filter!r} (any more); replay from the start"
        now = self._core.wall_clock()
        for packet, lineage in zip(packets, lineages, strict=True):
            names = named(packet)
            form, is_whole = as_json(packet)
            epoch.fail(Failure((lineage,), filter, "", "replay.no_filter", reason, "", form, 1, now, is_whole, None, names))
