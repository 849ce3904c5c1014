"""Joins: a filter with several wired input ports sees one document at a time, as soon as that is complete."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from pypes.component import Component, Filter, Operator, Transformer
from pypes.core.limits import Limits
from pypes.errors import Retry
from pypes.packet import Packet
from pypes.runtime.scheduler import FAILED, PUBLISHED, Batch, Epoch, Feed, Scheduler
from tests.runtime.scheduler.graphs import Hold, packets, running
from tests.runtime.scheduler.joins import (
    DIAMOND,
    BatchTurns,
    Easy,
    Mark,
    Merge,
    Turns,
    Two,
    Waves,
    diamond,
    feed,
    run,
    still,
)

# -- one document --------------------------------------------------------------------------------------------


def test_what_one_branch_drops_is_not_made_good_by_another_document() -> None:
    nodes = diamond(Merge(), Mark(drop=lambda n: n % 3 == 0))
    epoch = run(nodes, 600)
    rows = nodes["end"].rows
    assert [row["n"] for row in rows] == list(range(600))
    assert all(row.get("left") == (row["n"] if row["n"] % 3 else None) and row["right"] == row["n"] for row in rows)
    assert epoch.flags == bytes([PUBLISHED]) * 600


def test_a_turn_sees_one_document_in_every_style() -> None:
    seen = {}
    for join in (Turns(), BatchTurns()):
        nodes = diamond(join, Mark(drop=lambda n: n == 1))
        run(nodes, 3)
        seen[type(join)] = nodes["end"].column("turn")
    assert seen[Turns] == [{"in": [0], "in2": [0]}, {"in": [], "in2": [1]}, {"in": [2], "in2": [2]}]
    assert seen[BatchTurns] == [{"all": [n]} for n in (0, 0, 1, 2, 2)]  # port after port
    nodes = diamond(Easy())
    run(nodes, 3)
    assert [(row["n"], "left" in row) for row in nodes["end"].rows] == [(n, left) for n in range(3) for left in (True, False)]
    assert nodes["end"].commits == 1  # what sees packets alone is given many documents in a turn


def test_a_component_may_say_that_it_takes_all_that_is_ready() -> None:
    nodes = diamond(Waves(), Mark(drop=lambda n: n == 1))
    run(nodes, 3)
    assert nodes["end"].column("turn") == [{"in": [0, 2], "in2": [0, 1, 2]}]


def test_wires_into_the_same_port_are_no_join() -> None:
    class All(Operator):
        def process_batch(self, packets: list[Packet]) -> list[Packet]:
            return [Packet({"turn": {"all": [packet.get("n") for packet in packets]}})]

    nodes = diamond(All())
    run(nodes, 3, [*DIAMOND[:3], ("right.out", "join.in"), DIAMOND[4]])
    assert nodes["end"].column("turn") == [{"all": [0, 1, 2, 0, 1, 2]}]


def test_documents_of_several_deliveries_in_flight_stay_apart() -> None:
    nodes = diamond(Turns())
    with running(nodes, DIAMOND) as scheduler:
        for _ in range(3):
            feed(scheduler, 2)
        scheduler.drain()
    assert nodes["end"].column("turn") == [{"in": [n], "in2": [n]} for _ in range(3) for n in range(2)]


def test_documents_of_which_a_packet_was_made_together_share_a_turn() -> None:
    class Pairs(Operator):
        def process_batch(self, packets: list[Packet]) -> list[Packet]:
            return [Packet({"n": sum(packet.get("n") for packet in packets)})]

    class Refuse(Turns):
        def run(self) -> None:
            raise ValueError([packet.get("n") for packet in self.receive_all("in")])

    for join, expected in ((Turns, None), (Refuse, [((0, 1), "[1]"), ((2, 3), "[5]")])):
        nodes = diamond(join(), Pairs())
        done: list[Epoch] = []
        batches: list[Batch] = [("split", packets(2), (0, 1)), ("split", packets(2, 2), (2, 3)), ("split", packets(1, 4), (4,))]
        with running(nodes, DIAMOND, on_done=done.append) as scheduler:
            scheduler.submit(Feed(iter(batches[: 2 if expected else 3]), 5))
            scheduler.drain()
        if expected is None:
            turns = [{"in": [1], "in2": [0, 1]}, {"in": [5], "in2": [2, 3]}, {"in": [4], "in2": [4]}]
            assert nodes["end"].column("turn") == turns
            assert done[0].flags == bytes([PUBLISHED]) * 5
        else:
            found = [(f.documents, f.error.removeprefix("ValueError: ")) for f in done[0].dead_letters if len(f.documents) > 1]
            assert found == expected


def test_chains_of_documents_that_belong_together_become_one_turn() -> None:
    class Neighbours(Component):
        """Makes a packet of each packet and the one before it."""

        __metatype__ = "OPERATOR"

        def run(self) -> None:
            while True:
                before = self.receive("in")
                while before is not None and (packet := self.receive("in")) is not None:
                    self.send("out", before)
                    before = packet
                if before is not None:
                    self.send("out", Packet({"n": -1}))
                self.yield_ctrl()

    nodes = diamond(Turns(), Neighbours())
    run(nodes, 4)
    (turn,) = [turn for turn in nodes["end"].column("turn") if -1 in turn["in"]]
    assert -1 in turn["in"]
    assert sorted(n for turn in nodes["end"].column("turn") for n in turn["in2"]) == [0, 1, 2, 3]


# -- as soon as it is ready --------------------------------------------------------------------------------


def test_a_document_passes_before_the_rest_of_its_delivery_is_fed() -> None:
    nodes = diamond(Merge())
    passed: list[int] = []

    def batches() -> Iterator[Any]:
        for n in range(4):
            passed.append(len(nodes["end"].rows))
            yield "split", packets(10, 10 * n), range(10 * n, 10 * n + 10)

    with running(nodes, DIAMOND, clock=still, limits=Limits(wire_packets=16)) as scheduler:
        scheduler.submit(Feed(batches(), 40, complete=lambda: 10 * len(passed)))
        scheduler.drain()
    assert passed == [0, 10, 20, 30]


def test_a_delivery_of_any_length_passes_in_bounded_memory_and_linear_work() -> None:
    work: dict[int, int] = {}
    for count in (4_096, 8_192):
        nodes = diamond(Merge())
        most = 0
        done: list[Epoch] = []
        limits = Limits(wire_packets=64, wire_bytes=1)
        with running(nodes, DIAMOND, limits=limits, on_done=done.append, clock=still) as scheduler:

            def batches(count: int = count, scheduler: Scheduler = scheduler) -> Iterator[Any]:
                nonlocal most
                for start in range(0, count, 64):
                    most = max(most, *(wire.packets for wire in scheduler.wires))
                    yield "split", packets(64, start), range(start, start + 64)

            scheduler.submit(Feed(batches(), count))
            scheduler.drain()
            joining = scheduler.drivers[[driver.name for driver in scheduler.drivers].index("join")].joining
            assert joining is not None
            work[count] = scheduler.core.turns + joining.tracker.examined
        assert done[0].dead_letters == []
        assert [row["n"] for row in nodes["end"].rows] == list(range(count))
        assert most <= 2 * 64
    assert work[8_192] < 2.1 * work[4_096], work


def test_a_branch_that_takes_one_packet_in_a_turn_holds_up_its_document_only() -> None:
    class OneByOne(Component):
        __metatype__ = "OPERATOR"

        def run(self) -> None:
            while True:
                packet = self.receive("in")
                if packet is not None:
                    self.send("out", packet)
                self.yield_ctrl()

    nodes = diamond(Merge(), OneByOne(), OneByOne())
    epoch = run(nodes, 300, limits=Limits(wire_packets=32, wire_bytes=1))
    assert nodes["end"].column("n") == list(range(300))
    assert epoch.dead_letters == []


def test_a_join_waits_for_what_a_branch_retries_and_for_nothing_else() -> None:
    class Reluctant(Transformer):
        max_attempts = 3

        def __init__(self) -> None:
            super().__init__()
            self.asked = 0

        def process(self, packet: Packet) -> Packet:
            if packet.get("n") == 1:
                self.asked += 1
                if self.asked < 3:
                    raise Retry(5.0)
            packet.set("left", packet.get("n"))
            return packet

    now = [0.0]
    nodes = diamond(Merge(), Reluctant())
    with running(nodes, DIAMOND, clock=lambda: now[0]) as scheduler:
        feed(scheduler, 3)
        scheduler.run()
        assert nodes["end"].column("n") == [0, 2]
        now[0] = 6.0
        scheduler.run()
        assert nodes["end"].column("n") == [0, 2]
        now[0] = 12.0
        scheduler.run()
        assert scheduler.in_flight == 0
    assert nodes["end"].column("n") == [0, 2, 1]
    assert nodes["end"].column("left") == [0, 2, 1]


def test_what_fails_in_a_branch_leaves_the_other_half() -> None:
    class Never(Transformer):
        max_attempts = 1

        def process(self, packet: Packet) -> Packet:
            if packet.get("n") == 1:
                raise Retry(0.0)
            if packet.get("n") == 2:
                raise ValueError("two")
            return packet

    nodes = diamond(Turns(), Never())
    epoch = run(nodes, 4)
    assert [turn["in"] for turn in nodes["end"].column("turn")] == [[0], [], [], [3]]
    assert [(f.documents, f.code) for f in epoch.dead_letters] == [((1,), "retry.exhausted"), ((2,), "component.raised")]
    assert epoch.flags == bytes([PUBLISHED, PUBLISHED | FAILED, PUBLISHED | FAILED, PUBLISHED])


def test_an_error_port_may_lead_to_the_join() -> None:
    class Odd(Filter):
        def process(self, packet: Packet) -> Packet:
            if packet.get("n") % 2:
                raise ValueError("odd")
            return packet

    nodes = diamond(Turns(), Odd())
    epoch = run(nodes, 4, [DIAMOND[0], DIAMOND[2], ("left.error", "right.in"), *DIAMOND[3:]])
    assert nodes["end"].column("turn") == [
        {"in": [0], "in2": []},
        {"in": [], "in2": [1]},
        {"in": [2], "in2": []},
        {"in": [], "in2": [3]},
    ]
    assert epoch.dead_letters == []


def test_a_join_that_retries_is_given_the_packet_again() -> None:
    class Twice(Two):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[int] = []

        def run(self) -> None:
            while True:
                for port in ("in", "in2"):
                    for packet in self.receive_all(port):
                        self.seen.append(packet.get("n"))
                        if packet.get("n") == 1 and self.seen.count(1) < 3:
                            raise Retry(0.0)
                        self.send("out", packet)
                self.yield_ctrl()

    now = [0.0]
    nodes = diamond(Twice())
    with running(nodes, DIAMOND, clock=lambda: now[0]) as scheduler:
        feed(scheduler, 3)
        for _ in range(5):
            scheduler.run()
            now[0] += 10.0
        assert scheduler.in_flight == 0
    assert sorted(nodes["end"].column("n")) == [0, 0, 1, 1, 2, 2]


def test_packets_that_a_join_retries_meet_again_at_their_ports() -> None:
    class Reluctant(Two):
        def __init__(self) -> None:
            super().__init__()
            self.asked = 0

        def run(self) -> None:
            while True:
                found = [(port, p.get("n")) for port in ("in", "in2") if (p := self.receive(port)) is not None]
                if found and found[0][1] == 1 and self.asked < 2:
                    self.asked += 1
                    raise Retry(0.0)
                self.send("out", Packet({"turn": {"all": found}}))
                self.yield_ctrl()

    now = [0.0]
    nodes = diamond(Reluctant())
    with running(nodes, DIAMOND, clock=lambda: now[0]) as scheduler:
        feed(scheduler, 3)
        while scheduler.in_flight:
            scheduler.run()
            now[0] += 0.01  # less than the two packets' times to come lie apart
    turns = [[tuple(pair) for pair in turn["all"]] for turn in nodes["end"].column("turn")]
    assert turns == [[("in", n), ("in2", n)] for n in (0, 2, 1)]


def test_a_join_waits_for_an_offloaded_call_of_a_branch() -> None:
    may_go_on = threading.Event()

    class Slow(Transformer):
        def process(self, packet: Packet) -> Packet:
            if packet.get("n") == 1:
                self.offload(may_go_on.wait, 10)
            return packet

    nodes = diamond(Turns(), Slow())
    with running(nodes, DIAMOND, clock=still, limits=Limits(wire_packets=2)) as scheduler:
        feed(scheduler, 4, wave=1)
        scheduler.run()
        assert nodes["end"].column("turn") == [{"in": [0], "in2": [0]}]
        assert scheduler.is_idle
        may_go_on.set()
        scheduler.drain()
    assert nodes["end"].column("turn") == [{"in": [n], "in2": [n]} for n in range(4)]


def test_a_join_does_not_wait_for_what_a_branch_holds() -> None:
    nodes = diamond(Turns(), Hold())
    done: list[Epoch] = []
    with running(nodes, DIAMOND, clock=still, on_done=done.append, limits=Limits(wire_packets=4)) as scheduler:
        feed(scheduler, 20, wave=4)
        scheduler.run()
        assert nodes["end"].column("turn") == [{"in": [], "in2": [n]} for n in range(20)]
        scheduler.drain()
    assert sorted(n for turn in nodes["end"].column("turn")[20:] for n in turn["in"]) == list(range(20))
    assert done[0].flags == bytes([PUBLISHED]) * 20


def test_what_was_held_before_the_branches_part_meets_again() -> None:
    class Bundle(Operator):
        holds = True

        def setup(self) -> None:
            self.kept: list[int] = []

        def process(self, packet: Packet) -> None:
            self.kept.append(packet.get("n"))

        def flush(self) -> list[Packet]:
            kept, self.kept = self.kept, []
            return [Packet({"n": sum(kept)})]

    nodes = {"hold": Bundle(), **diamond(Turns())}
    with running(nodes, [("hold.out", "split.in"), *DIAMOND]) as scheduler:
        feed(scheduler, 4, node="hold")
        scheduler.drain()
    assert nodes["end"].column("turn") == [{"in": [6], "in2": [6]}]
