"""Documents that publishers have committed of epochs that go on."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

from pypes.component import Adapter, Component, Operator, Publisher
from pypes.core.limits import Limits
from pypes.errors import Retry
from pypes.packet import Packet
from pypes.runtime.scheduler import BARRIER, Batch, Epoch, Feed
from tests.runtime.scheduler.graphs import Hold, Keep, Pass, packets, running


class Reports:
    """Keeps what is reported: publisher and documents."""

    def __init__(self) -> None:
        self.each: list[tuple[str, list[int]]] = []

    def __call__(self, epoch: Epoch, publisher: str, documents: Sequence[int]) -> None:
        assert epoch.is_open
        self.each.append((publisher, list(documents)))


class Later(Publisher):
    """Commits in a thread, when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.may_commit = threading.Event()

    def process(self, packet: Packet) -> None:
        return None

    def commit(self) -> None:
        self.offload(self.may_commit.wait, 10)


class Rows(Adapter):
    """Four packets of each."""

    def process(self, packet: Packet) -> None:
        for n in range(4):
            self.send("out", Packet({"n": 4 * packet.get("n") + n}))


def test_nothing_is_reported_of_an_epoch_that_is_done_in_one_wave() -> None:
    reports = Reports()
    nodes = {"start": Pass(), "left": Keep(), "right": Keep()}
    with running(nodes, [("start.out", "left.in"), ("start.out", "right.in")], on_committed=reports) as scheduler:
        scheduler.submit(Feed(iter([("start", packets(3), range(3))]), 3))
        scheduler.drain()
    assert reports.each == []


def test_what_one_publisher_has_committed_is_reported_while_another_works() -> None:
    reports = Reports()
    later = Later()
    nodes = {"start": Pass(), "later": later, "now": Keep()}
    with running(nodes, [("start.out", "later.in"), ("start.out", "now.in")], on_committed=reports) as scheduler:
        scheduler.submit(Feed(iter([("start", packets(3), range(3))]), 3))
        scheduler.run()
        assert reports.each == [("now", [0, 1, 2])]
        later.may_commit.set()
        scheduler.drain()
    assert reports.each == [("now", [0, 1, 2])]


def test_waves_of_a_large_delivery_are_reported_as_they_are_committed() -> None:
    reports = Reports()
    with running({"start": Pass(), "end": Keep()}, [("start.out", "end.in")], on_committed=reports) as scheduler:
        scheduler.submit(Feed((("start", packets(2, 2 * n), range(2 * n, 2 * n + 2)) for n in range(3)), 6))
        scheduler.drain()
    assert reports.each == [("end", [0, 1]), ("end", [2, 3])]


def test_a_document_that_may_come_by_another_entry_is_not_reported_while_it_is_fed() -> None:
    nodes = {"left": Pass(), "right": Pass(), "end": Keep()}
    wires = [("left.out", "end.in"), ("right.out", "end.in")]

    def told(batches: list[Batch], complete: Any) -> list[tuple[str, list[int]]]:
        reports = Reports()
        with running(nodes, wires, on_committed=reports) as scheduler:
            scheduler.submit(Feed(iter(batches), 4, complete=complete))
            scheduler.drain()
        return reports.each

    batches: list[Batch] = [("left", packets(2), (0, 1)), ("left", packets(2, 2), (2, 3))]
    assert told(batches, None) == []
    assert told(batches, lambda: 2) == [("end", [0, 1])]
    assert told([*batches, ("right", packets(1, 1), (1,))], None) == [("end", [0])]
    assert told([*batches, ("right", packets(1, 1), (1,))], lambda: 1) == [("end", [0])]


def test_the_rows_of_a_document_are_reported_with_the_last() -> None:
    reports = Reports()
    last_row: list[tuple[int, ...]] = []

    class Watch(Keep):
        def commit(self) -> None:
            super().commit()
            last_row.append((len(self.numbers), len(reports.each)))

    later = Later()
    nodes = {"rows": Rows(), "end": Watch(), "later": later}
    limits = Limits(wire_packets=1)
    wires = [("rows.out", "end.in"), ("rows.out", "later.in")]
    with running(nodes, wires, on_committed=reports, limits=limits) as scheduler:
        scheduler.submit(Feed(iter([("rows", packets(1), (0,))]), 1))
        later.may_commit.set()
        scheduler.drain()
    assert last_row[-1] == (4, 0)
    assert len(last_row) > 1


