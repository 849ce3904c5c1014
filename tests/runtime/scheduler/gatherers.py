"""Components that get batches, and ways to feed single documents to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pypes.component import Component, Publisher, Transformer
from pypes.packet import Packet
from pypes.runtime.scheduler import Feed, Scheduler
from tests.runtime.scheduler.graphs import Keep, Pass, packets

#: Longer than any of these tests lets pass where nothing must wait.
LONG_S = 50.0

WIRES = [("in.out", "gather.in"), ("gather.out", "end.in")]


def numbers(found: Iterable[Packet]) -> list[int]:
    return [packet.get("n") for packet in found]


class Gathers(Transformer):
    """Remembers its batches; raises over the numbers in ``bad``, and over all while there is an ``outage``."""

    def __init__(self, size: int | None = None, wait_s: float = 0.0, *, max_bytes: int | None = None) -> None:
        super().__init__()
        self.batch_size, self.batch_s, self.batch_bytes = size, wait_s, max_bytes
        self.batches: list[list[int]] = []
        self.bad: dict[int, Exception] = {}
        self.outage: Exception | None = None

    def process_batch(self, packets: list[Packet]) -> Any:
        found = numbers(packets)
        self.batches.append(found)
        if self.outage is not None:
            raise self.outage
        for n in found:
            if n in self.bad:
                raise self.bad[n]
        return self.made(packets)

    def made(self, packets: list[Packet]) -> Any:
        return packets


class GathersLast(Publisher):
    """A publisher that gets batches, and remembers what it committed together."""

    def __init__(self, size: int | None = None, wait_s: float = 0.0) -> None:
        super().__init__()
        self.batch_size, self.batch_s = size, wait_s
        self.open: list[int] = []
        self.commits: list[list[int]] = []
        self.outage: Exception | None = None

    def process_batch(self, packets: list[Packet]) -> None:
        self.open += numbers(packets)

    def commit(self) -> None:
        taken, self.open = self.open, []
        if self.outage is not None:
            raise self.outage
        self.commits.append(taken)


def chain(gather: Component) -> dict[str, Component]:
    return {"in": Pass(), "gather": gather, "end": Keep()}


def push(scheduler: Scheduler, name: str, *counts: int, start: int = 0) -> None:
    """Submit a delivery of so many documents for each count, numbered on; each feed names its first number."""
    for count in counts:
        scheduler.submit(Feed(iter([(name, packets(count, start), range(count))]), count, [start]))
        start += count
