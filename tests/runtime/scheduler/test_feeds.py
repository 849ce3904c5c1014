"""Feeds: where packets enter, barriers, and what an earlier run has published already."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pypes.component import Component, Operator, Publisher
from pypes.ingest.outcome import Fate
from pypes.packet import Packet
from pypes.runtime.scheduler import BARRIER, PUBLISHED, Batch, Epoch, Feed
from tests.runtime.scheduler.graphs import Hold, Keep, Pass, packets, running

CHAIN = [("start.out", "middle.in"), ("middle.out", "end.in")]


class Merge(Component):
    def __init__(self) -> None:
        super().__init__()
        self.add_input("in2")

    def run(self) -> None:
        while True:
            for port in ("in", "in2"):
                for packet in self.receive_all(port):
                    self.send("out", packet)
            self.yield_ctrl()


class KeepLoop(Keep):
    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                self.open.append(packet.get("n"))
            self.yield_ctrl()


class KeepBatch(Keep):
    def process_batch(self, packets: list[Packet]) -> None:
        self.open += [packet.get("n") for packet in packets]


def test_nothing_passes_a_barrier_before_all_that_was_fed_is_finished() -> None:
    end = Keep()
    seen: list[list[int]] = []

    def batches() -> Iterator[Any]:
        for n in range(3):
            yield "start", packets(2, 2 * n), range(2 * n, 2 * n + 2)
            yield BARRIER
            seen.append(list(end.numbers))

    done: list[Epoch] = []
    with running({"start": Pass(), "middle": Pass(), "end": end}, CHAIN, on_done=done.append) as scheduler:
        scheduler.submit(Feed(batches(), 6))
        scheduler.drain()
    assert seen == [[0, 1], [0, 1, 2, 3], [0, 1, 2, 3, 4, 5]]
    assert done[0].flags.count(PUBLISHED) == 6


def test_a_join_lets_go_at_a_barrier() -> None:
    end = Keep()
    nodes = {"start": Pass(), "middle": Pass(), "merge": Merge(), "end": end}
    wires = [("start.out", "merge.in"), ("start.out", "middle.in"), ("middle.out", "merge.in2"), ("merge.out", "end.in")]
    each: list[Batch | Any] = [("start", packets(1), (0,)), BARRIER, ("start", packets(1, 1), (1,)), BARRIER]
    with running(nodes, wires) as scheduler:
        scheduler.submit(Feed(iter(each), 2))
        scheduler.drain()
    assert end.numbers == [0, 0, 1, 1]


def test_a_barrier_waits_for_packets_that_are_held() -> None:
    end = Keep()
    sizes: list[int] = []

    def batches() -> Iterator[Any]:
        yield "start", packets(2), (0, 1)
        yield BARRIER
        sizes.append(len(end.numbers))
        yield "start", packets(1, 2), (2,)

    with running({"start": Pass(), "middle": Hold(), "end": end}, CHAIN) as scheduler:
        scheduler.submit(Feed(batches(), 3))
        scheduler.drain()
    assert (sizes, end.numbers) == ([2], [0, 1, 2])


def test_packets_may_enter_at_any_filter() -> None:
    nodes: dict[str, Any] = {"start": Pass(), "middle": Pass(), "merge": Merge(), "end": Keep()}
    wires = [("start.out", "middle.in"), ("start.out", "merge.in"), ("middle.out", "merge.in2"), ("merge.out", "end.in")]
    for node, expected in {"start": [7, 7], "middle": [7], "merge": [7], "end": [7]}.items():
        end = nodes["end"] = Keep()
        done: list[Epoch] = []
        with running(nodes, wires, on_done=done.append) as scheduler:
            scheduler.submit(Feed(iter([(node, packets(1, 7), (0,))]), 1))
            scheduler.drain()
        assert end.numbers == expected, node
        assert done[0].fate_of(0) == Fate("published", ("end",))


def test_documents_for_a_filter_that_is_not_there_fail() -> None:
    done: list[Epoch] = []
    with running({"start": Pass(), "middle": Pass(), "end": Keep()}, CHAIN, on_done=done.append) as scheduler:
        batches = [("gone", packets(2), (0, 1)), ("start", packets(1, 2), (2,))]
        scheduler.submit(Feed(iter(batches), 3))
        scheduler.drain()
    (epoch,) = done
    assert [epoch.fate_of(n).outcome for n in range(3)] == ["failed", "failed", "published"]
    assert [(f.documents, f.filter, f.code, f.is_whole) for f in epoch.dead_letters] == [
        ((0,), "gone", "replay.no_filter", True),
        ((1,), "gone", "replay.no_filter", True),
    ]
    assert b'"n":1' in epoch.dead_letters[1].packet


def test_a_publisher_is_not_given_again_what_it_has_committed() -> None:
    for kind in (Keep, KeepBatch, KeepLoop):
        for wires in (
            [("start.out", "left.in"), ("start.out", "right.in")],  # through the wires
            [("start.out", "left.in")],  # handed over
        ):
            left, right = kind(), kind()
            nodes = {"start": Pass(), "left": left, **({"right": right} if len(wires) == 2 else {})}
            done: list[Epoch] = []
            with running(nodes, wires, on_done=done.append) as scheduler:
                committed = {"left": frozenset({1, 2}), "right": frozenset({0, 1, 2, 3})}
                scheduler.submit(Feed(iter([("start", packets(4), range(4))]), 4, committed=committed))
                scheduler.drain()
                assert (left.numbers, right.numbers) == ([0, 3], [])
                scheduler.submit(Feed(iter([("start", packets(4), range(4))]), 4))
                scheduler.drain()
                assert left.numbers == [0, 3, 0, 1, 2, 3]
                assert scheduler.core.reruns == 0
            takers = tuple(name for name in nodes if name != "start")
            assert [epoch.takers for epoch in done] == [takers, takers]
            assert done[0].fates() == ((Fate("published", takers),), (4, 0))


def test_a_packet_of_several_documents_is_skipped_only_if_all_were_committed() -> None:
    class Pairs(Operator):
        def process_batch(self, packets: list[Packet]) -> list[Packet]:
            return [Packet({"n": packets[0].get("n") + packets[1].get("n")})]

    batches = [("start", packets(2, 2 * n), range(2 * n, 2 * n + 2)) for n in range(2)]
    end = Keep()
    done: list[Epoch] = []
    with running({"start": Pass(), "middle": Pairs(), "end": end}, CHAIN, on_done=done.append) as scheduler:
        scheduler.submit(Feed(iter(batches), 4, committed={"end": frozenset({0, 1, 2})}))
        scheduler.drain()
    assert end.numbers == [5]
    assert done[0].flags.count(PUBLISHED) == 4


def test_a_publisher_that_sends_on_is_given_everything_again() -> None:
    class Relay(Publisher):
        def __init__(self) -> None:
            super().__init__()
            self.add_output("out")

        def process(self, packet: Packet) -> Packet:
            return packet

    end = Keep()
    with running({"start": Pass(), "middle": Relay(), "end": end}, CHAIN) as scheduler:
        feed = Feed(iter([("start", packets(2), (0, 1))]), 2, committed={"middle": frozenset({0, 1}), "end": frozenset({0})})
        scheduler.submit(feed)
        scheduler.drain()
    assert end.numbers == [1]
