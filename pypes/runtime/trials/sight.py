"""Sight: the packets on their way through a trial, and what filters did with them, as an observer keeps it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import orjson

from pypes.component import Publisher
from pypes.core.shown import shown
from pypes.graph.model import Graph
from pypes.observe import Observer, WireName
from pypes.runtime.scheduler.dead import written
from pypes.runtime.trials.report import Call, Origin

#: Packets kept of each port; the rest is counted.
MAX_SHOWN = 1000

#: Packets in JSON form.
Packets = list[dict[str, Any]]


class Probe(Publisher):
    """Stands in for a publisher: takes what arrives at its ports, publishes nothing.

    ``is_told``: of completed documents, as the publisher is, so that packets have the names that they have there.
    """

    def __init__(self, ports: Iterable[str], *, is_told: bool = False) -> None:
        super().__init__()
        if is_told:
            self.complete = lambda documents: None
        for port in list(self._inputs):
            self.remove_input(port)
        for port in ports:
            self.add_input(port, "What would be published")

    def process(self, packet: Any) -> None:
        pass


class Passing:
    """The passing of packets through one filter: those that arrived and were sent, in their order, and its calls.

    At most :data:`MAX_SHOWN` packets are kept of what arrived, and of each output. ``holds``: it may send between its calls.
    """

    def __init__(self, ports: Iterable[str], *, holds: bool = False) -> None:
        self._holds = holds
        self.arrived: Packets = []
        self.origins: list[Origin] = []
        self.sent: dict[str, Packets] = {port: [] for port in ports}
        #: By port, for each packet that was sent, the place of the one that it was made of, as far as that is known.
        self.parents: dict[str, list[int | None]] = {port: [] for port in self.sent}
        self.arrivals = 0
        self.sendings = dict.fromkeys(self.sent, 0)
        self.calls: list[Call] = []
        self.dropped = 0
        self.spent_s = self.waited_s = 0.0
        self._call: Call | None = None
        #: Places among those that arrived, by the identity of the packet, which is kept so that it stays its own.
        self._places: dict[int, list[int]] = {}
        self._kept: list[Any] = []
        #: By place, how often it was taken.
        self._tries = Counter[int]()

    def arrive(self, origins: Iterable[Origin], packets: Sequence[Any], forms: Packets) -> None:
        """Packets are put on a wire to it; ``forms`` are those of the first ones, as far as they are kept."""
        room = MAX_SHOWN - len(self.arrived)
        for origin, packet, form in zip(origins, packets, forms[:room], strict=False):
            self._places.setdefault(id(packet), []).append(len(self.arrived))
            self._kept.append(packet)
            self.arrived.append(form)
            self.origins.append(origin)
        self.arrivals += len(packets)

    def take(self, packets: Sequence[Any], at_s: float) -> None:
        """It is given packets to work on."""
        places = [place for packet in packets if (place := self._next_place(packet)) is not None]
        self._tries.update(places)
        self._call = Call(places, at_ms=_ms(at_s), attempt=max((self._tries[place] for place in places), default=1))
        if places:
            self.calls.append(self._call)

    def send(self, port: str, packets: Sequence[Any], at_s: float) -> None:
        """It sends packets by a port."""
        seen, first = self.sent[port], len(self.sent[port])
        shown = packets[: MAX_SHOWN - first]
        seen += [_form(packet) for packet in shown]
        self.sendings[port] += len(packets)
        call = self._call if self._holds else self._latest
        if call is None:
            call = self._call = Call([], at_ms=_ms(at_s))
            self.calls.append(call)
        call.out.setdefault(port, []).extend(range(first, len(seen)))
        of = call.taken
        self.parents[port] += [of[0] if len(of) == 1 else self._place(packet) for packet in shown]

    def run(self, seconds: float) -> None:
        """It had its turn, or a part of it."""
        self.spent_s += seconds
        if (call := self._latest) is not None:
            call.ms = round(call.ms + seconds * 1000, 3)
        self._call = None

    def wait(self, seconds: float) -> None:
        """A call of it that ran beside the graph has ended."""
        self.waited_s += seconds
        if (call := self._latest) is not None:
            call.waited_ms = round(call.waited_ms + seconds * 1000, 3)

    def drop(self, packets: int) -> None:
        self.dropped += packets
        if (call := self._latest) is not None:
            call.dropped += packets

    def fail(self, packet: Any) -> int | None:
        """A packet was given up; its place among those that arrived, if it is known."""
        place = self._place(packet)
        call = next((each for each in reversed(self.calls) if place in each.taken), None)
        if call is not None and place is not None:
            call.failed = True
        return place

    @property
    def _latest(self) -> Call | None:
        return self._call or (self.calls[-1] if self.calls else None)

    def _place(self, packet: Any) -> int | None:
        return next(iter(self._places.get(id(packet), ())), None)

    def _next_place(self, packet: Any) -> int | None:
        """The place of a packet; of values that are one object, each has its turn."""
        places = self._places.get(id(packet))
        if not places:
            return None
        if len(places) > 1 and self._tries[places[0]]:
            places.pop(0)
        return places[0]


class Sight(Observer):
    """Keeps the packets that ``ends`` are given and, with ``has_wires``, all that pass filters.

    Filters that are ``hidden`` stand for something that is no part of the graph: what they send has just come in. Those that are
    ``holding`` send on later what they were given. A packet is kept as it is at that moment, since it goes on, and as JSON has
    it, whatever a component put there.
    """

    def __init__(
        self,
        graph: Graph,
        ends: Iterable[str],
        has_wires: bool,
        hidden: Collection[str] = (),
        holding: Collection[str] = (),
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._ends = list(ends)
        self._hidden = frozenset(hidden)
        self._filters = [name for name in graph.nodes if name not in self._hidden]
        self._has_wires = has_wires
        self._holding = frozenset(holding)
        self._clock = clock
        self._ports: dict[str, dict[str, WireName]] = {name: {} for name in self._filters}
        for wire in graph.wires:
            if wire.source in self._ports:
                # what is sent to a port goes over each of its wires: the first tells what it is
                self._ports[wire.source].setdefault(wire.output, WireName(wire.source, wire.output, wire.target, wire.input))
        self.clear()

    def clear(self) -> None:
        """Forget what was seen."""
        self._began_s = self._clock()
        self.passings = {name: Passing(self._ports[name], holds=name in self._holding) for name in self._filters}
        #: Packets that went over each wire.
        self._over: dict[WireName, int] = {}
        self.clear_ends()

    def clear_ends(self) -> None:
        """Forget what arrived at the ends."""
        self._at_ends: dict[str, Packets] = {name: [] for name in self._ends}

    @property
    def arrived(self) -> dict[str, Packets]:
        """Packets that arrived at the ends."""
        return {name: self.passings[name].arrived for name in self._ends} if self._has_wires else self._at_ends

    @property
    def spent_s(self) -> dict[str, float]:
        """Seconds by filter."""
        return {name: passing.spent_s for name, passing in self.passings.items()}

    def packets_sent(self, graph: str, wire: WireName, packets: Sequence[Any]) -> None:
        if not self._has_wires:
            return
        target = self.passings.get(wire.target)
        source = self.passings.get(wire.source)
        if source is None:
            if target is not None:
                room = max(0, MAX_SHOWN - len(target.arrived))
                target.arrive([Origin(wire.input)] * len(packets), packets, [_form(packet) for packet in packets[:room]])
            return
        if self._ports[wire.source][wire.output] == wire:
            source.send(wire.output, packets, self._clock() - self._began_s)
        first = self._over.get(wire, 0)
        self._over[wire] = first + len(packets)
        if target is not None:
            forms = source.sent[wire.output][first : first + len(packets)]
            origins = (Origin(wire.input, wire.source, wire.output, first + at) for at in range(len(forms)))
            target.arrive(origins, packets, forms)

    def packets_taken(self, graph: str, filter: str, packets: Sequence[Any]) -> None:
        if self._has_wires:
            if (passing := self.passings.get(filter)) is not None:
                passing.take(packets, self._clock() - self._began_s)
        elif (arrived := self._at_ends.get(filter)) is not None:
            arrived += [_form(packet) for packet in packets[: MAX_SHOWN - len(arrived)]]

    def packets_dropped(self, graph: str, filter: str, packets: int) -> None:
        if (passing := self.passings.get(filter)) is not None:
            passing.drop(packets)

    def filter_ran(self, graph: str, filter: str, seconds: float) -> None:
        if (passing := self.passings.get(filter)) is not None:
            passing.run(seconds)

    def filter_waited(self, graph: str, filter: str, seconds: float) -> None:
        if (passing := self.passings.get(filter)) is not None:
            passing.wait(seconds)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _form(packet: Any) -> dict[str, Any]:
    try:
        form: dict[str, Any] = orjson.loads(written(packet)[0])
    except Exception as error:  # values of its own classes that do not behave as their bases do
        return {"value": f"<{type(packet).__name__} that cannot be written: {shown(error)}>"}
    return form
