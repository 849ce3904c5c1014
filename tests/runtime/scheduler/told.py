"""Components that are told of documents that are complete, or done; and feeds of documents that have an identity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pypes.component import Component, Publisher
from pypes.core.identity import Completed, Identity, Version
from pypes.packet import Packet
from pypes.runtime.scheduler import Feed, Scheduler
from pypes.runtime.scheduler.completions import Known
from tests.runtime.scheduler.graphs import Pass


def known(*ordinals: int, receipt: str = "r", **more: Any) -> dict[int, Known]:
    """Documents with their ordinals as ids."""
    return {n: Known(Identity("", str(n)), Version(receipt, n), **more) for n in ordinals}


def follow(batches: Iterable[Any], documents: int, deliveries: Sequence[Any] = (), **options: Any) -> Feed:
    """A feed of documents that all have an identity."""
    options.setdefault("identities", known(*range(documents)))
    return Feed(iter(batches), documents, deliveries, **options)


class Listens(Component):
    """Notes what it is told, beside ``("put", n)`` and ``("commit",)``."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[Any, ...]] = []

    def complete(self, documents: list[Completed]) -> int | None:
        for each in documents:
            self.events.append(("told", each.document.id, each.is_whole))
        return None

    @property
    def told(self) -> list[tuple[str, bool]]:
        return [(event[1], event[2]) for event in self.events if event[0] == "told"]


class Index(Listens, Publisher):
    def process(self, packet: Packet) -> None:
        self.events.append(("put", packet.get("n")))

    def commit(self) -> None:
        self.events.append(("commit",))


class BatchIndex(Index):
    def process_batch(self, packets: list[Packet]) -> None:
        self.events += [("put", packet.get("n")) for packet in packets]


class GatheringIndex(BatchIndex):
    batch_size = 5
    batch_s = 60.0


class LoopIndex(Index):
    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                self.process(packet)
            self.yield_ctrl()


class Ends(Pass):
    """Notes in a list what it is told of the whole graph."""

    def __init__(self, events: list[Any] | None = None) -> None:
        super().__init__()
        self.events: list[Any] = [] if events is None else events

    def conclude(self, documents: list[Completed]) -> None:
        self.events += [("done", each.document.id, each.is_whole) for each in documents]


EVERY = [Index, BatchIndex, GatheringIndex, LoopIndex]


def rows(count: int, of: int = 0) -> Iterator[Packet]:
    return (Packet({"n": n, "of": of}) for n in range(count))


def nothing_is_left(scheduler: Scheduler) -> None:
    completing = scheduler.completing
    assert completing is not None
    assert not completing.open
    assert not completing._newest
    assert all(not each.open and not each.untold and each.telling is None for each in completing.listeners)
