"""A filter in the middle of a graph waits for a service that is not there, in order and within bounds."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.component import Component, Operator, Transformer
from pypes.core.limits import Limits
from pypes.errors import Unreachable
from pypes.packet import Packet
from pypes.runtime.scheduler import Epoch, Scheduler
from tests.runtime.clock import Clock
from tests.runtime.scheduler.destinations import pass_time, settle, submit
from tests.runtime.scheduler.graphs import Keep, Pass, running


class Service:
    """Answers while it is up; ``refused`` are numbers that it never answers for."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.refused: set[int] = set()
        self.tries = 0

    def ask(self, number: int) -> None:
        self.tries += 1
        if self.error is not None:
            raise self.error
        if number in self.refused:
            raise TimeoutError(f"no answer for {number}")


class Enriches:
    def __init__(self, service: Service) -> None:
        super().__init__()
        self.service = service


class InProcess(Enriches, Transformer):
    def process(self, packet: Packet) -> Packet:
        self.service.ask(packet.get("n"))
        return packet


class AtOnce(Enriches, Transformer):
    """Asks for several packets at once."""

    concurrency = 4

    def process(self, packet: Packet) -> Packet:
        self.offload(self.service.ask, packet.get("n"))
        return packet


class InBatch(Enriches, Transformer):
    def process_batch(self, packets: list[Packet]) -> list[Packet]:
        for packet in packets:
            self.service.ask(packet.get("n"))
        return packets


class Gathers(InBatch):
    """Asks for small batches of whatever comes."""

    batch_size = 3
    batch_s = 2.0


class InLoop(Enriches, Component):
    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                self.service.ask(packet.get("n"))
                self.send("out", packet)
            self.yield_ctrl()


class TakesAll(Enriches, Component):
    """A loop that takes all there is before it asks."""

    def run(self) -> None:
        while True:
            packets = list(self.receive_all("in"))
            for packet in packets:
                self.service.ask(packet.get("n"))
            for packet in packets:
                self.send("out", packet)
            self.yield_ctrl()


class SendsFirst(Enriches, Operator):
    """Sends something over each packet before it asks."""

    outputs = {"out": "Asked", "log": "Seen"}

    def process(self, packet: Packet) -> None:
        self.send("log", packet.clone())
        self.send("out", packet.clone())
        self.service.ask(packet.get("n"))


class Holds(Enriches, Operator):
    holds = True

    def setup(self) -> None:
        self.kept: list[Packet] = []

    def process(self, packet: Packet) -> None:
        self.service.ask(packet.get("n"))
        self.kept.append(packet)

    def flush(self) -> None:
        kept, self.kept = self.kept, []
        for packet in kept:
            self.send("out", packet)


WIRES = [("start.out", "ask.in"), ("ask.out", "end.in")]


def come_to_an_end(scheduler: Scheduler, clock: Clock) -> None:
    settle(scheduler)
    for _ in range(400):
        if not scheduler.in_flight:
            return
        if scheduler.core.timers.next_s is None:
            scheduler.flush_holds()
        else:
            pass_time(scheduler, clock)
        settle(scheduler)
    raise AssertionError(f"{scheduler.in_flight} epochs are not done")


@pytest.mark.parametrize("kind", [InProcess, AtOnce, InBatch, InLoop, TakesAll, SendsFirst, Holds])
@pytest.mark.parametrize("error", [Unreachable("no answer"), ConnectionRefusedError("nobody"), TimeoutError("late")])
def test_an_outage_costs_no_document_and_no_order(kind: Any, error: Exception) -> None:
    clock, service, end, done = Clock(), Service(), Keep(), list[Epoch]()
    with running({"start": Pass(), "ask": kind(service), "end": end}, WIRES, clock=clock, on_done=done.append) as scheduler:
        submit(scheduler, 3)
        settle(scheduler)
        service.error = error
        before = clock.now
        submit(scheduler, 4, start=3)
        submit(scheduler, 3, start=7)
        settle(scheduler)
        while clock.now < before + 130:
            pass_time(scheduler, clock)
        assert (scheduler.watch.breakers["ask"]["state"], len(done) <= 1) == ("open", True)
        assert service.tries < 60
        service.error = None
        come_to_an_end(scheduler, clock)
        assert scheduler.watch.breakers == {}
    assert end.numbers == list(range(10))
    assert [epoch.dead_letters for epoch in done] == [[], [], []]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", [InProcess, InBatch, SendsFirst])
