"""Wires before filters that rest are shut, and open again: senders go on as soon as there is something for them to do."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.component import Component, Transformer
from pypes.core.limits import Limits
from pypes.packet import Packet
from pypes.runtime.scheduler import Epoch
from tests.runtime.clock import Clock
from tests.runtime.scheduler.destinations import settle, submit
from tests.runtime.scheduler.graphs import Keep, Pass, running
from tests.runtime.scheduler.test_resting import (
    WIRES,
    Enriches,
    InBatch,
    InLoop,
    InProcess,
    Service,
    TakesAll,
    come_to_an_end,
)


class Picky(Enriches, Transformer):
    """Asks its service, and takes no number."""

    def process(self, packet: Packet) -> Packet:
        self.service.ask(packet.get("n"))
        raise ValueError("not this one")


class PickyLoop(Enriches, Component):
    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                self.service.ask(packet.get("n"))
                raise ValueError("not this one")
            self.yield_ctrl()


@pytest.mark.parametrize("kind", [Picky, PickyLoop])
def test_the_sender_goes_on_when_all_that_is_tried_fails_for_reasons_of_its_own(kind: Any) -> None:
    clock, service, done = Clock(), Service(), list[Epoch]()
    service.error = ConnectionError("nobody")
    limits = Limits(wire_packets=4, wave_packets=4, wire_bytes=1)
    nodes: dict[str, Component] = {"start": Pass(), "ask": kind(service), "next": Pass(), "end": Keep()}
    wires = [("start.out", "ask.in"), ("ask.out", "next.in"), ("next.out", "end.in")]
    with running(nodes, wires, clock=clock, limits=limits, on_done=done.append) as scheduler:
        submit(scheduler, 40, wave=4)
        settle(scheduler)
        service.error = None
        come_to_an_end(scheduler, clock)
    assert sorted(n for letter in done[0].dead_letters for n in letter.documents) == list(range(40))
    assert {letter.code for letter in done[0].dead_letters} == {"component.raised"}


def test_a_wire_that_was_extended_takes_no_more_than_usual_when_its_consumer_succeeds() -> None:
    clock, service = Clock(), Service()
    service.error = ConnectionError("nobody")
    limits = Limits(wire_packets=4, wave_packets=4, wire_bytes=20 * Packet({"n": 1}).size_bytes())
    nodes: dict[str, Component] = {"start": Pass(), "ask": InProcess(service), "end": Keep()}
    with running(nodes, WIRES, clock=clock, limits=limits) as scheduler:
        for low in range(0, 80, 4):
            submit(scheduler, 4, low)
        settle(scheduler)
        wire = scheduler.wires[0]
        assert wire.parked is not None
        service.error = None
        sent: list[int] = []
        unpark, wire_type = type(wire).unpark, type(wire)

        def told(self: Any) -> None:
            if self is wire:
                sent.append(self.packets)
            unpark(self)

        wire_type.unpark = told  # type: ignore[method-assign]
        try:
            come_to_an_end(scheduler, clock)
        finally:
            wire_type.unpark = unpark  # type: ignore[method-assign]
    assert max(sent) < 4


@pytest.mark.parametrize("kind", [InProcess, InBatch, InLoop, TakesAll])
def test_the_sender_goes_on_when_all_that_is_tried_is_given_up(kind: Any) -> None:
    clock, service, done = Clock(), Service(), list[Epoch]()
    service.refused = set(range(4))
    limits = Limits(wire_packets=1, wave_packets=1, wire_bytes=1, unreachable_s=1.0)
    nodes: dict[str, Component] = {"start": Pass(), "ask": kind(service), "end": Keep()}
    with running(nodes, WIRES, clock=clock, limits=limits, on_done=done.append) as scheduler:
        for number in range(4):
            submit(scheduler, 1, number)
        come_to_an_end(scheduler, clock)
    assert [len(epoch.dead_letters) for epoch in done] == [1] * 4
    assert {letter.code for epoch in done for letter in epoch.dead_letters} == {"retry.exhausted"}
