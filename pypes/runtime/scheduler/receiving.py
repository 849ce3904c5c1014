"""Receiving: the half of the loop driver that knows what the component took in its turn, gives it back, and has the cursor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import length_hint
from typing import Any

from pypes.errors import ComponentError
from pypes.packet import Packet
from pypes.runtime.scheduler.driver import Driver
from pypes.runtime.scheduler.lineage import Lineage, flatten
from pypes.runtime.scheduler.outport import OutPort
from pypes.runtime.scheduler.portion import Portion

#: Stands for the expected packets of a port that does not pass any on; it has no state that could be shared by mistake.
NOTHING_MORE: Iterator[Any] = iter(())


class ReceivingDriver(Driver):
    """The half of :class:`LoopDriver` that takes packets.

    With one input port it has a :class:`Portion`. With several ports the last packet taken from each is kept.

    Most components send on just what they took, in order. So each port that is sent to has the packets that it is expected to
    send on, and as long as these come, nothing need be noted of them: the port *passes* them.
    """

    __slots__ = (
        "expected",
        "is_fresh",
        "is_handed",
        "last",
        "left",
        "lineages",
        "only_out",
        "only_port",
        "portion",
        "ports",
        "taken",
        "used",
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        #: The packets that this turn took from its ports, in order, with lineages beside.
        self.taken: list[Any] = []
        self.lineages: list[Lineage] = []
        #: For a join, the port of each packet taken.
        self.ports: list[str] = []
        #: Ports read in this turn: what is left of them, in reverse (the next packet is at the end).
        self.left: dict[str, tuple[list[Any], list[Lineage]]] = {}
        self.last: dict[str, tuple[Any, Lineage]] = {}
        self.portion: Portion | None = None
        #: By output port, iterators over the packets of the portion that it has yet to pass; the component looks at them first.
        self.expected: dict[str, Iterator[Any]] = {}
        #: The output ports that this turn has sent to, so that the others cost nothing; always that which is the only one.
        self.used: list[OutPort] = []
        self.only_out: OutPort | None = None
        #: The port, where the usual short cut may be taken.
        self.only_port: str | None = None
        #: True while nothing was taken or sent in this turn, so that a plain iterator will do.
        self.is_fresh = True
        #: True from when the loop before has handed it a portion past the wire until the component asks for packets.
        self.is_handed = False

    def receive_all(self, port: str) -> Iterator[Any]:
        portion = self.portion
        if not self.is_handed or port != self.only_port:
            if port != self.only_port or not self.is_fresh or self.epoch is not None or self.alone or self.core.special:
                return self._receive_all(port)
            # PERF: the usual case, one wire to one port, without looking further
            if (first := self.only_wire.take_first()) is None:  # type: ignore[union-attr]
                return iter(())
            self.epoch, values, lineages = first
            portion = self.portion = Portion(port, values, lineages)
        self.is_handed = self.is_fresh = False
        # PERF: as _begin, without the call
        values = portion.values  # type: ignore[union-attr]
        if (out := self.only_out) is not None:
            self.expected[out.name] = iter(values)
        portion.each = each = iter(values)  # type: ignore[union-attr]
        return each

    def _receive_all(self, port: str) -> Iterator[Any]:
        self.decline()
        if not self.is_fresh or self.is_join:
            return self._each(port)
        self.is_fresh = False
        epoch = self.epoch or self.next_epoch()
        chunk = self.take(self.inputs.get(port, []), epoch) if epoch is not None else None
        if chunk is None:
            self.is_fresh = True
            self._check_input(port)
            return iter(())
        self.portion = Portion(port, *chunk)
        return self._begin(self.portion)

    def _begin(self, portion: Portion) -> Iterator[Any]:
        """Give the component the packets of a portion, and expect that it sends them on."""
        if self.only_out is not None:
            self.expected[self.only_out.name] = iter(portion.values)
        portion.each = each = iter(portion.values)
        return each

    def decline(self) -> None:
        """Put what it was handed on its wire: the component does something else than to ask for it."""
        if self.is_handed:
            self._put_back_untouched()

    def decline_untouched(self, *, raised: bool) -> None:
        """The same at the end of a turn of what it has asked for and not looked at, so that the turn counts as a stall.

        If it has sent anything all the same, that goes on, unless it raised.
        """
        if self.portion is not None and not self.portion.done and raised:
            for out in self.used:
                out.values, out.lineages = [], []
        is_untouched = self.portion is not None and not self.portion.done and not any(out.values for out in self.used)
        if self.is_handed or is_untouched:
            self._put_back_untouched()

    def _put_back_untouched(self) -> None:
        portion, epoch = self.portion, self.epoch
        assert portion is not None
        assert epoch is not None
        self._stop_all_passing()
        self.put_back(portion.values, portion.lineages)
        self.portion = self.epoch = None
        self.is_handed, self.is_fresh = False, True
        epoch.release()

    def _each(self, port: str) -> Iterator[Any]:
        while (item := self._next(port)) is not None:
            yield item[0]
        self.last.pop(port, None)

    def receive(self, port: str) -> Any:
        item = self._next(port)
        if item is None:
            self.last.pop(port, None)
            return None
        return item[0]

    def _next(self, port: str) -> tuple[Any, Lineage] | None:
        self.decline()
        self.is_fresh = False
        if self.portion is not None:
            self._close(self.portion)
        left = self.left.get(port)
        if left is None or not left[0]:
            epoch = self.epoch or self.next_epoch()
            chunk = self.take(self.inputs.get(port, []), epoch) if epoch is not None else None
            if chunk is None:
                self._check_input(port)
                return None
            left = self.left[port] = (chunk[0][::-1], list(chunk[1])[::-1])
        value, lineage = left[0].pop(), left[1].pop()
        self.taken.append(value)
        self.lineages.append(lineage)
        if self.is_join:
            self.ports.append(port)
        self.last[port] = (value, lineage)
        return value, lineage

    def _take_back(self, values: list[Any], lineages: Sequence[Lineage], ports: list[str]) -> None:
        """Put packets back on the wires of the ports that they were taken from."""
        if not ports:
            self.put_back(values, lineages)
            return
        for port in set(ports):
            own = [i for i, each in enumerate(ports) if each == port]
            self.taken_from = self.inputs[port][0]
            self.put_back([values[i] for i in own], [lineages[i] for i in own])

    def _rest_over(self, values: list[Any], lineages: Sequence[Lineage], ports: list[str], error: BaseException) -> None:
        """Rest over packets that were taken; where these are several, they are given to ``run`` one by one from now on."""
        if not values:
            self.resting.fail(self, error)
            return
        resting = self.resting
        if self.joining is None:
            self.alone += 0 if self.is_publisher else len(values)
            self.failing.rest(values, lineages, error)
        elif tries := resting.tries_of(self, values[0]):
            # a turn has one document, unless it takes all that is there
            is_wave, kept = self.component.joins == "wave", list[int]()
            for at, (value, lineage) in enumerate(zip(values, lineages, strict=True)):
                if is_wave and lineage != lineages[0]:
                    kept.append(at)
                else:
                    self.failing.give_up(value, lineage, error, tries)
            self._take_back([values[i] for i in kept], [lineages[i] for i in kept], [ports[i] for i in kept])
            resting.fail(self, error)
        else:
            self._take_back(values, lineages, ports)
            resting.fail(self, error, values[0])

    def _check_input(self, port: str) -> None:
        if not self.component.has_port(port):
            raise ComponentError(
                f"no input port {port!r}; it has {', '.join(self.component.get_in_ports()) or 'none'}",
                code="component.no_port",
                where=self.name,
            )

    def _close(self, portion: Portion) -> None:
        """Settle what was sent under the cursor, and go over to keeping the last packet per port."""
        self._stop_all_passing()
        done = portion.done
        self.taken += portion.values[:done]
        self.lineages += portion.lineages[:done]
        if done < len(portion.values):
            self.left[portion.port] = (portion.values[done:][::-1], list(portion.lineages[done:])[::-1])
            if done:
                self.last[portion.port] = (self.taken[-1], self.lineages[-1])
        self.portion = None

    def position(self) -> int:
        portion = self.portion
        return len(self.taken) + (portion.done if portion is not None else 0)

    def in_hand(self) -> Sequence[Lineage]:
        left = [lineage for _, lineages in self.left.values() for lineage in lineages]
        return [*self.lineages, *(self.portion.lineages if self.portion is not None else ()), *left]

    def current(self) -> Any:
        if self.portion is not None and not self.is_handed:
            return self.portion.current
        return self.taken[-1] if self.last else None

    def lineage_of(self, data: Any) -> Lineage:
        """The documents that ``data``, which is sent now, is made of: its own if it was taken, else those of what is current."""
        if self.portion is not None:
            return self.portion.lineage_of(data)
        current = self.last
        for value, lineage in current.values():
            if value is data:
                return lineage
        for value, lineage in zip(reversed(self.taken), reversed(self.lineages), strict=True):
            if value is data:
                return lineage
        if current:
            return flatten(lineage for _, lineage in current.values())
        return flatten(self.lineages)

    def parent_of(self, data: Any) -> Any:
        """The packet that ``data``, which is sent now, is made of: that under the cursor, or itself if it was taken.

        ``None`` if nobody can say: past the end of the input, or between parts at a join.
        """
        if self.portion is not None:
            return self.portion.parent_of(data)
        if any(value is data for value in self.taken):
            return data
        found = [value for value, _ in self.last.values()]
        is_sure = len(found) == 1 or len({value.part for value in found if isinstance(value, Packet)}) == 1
        return found[0] if is_sure else None

    def passes(self, out: OutPort) -> bool:
        """True if a port has sent nothing else than the packets that were expected of it, or nothing yet."""
        return self.expected[out.name] is not NOTHING_MORE

    def _stop_passing(self, out: OutPort, taken: int = 0) -> None:
        """Write down what a port has passed so far; ``taken`` packets more were taken off ``expected``."""
        portion = self.portion
        assert portion is not None
        passed = len(portion.values) - length_hint(self.expected[out.name]) - taken
        self.expected[out.name] = NOTHING_MORE
        if passed:
            out.values = portion.values[:passed]
            out.lineages = list(portion.lineages[:passed])
            if self.naming is not None:
                self.naming.sent(out.values[-1], out.values[-1], out.lineages[-1])

    def _stop_all_passing(self) -> None:
        for out in self.used:
            if self.passes(out):
                self._stop_passing(out)
