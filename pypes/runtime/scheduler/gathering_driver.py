"""The gathering driver: runs components with ``process_batch`` on batches of a certain size, which it waits for.

Packets stay on their wires, whichever epochs they belong to, until a batch of them is full or the first has waited for
``batch_s``. A batch that spans several epochs travels in an epoch *derived* from these: there its packets are the documents
0, 1, 2, …, and whatever is made of the batch as a whole goes on in it. What comes back packet by packet goes on in the epoch of
its own packet, where it also fails, is tried again and is put back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from pypes.component import Batching
from pypes.runtime.scheduler.batch_driver import BatchDriver
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.inheriting import Inheriting
from pypes.runtime.scheduler.lineage import Lineage
from pypes.runtime.scheduler.noting import note_taken
from pypes.runtime.scheduler.outport import OutPort
from pypes.runtime.scheduler.published import without_committed
from pypes.runtime.scheduler.sizes import Sizes
from pypes.runtime.scheduler.wire import Wire

#: Stands for the key of a batch without packets.
_NONE: Final = object()


class Keys:
    """The key of the packets of one batch (``batch_key`` of the component), which is that of its first."""

    def __init__(self, key_of: Callable[[Any], Any]) -> None:
        self._key_of = key_of
        self._key: Any = _NONE

    def alike(self, wire: Wire, most: int) -> int:
        """Count the packets at the front of a wire's oldest chunk that may join the batch, up to ``most``."""
        values = next(iter(wire.waiting.values()), ((), ()))[0]
        count = 0
        for value in islice(values, most):
            try:
                key = self._key_of(value)
                if self._key is _NONE:
                    self._key = key
                is_alike = bool(key == self._key)
            except Exception:  # the component will meet the same fault, and then it is this packet's alone
                if self._key is not _NONE:
                    break
                self._key, is_alike = object(), True
            if not is_alike:
                break
            count += 1
        return count


