"""Small graphs for the scheduler's tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pypes.component import Component, Operator, Publisher, Transformer
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.packet import Packet
from pypes.runtime.scheduler import Scheduler


def graph_of(nodes: Mapping[str, Component], wires: Sequence[tuple[str, str]], **settings: Mapping[str, Any]) -> Graph:
    """``wires`` are pairs of ``filter.port``; ``settings`` are more fields of the nodes, by name."""
    ends = [(*source.split("."), *target.split(".")) for source, target in wires]
    made = {name: GraphNode(name, "x", {}, **settings.get(name, {})) for name in nodes}
    return Graph("g", made, tuple(Wire(*end) for end in ends))


@contextmanager
def running(nodes: Mapping[str, Component], wires: Sequence[tuple[str, str]], **options: Any) -> Iterator[Scheduler]:
    """A scheduler that is set up, and torn down in the end; ``options`` are its own."""
    scheduler = Scheduler(graph_of(nodes, wires, **options.pop("settings", {})), nodes, **options)
    scheduler.setup()
    try:
        yield scheduler
    finally:
        scheduler.teardown()


def packets(count: int, start: int = 0) -> list[Packet]:
    return [Packet({"n": n}) for n in range(start, start + count)]


class Pass(Transformer):
    def process(self, packet: Packet) -> Packet:
        return packet


class Hold(Operator):
    """Keeps packets until it is flushed."""

    holds = True

    def setup(self) -> None:
        self.kept: list[Packet] = []

    def process(self, packet: Packet) -> None:
        self.kept.append(packet)

    def flush(self) -> list[Packet]:
        kept, self.kept = self.kept, []
        return kept


class Keep(Publisher):
    """Remembers the numbers that it has committed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[int] = []
        self.numbers: list[int] = []

    def process(self, packet: Packet) -> None:
        self.open.append(packet.get("n"))

    def commit(self) -> None:
        taken, self.open = self.open, []
        self.numbers += taken
