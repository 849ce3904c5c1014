"""Sight: the packets on their way through a trial, and the time of each filter, as an observer keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from pypes.component import Publisher
from pypes.core.shown import shown
from pypes.graph.model import Graph
from pypes.observe import Observer, WireName
from pypes.runtime.scheduler.dead import written

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


class Sight(Observer):
    """Keeps the packets that ``ends`` are given and, with ``has_wires``, those that enter the graph and pass its wires.

    A packet is kept as it is at that moment, since it goes on, and as JSON has it, whatever a component put there.
    """

    def __init__(self, graph: Graph, ends: Iterable[str], has_wires: bool) -> None:
        self._ends = list(ends)
        self._filters = list(graph.nodes)
        # what is sent to a port goes over each of its wires: one of them tells enough
        first = {(wire.source, wire.output): wire for wire in reversed(graph.wires)} if has_wires else {}
        self._wires = {WireName(*port, wire.target, wire.input): port for port, wire in first.items()}
        self._has_wires = has_wires
        self.clear()

    def clear(self) -> None:
        """Forget what was seen."""
        self.entered: dict[str, Packets] = {}
        self.sent: dict[tuple[str, str], Packets] = {port: [] for port in self._wires.values()}
        #: Seconds by filter.
        self.spent_s = dict.fromkeys(self._filters, 0.0)
        self.clear_ends()

    def clear_ends(self) -> None:
        """Forget what arrived at the ends."""
        self.arrived: dict[str, Packets] = {name: [] for name in self._ends}

    def packets_sent(self, graph: str, wire: WireName, packets: Sequence[Any]) -> None:
        if not wire.source:
            if self._has_wires:
                _keep(self.entered.setdefault(wire.target, []), packets)
        elif (port := self._wires.get(wire)) is not None:
            _keep(self.sent[port], packets)

    def packets_taken(self, graph: str, filter: str, packets: Sequence[Any]) -> None:
        if (arrived := self.arrived.get(filter)) is not None:
            _keep(arrived, packets)

    def filter_ran(self, graph: str, filter: str, seconds: float) -> None:
        self.spent_s[filter] += seconds


def _keep(seen: Packets, packets: Sequence[Any]) -> None:
    seen += [_form(packet) for packet in packets[: MAX_SHOWN - len(seen)]]


def _form(packet: Any) -> dict[str, Any]:
    try:
        form: dict[str, Any] = orjson.loads(written(packet)[0])
    except Exception as error:  # values of its own classes that do not behave as their bases do
        return {"value": f"<{type(packet).__name__} that cannot be written: {shown(error)}>"}
    return form
