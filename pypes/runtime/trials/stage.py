"""The stage of a trial: a graph with what a trial needs around it, in the form of filters that are no part of it."""

from __future__ import annotations

from collections.abc import Collection, MutableMapping
from dataclasses import replace
from typing import Any

from pypes.component import ERROR_PORT, Component, Filter, is_publisher
from pypes.graph.model import Graph, GraphNode, Wire


class Entrance(Filter):
    """Passes what enters at an input of a filter that is not the one at which documents enter."""

    def process(self, packet: Any) -> Any:
        return packet


class LooseEnd(Filter):
    """Takes what goes to an output without a wire: nothing comes of it, as without."""

    outputs = {}

    def process(self, packet: Any) -> None:
        pass


class Absent(Filter):
    """Stands for a filter that nothing reaches."""

    def __init__(self, inputs: Collection[str], outputs: Collection[str]) -> None:
        super().__init__()
        for port in {*inputs} - {*self._inputs}:
            self.add_input(port)
        for port in {*outputs} - {*self._outputs}:
            self.add_output(port)

    def process(self, packet: Any) -> None:
        pass


class Stage:
    """A graph, and the ``components`` of its filters, to which what is needed is added.

    ``hidden`` are names that no filter of a graph can have, as they have a dot.
    """

    def __init__(self, graph: Graph, components: MutableMapping[str, Component]) -> None:
        self.graph = graph
        self.hidden: set[str] = set()
        self._components = components

    def leave_out(self, names: Collection[str]) -> None:
        """Put something in the place of filters that are not made, so that all wires stay."""
        nodes = dict(self.graph.nodes)
        for name in names:
            inputs = {wire.input for wire in self.graph.wires if wire.target == name}
            outputs = {wire.output for wire in self.graph.wires if wire.source == name and wire.output != ERROR_PORT}
            self._components[name] = Absent(inputs, outputs)
            nodes[name] = GraphNode(name, Absent.__name__)
            self.hidden.add(name)
        self.graph = replace(self.graph, nodes=nodes)

    def entry(self, input: str) -> str:
        """The filter at which packets are fed that are to arrive at an input, ``filter.port``."""
        filter, _, port = input.partition(".")
        ports = self._components[filter].get_in_ports()
        if not port or not ports or port == ("in" if "in" in ports else ports[0]):
            return filter
        name = f">{input}"
        self._add(name, Entrance(), Wire(name, "out", filter, port))
        return name

    def catch_loose_ends(self) -> None:
        """Wire all outputs, so that what goes there is seen; without a wire, errors are dead letters."""
        wired = {(wire.source, wire.output) for wire in self.graph.wires}
        for name in [name for name in self.graph.nodes if name not in self.hidden]:
            component = self._components[name]
            for port in component.get_out_ports() if not is_publisher(component) else ():
                if port != ERROR_PORT and (name, port) not in wired:
                    sink = f"{name}.{port}>"
                    self._add(sink, LooseEnd(), Wire(name, port, sink, "in"))

    def _add(self, name: str, component: Component, wire: Wire) -> None:
        self._components[name] = component
        nodes = {**self.graph.nodes, name: GraphNode(name, type(component).__name__)}
        self.graph = replace(self.graph, nodes=nodes, wires=(*self.graph.wires, wire))
        self.hidden.add(name)
