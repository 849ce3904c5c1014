"""Joining: a filter with several wired input ports sees one document at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pypes.runtime.scheduler.core import Filter
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.jams import Jams
from pypes.runtime.scheduler.lineage import Lineage
from pypes.runtime.scheduler.tracking import DocumentTracker
from pypes.runtime.scheduler.wire import Wire, size_of

#: Values, and for each where it comes from.
Chunk = tuple[list[Any], list[Lineage]]


class Group:
    """Packets that are taken in the same turn: those of one document, or of several of which a packet was made together."""

    __slots__ = ("chunks", "documents", "is_merged")

    def __init__(self, documents: list[int]) -> None:
        self.documents = documents
        self.chunks: dict[Wire, Chunk] = {}
        #: Groups were put together, so that the chunks are not in the order of the documents.
        self.is_merged = False

    def add(self, wire: Wire, values: Iterable[Any], lineages: Iterable[Lineage]) -> None:
        chunk = self.chunks.get(wire)
        if chunk is None:
            self.chunks[wire] = [*values], [*lineages]
        else:
            chunk[0].extend(values)
            chunk[1].extend(lineages)

    def absorb(self, other: Group) -> None:
        for wire, chunk in other.chunks.items():
            self.add(wire, *chunk)
        self.documents += other.documents
        self.is_merged = True

    def sort(self) -> None:
        """Put the packets on each wire in the order of their documents; those of one document keep theirs."""
        for wire, (values, lineages) in self.chunks.items():
            places = sorted(range(len(values)), key=lambda at: _first(lineages[at]))
            self.chunks[wire] = [values[at] for at in places], [lineages[at] for at in places]


class Joining:
    """The packets that wait at a join, by document, and the choice of those for its next turn.

    A document is ready when it is final before the join (see :class:`DocumentTracker`). Chunks are taken from the wires
    and sorted by document once; they count as on their wires until their document's turn comes, so that memory stays bounded.
    What the component leaves untaken comes first in its next turn.

    With ``takes_many`` a turn takes all documents of an epoch that are ready; with ``in_order`` it has them in
    one chunk, document by document and within these port by port.
    """

    def __init__(self, filter: Filter, jams: Jams, *, takes_many: bool, in_order: bool) -> None:
        self._filter = filter
        self._jams = jams
        self._takes_many = takes_many
        self._in_order = in_order
        #: Waits for the retries of the join itself, too: packets that failed together meet again.
        self.tracker = DocumentTracker(filter.ancestors, follows_holds=False, retries_of=filter)
        #: By epoch, the groups that are not ready, by each of their documents.
        self._open: dict[Epoch, dict[int, Group]] = {}
        #: By epoch, what belongs to no document: sources were triggered.
        self._apart: dict[Epoch, Group] = {}
        #: By epoch, how many packets there are here; together they count once for the epoch.
        self._packets: dict[Epoch, int] = {}
        self._ready: deque[tuple[Epoch, Group]] = deque()
        #: The packets for the next turn, or those that the last one has left.
        self._epoch: Epoch | None = None
        self._current: dict[Wire, tuple[list[Any], Sequence[Lineage]]] = {}
        #: As of when nothing was found to be ready.
        self._looked_at: tuple[int, int] | None = None

    # -- what the scheduler asks ------------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        return not self._packets

    @property
    def has_current(self) -> bool:
        return bool(self._current)

    @property
    def has_ready(self) -> bool:
        return bool(self._current or self._ready)

    def has(self, epoch: Epoch) -> bool:
        return epoch in self._packets

    def carried(self) -> Iterator[tuple[Epoch, Sequence[Lineage]]]:
        """The documents of all that waits here."""
        for epoch, groups in self._open.items():
            yield epoch, [*groups]
        for epoch, group in self._ready:
            yield epoch, group.documents
        for epoch in self._apart:
            yield epoch, ((),)
        if self._epoch is not None:
            for _, lineages in self._current.values():
                yield self._epoch, lineages

    def next_epoch(self) -> Epoch | None:
        """The epoch of what the next turn takes, ``None`` if nothing is ready."""
        if self._current:
            return self._epoch
        for wire in self._filter.wires:
            if wire.waiting:
                self._index(wire)
        if not self._ready:
            self._look()
        if self._ready:
            self._choose(*self._ready.popleft())
            return self._epoch
        return None

    # -- into the index ---------------------------------------------------------------------------------

    def _index(self, wire: Wire) -> None:
        """Sort all that waits on a wire by document. The wire's packets are still counted as such."""
        self._looked_at = None
        for epoch, (values, lineages) in wire.unload().items():
            known = self._packets.get(epoch)
            if known is None:
                self._packets[epoch] = len(values)  # the chunk's count on the epoch becomes that of all that is here
            else:
                self._packets[epoch] = known + len(values)
                epoch.release()
            groups = self._open.get(epoch)
            if groups is None:
                groups = self._open[epoch] = {}
            for value, lineage in zip(values, lineages, strict=True):
                if type(lineage) is int:
                    group = groups.get(lineage)
                    if group is None:
                        group = groups[lineage] = Group([lineage])
                else:
                    group = self._group_of(epoch, groups, lineage)  # type: ignore[arg-type]
                chunk = group.chunks.get(wire)
                if chunk is None:
                    group.chunks[wire] = [value], [lineage]
                else:
                    chunk[0].append(value)
                    chunk[1].append(lineage)

    def _group_of(self, epoch: Epoch, groups: dict[int, Group], documents: tuple[int, ...]) -> Group:
        """The group that several documents have in common from now on."""
        if not documents:
            group = self._apart.get(epoch)
            if group is None:
                group = self._apart[epoch] = Group([])
            return group
        found = {id(group): group for document in documents if (group := groups.get(document)) is not None}
        if not found:
            largest = Group([])
        else:
            largest = max(found.values(), key=lambda group: len(group.documents))
            for group in found.values():
                if group is not largest:
                    largest.absorb(group)
                    for document in group.documents:
                        groups[document] = largest
        for document in documents:
            if document not in groups:
                groups[document] = largest
                largest.documents.append(document)
        return largest

    # -- out of it --------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Find what is ready, unless nothing has moved since it was last looked for in vain."""
        core = self._filter.core
        now = core.turns, core.pulls
        if now == self._looked_at:
            return
        for epoch, groups in [*self._open.items()]:
            if groups:
                found = self._take_final(epoch, groups)
                if found and self._takes_many:
                    self._ready.append((epoch, _together(found)))
                else:
                    self._ready.extend((epoch, group) for group in found)
            if not groups:
                del self._open[epoch]
        for epoch in [*self._apart]:
            is_retried = any(each.waiting and each.epoch is epoch for each in self._filter.attempts.values())
            is_fed = epoch.at_barrier or not epoch.feeding
            if is_fed and not is_retried and not any(filter.has(epoch) for filter in self._filter.ancestors):
                self._ready.append((epoch, self._apart.pop(epoch)))
        if not self._ready:
            self._looked_at = now

    def _take_final(self, epoch: Epoch, groups: dict[int, Group]) -> list[Group]:
        """Remove the groups of which every document is final; in the order of their documents."""
        found = []
        final = self.tracker.final(epoch, groups)
        for document in sorted(final):
            group = groups.get(document)
            if group is None:  # it went with another of its documents
                continue
            if len(group.documents) > 1:
                if not final.issuperset(group.documents):
                    continue
                if group.is_merged:
                    group.sort()
            for each in group.documents:
                del groups[each]
            found.append(group)
        return found

    def _choose(self, epoch: Epoch, group: Group) -> None:
        """Have the next turn take a group."""
        self._epoch = epoch
        if not self._in_order or len(group.chunks) == 1:
            self._current = dict(group.chunks)
            return
        # all in one chunk: as if it had come by one wire
        for wire, (values, _) in group.chunks.items():
            self._leave(wire, len(values))
        wire = self._filter.wires[0]
        values, lineages = self._one_after_the_other(group)
        wire.enter(len(values))
        self._current = {wire: (values, lineages)}

    def _leave(self, wire: Wire, packets: int) -> None:
        """Count packets as gone from a wire, which need not be longer than usual then."""
        wire.leave(packets)
        if wire in self._jams.grown and not wire.is_shut and wire.packets < wire.usual_capacity:
            self._jams.restore(wire)

    def _one_after_the_other(self, group: Group) -> Chunk:
        """All packets of a group, document by document where it is known to which they belong."""
        chunks = [group.chunks[wire] for wire in self._filter.wires if wire in group.chunks]
        values = [value for chunk in chunks for value in chunk[0]]
        lineages = [lineage for chunk in chunks for lineage in chunk[1]]
        if len(group.documents) > 1:
            places = sorted(range(len(values)), key=lambda at: _first(lineages[at]))
            values, lineages = [values[at] for at in places], [lineages[at] for at in places]
        return values, lineages

    def take(self, wire: Wire, epoch: Epoch) -> tuple[list[Any], Sequence[Lineage]] | None:
        """Remove and return what this turn has of a wire, with a count on the epoch; ``None`` if there is nothing."""
        chunk = self._current.pop(wire, None) if epoch is self._epoch else None
        if chunk is None:
            return None
        left = self._packets[epoch] - len(chunk[0])
        if left:
            self._packets[epoch] = left
            epoch.acquire()
        else:
            del self._packets[epoch]
        self._leave(wire, len(chunk[0]))
        return chunk

    def put_back(self, wire: Wire, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]) -> None:
        """Put what this turn did not take back in front."""
        wire.enter(len(values))
        wire.ready.waiting |= wire.bit
        chunk = self._current.get(wire)
        self._epoch = epoch
        if epoch in self._packets:
            self._packets[epoch] += len(values)
        else:
            self._packets[epoch] = len(values)
            epoch.acquire()
        if chunk is not None:
            values, lineages = values + chunk[0], [*lineages, *chunk[1]]
        self._current[wire] = values, lineages

    def packets(self) -> Iterator[tuple[Epoch, Any, Lineage]]:
        """All that waits here, with its epoch and lineage."""
        for epoch, group in (*self._groups(), *self._ready):
            for values, lineages in group.chunks.values():
                for value, lineage in zip(values, lineages, strict=True):
                    yield epoch, value, lineage
        if self._epoch is not None:
            for values, sources in self._current.values():
                for value, lineage in zip(values, sources, strict=True):
                    yield self._epoch, value, lineage

    # -- jams -------------------------------------------------------------------------------------------

    def _groups(self) -> Iterator[tuple[Epoch, Group]]:
        for epoch, groups in self._open.items():
            for document, group in groups.items():
                if document == group.documents[0]:
                    yield epoch, group
        yield from self._apart.items()

    def size_bytes(self, wire: Wire) -> int:
        """Estimated bytes of what waits here and came by a wire."""
        chunks = [group.chunks[wire] for _, group in self._groups() if wire in group.chunks]
        return sum(size_of(value) for values, _ in chunks for value in values)

    def largest(self, wire: Wire) -> tuple[Epoch, list[int]] | None:
        """The documents, with their epoch, of which most waits on a wire and more may still come."""
        found: tuple[Epoch, list[int]] | None = None
        most = 0
        for epoch, group in self._groups():
            size = len(group.chunks[wire][0]) if wire in group.chunks else 0
            if size > most and not wire.overflowed.get(epoch, set()).issuperset(group.documents or (-1,)):
                most, found = size, (epoch, group.documents or [-1])
        return found


def _together(groups: list[Group]) -> Group:
    """One group of several that are ready, in their order."""
    if len(groups) == 1:
        return groups[0]
    whole = Group([document for group in groups for document in group.documents])
    for group in groups:
        for wire, chunk in group.chunks.items():
            whole.add(wire, *chunk)
    return whole


def _first(lineage: Lineage) -> int:
    return lineage if isinstance(lineage, int) else lineage[0] if lineage else -1
