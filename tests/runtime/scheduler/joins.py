"""Branches that part and meet again, for the tests of joins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pypes.component import Component, Operator, Publisher, Transformer
from pypes.packet import Packet
from pypes.runtime.scheduler import Epoch, Feed, Scheduler
from tests.runtime.scheduler.graphs import packets, running

#: Two branches that meet again, and a publisher.
DIAMOND = [
    ("split.out", "left.in"),
    ("split.out2", "right.in"),
    ("left.out", "join.in"),
    ("right.out", "join.in2"),
    ("join.out", "end.in"),
]


def still() -> float:
    """A clock by which no slice of time is ever used up."""
    return 0.0


class Split(Operator):
    outputs = {"out": "", "out2": ""}

    def process(self, packet: Packet) -> Packet:
        self.send("out2", packet.clone())
        return packet


class Mark(Transformer):
    """Says in a field what came by here."""

    def __init__(self, field: str = "left", drop: Callable[[int], bool] = lambda n: False) -> None:
        super().__init__()
        self.field, self.drop = field, drop

    def process(self, packet: Packet) -> Packet | None:
        packet.set(self.field, packet.get("n"))
        return None if self.drop(packet.get("n")) else packet


class Two(Operator):
    inputs = {"in": "", "in2": ""}


class Merge(Two):
    """Pairs by place, as the original's did."""

    def run(self) -> None:
        while True:
            first, second = self.receive("in"), self.receive("in2")
            if first is None and second is None:
                self.yield_ctrl()
            elif first is None or second is None:
                self.send("out", first or second)
            else:
                first.merge(second, metas=True)
                self.send("out", first)


class Turns(Two):
    """Sends for each turn what it saw, by port."""

    def run(self) -> None:
        while True:
            seen = {port: [packet.get("n") for packet in self.receive_all(port)] for port in ("in", "in2")}
            self.send("out", Packet({"turn": seen}))
            self.yield_ctrl()


class Waves(Turns):
    joins = "wave"


class BatchTurns(Two):
    def process_batch(self, packets: list[Packet]) -> list[Packet]:
        return [Packet({"turn": {"all": [packet.get("n") for packet in packets]}})]


class Easy(Two):
    def process(self, packet: Packet) -> Packet:
        return packet


class Keep(Publisher):
    """Keeps the fields of what it has committed."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []
        self.commits = 0

    def process(self, packet: Packet) -> None:
        self.rows.append({name: packet.get(name) for name in packet.get_attribute_names()})

    def commit(self) -> None:
        self.commits += 1

    def column(self, name: str) -> list[Any]:
        return [row.get(name) for row in self.rows]


def feed(scheduler: Scheduler, count: int, *, wave: int = 256, node: str = "split") -> None:
    """Documents of one packet each."""
    parts = [range(start, min(start + wave, count)) for start in range(0, count, wave)]
    scheduler.submit(Feed(((node, packets(len(part), part.start), part) for part in parts), count))


def run(nodes: dict[str, Any], count: int, wires: Sequence[tuple[str, str]] = DIAMOND, **options: Any) -> Epoch:
    done: list[Epoch] = []
    with running(nodes, wires, on_done=done.append, **options) as scheduler:
        feed(scheduler, count)
        scheduler.drain()
    (epoch,) = done
    return epoch


def diamond(join: Component, left: Component | None = None, right: Component | None = None) -> dict[str, Any]:
    return {"split": Split(), "left": left or Mark(), "right": right or Mark("right"), "join": join, "end": Keep()}
