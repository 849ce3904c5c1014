"""Documents that are posted one by one while the index is being written share the next transaction."""

from __future__ import annotations

from pathlib import Path

from pypes.graph.model import Graph, GraphNode
from pypes.packet import Packet
from pypes.runtime.scheduler import Epoch, Feed, Scheduler
from pypes_search.query import count
from pypes_search.sqlite_search import SQLiteSearch


class Counting(SQLiteSearch):
    """Knows how many packets each call got."""

    durability = "never"

    def setup(self) -> None:
        super().setup()
        self.calls: list[int] = []

    def process_batch(self, packets: list[Packet]) -> None:
        self.calls.append(len(packets))
        super().process_batch(packets)


def test_what_waits_goes_into_one_transaction(tmp_path: Path) -> None:
    index, done = Counting(), list[Epoch]()
    index.configure({})
    index.data_dir = str(tmp_path)
    scheduler = Scheduler(Graph("g", {"index": GraphNode("index", "x", {})}, ()), {"index": index}, on_done=done.append)
    scheduler.setup()
    try:
        for n in range(600):
            packet = Packet({"id": f"document-{n}", "text": f"word{n}"})
            scheduler.submit(Feed(iter([("index", [packet], (0,))]), 1, (n,)))
        scheduler.drain()
    finally:
        scheduler.teardown()
    assert len(index.calls) <= 4
    assert sum(index.calls) == 600
    assert sorted(epoch.feed.deliveries[0] for epoch in done) == list(range(600))
    assert all(epoch.fate_of(0).outcome == "published" for epoch in done)
    assert count(tmp_path / "search.db") == 600
