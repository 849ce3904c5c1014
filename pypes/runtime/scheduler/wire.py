"""Wire: a bounded first-in-first-out queue of chunks between an output port and an input port."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.lineage import Lineage
from pypes.runtime.scheduler.ready import Blockable, Ready

#: Packets of one epoch with their lineages beside them (a list, or a ``range`` where the documents are consecutive).
Chunk = tuple[list[Any], Sequence[Lineage]]


class Sender(Blockable, Protocol):
    """The filter before a wire: it must not run while one of its wires is full."""

    full_wires: int


class Gathered(list[Any]):
    """Packets of several puts; nobody but the wire has it before it is taken, so that more can be appended in place."""

    __slots__ = ()


class Wire:
    """Chunks that wait, by epoch in the order in which the epochs first came.

    Only its methods change what it counts: the packets that wait, and for each chunk one hold on its epoch. What is taken off
    brings the hold of its chunk along, to whoever took it. ``capacity`` bounds the packets, not strictly: a sender is stopped
    once the wire is full, so that one flush may go over it; ``usual_capacity`` is what that is unless a jam had it grow.
    """

    __slots__ = (
        "_parked_at_s",
        "begun",
        "bit",
        "capacity",
        "fed",
        "is_shut",
        "label",
        "overflowed",
        "packets",
        "parked",
        "parked_s",
        "ready",
        "taps",
        "total",
        "usual_capacity",
        "waiting",
    )

    def __init__(self, label: str, capacity: int, bit: int, ready: Ready) -> None:
        self.label = label
        self.capacity = self.usual_capacity = capacity
        #: The consumer's bit in the masks of ``ready``.
        self.bit = bit
        self.ready = ready
        self.packets = 0
        #: All packets that ever came, those that drivers hand on past the wire too, and how many of them come from feeds. What is
        #: put back, or tried again, came before.
        self.total = 0
        self.fed = 0
        #: Time for which senders waited for room here, and since when one does.
        self.parked_s = 0.0
        self._parked_at_s = 0.0
        self.waiting: dict[Epoch, Chunk] = {}
        #: Packets left of the first chunk as it was when a part of it was taken; 0 if none was.
        self.begun = 0
        #: The filter that waits for room here, if any. A wire has one source, hence at most one.
        self.parked: Sender | None = None
        #: While the consumer rests, room that it makes by trying is not the sender's to fill.
        self.is_shut = False
        #: By epoch, documents that outgrew the byte cap: what else is made of them and sent here is dead-lettered. -1 stands
        #: for packets of no document.
        self.overflowed: dict[Epoch, set[int]] = {}
        #: Called with packets that are put or fed, or go past the wire, while somebody looks
        #: (:mod:`pypes.runtime.scheduler.tapping`).
        self.taps: tuple[Callable[[Sequence[Any]], None], ...] = ()

    # -- putting ------------------------------------------------------------------------------------------

    def show(self, values: Sequence[Any]) -> None:
        """Show packets to those who look."""
        for look in self.taps:
            look(values)

    def put(self, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]) -> bool:
        """Append; takes ownership of ``values``. True if the wire is full."""
        if epoch in self.waiting:
            self._join(epoch, values, lineages)
        else:
            self.waiting[epoch] = (values, lineages)
            epoch._holds += 1  # PERF: as acquire(), without the call
        count = len(values)
        self.total += count
        self.packets = packets = self.packets + count
        self.ready.waiting |= self.bit
        return packets >= self.capacity

    def feed(self, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]) -> bool:
        """As :meth:`put` for a feed: these packets come from no filter."""
        self.fed += len(values)
        return Wire.put(self, epoch, values, lineages)

    def hand_over(self, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]) -> bool:
        """As :meth:`put`, with a hold on the epoch that the caller has and gives up; the packets are counted already."""
        if epoch in self.waiting:
            self._join(epoch, values, lineages)
            epoch.release()
        else:
            self.waiting[epoch] = (values, lineages)
        self.packets = packets = self.packets + len(values)
        self.ready.waiting |= self.bit
        return packets >= self.capacity

    def _join(self, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]) -> None:
        held, sources = self.waiting[epoch]
        if type(held) is not Gathered:  # these may be somebody else's, too
            held, sources = Gathered(held), [*sources]
            self.waiting[epoch] = held, sources
        held += values
        sources += lineages  # type: ignore[operator]

    def put_back(self, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]) -> None:
        """Put what a component did not take back in front."""
        self.packets += len(values)
        chunk = self.waiting.pop(epoch, None)
        if chunk is None:
            epoch.acquire()
        else:
            values, lineages = values + chunk[0], [*lineages, *chunk[1]]
        self.waiting = {epoch: (values, lineages), **self.waiting}
        self.begun = 0
        self.ready.waiting |= self.bit

    def put_back_each(self, packets: Iterable[tuple[Epoch, Any, Lineage]]) -> None:
        """As :meth:`put_back`, for packets of several epochs, in their order."""
        front: dict[Epoch, tuple[list[Any], list[Lineage]]] = {}
        for epoch, value, lineage in packets:
            if epoch not in front:
                front[epoch] = [], []
            front[epoch][0].append(value)
            front[epoch][1].append(lineage)
            self.packets += 1
        for epoch, (values, lineages) in front.items():
            chunk = self.waiting.pop(epoch, None)
            if chunk is None:
                epoch.acquire()
            else:
                values += chunk[0]
                lineages += chunk[1]
        self.waiting = {**front, **self.waiting}
        self.begun = 0
        self.ready.waiting |= self.bit

    # -- taking -------------------------------------------------------------------------------------------

    def take(self, epoch: Epoch) -> Chunk | None:
        """Remove and return the chunk of one epoch, with its hold; ``None`` if none waits."""
        chunk = self.waiting.pop(epoch, None)
        if chunk is not None:
            self.packets -= len(chunk[0])
            if self.parked is not None:
                self.make_room()
        return chunk

    def take_first(self) -> tuple[Epoch, list[Any], Sequence[Lineage]] | None:
        """Remove and return the oldest chunk, with its hold; ``None`` if none waits."""
        waiting = self.waiting
        if not waiting:
            return None
        if len(waiting) == 1:  # PERF: as it nearly always is
            epoch, (values, lineages) = waiting.popitem()
        else:
            epoch = next(iter(waiting))
            values, lineages = waiting.pop(epoch)
        self.packets -= len(values)
        if self.parked is not None:
            self.make_room()
        return epoch, values, lineages

    def take_part(self, count: int) -> tuple[Epoch, list[Any], Sequence[Lineage]] | None:
        """Remove and return at most ``count`` packets of the oldest chunk, with a hold; ``None`` if none waits.

        What comes to a chunk of which a part was taken counts as a chunk of its own, which is behind the others: a long epoch
        must not keep the others waiting.
        """
        epoch = next(iter(self.waiting), None)
        if epoch is None:
            return None
        values, lineages = self.waiting[epoch]
        size, old = len(values), self.begun or len(values)
        count = min(count, old)
        if count == size:
            del self.waiting[epoch]
        else:
            if type(values) is not Gathered:
                values, lineages = Gathered(values), [*lineages]
                self.waiting[epoch] = values, lineages
            part = values[:count], lineages[:count]
            del values[:count], lineages[:count]
            values, lineages = part
            epoch.acquire()
        self.begun = old - count
        if not self.begun and count < size:
            self.waiting[epoch] = self.waiting.pop(epoch)
        self.packets -= count
        if self.parked is not None:
            self.make_room()
        return epoch, values, lineages

    def unload(self) -> dict[Epoch, Chunk]:
        """Remove all chunks, with their holds. The packets count as on the wire until :meth:`leave` says that they are not."""
        waiting, self.waiting = self.waiting, {}
        return waiting

    def leave(self, packets: int) -> None:
        """Count packets that were unloaded as gone."""
        self.packets -= packets
        if self.parked is not None:
            self.make_room()

    def enter(self, packets: int) -> None:
        """Count packets that wait elsewhere as on the wire, as if unloaded from it."""
        self.packets += packets

    # -- room ---------------------------------------------------------------------------------------------

    def is_full(self) -> bool:
        return self.packets >= self.capacity

    def park(self, sender: Sender) -> None:
        """Keep the filter that sends here from running until there is room."""
        self.parked = sender
        self._parked_at_s = self.ready.clock()
        sender.full_wires += 1
        self.ready.hold_up(sender)

    def make_room(self) -> None:
        """Let the sender that waits here run if there is room for it."""
        if self.packets < self.capacity and not self.is_shut:
            self.unpark()

    def unpark(self) -> None:
        """Let the sender that waits here run."""
        sender, self.parked = self.parked, None
        assert sender is not None
        self.parked_s += self.ready.clock() - self._parked_at_s
        sender.full_wires -= 1
        self.ready.let_on(sender)

    def clear(self) -> None:
        """Forget what waits and who waits for room: the wire is as new. The holds of its chunks are void."""
        self.waiting = {}
        self.overflowed = {}
        self.packets = self.begun = 0
        self.capacity, self.parked, self.is_shut = self.usual_capacity, None, False

    def size_bytes(self) -> int:
        """Estimated bytes of what waits; used only where a wire must grow, so it may be slow."""
        return sum(size_of(value) for values, _ in self.waiting.values() for value in values)


def size_of(value: Any) -> int:
    """Estimated bytes of a packet, or of another value, which may be of a class that cannot say."""
    try:
        measure = getattr(value, "size_bytes", None)
        return max(0, int(measure() if callable(measure) else 64 + len(str(value))))
    except Exception:
        return 64
