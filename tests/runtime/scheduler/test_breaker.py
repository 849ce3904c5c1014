"""A publisher whose destination is down: it rests with its packets, others go on, and it recovers by itself."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from pypes.component import Component, Transformer
from pypes.core.limits import Limits
from pypes.errors import Retry, Unreachable
from pypes.packet import Packet
from pypes.runtime.scheduler import Epoch
from tests.runtime.clock import Clock
from tests.runtime.scheduler.destinations import (
    EACH,
    Destination,
    Highest,
    InBatch,
    InCommit,
    InLoop,
    InProcess,
    InTwoPorts,
    pass_time,
    settle,
    submit,
)
from tests.runtime.scheduler.graphs import Hold, Keep, Pass, running

WIRES = [("start.out", "end.in")]


@pytest.mark.parametrize("kind", EACH)
@pytest.mark.parametrize("error", [Unreachable(reason="no answer"), ConnectionResetError("reset"), TimeoutError("late")])
def test_it_rests_and_goes_on_when_the_destination_answers_again(kind: type[Destination], error: Exception) -> None:
    clock = Clock()
    done: list[Epoch] = []
    end = kind()
    end.error = error
    options: dict[str, Any] = {"clock": clock, "wall_clock": lambda: 7.0, "rng": Highest(), "on_done": done.append}
    with running({"start": Pass(), "end": end}, WIRES, **options) as scheduler:
        submit(scheduler, 4)
        submit(scheduler, 4, start=4)
        scheduler.run()
        state = scheduler.watch.breakers["end"]
        assert (state["state"], state["since"], state["next_s"]) == ("open", 7.0, 0.5)
        assert state["reason"] in ("no answer", "ConnectionResetError: reset", "TimeoutError: late")
        waits = [pass_time(scheduler, clock) for _ in range(9)]
        assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
        assert end.tries == 10
        assert (end.numbers, done) == ([], [])
        end.error = None
        pass_time(scheduler, clock)
        while not scheduler.is_idle:
            scheduler.run()
        assert end.numbers == list(range(8))
        assert scheduler.watch.breakers == {}
    assert [epoch.dead_letters for epoch in done] == [[], []]
    assert [epoch.takers for epoch in done] == [("end",), ("end",)]


@pytest.mark.parametrize("kind", [InProcess, InLoop])
def test_what_was_taken_before_it_went_down_is_committed_and_the_rest_stays_in_order(kind: type[Destination]) -> None:
    clock = Clock()
    end = kind()
    end.fails_at = 2
    with running({"start": Pass(), "end": end}, WIRES, clock=clock) as scheduler:
        submit(scheduler, 6)
        scheduler.run()
        assert end.numbers == [0, 1]
        submit(scheduler, 2, start=6)
        end.error = end.fails_at = None
        pass_time(scheduler, clock)
        scheduler.drain()
        assert end.numbers == list(range(8))


def test_packets_of_two_ports_go_back_where_they_came_from() -> None:
    clock = Clock()
    end = InTwoPorts()
    end.error = TimeoutError()
    with running({"start": Pass(), "end": end}, [*WIRES, ("start.out", "end.in2")], clock=clock) as scheduler:
        submit(scheduler, 3)
        scheduler.run()
        assert [wire.packets for wire in scheduler.wires] == [3, 3]
        end.error = None
        pass_time(scheduler, clock)
        scheduler.drain()
        assert end.numbers == [0, 0, 1, 1, 2, 2]  # a turn for each document


def test_a_commit_that_fails_for_another_reason_is_narrowed_down_until_the_destination_is_gone() -> None:
    class Strict(Destination):
        def process(self, packet: Packet) -> None:
            self.open.append(packet.get("n"))

        def commit(self) -> None:
            taken, self.open = self.open, []
            if 1 in taken:
                raise ValueError("constraint")
            if 3 in taken:
                self.reach()
            self.numbers += taken

    clock = Clock()
    done: list[Epoch] = []
    end = Strict()
    end.error = ConnectionError()
    with running({"start": Pass(), "end": end}, WIRES, clock=clock, on_done=done.append) as scheduler:
        submit(scheduler, 6)
        scheduler.run()
        assert end.numbers == [0, 2]
        end.error = None
        pass_time(scheduler, clock)
        scheduler.drain()
        assert end.numbers == [0, 2, 3, 4, 5]
    assert [failure.documents for failure in done[0].dead_letters] == [(1,)]


def test_a_batch_that_fails_for_another_reason_is_narrowed_down_until_the_destination_is_gone() -> None:
    class Strict(Destination):
        def process_batch(self, packets: list[Packet]) -> None:
            numbers = [packet.get("n") for packet in packets]
            if 1 in numbers:
                raise ValueError("constraint")
            if 3 in numbers:
                self.reach()
            self.open += numbers

    clock = Clock()
    end = Strict()
    end.error = ConnectionError()
    with running({"start": Pass(), "end": end}, WIRES, clock=clock) as scheduler:
        submit(scheduler, 6)
        scheduler.run()
        assert end.numbers == [0, 2]
        end.error = None
        pass_time(scheduler, clock)
        scheduler.drain()
        assert end.numbers == [0, 2, 3, 4, 5]


def test_other_branches_go_on_and_the_wire_grows_to_its_byte_cap() -> None:
    clock = Clock()
    down, up = InBatch(), Keep()
    down.error = ConnectionError()
    wires = [("start.out", "down.in"), ("start.out", "up.in")]
    size = Packet({"n": 1}).size_bytes()
    limits = Limits(wire_packets=8, wave_packets=8, wire_bytes=100 * size)
    done: list[Epoch] = []
    with running({"start": Pass(), "down": down, "up": up}, wires, clock=clock, limits=limits, on_done=done.append) as scheduler:
        submit(scheduler, 400, wave=8)
        while not scheduler.is_idle:
            scheduler.run()
        assert 90 <= len(up.numbers) <= 120
        wire = next(wire for wire in scheduler.wires if wire.label.endswith("down.in"))
        assert wire.parked is not None
        reached = wire.packets
        for _ in range(5):
            pass_time(scheduler, clock)
            settle(scheduler)
        assert wire.packets == reached  # trying makes no room
        down.error = None
        pass_time(scheduler, clock)
        scheduler.drain()
        assert down.numbers == up.numbers == list(range(400))
        assert wire.capacity == 8
    assert done[0].dead_letters == []


def test_a_batch_is_no_longer_than_two_waves_though_the_wire_has_grown() -> None:
    sizes: list[int] = []

    class Sizes(InBatch):
        def process_batch(self, packets: list[Packet]) -> None:
            super().process_batch(packets)
            sizes.append(len(packets))

    clock = Clock()
    end = Sizes()
    end.error = ConnectionError()
    with running({"start": Pass(), "end": end}, WIRES, clock=clock, limits=Limits(wire_packets=8, wave_packets=8)) as scheduler:
        submit(scheduler, 200, wave=8)
        while not scheduler.is_idle:
            scheduler.run()
        end.error = None
        pass_time(scheduler, clock)
        scheduler.drain()
        assert end.numbers == list(range(200))
    assert max(sizes) <= 16


def test_opening_and_closing_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    end = InCommit()
    end.error = Unreachable(reason="no route to host")
    caplog.set_level("INFO")
    with running({"start": Pass(), "end": end}, WIRES, clock=clock, rng=Highest()) as scheduler:
        submit(scheduler, 1)
        scheduler.run()
        pass_time(scheduler, clock)
        pass_time(scheduler, clock)
        end.error = None
        pass_time(scheduler, clock)
        scheduler.drain()
    lines = [(r.levelname, r.filter, r.reason, r.seconds) for r in caplog.records]  # type: ignore[attr-defined]
    assert lines == [("WARNING", "end", "no route to host", 0.5), ("INFO", "end", "no route to host", 3.5)]


def test_rests_have_jitter() -> None:
    waits = set()
    for seed in range(5):
        clock = Clock()
        end = InCommit()
        end.error = ConnectionError()
        with running({"start": Pass(), "end": end}, WIRES, clock=clock, rng=random.Random(seed)) as scheduler:
            submit(scheduler, 1)
            waits.add(pass_time(scheduler, clock))
    assert len(waits) == 5
    assert all(0.25 <= wait <= 0.5 for wait in waits)


def test_what_is_held_before_a_resting_publisher_does_not_make_it_spin() -> None:
    clock = Clock()
    end = InCommit()
    end.error = ConnectionError()
    limits = Limits(wire_packets=2, wave_packets=4, wire_bytes=1)
    with running({"start": Hold(), "end": end}, WIRES, clock=clock, limits=limits) as scheduler:
        submit(scheduler, 12, wave=4)
        while not scheduler.is_idle or scheduler.flush_holds():
            scheduler.run()
        assert not scheduler.flush_holds()
        end.error = None
        while scheduler.in_flight:
            pass_time(scheduler, clock)
            scheduler.flush_holds()
        assert end.numbers == list(range(12))


@pytest.mark.parametrize("kind", EACH)
def test_it_can_be_torn_down_while_it_rests(kind: type[Destination]) -> None:
    end = kind()
    end.error = ConnectionError()
    with running({"start": Pass(), "end": end}, WIRES) as scheduler:
        submit(scheduler, 4)
        scheduler.run()
        assert scheduler.in_flight == 1


def test_without_breakers_its_packets_fail() -> None:
    done: list[Epoch] = []
    end = InCommit()
    end.error = ConnectionError("down")
    with running({"start": Pass(), "end": end}, WIRES, on_done=done.append, has_breakers=False) as scheduler:
        submit(scheduler, 2)
        scheduler.drain()
    assert [failure.code for failure in done[0].dead_letters] == ["component.raised"] * 2


@pytest.mark.parametrize("style", ["process", "run"])
def test_the_graph_says_how_often_a_packet_is_tried(style: str) -> None:
    class Never(Transformer):
        tries = 0

        def process(self, packet: Packet) -> Packet:
            self.tries += 1
            raise Retry(reason="busy")

    class NeverLoop(Component):
        tries = 0

        def run(self) -> None:
            while True:
                for _ in self.receive_all("in"):
                    self.tries += 1
                    raise Retry(reason="busy")
                self.yield_ctrl()

    make: Callable[[], Any] = {"process": Never, "run": NeverLoop}[style]
    for settings, tries in (({}, 5), ({"start": {"max_attempts": 2}}, 2), ({"start": {"max_attempts": 1}}, 1)):
        clock = Clock()
        done: list[Epoch] = []
        start = make()
        with running({"start": start}, [], clock=clock, on_done=done.append, settings=settings) as scheduler:
            submit(scheduler, 1)
            scheduler.run()
            while not done:
                pass_time(scheduler, clock)
        assert (start.tries, [failure.attempts for failure in done[0].dead_letters]) == (tries, [tries])
