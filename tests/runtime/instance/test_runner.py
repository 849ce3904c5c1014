"""Runners: what goes into a graph together, and which lane goes first."""

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
from pypes.runtime.instance import runner as module
from pypes.runtime.instance.arrived import Arrived
from pypes.runtime.instance.crash_record import NOTHING, TURN, CrashRecord, Recorded
from pypes.runtime.instance.runner import BULK_FIRST, Runner


class In(Adapter):
    accepts = ("application/json",)
    record: CrashRecord | None = None

    def setup(self) -> None:
        self.seen: list[Recorded] = []

    def process(self, packet: Any) -> Any:
        if self.record is not None:
            self.seen.append(self.record.read())
        return packet


class Keep(Publisher):
    def setup(self) -> None:
        self.kept: list[int] = []
        self.batches: list[int] = []

    def process_batch(self, packets: list[Any]) -> None:
        self.batches.append(len(packets))
        self.kept += [packet.get("n") for packet in packets]


class Connection:
    def __init__(self) -> None:
        self.batch = Published(1, ("out",), [], [])
        self.outcomes: list[tuple[int, Outcome]] = []
        self.commits: list[tuple[int, str, list[int]]] = []

    def published_by(self, graph: str, version: int, takers: tuple[str, ...]) -> Published:
        return self.batch

    def committed(self, number: int, publisher: str, documents: list[int], version: int) -> None:
        self.commits.append((number, publisher, documents))


class Bench:
    def __init__(self, **limits: Any) -> None:
        self.source, self.keep = In(), Keep()
        graph = Graph("g", {"in": GraphNode("in", "In"), "out": GraphNode("out", "Keep")}, (Wire("in", "out", "out", "in"),))
        self.runner = Runner(graph, 1, {"in": self.source, "out": self.keep}, Limits(**limits))
        self.runner.scheduler.setup()
        self.connection = Connection()
        self.number = 0

    def waiting(self, *values: int, is_bulk: bool = False, is_traced: bool = False) -> Arrived:
        self.number += 1
        body = b"\n".join(json.dumps({"n": n}).encode() for n in values)
        kind = "application/json" if len(values) == 1 else "application/x-ndjson"
        header = Header("g", content_type=kind, documents=len(values), is_bulk=is_bulk, is_traced=is_traced)
        return Arrived(self.connection, Item(self.number, str(ReceiptId(1, 1, 99, self.number, 5)), header, len(body)), body)

    def put(self, *values: int, is_bulk: bool = False, is_traced: bool = False) -> None:
        self.runner.take(self.waiting(*values, is_bulk=is_bulk, is_traced=is_traced))

    def settle(self) -> None:
        """Run for as many slices of time as it takes until there is nothing to do now."""
        self.runner.run()
        while not self.runner.scheduler.is_idle:
            self.runner.run()

    def play(self) -> None:
        while self.runner.can_start or self.runner.scheduler.in_flight:
            if self.runner.can_start:
                self.runner.start_next()
            self.runner.run()


def test_bulk_waits_while_a_live_delivery_does() -> None:
    bench = Bench()
    for n in range(4):
        bench.put(n, is_bulk=True)
    for n in range(10, 14):
        bench.put(n)
    bench.play()
    assert bench.keep.kept == [10, 11, 12, 13, 0, 1, 2, 3]


def test_bulk_goes_in_small_portions() -> None:
    bench = Bench()
    for n in range(200):
        bench.put(n, is_bulk=True)
    bench.play()
    assert bench.keep.kept == list(range(200))
    assert bench.keep.batches[0] == BULK_FIRST
    assert not bench.runner.has_waiting


def test_a_large_bulk_delivery_lets_a_live_one_pass_between_its_waves() -> None:
    bench = Bench()
    bench.put(*range(2000), is_bulk=True)
    bench.runner.start_next()
    bench.put(-1)
    assert bench.runner.can_start, "it need not wait for the end of the other one"
    bench.play()
    assert max(bench.keep.batches) <= BULK_FIRST
    assert bench.keep.kept.index(-1) <= 2 * BULK_FIRST
    assert len(bench.keep.kept) == 2001


@pytest.mark.parametrize("is_bulk", [False, True])
def test_deliveries_go_on_while_a_filter_waits_for_more_of_them(is_bulk: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Keep, "batch_size", 5)
    monkeypatch.setattr(Keep, "batch_s", 50.0)
    bench = Bench()
    for n in range(12):
        bench.put(n, is_bulk=is_bulk)
        assert bench.runner.can_start
        bench.runner.start_next()
        bench.settle()
    assert bench.keep.batches == [5, 5]
    assert bench.runner.scheduler.in_flight == 2


def test_what_stands_around_a_traced_delivery_runs_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    # however slow the machine is, all of it is within one slice
    monkeypatch.setattr(module, "SLICE_S", 60.0)
    monkeypatch.setattr(bench.runner.scheduler.core, "clock", lambda: 0.0)
    for n in range(5):
        bench.put(n, is_traced=n == 2)
    bench.runner.start_next()
    bench.runner.run()
    assert bench.keep.batches == [2, 1, 2]
    assert not bench.runner.can_start


def test_nothing_else_begins_while_a_delivery_runs_alone() -> None:
    bench = Bench()
    bench.put(1, is_traced=True)
    bench.play()
    bench.put(2)
    bench.runner.start_alone(bench.waiting(3), CrashRecord())
    bench.settle()
    assert bench.keep.kept == [1, 3]


def test_only_one_bulk_epoch_is_in_flight() -> None:
    bench = Bench()
    bench.put(*range(2000), is_bulk=True)
    bench.put(-1, is_bulk=True)
    bench.runner.start_next()
    assert not bench.runner.can_start
    bench.play()
    assert bench.keep.kept[-1] == -1


def test_alone_each_turn_is_noted_with_its_document() -> None:
    bench, record = Bench(filter_s=7.0), CrashRecord()
    bench.source.record = record
    bench.runner.start_alone(bench.waiting(5, 6, 7), record)
    bench.runner.scheduler.drain()
    assert [(seen.activity, seen.filter, seen.document, seen.limit_s) for seen in bench.source.seen] == [
        (TURN, "in", document, 7.0) for document in range(3)
    ]
    bench.runner.end_alone(record)
    assert record.read().activity == NOTHING
    assert bench.runner.scheduler.record_turn is None


def test_what_is_void_is_forgotten() -> None:
    bench = Bench()
    bench.put(1)
    bench.put(2, is_bulk=True)
    bench.runner.drop(lambda waiting: waiting.item.number == 1)
    bench.play()
    assert bench.keep.kept == [2]


def test_it_is_due_when_it_is_to_be_looked_for_what_stands_still() -> None:
    bench = Bench()
    bench.put(1)
    bench.runner.start_next()
    bench.runner.scheduler.drivers[0].blocks += 1
    bench.runner.scheduler.core.ready.blocked |= 1
    bench.runner.run()
    assert not bench.runner.is_due
    bench.runner.scheduler.standstill.look_at = 0.0
    assert bench.runner.is_due


def test_a_version_that_changes_no_filter_waits_for_nothing() -> None:
    bench = Bench()
    bench.put(*range(2000), is_bulk=True)
    bench.runner.start_next()
    assert bench.runner.scheduler.in_flight
    done: list[str] = []
    bench.runner.change(2, {"out": {}}, done.append)
    bench.runner.resolve_change()
    assert (done, bench.runner.version) == ([], 1)
    bench.runner.change(2, {}, done.append)
    bench.runner.resolve_change()
    assert (done, bench.runner.version) == ([""], 2)
    bench.play()