class GatheringDriver(BatchDriver):
    """Calls ``process_batch`` with batches as the component, or the graph, wants them; see the module.

    Nothing waits where somebody waits for it: a flush was asked for, a single document runs alone, or the service could not be
    reached and what waits is to tell whether it can.
    """

    is_handed_chunks = False

    __slots__ = ("asked", "back", "batch", "most_bytes", "order", "returned", "size", "sizes", "wait_s")

    size: int
    most_bytes: int
    wait_s: float
    #: The wires, in the order in which the next batch is taken from them.
    order: list[Wire]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        #: The derived epoch of the batch in hand, if it spans several; its parents are the packets' own.
        self.batch: Epoch | None = None
        #: So many of the packets that wait do not wait any longer.
        self.asked = 0
        #: So many of the packets at the front of the first wire were put back, whichever wire they came by: they go first.
        self.back = 0
        #: Packets at the end of the batch that were put back.
        self.returned = 0
        #: Bytes of what waits, if they matter.
        self.sizes: Sizes | None = None

    def gather(self, batching: Batching) -> None:
        """Bound the batches. Called once, before there are wires: these hold a batch."""
        self.size = batching.batch_size or self.wire_capacity
        self.wire_capacity = max(self.wire_capacity, self.size)
        self.most_bytes = batching.batch_bytes or 0
        self.sizes = Sizes() if self.most_bytes else None
        self.wait_s = min(batching.batch_s, self.core.limits.hold_s)

    def wired(self) -> None:
        super().wired()
        self.order = self.wires
        self.asked = self.back = 0
        self._wait_no_more()
        if self._waiting:  # nobody else would have it look again at what it let wait
            self.core.ready.waiting |= self.bit
        if self.sizes is not None:
            self.sizes.clear()

    # -- waiting --------------------------------------------------------------------------------------------

    @property
    def _waiting(self) -> int:
        only = self.only_wire
        return only.packets if only is not None else sum(wire.packets for wire in self.wires)

    @property
    def _is_due(self) -> bool:
        """True if the next batch is to be taken now."""
        waiting = self._waiting
        if not waiting:
            return False
        if self.asked or self.alone or waiting >= self.size or not self.wait_s or self.core.record_turn is not None:
            return True
        if self.broken and self in self.broken:
            return True
        return self.sizes is not None and self.sizes.total(self.wires) >= self.most_bytes

    def note_waiting(self) -> None:
        ready = self.core.ready
        if self._is_due:
            self._wait_no_more()
            return
        if not self.triggers:
            ready.waiting &= ~self.bit
        if not self._waiting:
            self._wait_no_more()
        elif not ready.gathering & self.bit:
            ready.gathering |= self.bit
            self.core.timers.alarms[self] = (self.core.clock() + self.wait_s, self.ask_flush)

    def _wait_no_more(self) -> None:
        self.core.ready.gathering &= ~self.bit
        self.core.timers.alarms.pop(self, None)

    def ask_flush(self) -> bool:
        self.asked = self._waiting
        self._wait_no_more()
        self.core.ready.waiting |= self.bit
        return bool(self.asked) and not self.blocks

    # -- a turn ---------------------------------------------------------------------------------------------

    def step(self) -> None:
        if self.greenlet is not None:  # parked in the middle of its turn
            self.core.resume(self)
            return
        if self._is_due and (values := self._take_batch()):
            self.work_on(values, self.chunk)
        elif self.triggers:
            self.epoch = self.triggers.pop(0)
            if not self.component.get_in_ports():
                self.work_on([None], [()])
        if self.epoch is not None:
            self.end_turn()
        else:
            self.note_waiting()

    def _take_batch(self) -> list[Any]:
        """Take the packets of the next batch, and pin their epoch, or the one derived from theirs; they may all be committed."""
        parts = self._parts()
        self._wait_no_more()
        self.returned = 0
        taken = sum(len(values) for _, values, _ in parts)
        self.asked = max(0, self.asked - taken)
        if self.is_remembered and self.core.reruns:
            parts = [*self._without_committed(parts)]
        if self.is_publisher and self.inheriting is not None:
            parts = [*self._without_missing(parts, self.inheriting)]
        if not parts:
            return []
        epoch = parts[0][0]
        if all(other is epoch for other, _, _ in parts):
            values, self.chunk = parts[0][1], parts[0][2]
            for _, more, lineages in parts[1:]:
                values, self.chunk = values + more, [*self.chunk, *lineages]
                epoch.release()
            self.epoch = epoch
        else:
            values = [value for _, values, _ in parts for value in values]
            self.batch = self.epoch = Epoch.derived([(epoch, lineage) for epoch, _, lineages in parts for lineage in lineages])
            self.batch.acquire()
            self.chunk = range(len(values))
            for epoch, _, _ in parts:  # the derived epoch has holds of its own
                epoch.release()
        if self.alone:
            self.take_alone(values, self.chunk)
        if self.observation is not None:
            self.observation.taken(self.name, values)
        if self.epoch.traces or self.provenance is not None:
            note_taken(self, self.epoch, values, self.chunk)
        return values

    def _parts(self) -> list[tuple[Epoch, list[Any], Sequence[Lineage]]]:
        """Take as many packets as a batch may have off the wires, with the holds of their chunks."""
        parts: list[tuple[Epoch, list[Any], Sequence[Lineage]]] = []
        room, room_bytes = 1 if self.alone else self.size, self.most_bytes
        keys = Keys(self.component.batch_key) if self.component.batch_key is not None else None
        if self.sizes is not None:
            self.sizes.total(self.wires)
        for wire in self.wires if self.back else self.order:
            while room:
                most = room
                if self.sizes is not None:
                    most = min(room, self.sizes.fitting(wire, room_bytes, is_first=not parts))
                if keys is not None and most:
                    most = keys.alike(wire, most)
                part = wire.take_part(most) if most else None
                if part is None:
                    break
                parts.append(part)
                room -= len(part[1])
                self.back = max(0, self.back - len(part[1]))
                if self.sizes is not None:
                    room_bytes -= self.sizes.take(wire, part[0], len(part[1]))
        if len(self.wires) > 1:  # the next batch begins with another one
            self.order = [*self.order[1:], self.order[0]]
        return parts

    def _without_committed(
        self, parts: Sequence[tuple[Epoch, list[Any], Sequence[Lineage]]]
    ) -> Iterator[tuple[Epoch, list[Any], Sequence[Lineage]]]:
        for epoch, values, lineages in parts:
            left, left_lineages = without_committed(self.name, epoch, values, lineages)
            if left:
                yield epoch, left, left_lineages
            else:
                epoch.release()

    def _without_missing(
        self, parts: Sequence[tuple[Epoch, list[Any], Sequence[Lineage]]], inheriting: Inheriting
    ) -> Iterator[tuple[Epoch, list[Any], Sequence[Lineage]]]:
        for epoch, values, lineages in parts:
            left, left_lineages = inheriting.without_missing(self.failing.dead_letter, epoch, values, lineages)
            if left:
                yield epoch, left, left_lineages
            else:
                epoch.release()

    def end_turn(self) -> None:
        if self.batch is not None:
            self.epoch, self.batch = self.batch, None
        super().end_turn()

    # -- what goes on, and what does not ----------------------------------------------------------------------

    def emit(self, out: OutPort, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]) -> None:
        """Put packets on the wires of a port, those of single packets of the batch in the epochs of these."""
        batch = self.batch
        if batch is None or epoch is not batch:
            self.fan_out(out, epoch, values, lineages)
            return
        first = 0
        pinned: Epoch = batch
        own: list[Lineage] = []
        for at, lineage in enumerate(lineages):
            where, source = batch.parents[lineage] if type(lineage) is int else (batch, lineage)
            if where is not pinned and own:
                self.fan_out(out, pinned, values[first:at], own)
                first, own = at, []
            pinned = where
            own.append(source)
        if own:
            self.fan_out(out, pinned, values[first:], own)

    def apart(self, lineage: Lineage) -> Lineage:
        if self.batch is None:
            return lineage
        assert isinstance(lineage, int)
        self.epoch, own = self.batch.parents[lineage]
        return own

    def rest(self, values: list[Any], lineages: Sequence[Lineage], error: BaseException) -> None:
        own = self.apart(lineages[0])
        super().rest(values, [own, *lineages[1:]], error)

    def put_back(self, values: list[Any], lineages: Sequence[Lineage]) -> None:
        self.returned = len(values)
        if self.batch is None:
            super().put_back(values, lineages)
            return
        parents = self.batch.parents
        last = parents[len(parents) - len(values) :]
        self._returned_to_front(len(values))
        self.taken_from.put_back_each((epoch, value, lineage) for (epoch, lineage), value in zip(last, values, strict=True))

    def give_back(self, wire: Wire, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]) -> None:
        self._returned_to_front(len(values))
        super().give_back(wire, epoch, values, lineages)

    def _returned_to_front(self, count: int) -> None:
        self.back += count
        if self.sizes is not None:
            self.sizes.clear()

    def forget_successes(self, values: list[Any]) -> None:
        # others of their epochs may wait for a later batch
        for value in values[: len(values) - self.returned]:
            attempt = self.attempts.get(id(value))
            if attempt is not None and not attempt.waiting:
                del self.attempts[id(value)]

    # -- what others ask ---------------------------------------------------------------------------------------

    def pinned(self) -> Iterator[tuple[Epoch, Sequence[Lineage]]]:
        if self.batch is None:
            yield from super().pinned()
            return
        yield self.batch, range(len(self.batch.parents))
        for epoch, lineage in self.batch.parents:
            yield epoch, (lineage,)

    def has(self, epoch: Epoch) -> bool:
        in_hand = self.batch is not None and any(epoch is own for own, _ in (*self.batch.parents, (self.batch, 0)))
        return in_hand or super().has(epoch)