def test_an_outage_while_a_packet_is_suspected_is_waited_for(kind: Any) -> None:
    """Two suspected packets of two deliveries do not make way for each other for ever."""
    clock, service, end, done = Clock(), Service(), Keep(), list[Epoch]()
    service.refused = {0}
    with running({"start": Pass(), "ask": kind(service), "end": end}, WIRES, clock=clock, on_done=done.append) as scheduler:
        submit(scheduler, 1)
        settle(scheduler)
        submit(scheduler, 1, start=1)
        while end.numbers != [1]:
            pass_time(scheduler, clock)
        service.error = ConnectionRefusedError("nobody")
        submit(scheduler, 1, start=2)
        before = clock.now
        while clock.now < before + 30:
            pass_time(scheduler, clock)
        assert service.tries < 60
        service.error, service.refused = None, set()
        come_to_an_end(scheduler, clock)
    assert sorted(end.numbers) == [0, 1, 2]
    assert [epoch.dead_letters for epoch in done] == [[], [], []]


def test_what_was_sent_before_it_raised_is_taken_back() -> None:
    clock, service, end, log = Clock(), Service(), Keep(), Keep()
    service.error = ConnectionError()
    wires = [*WIRES, ("ask.log", "log.in")]
    with running({"start": Pass(), "ask": SendsFirst(service), "end": end, "log": log}, wires, clock=clock) as scheduler:
        submit(scheduler, 2)
        settle(scheduler)
        for _ in range(5):
            pass_time(scheduler, clock)
        assert (end.numbers, log.numbers) == ([], [])
        service.error = None
        come_to_an_end(scheduler, clock)
    assert (end.numbers, log.numbers) == ([0, 1], [0, 1])


@pytest.mark.parametrize("number", range(10))
def test_what_earlier_packets_sent_goes_on_and_the_rest_is_taken_back(number: int) -> None:
    clock, service, end, log = Clock(), Service(), Keep(), Keep()
    service.refused = {number}
    wires = [*WIRES, ("ask.log", "log.in")]
    nodes = {"start": Pass(), "ask": SendsFirst(service), "end": end, "log": log}
    with running(nodes, wires, clock=clock, limits=Limits(wire_packets=4, wave_packets=16)) as scheduler:
        submit(scheduler, 10)
        settle(scheduler)
        pass_time(scheduler, clock)
        service.refused = set()
        come_to_an_end(scheduler, clock)
    assert (sorted(end.numbers), sorted(log.numbers)) == (list(range(10)), list(range(10)))


def test_a_packet_of_which_much_has_gone_on_is_tried_again_no_longer_than_a_minute() -> None:
    class Bursts(SendsFirst):
        def process(self, packet: Packet) -> None:
            for _ in range(9):
                self.send("out", packet.clone())
            self.service.ask(packet.get("n"))

    clock, service, end, done = Clock(), Service(), Keep(), list[Epoch]()
    service.error = ConnectionError("gone")
    options: dict[str, Any] = {"clock": clock, "on_done": done.append, "limits": Limits(wire_packets=4, wave_packets=4)}
    with running({"start": Pass(), "ask": Bursts(service), "end": end}, WIRES, **options) as scheduler:
        submit(scheduler, 1)
        settle(scheduler)
        while not done:
            pass_time(scheduler, clock)
            settle(scheduler)
        assert 160 <= clock.now <= 240
    assert [letter.code for letter in done[0].dead_letters] == ["retry.exhausted"]