def test_what_waits_to_be_tried_again_is_not_reported() -> None:
    class Flaky(Operator):
        tried = False

        def process(self, packet: Packet) -> Packet:
            if packet.get("n") == 1 and not self.tried:
                self.tried = True
                raise Retry()
            return packet

    reports = Reports()
    later = Later()
    nodes = {"rows": Rows(), "flaky": Flaky(), "end": Keep(), "later": later}
    wires = [("rows.out", "flaky.in"), ("flaky.out", "end.in"), ("rows.out", "later.in")]
    with running(nodes, wires, on_committed=reports) as scheduler:
        scheduler.submit(Feed(iter([("rows", packets(2), (0, 1))]), 2))
        scheduler.run()
        assert reports.each == [("end", [1])]
        while len(reports.each) < 2:
            scheduler.wait(None)
            scheduler.run()
        assert reports.each[1] == ("end", [0])
        later.may_commit.set()
        scheduler.drain()


def test_what_is_held_is_not_reported_and_derived_epochs_report_for_their_documents() -> None:
    reports = Reports()
    later = Later()
    nodes = {"start": Pass(), "hold": Hold(), "end": Keep(), "later": later}
    wires = [("start.out", "hold.in"), ("hold.out", "end.in"), ("start.out", "end.in"), ("start.out", "later.in")]
    with running(nodes, wires, on_committed=reports) as scheduler:
        scheduler.submit(Feed(iter([("start", packets(2), (0, 1))]), 2))
        scheduler.run()
        assert nodes["end"].numbers == [0, 1]  # type: ignore[attr-defined]
        assert reports.each == []
        scheduler.flush_holds()
        scheduler.run()
        assert reports.each == [("end", [0, 1])]
        later.may_commit.set()
        scheduler.drain()


def test_a_document_of_which_a_packet_failed_there_is_not_reported() -> None:
    class Refuse(Keep):
        def process(self, packet: Packet) -> None:
            if packet.get("n") == 1:
                raise ValueError("one")
            super().process(packet)

    reports = Reports()
    later = Later()
    nodes = {"rows": Rows(), "end": Refuse(), "later": later}
    with running(nodes, [("rows.out", "end.in"), ("rows.out", "later.in")], on_committed=reports) as scheduler:
        scheduler.submit(Feed(iter([("rows", packets(2), (0, 1))]), 2))
        scheduler.run()
        assert reports.each == [("end", [1])]
        later.may_commit.set()
        scheduler.drain()


def test_a_lone_run_notes_every_turn_and_reports_before_the_next() -> None:
    log: list[Any] = []

    class Loop(Component):
        def run(self) -> None:
            while True:
                for packet in self.receive_all("in"):
                    self.send("out", packet)
                self.yield_ctrl()

    def batches() -> Iterator[Any]:
        for n in range(2):
            yield "start", packets(1, n), (n,)
            yield BARRIER

    nodes = {"start": Pass(), "left": Keep(), "loop": Loop(), "right": Keep()}
    wires = [("start.out", "left.in"), ("start.out", "loop.in"), ("loop.out", "right.in")]

    def committed(epoch: Epoch, publisher: str, documents: Sequence[int]) -> None:
        log.append((publisher, *documents, "committed"))

    with running(nodes, wires, on_committed=committed) as scheduler:
        scheduler.record_turn = lambda filter, document: log.append((filter, document))
        scheduler.submit(Feed(batches(), 2))
        scheduler.drain()
    assert log == [
        *[("start", 0), ("loop", 0), ("left", 0), ("left", 0, "committed"), ("right", 0), ("right", 0, "committed")],
        *[("start", 1), ("loop", 1), ("left", 1), ("left", 1, "committed"), ("right", 1), ("right", 1, "committed")],
    ]
