"""A folder of mixed files, fetched by a source without a wire: each goes to the adapter of its type, as a POST does."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from pypes.component import Component, Filter, Publisher
from pypes.core.identity import Completed, Identity
from pypes.core.limits import Limits
from pypes.core.media_types import PACKETS
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Outcome
from pypes.ingest.protocol import Item
from pypes.packet import Packet
from pypes.runtime.instance.arrived import Arrived
from pypes.runtime.instance.intake import Intake
from pypes.runtime.instance.routing import Router
from pypes.runtime.scheduler import Epoch, Scheduler
from pypes_basic.csv_adapter import CSV
from pypes_basic.files import Files
from pypes_basic.json_adapter import JSON
from pypes_basic.text_adapter import Text
from tests.runtime.instance.test_intake import Connection, receipt_of

FILES = {
    "a.txt": b"hello",
    "b.json": b'{"n": 1}',
    "c.json": b'[{"n": 2}, {"n": 3, "id": "own"}]',
    "d.jsonl": b'{"n": 4}\n\n{"n": 5}\n',
    "e.csv.gz": gzip.compress(b"n\n6\n"),
    "f.json": b'{"n": ',
    "g.json": b'{"n": 123456789012345678901}',
    "h.png": b"\x89PNG",
    "i.txt": b"x" * 1000,
    "j.json": b"[1]",
}


class Keep(Publisher):
    def setup(self) -> None:
        self.kept: list[tuple[str | None, dict[str, Any]]] = []

    def process(self, packet: Any) -> None:
        self.kept.append((packet.id, {"deleted": True} if packet.is_deletion else packet.to_json()["fields"]))


class Index(Publisher):
    """Notes which documents are told of as deleted, and what came of them until then."""

    def setup(self) -> None:
        self.taken: list[str | None] = []
        self.told: list[tuple[Identity, bool, bool]] = []

    def process(self, packet: Any) -> None:
        self.taken.append(packet.id)

    def complete(self, documents: list[Completed]) -> None:
        self.told += [(each.document, each.is_whole, each.is_deleted) for each in documents]


class OnlyRows(Filter):
    """Drops what is no row of a table, deletions among it."""

    def process(self, packet: Any) -> Any:
        return packet if packet.part else None


class Bench:
    def __init__(self, files: Files, is_ordered: bool, **more: Component) -> None:
        self.keep = Keep()
        components = {"files": files, "text": Text(), "csv": CSV(), "json": JSON(), "keep": self.keep, **more}
        wires = [Wire(name, "out", "keep", "in") for name in ("text", "csv", "json")]
        if more:
            wires += [Wire("csv", "out", "only", "in"), Wire("only", "out", "index", "in"), Wire("text", "out", "beside", "in")]
        graph = Graph(
            "g", {name: GraphNode(name, type(component).__name__) for name, component in components.items()}, tuple(wires)
        )
        self.is_ordered = is_ordered
        self.router = Router(graph, components)
        self.scheduler = Scheduler(graph, components, limits=Limits(), on_done=self.done)
        self.scheduler.setup()
        self.connection = Connection()

    def done(self, epoch: Epoch) -> None:
        epoch.feed.deliveries[0].acknowledge("g", 3)

    def put(self, packets: list[Packet], start: str = "files", **header_of: Any) -> Outcome:
        body = orjson.dumps([packet.to_json() for packet in packets])
        header = Header("g", content_type=PACKETS, documents=len(packets), length=len(body), start=start, **header_of)
        waiting = Arrived(self.connection, Item(1, receipt_of(1), header, len(body)), body)
        intake = Intake([waiting], self.router, Limits(), is_ordered=self.is_ordered)
        intake.epoch = self.scheduler.submit(intake.feed())
        self.scheduler.drain()
        return dict(self.connection.outcomes).get(1) or Outcome(published=1)


@pytest.mark.parametrize("is_ordered", [False, True])
def test_a_mixed_folder(tmp_path: Path, is_ordered: bool) -> None:
    (tmp_path / "in").mkdir()
    for name, content in FILES.items():
        (tmp_path / "in" / name).write_bytes(content)
    files = Files()
    files.configure({"directory": "in", "settle_s": 0, "max_bytes": 500})
    files.data_dir = str(tmp_path)
    bench = Bench(files, is_ordered)
    ((packets, cursor),) = files.fetch(None)
    outcome = bench.put(packets)
    assert sorted(bench.keep.kept, key=str) == sorted(
        [
            ("a.txt", {"text": "hello"}),
            ("b.json", {"n": 1}),
            ("c.json/row=1", {"n": 2}),
            ("c.json/row=2", {"n": 3, "id": "own"}),
            ("d.jsonl/row=1", {"n": 4}),
            ("d.jsonl/row=2", {"n": 5}),
            ("e.csv.gz/row=1", {"n": "6"}),
        ],
        key=str,
    )
    letters = {json.loads(letter.packet)["meta"]["path"]: (letter.code, letter.filter) for letter in outcome.dead_letters}
    assert letters == {
        "f.json": ("json.malformed", "json"),
        "g.json": ("json.malformed", "json"),
        "h.png": ("graph.no_adapter", ""),
        "i.txt": ("files.too_large", "files"),
        "j.json": ("json.not_documents", "json"),
    }
    assert (outcome.published, outcome.failed) == (5, 5)
    bench.keep.kept.clear()
    (tmp_path / "in" / "a.txt").unlink()
    (tmp_path / "in" / "e.csv.gz").unlink()
    ((packets, _),) = files.fetch(cursor)
    bench.put(packets)
    assert sorted(bench.keep.kept, key=str) == [("a.txt", {"deleted": True}), ("e.csv.gz", {"deleted": True})]


def test_the_deletion_of_a_table_reaches_every_publisher(tmp_path: Path) -> None:
    """Also those before which the deletion is dropped, and those that its rows never came to."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "people.csv").write_text("name\nAda\nGrace\n")
    files = Files()
    files.configure({"directory": "in", "settle_s": 0})
    files.data_dir = str(tmp_path)
    index, beside = Index(), Index()
    bench = Bench(files, is_ordered=False, only=OnlyRows(), index=index, beside=beside)
    ((packets, cursor),) = files.fetch(None)
    bench.put(packets)
    people = Identity("", "people.csv")
    assert (index.taken, beside.taken) == (["people.csv/row=1", "people.csv/row=2"], [])
    assert index.told == beside.told == [(people, True, False)]
    (tmp_path / "in" / "people.csv").unlink()
    ((packets, _),) = files.fetch(cursor)
    bench.put(packets)
    # as `pypes feed` deletes, under a route
    bench.put([Packet.from_document({}, {"id": "people.csv", "requestmethod": "DELETE"})], start="", route="staff")
    assert index.told[1:] == beside.told[1:] == [(people, True, True), (Identity("staff", "people.csv"), True, True)]
    assert index.taken[2:] == []