def test_it_is_told_once_that_a_filter_rests_and_that_it_need_not_any_more(caplog: pytest.LogCaptureFixture) -> None:
    clock, service, end, told = Clock(), Service(), Keep(), list[dict[str, str]]()
    service.error = ConnectionError("nobody listens")
    caplog.set_level("INFO")
    with running({"start": Pass(), "ask": InProcess(service), "end": end}, WIRES, clock=clock) as scheduler:
        resting = scheduler.resting
        resting.on_change = lambda: told.append({name: reason for name, (_, reason) in resting.reasons().items()})
        submit(scheduler, 2)
        for _ in range(6):
            pass_time(scheduler, clock)
        service.error = None
        come_to_an_end(scheduler, clock)
    assert told == [{"ask": "ConnectionError: nobody listens"}, {}]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_while_it_rests_nothing_goes_on_that_is_empty(caplog: pytest.LogCaptureFixture) -> None:
    sizes = list[int]()

    class Counts(Transformer):
        def process_batch(self, packets: list[Packet]) -> list[Packet]:
            sizes.append(len(packets))
            return packets

    class Receives(Component):
        def run(self) -> None:
            while True:
                packet = self.receive("in")
                if packet is not None:
                    self.send("out", packet)
                self.yield_ctrl()

    clock, service, end = Clock(), Service(), Keep()
    service.error = ConnectionError()
    nodes = {"start": Pass(), "ask": InProcess(service), "counts": Counts(), "receives": Receives(), "end": end}
    wires = [("start.out", "ask.in"), ("ask.out", "counts.in"), ("ask.out", "receives.in"), ("receives.out", "end.in")]
    with running(nodes, wires, clock=clock) as scheduler:
        submit(scheduler, 2)
        pass_time(scheduler, clock)
        service.error = None
        come_to_an_end(scheduler, clock)
    assert (sizes, end.numbers) == ([2], [0, 1])
    assert [record.message for record in caplog.records if record.exc_info] == []


def test_while_it_rests_only_its_wire_fills_and_other_branches_go_on() -> None:
    clock, service, end, other = Clock(), Service(), Keep(), Keep()
    service.error = ConnectionError()
    size = Packet({"n": 1}).size_bytes()
    limits = Limits(wire_packets=8, wave_packets=8, wire_bytes=100 * size)
    nodes = {"start": Pass(), "ask": InProcess(service), "end": end, "other": other}
    with running(nodes, [*WIRES, ("start.out", "other.in")], clock=clock, limits=limits) as scheduler:
        submit(scheduler, 400, wave=8)
        settle(scheduler)
        assert 90 <= len(other.numbers) <= 120
        for _ in range(5):
            pass_time(scheduler, clock)
            settle(scheduler)
        assert len(other.numbers) <= 120
        service.error = None
        come_to_an_end(scheduler, clock)
    assert end.numbers == other.numbers == list(range(400))


def test_a_source_without_input_only_fails_when_it_is_triggered() -> None:
    class Ticks(Enriches, Component):
        def __init__(self, service: Service) -> None:
            super().__init__(service)
            self.remove_input("in")

        def process(self, packet: Packet) -> None:
            self.service.ask(0)

    service, done = Service(), list[Epoch]()
    service.error = ConnectionError("nobody")
    with running({"ask": Ticks(service), "end": Keep()}, [("ask.out", "end.in")], on_done=done.append) as scheduler:
        scheduler.trigger()
        settle(scheduler)
    assert [letter.code for letter in done[0].dead_letters] == ["component.raised"]


def test_without_breakers_it_fails_at_once() -> None:
    service, done = Service(), list[Epoch]()
    service.error = ConnectionError("nobody")
    options: dict[str, Any] = {"has_breakers": False, "on_done": done.append}
    with running({"start": Pass(), "ask": InProcess(service), "end": Keep()}, WIRES, **options) as scheduler:
        submit(scheduler, 1)
        settle(scheduler)
    assert [letter.code for letter in done[0].dead_letters] == ["component.raised"]


@pytest.mark.parametrize("value", ["text", 5, None, {"n": 1}, b"\x00"])
def test_a_wired_error_port_takes_values_that_are_no_packets(value: Any) -> None:
    class Makes(Transformer):
        def process(self, packet: Packet) -> None:
            self.send("out", value)

    class Fails(Pass):
        def process(self, packet: Packet) -> Packet:
            raise ValueError(packet)

    found: list[Any] = []

    class Finds(Keep):
        def process(self, packet: Packet) -> None:
            found.append(packet)

    done = list[Epoch]()
    nodes = {"start": Makes(), "ask": Fails(), "end": Finds()}
    with running(nodes, [("start.out", "ask.in"), ("ask.error", "end.in")], on_done=done.append) as scheduler:
        submit(scheduler, 1)
        settle(scheduler)
    assert (found, done[0].dead_letters) == ([value], [])
