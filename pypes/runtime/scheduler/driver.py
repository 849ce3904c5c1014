"""A driver: one filter at run time with its wires, its greenlet and the bookkeeping of a turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

from pypes.component import ERROR_PORT, Component, Publisher, is_publisher
from pypes.core.shown import shown
from pypes.packet import Packet
from pypes.runtime.scheduler.attempt import Attempt
from pypes.runtime.scheduler.core import Core, Filter, Hearing, is_no_failure
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.failing import Failing
from pypes.runtime.scheduler.holding import NOTHING_HELD, Holding
from pypes.runtime.scheduler.joining import Joining
from pypes.runtime.scheduler.lineage import Lineage
from pypes.runtime.scheduler.meter import Meter
from pypes.runtime.scheduler.noting import forget_taken, note_sent, note_taken
from pypes.runtime.scheduler.outport import OutPort
from pypes.runtime.scheduler.policies import Policies
from pypes.runtime.scheduler.publishing import Publishing
from pypes.runtime.scheduler.stalling import Stall
from pypes.runtime.scheduler.wire import Wire


class Driver(Publishing):
    """Base of the ways in which a component is driven; subclasses say how a turn works on its input.

    A turn pins one epoch: all it takes belongs to it, and so does all it sends, until it yields.
    """

    #: True if a chunk counts as held from when it is taken; False: packet by packet, as the subclass says.
    holds_whole_chunks = True
    #: True if the component is called packet by packet, so that a turn of several documents is for it as many turns of one.
    sees_packets_alone = False

    __slots__ = (
        "capacity",
        "chosen",
        "chunk",
        "drops",
        "failing",
        "inheriting",
        "is_remembered",
        "jams",
        "joining",
        "most",
        "naming",
        "only_wire",
        "stall",
        "taken_from",
        "wire_capacity",
    )

    def __init__(self, core: Core, policies: Policies, name: str, component: Component, index: int) -> None:
        self.core = core
        self.jams = policies.jams
        self.resting = policies.resting
        self.broken = policies.resting.open
        self.published = policies.published
        self.observation = core.observation
        self.name = name
        self.meter = Meter(core.news)
        self.component = component
        #: Packets that a port gathers before they go on the wire, and those that a wire to it holds.
        self.capacity = self.wire_capacity = core.limits.wire_packets
        #: As the graph says, before what the component says.
        self.max_attempts: int | None = None
        self.index = index
        self.bit = 1 << index
        #: Most packets that a publisher takes at once: more than a wire holds only where it is full and one more flush came.
        self.most = 2 * max(core.limits.wave_packets, core.limits.wire_packets)
        self.inputs: dict[str, list[Wire]] = {}
        #: The wire on which a feed puts its packets; set when the graph is built.
        self.entry: Wire
        self.outs: dict[str, OutPort] = {}
        self.ancestors: tuple[Filter, ...] = ()
        self.is_join = False
        self.listener: Hearing | None = None
        self.unaccounted: tuple[Epoch, Sequence[Lineage]] | None = None
        #: The packets that wait at a join.
        self.joining: Joining | None = None
        self.is_publisher = is_publisher(component)
        self.commits = isinstance(component, Publisher)
        self.rests = policies.has_breakers and (self.is_publisher or bool(component.get_in_ports()))
        #: The wire that it took from last, for what must go back.
        self.taken_from: Wire
        #: The pinned epoch; ``chosen`` is the one a join was found to be ready for.
        self.epoch: Epoch | None = None
        self.chosen: Epoch | None = None
        #: Lineages of what it took last.
        self.chunk: Sequence[Lineage] = ()
        self.triggers: list[Epoch] = []
        self.full_wires = 0
        #: Set from when it yields without taking its input until it takes some.
        self.stall: Stall | None = None
        self.take_together()
        self.blocks = 0
        #: Packets that raised Retry, by identity (the packet is kept, so that its id stays its own).
        self.attempts: dict[int, Attempt] = {}
        self.failing = Failing(self, policies.resting)
        self.holding = Holding(self, self.failing) if component.holds else None
        #: Names what it makes, and gives it the metadata that the graph inherits, where somebody asks for that.
        self.naming, self.inheriting = policies.naming(holds=component.holds)
        self.provenance = policies.provenance(name, component)
        #: The greenlet to go on in when it was parked in the middle of a turn.
        self.greenlet: greenlet | None = None

    # -- wiring -----------------------------------------------------------------------------------------

    def wired(self) -> None:
        """All wires are attached: work out what the turns need to know about them."""
        self.wires = [wire for wires in self.inputs.values() for wire in wires]
        self.taken_from = self.wires[0]
        self.only_wire = self.wires[0] if len(self.wires) == 1 else None
        self.is_join = sum(1 for wires in self.inputs.values() if wires) > 1
        if self.is_join and self.joining is None:
            in_order = self.component.joins != "wave" and self.sees_packets_alone
            self.joining = Joining(self, self.jams, takes_many=in_order or self.component.joins == "wave", in_order=in_order)
        #: True if packets that it takes and does not send on in its turn are dropped.
        self.drops = not self.is_publisher and self.holding is None
        #: True if the documents that it has committed are reported, and not given to it again in another run.
        self.is_remembered = self.is_publisher and not self.outs.keys() - {ERROR_PORT}
        self.reports = self.is_remembered and self.published is not None

    # -- running ----------------------------------------------------------------------------------------

    def step(self) -> None:
        """Run one turn, or go on with the one it was parked in."""
        raise NotImplementedError

    def position(self) -> int:
        """The progress of a turn, in packets; asked by other threads."""
        raise NotImplementedError

    def failed_step(self, error: BaseException) -> None:
        """``step`` itself raised: account for what was in hand."""
        raise NotImplementedError

    def kill(self) -> None:
        """End the greenlet that this filter is parked in, if any."""
        if self.greenlet is not None and not self.greenlet.dead:
            self.greenlet.parent = getcurrent()
            self.greenlet.throw(GreenletExit)

    def let_go(self) -> None:
        """Refer to no greenlet any more."""
        self.greenlet = None

    @property
    def is_working(self) -> bool:
        """True while it has something in hand between its turns."""
        return self.epoch is not None

    # -- what policies ask and do -------------------------------------------------------------------------

    @property
    def held(self) -> Mapping[Epoch, Sequence[tuple[Any, Lineage]]]:
        return self.holding.held if self.holding is not None else NOTHING_HELD

    def is_derived_open(self, epoch: Epoch) -> bool:
        return self.holding is not None and self.holding.is_open(epoch)

    def ask_flush(self) -> bool:
        return self.holding is not None and self.holding.ask_flush()

    def unloaded_bytes(self, wire: Wire) -> int:
        return self.joining.size_bytes(wire) if self.joining is not None else 0

    def largest(self, wire: Wire) -> tuple[Epoch, list[int]] | None:
        return self.joining.largest(wire) if self.joining is not None else None

    # -- letting go -------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Let the component send on what it holds; runs in its own greenlet."""
        raise NotImplementedError

    # -- taking input -----------------------------------------------------------------------------------

    def next_epoch(self) -> Epoch | None:
        """The epoch this turn would pin: the oldest that waits; for a join, the one it was found ready for."""
        if self.is_join:
            return self.chosen
        for wire in self.wires:
            for epoch in wire.waiting:
                return epoch
        return None

    def take(self, wires: list[Wire], epoch: Epoch) -> tuple[list[Any], Sequence[Lineage]] | None:
        """Take the chunks of one epoch from the wires of a port, and pin the epoch."""
        if self.lone is not None or (self.alone and self.epoch is not None):
            return None
        values: list[Any] | None = None
        lineages: Sequence[Lineage] = ()
        for wire in wires:
            chunk = wire.take(epoch) if self.joining is None else self.joining.take(wire, epoch)
            if chunk is None:
                continue
            if self.epoch is None:
                self.epoch = epoch  # the chunk's hold on the epoch becomes the pin's
            else:
                epoch.release()
            if values is None:
                values, lineages = chunk
            else:
                values, lineages = values + chunk[0], [*lineages, *chunk[1]]
        if values is None:
            return None
        self.taken_from = wires[0]
        if self.is_publisher:
            values, lineages = self.to_publish(epoch, values, lineages)
            if not values:
                return None
        if self.alone:
            values, lineages = self.take_alone(values, lineages)
        if self.holding is not None and self.holds_whole_chunks:
            self.holding.hold(epoch, values, lineages)
        self.chunk = lineages
        if self.observation is not None:
            self.observation.taken(self.name, values)
        if epoch.traces or self.provenance is not None:
            note_taken(self, epoch, values, lineages)
        return values, lineages

    def find_ready_epoch(self) -> bool:
        """For a join: choose the documents that its next turn takes; False if none is ready."""
        if self.epoch is not None:  # parked in the middle of a turn
            return True
        assert self.joining is not None
        self.chosen = self.joining.next_epoch()
        return self.chosen is not None

    @property
    def has_more(self) -> bool:
        """For a join: whether its next turn can follow at once."""
        return self.joining is not None and not self.blocks and self.joining.has_ready

    def put_back(self, values: list[Any], lineages: Sequence[Lineage]) -> None:
        """Put packets of this turn back in front of what waits."""
        assert self.epoch is not None
        if values:
            self.give_back(self.taken_from, self.epoch, values, lineages)

    def give_back(self, wire: Wire, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]) -> None:
        """Put packets back in front of what waits on a wire; the component does not hold them any more."""
        if self.holding is not None:
            self.holding.unhold(epoch, values)
        if self.joining is not None:
            self.joining.put_back(wire, epoch, values, lineages)
        else:
            wire.put_back(epoch, values, lineages)

    def carried(self) -> Iterator[tuple[Epoch, Sequence[Lineage]]]:
        """The documents of what this filter has in hand, of what waits for it and of what is to be retried."""
        if self.epoch is not None:
            yield from self.pinned()
        yield from self.waiting()

    def waiting(self) -> Iterator[tuple[Epoch, Sequence[Lineage]]]:
        """The documents of what waits for this filter, and of what is to be retried."""
        for wire in self.wires:
            for epoch, (_, lineages) in wire.waiting.items():
                yield epoch, lineages
        for attempt in self.attempts.values():
            if attempt.waiting:
                yield attempt.epoch, (attempt.lineage,)
        if self.joining is not None:
            yield from self.joining.carried()

    def pinned(self) -> Iterator[tuple[Epoch, Sequence[Lineage]]]:
        """The documents of the turn in which it is parked, by epoch."""
        assert self.epoch is not None
        yield self.epoch, self.in_hand()

    def in_hand(self) -> Sequence[Lineage]:
        """The documents of the turn in which it is parked."""
        raise NotImplementedError

    def has(self, epoch: Any) -> bool:
        """True if this filter has anything of ``epoch``: in hand, waiting, held or to be retried."""
        return (
            self.epoch is epoch
            or epoch in self.triggers
            or any(epoch in wire.waiting for wire in self.wires)
            or any(attempt.epoch is epoch for attempt in self.attempts.values())
            or (self.holding is not None and self.holding.has(epoch))
            or (self.joining is not None and self.joining.has(epoch))
        )

    # -- sending ----------------------------------------------------------------------------------------

    def emit(self, out: OutPort, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]) -> None:
        """Put what the component sent on all wires of a port; it is made of all that the component holds, if it does."""
        if self.holding is not None and self.holding.held:
            epoch, lineage = self.holding.derived()
            lineages = [lineage] * len(values)
            if self.inheriting is not None:
                self.inheriting.give(values, (value for held in self.holding.held.values() for value, _ in held))
        try:
            self.fan_out(out, epoch, values, lineages)
        except BaseException as error:  # our own bug, for no code of components runs there
            if not is_no_failure(error):
                reason = shown(error, self.core.secrets.redact)
                for value, lineage in zip(values, lineages, strict=True):
                    self.failing.dead_letter(epoch, value, lineage, "internal", reason, error)
            raise

    def fan_out(self, out: OutPort, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]) -> None:
        """Put packets on all wires of a port; clones on all but the last."""
        wires = out.wires
        if self.inheriting is not None:
            values, lineages = self.inheriting.without_conflicts(self.failing.dead_letter, epoch, values, lineages)
            if not values:
                return
        if epoch.traces or self.provenance is not None:
            note_sent(self, out, epoch, values, lineages)
        if len(wires) > 1:
            for wire in wires[:-1]:
                self._put(wire, epoch, [v.clone() if isinstance(v, Packet) else v for v in values], lineages)
        self._put(wires[-1], epoch, values, lineages)

    def _put(self, wire: Wire, epoch: Epoch, values: list[Any], lineages: Sequence[Lineage]) -> None:
        if wire.overflowed and epoch in wire.overflowed:
            values, lineages = self.jams.refuse(self.failing.dead_letter, wire, epoch, values, lineages)
            if not values:
                return
        if wire.put(epoch, values, lineages) and wire.parked is None:
            self.park_at(wire)

    def park_at(self, wire: Wire) -> None:
        """A wire from here is full: this filter must not run until there is room."""
        if wire.is_shut and self.jams.extend(wire):
            return
        wire.park(self)

    def park_while_full(self) -> None:
        """In ``send``: let downstream run until there is room again."""
        while self.full_wires:
            self.core.park(self)

    # -- end of a turn ----------------------------------------------------------------------------------

    def end_turn(self) -> None:
        """Commit (publishers), give up the pin, and note whether there is more to do."""
        epoch = self.epoch
        if epoch is not None:
            self.epoch = self.chosen = None
            self.stall = None
            if self.lone is not None:
                self.end_alone()
            epoch.release()
        elif self.joining.has_current if self.joining is not None else any(wire.waiting for wire in self.wires):
            self.stall = self.stall or Stall()
            if self.stall.is_over(self):
                self._give_up_input("component.stalled", "the filter yields without taking its input")
        if self.narrowing is not None:
            self.narrowing.end_turn()
        if self.provenance is not None:
            forget_taken(self)
        self.note_waiting()
        if self.broken:
            self.resting.end_turn(self)

    def note_waiting(self) -> None:
        """Keep the ready mask true after input was taken."""
        only = self.only_wire
        if self.joining is not None and not self.joining.is_empty:
            return
        if not (only.waiting if only is not None else any(wire.waiting for wire in self.wires)) and not self.triggers:
            self.core.ready.waiting &= ~self.bit

    def failed_before(self, error: BaseException) -> None:
        """``step`` raised with nothing in hand, our own bug: try again a few times, then give up the input."""
        self.component.log.error("turn failed", exc_info=error)
        self.stall = self.stall or Stall()
        if self.stall.is_over(self):
            self._give_up_input("internal", shown(error, self.core.secrets.redact), error)

    def _give_up_input(self, code: str, reason: str, error: BaseException | None = None) -> None:
        """Dead-letter the input that is not taken."""
        self.stall = None
        epoch = self.next_epoch()
        self.chosen = None
        if epoch is None:
            triggers, self.triggers = self.triggers, []
            for trigger in triggers:
                self.failing.dead_letter(trigger, None, (), code, reason, error)
                trigger.release()
            self.note_waiting()
            return
        for wires in self.inputs.values():
            chunk = self.take(wires, epoch)
            if chunk is not None:
                for value, lineage in zip(*chunk, strict=True):
                    self.failing.dead_letter(epoch, value, lineage, code, reason, error)
        self.end_turn()
