"""Wire: a wire at run time, a bounded FIFO of chunks between an output port and an input port."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

#: Where a packet comes from: the ordinal of one document of its epoch, or of several.
Origin = int | tuple[int, ...]


class Gathered(list[Any]):
    """Packets of several puts; nobody but the wire has it before it is taken, so that more can be appended in place."""

    __slots__ = ()


class Wire:
    """Chunks that wait, by epoch in the order in which the epochs first came.

    A chunk is a list of packets of one epoch with their origins beside them (a list, or a ``range`` where the
    documents are consecutive). ``capacity`` bounds the packets, not strictly: a sender is stopped once
    the wire is full, so that one flush may go over it.
    """

    __slots__ = ("bit", "capacity", "label", "overflowed", "packets", "parked", "waiting")

    def __init__(self, label: str, capacity: int, bit: int) -> None:
        self.label = label
        self.capacity = capacity
        #: The consumer's bit in the scheduler's ready mask.
        self.bit = bit
        self.packets = 0
        self.waiting: dict[Hashable, tuple[list[Any], Sequence[Origin]]] = {}
        #: The task that waits for room here, if any. A wire has one source, hence at most one.
        self.parked: Any = None
        #: By epoch, documents that outgrew the byte cap: what else is made of them and sent here is dead-lettered. -1 stands
        #: for packets of no document.
        self.overflowed: dict[Hashable, set[int]] = {}

    def put(self, epoch: Hashable, values: list[Any], origins: Sequence[Origin]) -> bool:
        """Append; takes ownership of ``values``. True if this made a new chunk, False if it joined one that waits."""
        self.packets += len(values)
        chunk = self.waiting.get(epoch)
        if chunk is None:
            self.waiting[epoch] = (values, origins)
            return True
        held, sources = chunk
        if type(held) is not Gathered:  # these may be somebody else's, too
            held, sources = Gathered(held), [*sources]
            self.waiting[epoch] = held, sources
        held += values
        sources += origins  # type: ignore[operator]
        return False

    def put_back(self, epoch: Hashable, values: list[Any], origins: Sequence[Origin]) -> bool:
        """Put what a component did not take back in front. True if this made a new chunk."""
        self.packets += len(values)
        chunk = self.waiting.pop(epoch, None)
        if chunk is not None:
            values, origins = values + chunk[0], [*origins, *chunk[1]]
        self.waiting = {epoch: (values, origins), **self.waiting}
        return chunk is None

    def clear(self, capacity: int) -> None:
        """Forget what waits and who waits for room: the wire is as new."""
        self.waiting = {}
        self.overflowed = {}
        self.packets, self.capacity, self.parked = 0, capacity, None

    def take(self, epoch: Hashable) -> tuple[list[Any], Sequence[Origin]] | None:
        """Remove and return the chunk of one epoch, ``None`` if none waits."""
        chunk = self.waiting.pop(epoch, None)
        if chunk is not None:
            self.packets -= len(chunk[0])
        return chunk

    def is_full(self) -> bool:
        return self.packets >= self.capacity

    def size_bytes(self) -> int:
        """Estimated bytes of what waits; used only where a wire must grow, so it may be slow."""
        return sum(size_of(value) for values, _ in self.waiting.values() for value in values)


def size_of(value: Any) -> int:
    """Estimated bytes of a packet, or of another value."""
    measure = getattr(value, "size_bytes", None)
    return measure() if measure is not None else 64 + len(str(value))
