"""Receiving: the half of the loop driver that knows what the component took in its turn, and which packet is under its cursor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import length_hint
from typing import Any

from pypes.errors import ComponentError
from pypes.packet import Packet
from pypes.runtime.scheduler.driver import Driver
from pypes.runtime.scheduler.lineage import Lineage
from pypes.runtime.scheduler.outport import OutPort

#: Stands for the expected packets of a port that does not pass any on; it has no state that could be shared by mistake.
NOTHING_MORE: Iterator[Any] = iter(())


class ReceivingDriver(Driver):
    """The half of :class:`LoopDriver` that takes packets.

    With one input port ``receive_all`` is a plain list iterator, the cursor; what it has left tells which packet is under it.
    With several ports the last packet taken from each is kept.

    Most components send on just what they took, in order. So each port that is sent to has the packets that it is expected to
    send on, and as long as these come, nothing need be noted of them: the port *passes* them.
    """

    __slots__ = (
        "by_identity",
        "cursor",
        "cursor_lineages",
        "cursor_port",
        "cursor_values",
        "expected",
        "is_fresh",
        "last",
        "left",
        "lineages",
        "only_out",
        "only_port",
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
        self.cursor: Iterator[Any] | None = None
        self.cursor_values: list[Any] = []
        self.cursor_lineages: Sequence[Lineage] = ()
        self.cursor_port = ""
        self.by_identity: dict[int, Lineage] | None = None
        #: By output port, iterators over the packets of the cursor that it has yet to pass; the component looks at them first.
        self.expected: dict[str, Iterator[Any]] = {}
        #: The output ports that this turn has sent to, so that the others cost nothing; always that which is the only one.
        self.used: list[OutPort] = []
        self.only_out: OutPort | None = None
        #: The port, where the usual short cut may be taken.
        self.only_port: str | None = None
        #: True while nothing was taken or sent in this turn, so that a plain iterator will do.
        self.is_fresh = True

    def receive_all(self, port: str) -> Iterator[Any]:
        if self.is_fresh and port == self.only_port and self.epoch is None and not self.alone:
            return self._receive_only()
        if self.is_fresh and not self.is_join:
            self.is_fresh = False
            epoch = self.epoch or self.next_epoch()
            chunk = self.take(self.inputs.get(port, []), epoch) if epoch is not None else None
            if chunk is None:
                self.is_fresh = True
                self._check_input(port)
                return iter(())
            return self._open_cursor(port, *chunk)
        return self._each(port)

    def _receive_only(self) -> Iterator[Any]:
        """PERF: the usual case, one wire to one port, without looking further."""
        wire = self.only_wire
        assert wire is not None
        first = wire.take_first()
        if first is None:
            return iter(())
        self.epoch, values, lineages = first
        self.is_fresh = False
        return self._open_cursor(self.only_port, values, lineages)  # type: ignore[arg-type]

    def _open_cursor(self, port: str, values: list[Any], lineages: Sequence[Lineage]) -> Iterator[Any]:
        self.cursor_values, self.cursor_lineages, self.cursor_port = values, lineages, port
        if self.only_out is not None:
            self.expected[self.only_out.name] = iter(values)
        cursor = self.cursor = iter(values)
        return cursor

    @property
    def ahead(self) -> int:
        """Packets that the cursor has yet to reach."""
        return length_hint(self.cursor)

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
        self.is_fresh = False
        if self.cursor is not None:
            self._close_cursor()
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

    def _check_input(self, port: str) -> None:
        if not self.component.has_port(port):
            raise ComponentError(
                f"no input port {port!r}; it has {', '.join(self.component.get_in_ports()) or 'none'}",
                code="component.no_port",
                where=self.name,
            )

    def _close_cursor(self) -> None:
        """Settle what was sent under the cursor, and go over to keeping the last packet per port."""
        self._stop_all_passing()
        done = len(self.cursor_values) - self.ahead
        self.taken += self.cursor_values[:done]
        self.lineages += self.cursor_lineages[:done]
        if done < len(self.cursor_values):
            self.left[self.cursor_port] = (self.cursor_values[done:][::-1], list(self.cursor_lineages[done:])[::-1])
            if done:
                self.last[self.cursor_port] = (self.taken[-1], self.lineages[-1])
        self._forget_cursor()

    def _forget_cursor(self) -> None:
        self.cursor = None
        self.cursor_values, self.cursor_lineages, self.by_identity = [], (), None

    def position(self) -> int:
        return len(self.taken) - length_hint(self.cursor or ())

    def in_hand(self) -> Sequence[Lineage]:
        left = [lineage for _, lineages in self.left.values() for lineage in lineages]
        return [*self.lineages, *self.cursor_lineages, *left]

    def current(self) -> Any:
        if self.cursor is None:
            return self.taken[-1] if self.last else None
        done = len(self.cursor_values) - self.ahead
        return self.cursor_values[done - 1] if done else None

    def parent_of(self, data: Any) -> Any:
        """The packet that ``data``, which is sent now, is made of: that under the cursor, or itself if it was taken.

        ``None`` if nobody can say: past the end of the input, or between parts at a join.
        """
        if self.cursor is not None:
            if self.by_identity is not None and id(data) in self.by_identity:
                return data
            return None if is_exhausted(self.cursor) else self.current()
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
        passed = len(self.cursor_values) - length_hint(self.expected[out.name]) - taken
        self.expected[out.name] = NOTHING_MORE
        if passed:
            out.values = self.cursor_values[:passed]
            out.lineages = list(self.cursor_lineages[:passed])
            if self.naming is not None:
                self.naming.sent(out.values[-1], out.values[-1], out.lineages[-1])

    def _stop_all_passing(self) -> None:
        for out in self.used:
            if self.passes(out):
                self._stop_passing(out)


def is_exhausted(cursor: Iterator[Any]) -> bool:
    """True if an iterator over a list has raised ``StopIteration``.

    It no longer refers to its list then: its reduced form has no index.
    """
    return len(cursor.__reduce__()) == 2
