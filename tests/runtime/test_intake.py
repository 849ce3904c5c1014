"""Intake: deliveries decoded into feeds of bounded batches, and outcomes given back to each."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pypes.component import Adapter, Publisher
from pypes.core.limits import Limits
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Outcome
from pypes.ingest.protocol import Item, Published
from pypes.ingest.receipt import ReceiptId
from pypes.runtime.intake import Intake, Waiting
from pypes.runtime.routing import Router
from pypes.runtime.scheduler import Epoch, Scheduler


class In(Adapter):
    accepts = ("application/json",)

    def process(self, packet: Any) -> Any:
        if packet.get("do") == "raise":
            raise ValueError("no")
        return None if packet.get("do") == "drop" else packet


class Keep(Publisher):
    def setup(self) -> None:
        self.kept: list[dict[str, Any]] = []
        self.batches: list[int] = []

    def process_batch(self, packets: list[Any]) -> None:
        self.batches.append(len(packets))
        self.kept += [packet.to_json()["fields"] for packet in packets]


class Connection:
    def __init__(self) -> None:
        self.published: list[int] = []
        self.outcomes: list[tuple[int, Outcome]] = []

    def published_by(self, graph: str, version: int) -> Published:
        return Published(version, (), self.published, [])


class Bench:
    """A graph of one publisher behind adapters, and a way to put deliveries through it."""

    def __init__(self, *adapters: str, limits: Limits | None = None) -> None:
        names = adapters or ("in",)
        self.keep = Keep()
        components = {**{name: In() for name in names}, "out": self.keep}
        graph = Graph(
            "g",
            {name: GraphNode(name, type(c).__name__) for name, c in components.items()},
            tuple(Wire(name, "out", "out", "in") for name in names),
        )
        self.limits = limits or Limits()
        self.router = Router(graph, components)
        self.scheduler = Scheduler(graph, components, limits=self.limits, on_done=self.done)
        self.scheduler.setup()
        self.connection = Connection()

    def done(self, epoch: Epoch) -> None:
        epoch.feed.deliveries[0].settle("g", 3)

    def put(self, *deliveries: tuple[Header, bytes]) -> dict[int, Outcome]:
        items = [
            Waiting(self.connection, Item(number, str(ReceiptId(1, 1, 99, number, 5)), header, len(body)), body)
            for number, (header, body) in enumerate(deliveries)
        ]
        intake = Intake(items, self.router, self.limits)
        intake.epoch = self.scheduler.submit(intake.feed())
        self.scheduler.drain()
        return {**{number: Outcome(published=1) for number in self.connection.published}, **dict(self.connection.outcomes)}


def one(value: Any) -> tuple[Header, bytes]:
    return Header("g", content_type="application/json"), json.dumps(value).encode()


def many(values: list[Any]) -> tuple[Header, bytes]:
    body = b"\n".join(json.dumps(value).encode() for value in values)
    return Header("g", content_type="application/x-ndjson", documents=len(values)), body


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("ERROR")


def test_many_small_deliveries_are_one_batch_and_acknowledged_together() -> None:
    bench = Bench()
    outcomes = bench.put(*[one({"n": n}) for n in range(50)])
    assert bench.connection.published == list(range(50))
    assert outcomes == {n: Outcome(published=1) for n in range(50)}
    assert bench.keep.batches == [50]


def test_batches_are_never_more_than_a_wave() -> None:
    bench = Bench(limits=Limits(wave_packets=16))
    bench.put(*[one({"n": n}) for n in range(20)], many([{"n": n} for n in range(20, 70)]))
    assert [fields["n"] for fields in bench.keep.kept] == list(range(70))
    assert max(bench.keep.batches) <= 16


def test_each_delivery_gets_its_own_outcome_and_dead_letters() -> None:
    bench = Bench()
    outcomes = bench.put(one({"n": 0}), many([{}, {"do": "drop"}, {"do": "raise"}]), one({"do": "raise"}), one({"do": "drop"}))
    assert [(o.published, o.dropped, o.failed) for _, o in sorted(outcomes.items())] == [
        (1, 0, 0),
        (1, 1, 1),
        (0, 0, 1),
        (0, 1, 0),
    ]
    [letter] = outcomes[1].dead_letters
    assert (letter.documents, letter.filter, letter.version, letter.graph) == ((2,), "in", 3, "g")
    [other] = outcomes[2].dead_letters
    assert (other.documents, other.id != letter.id) == ((0,), True)


def test_a_second_run_leaves_the_same_dead_letters() -> None:
    first, second = (Bench().put(many([{"do": "raise"}] * 3))[0] for _ in range(2))
    assert [letter.id for letter in first.dead_letters] == [letter.id for letter in second.dead_letters]
    assert len({letter.id for letter in first.dead_letters}) == 3


def test_on_a_tie_every_adapter_gets_its_own_packet() -> None:
    bench = Bench("a", "b")
    assert bench.put(one({"n": 1})) == {0: Outcome(published=1)}
    assert bench.keep.kept == [{"n": 1}, {"n": 1}]


@pytest.mark.parametrize(("given", "counted", "failed"), [(3, 5, 2), (5, 3, 3)])
def test_a_body_with_another_number_of_documents_fails(given: int, counted: int, failed: int) -> None:
    _, body = many([{"n": n} for n in range(given)])
    header = Header("g", content_type="application/x-ndjson", documents=counted)
    bench = Bench()
    outcomes = bench.put((header, body), one({}))
    assert (outcomes[0].failed, outcomes[0].published) == (failed, counted - failed)
    assert outcomes[0].dead_letters[0].code == "ingest.count"
    assert outcomes[0].keeps_body
    assert outcomes[1] == Outcome(published=1)


def test_no_adapter_keeps_the_packet() -> None:
    bench = Bench()
    outcomes = bench.put((Header("g", content_type="text/html", filename="a.html"), b"<p>"))
    [letter] = outcomes[0].dead_letters
    assert letter.code == "graph.no_adapter"
    assert json.loads(letter.packet)["meta"]["filename"] == "a.html"
    assert not outcomes[0].keeps_body
