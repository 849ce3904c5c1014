"""What a watchdog sees of a scheduler: who runs, how far it is, which call takes too long."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pypes.component import Component, Operator, Publisher
from pypes.core.limits import Limits
from pypes.packet import Packet
from pypes.runtime.scheduler import Feed, Scheduler
from pypes.testing.node import until
from tests.runtime.scheduler.graphs import Keep, Pass, packets, running


class Look:
    """Notes what is seen of a scheduler while a component works."""

    scheduler: Scheduler

    def __init__(self) -> None:
        self.seen: list[tuple[str, tuple[int, int]]] = []

    def __call__(self) -> None:
        self.seen.append((self.scheduler.watch.current, self.scheduler.watch.progress))


def loop(look: Look) -> Component:
    class Loop(Component):
        def run(self) -> None:
            while True:
                for packet in self.receive_all("in"):
                    look()
                    self.send("out", packet)
                self.yield_ctrl()

    return Loop()


def one_by_one(look: Look) -> Component:
    class OneByOne(Component):
        def run(self) -> None:
            while True:
                while (packet := self.receive("in")) is not None:
                    look()
                    self.send("out", packet)
                self.yield_ctrl()

    return OneByOne()


def easy(look: Look) -> Component:
    class Easy(Operator):
        def process(self, packet: Packet) -> Packet:
            look()
            return packet

    return Easy()


def holding(look: Look) -> Component:
    class Hold(Operator):
        holds = True

        def process(self, packet: Packet) -> Packet:
            look()
            self.release()
            return packet

    return Hold()


def failing_batch(look: Look) -> Component:
    class Batch(Operator):
        def process_batch(self, packets: list[Packet]) -> list[Packet]:
            look()
            if len(packets) > 1:
                raise ValueError("one by one")
            return packets

    return Batch()


def guilty(look: Look) -> Component:
    class Guilty(Publisher):
        """Its commits fail for more than one packet at a time."""

        taken = 0

        def process(self, packet: Packet) -> None:
            look()
            self.taken += 1

        def commit(self) -> None:
            taken, self.taken = self.taken, 0
            if taken > 1:
                raise ValueError("one by one")

    return Guilty()


@pytest.mark.parametrize("make", [loop, one_by_one, easy, holding, failing_batch, guilty])
@pytest.mark.parametrize("is_handed_on", [False, True])
def test_the_running_filter_and_every_step_it_takes_can_be_seen(make: Any, is_handed_on: bool) -> None:
    look = Look()
    nodes: dict[str, Component] = {"start": Pass(), "watched": make(look)}
    wires = [("start.out", "watched.in")]
    if not isinstance(nodes["watched"], Publisher):
        nodes["end"] = Keep()
        wires.append(("watched.out", "end.in"))
    if not is_handed_on:  # then it is not the only one that `start` leads to
        nodes["other"] = Keep()
        wires.append(("start.out", "other.in"))
    with running(nodes, wires) as scheduler:
        look.scheduler = scheduler
        for start in (0, 3):
            scheduler.submit(Feed(iter([("start", packets(3, start), range(3))]), 3))
            scheduler.drain()
            look.seen.append((scheduler.watch.current, scheduler.watch.progress))
    assert {name for name, _ in look.seen} == {"watched", ""}
    assert len({at for at in look.seen if at[0]}) == len([at for at in look.seen if at[0]]) >= 6


def test_time_is_the_graphs_before_the_components_before_the_nodes() -> None:
    class Slow(Pass):
        timeout_s = 7.0

    nodes = {"start": Pass(), "slow": Slow(), "slower": Slow()}
    settings = {"slower": {"timeout_s": 30.0}}
    with running(nodes, [], settings=settings, limits=Limits(filter_s=2.0)) as scheduler:
        assert [scheduler.watch.timeout_s(name) for name in nodes] == [2.0, 7.0, 30.0]


def test_a_call_that_takes_too_long_is_overdue() -> None:
    may_end = threading.Event()

    class Call(Publisher):
        def process(self, packet: Packet) -> None:
            self.offload(may_end.wait, 10)

    now = 0.0
    with running({"call": Call()}, [], clock=lambda: now, limits=Limits(filter_s=2.0)) as scheduler:
        scheduler.submit(Feed(iter([("call", packets(1), (0,))]), 1))
        scheduler.run()
        until(lambda: scheduler.core.calls.began, 5, "the call has begun")
        assert scheduler.watch.current == ""
        now = 2.0
        assert scheduler.watch.overdue() == ""
        now = 2.1
        assert scheduler.watch.overdue() == "call"
        may_end.set()
        scheduler.drain()
        assert scheduler.watch.overdue() == ""
