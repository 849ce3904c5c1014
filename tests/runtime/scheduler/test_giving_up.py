"""Packets that alone cannot reach a service, while others can: each has its fate in time, and its neighbours are unharmed."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from pypes.component import Component, Operator, Transformer
from pypes.core.limits import Limits
from pypes.errors import Retry
from pypes.packet import Packet
from pypes.runtime.scheduler import Epoch, Feed
from tests.runtime.clock import Clock
from tests.runtime.scheduler.destinations import Highest, pass_time, settle, submit
from tests.runtime.scheduler.graphs import Keep, Pass, packets, running
from tests.runtime.scheduler.test_resting import (
    WIRES,
    AtOnce,
    Enriches,
    Gathers,
    Holds,
    InBatch,
    InLoop,
    InProcess,
    SendsFirst,
    Service,
    TakesAll,
    come_to_an_end,
)


class ReceivesAll(Enriches, Component):
    """A loop that receives one packet after the other, and asks when there are no more."""

    def run(self) -> None:
        while True:
            packets = list(iter(lambda: self.receive("in"), None))
            for packet in packets:
                self.service.ask(packet.get("n"))
            for packet in packets:
                self.send("out", packet)
            self.yield_ctrl()


EACH = [InProcess, InBatch, InLoop, TakesAll, ReceivesAll, SendsFirst, Holds]


@pytest.mark.parametrize("kind", EACH)
def test_a_packet_that_alone_is_not_answered_is_given_up_after_a_minute(kind: Any) -> None:
    clock, service, end, done = Clock(), Service(), Keep(), list[Epoch]()
    service.refused = {1}
    options: dict[str, Any] = {"clock": clock, "rng": Highest(), "on_done": done.append}
    with running({"start": Pass(), "ask": kind(service), "end": end}, WIRES, **options) as scheduler:
        submit(scheduler, 4)
        settle(scheduler)
        # of a batch it is not known at once which packet it was, and what is held is let go a second later
        for _ in range({InProcess: 1, InLoop: 1, SendsFirst: 1, Holds: 4}.get(kind, 2)):
            pass_time(scheduler, clock)
            settle(scheduler)
        assert end.numbers == [0, 2, 3]
        began, number = clock.now, 4
        while len(done) < number - 3:  # something comes after it all the time
            submit(scheduler, 1, start=number)
            number += 1
            pass_time(scheduler, clock)
            settle(scheduler)
        assert 55 <= clock.now - began <= 180
    assert sorted(end.numbers) == [0, *range(2, number)]
    letters = [letter for epoch in done for letter in epoch.dead_letters]
    assert [(letter.code, letter.error) for letter in letters] == [("retry.exhausted", "TimeoutError: no answer for 1")]
    assert letters[0].attempts >= 5


@pytest.mark.parametrize("kind", EACH)
def test_several_in_a_row_wait_for_the_service_for_a_minute_then_they_do_not_hide_behind_each_other(kind: Any) -> None:
    clock, service, end, done = Clock(), Service(), Keep(), list[Epoch]()
    service.refused = {1, 2, 3}
    options: dict[str, Any] = {"clock": clock, "rng": Highest(), "on_done": done.append}
    with running({"start": Pass(), "ask": kind(service), "end": end}, WIRES, **options) as scheduler:
        submit(scheduler, 6)
        settle(scheduler)
        while clock.now < 125:
            pass_time(scheduler, clock)
        assert end.numbers in ([0], [])
        number = 6
        while len(done) < number - 5 and clock.now < 800:
            submit(scheduler, 1, start=number)
            number += 1
            pass_time(scheduler, clock)
            settle(scheduler)
        come_to_an_end(scheduler, clock)
    assert sorted(end.numbers) == [0, *range(4, number)]
    letters = [letter for epoch in done for letter in epoch.dead_letters]
    assert sorted((letter.documents, letter.code) for letter in letters) == [((n,), "retry.exhausted") for n in (1, 2, 3)]


@pytest.mark.parametrize("kind", EACH)
def test_several_in_a_row_cost_nothing_once_the_service_answers(kind: Any) -> None:
    clock, service, end, done = Clock(), Service(), Keep(), list[Epoch]()
    service.refused = {1, 2}
    with running({"start": Pass(), "ask": kind(service), "end": end}, WIRES, clock=clock, on_done=done.append) as scheduler:
        submit(scheduler, 4)
        settle(scheduler)
        while clock.now < 125:
            pass_time(scheduler, clock)
        service.refused = set()
        come_to_an_end(scheduler, clock)
    assert end.numbers == [0, 1, 2, 3]
    assert done[0].dead_letters == []


@pytest.mark.parametrize("kind", EACH)
def test_an_outage_longer_than_the_limit_costs_the_first_packet_each_time(kind: Any) -> None:
    clock, service, end, done = Clock(), Service(), Keep(), list[Epoch]()
    service.error = ConnectionRefusedError("nobody")
    options: dict[str, Any] = {"clock": clock, "on_done": done.append, "limits": Limits(unreachable_s=1000.0)}
    with running({"start": Pass(), "ask": kind(service), "end": end}, WIRES, **options) as scheduler:
        submit(scheduler, 40)
        settle(scheduler)
        while clock.now < 1050:
            pass_time(scheduler, clock)
        assert not done
        while clock.now < 2900:
            pass_time(scheduler, clock)
        service.error = None
        come_to_an_end(scheduler, clock)
    assert end.numbers == list(range(2, 40))
    assert [(letter.documents, letter.code) for letter in done[0].dead_letters] == [((n,), "retry.exhausted") for n in (0, 1)]
    assert done[0].dead_letters[0].attempts > 30


class AsksPairs(Enriches, Operator):
    inputs = {"in": "Left", "in2": "Right"}

    def process(self, packet: Packet) -> Packet:
        self.service.ask(packet.get("n"))
        return packet


class AsksPairsInLoop(Enriches, Component):
    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.add_input("in2", "Right")

    def run(self) -> None:
        while True:
            for port in ("in", "in2"):
                for packet in self.receive_all(port):
                    self.service.ask(packet.get("n"))
                    self.send("out", packet)
            self.yield_ctrl()


@pytest.mark.parametrize("kind", [InProcess, InLoop, AtOnce, Gathers, TakesAll, ReceivesAll, Holds, AsksPairs, AsksPairsInLoop])
def test_one_with_nothing_after_it_is_given_up_in_the_end(kind: Any) -> None:
    clock, service, end, done = Clock(), Service(), Keep(), list[Epoch]()
    service.refused = {0}
    wires = [*WIRES, ("other.out", "ask.in2"), ("start.out", "other.in")] if kind in (AsksPairs, AsksPairsInLoop) else WIRES
    nodes = {"start": Pass(), "ask": kind(service), "end": end, **({"other": Pass()} if len(wires) > 2 else {})}
    with running(nodes, wires, clock=clock, on_done=done.append, limits=Limits(unreachable_s=20.0)) as scheduler:
        submit(scheduler, 1)
        settle(scheduler)
        while not done and clock.now < 300:
            pass_time(scheduler, clock)
            settle(scheduler)
        assert [letter.code for letter in done[0].dead_letters] == ["retry.exhausted"] * (2 if len(wires) > 2 else 1)
        submit(scheduler, 3, start=1)
        come_to_an_end(scheduler, clock)
    assert sorted({*end.numbers}) == [1, 2, 3]
    assert done[1].dead_letters == []


class AsksInWaves(AsksPairsInLoop):
    """Takes whatever there is before it asks."""

    joins = "wave"

    def run(self) -> None:
        while True:
            packets = [packet for port in ("in", "in2") for packet in self.receive_all(port)]
            for packet in packets:
                self.service.ask(packet.get("n"))
            for packet in packets:
                self.send("out", packet)
            self.yield_ctrl()


def test_of_a_wave_at_a_join_the_first_document_is_given_up() -> None:
    clock, service, end, done = Clock(), Service(), Keep(), list[Epoch]()
    service.error = ConnectionRefusedError("nobody")
    nodes = {"start": Pass(), "other": Pass(), "ask": AsksInWaves(service), "end": end}
    wires = [*WIRES, ("other.out", "ask.in2"), ("start.out", "other.in")]
    with running(nodes, wires, clock=clock, on_done=done.append, limits=Limits(unreachable_s=1000.0)) as scheduler:
        submit(scheduler, 5)
        while clock.now < 1200:
            pass_time(scheduler, clock)
        service.error = None
        come_to_an_end(scheduler, clock)
    assert [letter.documents for letter in done[0].dead_letters] == [(0,), (0,)]
    assert sorted(end.numbers) == [1, 1, 2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize("kind", [*EACH, AsksPairs])
def test_a_wired_error_port_takes_what_is_given_up(kind: Any) -> None:
    clock, service, end, bad, done = Clock(), Service(), Keep(), Keep(), list[Epoch]()
    service.refused = {0, 3}
    nodes = {"start": Pass(), "ask": kind(service), "end": end, "bad": bad}
    options: dict[str, Any] = {"clock": clock, "on_done": done.append, "limits": Limits(unreachable_s=20.0)}
    with running(nodes, [*WIRES, ("ask.error", "bad.in")], **options) as scheduler:
        submit(scheduler, 1)
        come_to_an_end(scheduler, clock)
        assert (bad.numbers, len(done)) == ([0], 1)
        submit(scheduler, 4, start=1)
        come_to_an_end(scheduler, clock)
    assert (bad.numbers, sorted(end.numbers)) == ([0, 3], [1, 2, 4])
    assert [epoch.dead_letters for epoch in done] == [[], []]
    assert scheduler.in_flight == 0


def test_what_waits_while_another_packet_is_tried_alone_keeps_its_attempts() -> None:
    class Again(Transformer):
        max_attempts = 3
        tries: ClassVar[list[int]] = []

        def process(self, packet: Packet) -> Packet:
            self.tries.append(packet.get("n"))
            if packet.get("n") or self.tries.count(0) == 1:
                raise Retry(2.0)
            return packet

    clock, done = Clock(), list[Epoch]()
    nodes = {"again": Again(), "end": Keep()}
    with running(nodes, [("again.out", "end.in")], clock=clock, on_done=done.append) as scheduler:
        scheduler.drivers[0].alone = 100
        scheduler.submit(Feed(iter([("again", packets(2), range(2))]), 2))
        while scheduler.in_flight:
            pass_time(scheduler, clock)
    assert sorted(Again.tries) == [0, 0, 1, 1, 1]
    assert [letter.attempts for letter in done[0].dead_letters] == [3]
