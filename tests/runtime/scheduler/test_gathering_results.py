"""Results of gathered batches: in which epoch they go on, and what becomes of the documents that they were made of."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.component import Filter, Operator
from pypes.errors import Retry
from pypes.packet import Packet
from pypes.runtime.scheduler import Epoch
from tests.runtime.clock import Clock
from tests.runtime.scheduler.destinations import settle
from tests.runtime.scheduler.gatherers import LONG_S, WIRES, Gathers, chain, numbers, push
from tests.runtime.scheduler.graphs import Keep, Pass, running


def test_what_comes_back_packet_by_packet_goes_on_in_its_own_epoch() -> None:
    """One document is tried again behind the batch; the others are done meanwhile."""

    class Hurt(Gathers):
        def made(self, packets: list[Packet]) -> list[Packet]:
            return [Packet({"n": packet.get("n")}) for packet in packets]

    gather, clock, done = Hurt(3, LONG_S), Clock(), list[Epoch]()
    again = Gathers()
    again.bad = {1: Retry(5.0)}
    nodes = {"in": Pass(), "gather": gather, "again": again, "end": Keep()}
    with running(nodes, [*WIRES[:1], ("gather.out", "again.in"), ("again.out", "end.in")], clock=clock, on_done=done.append) as s:
        push(s, "in", 1, 1, 1)
        settle(s)
        assert [epoch.feed.deliveries for epoch in done] == [[0], [2]]
        assert s.in_flight == 1


@pytest.mark.parametrize("form", [lambda kept, all: kept, lambda kept, all: (p for p in kept)])
def test_packets_that_are_left_out_are_dropped(form: Any) -> None:
    class Even(Gathers):
        def made(self, packets: list[Packet]) -> Any:
            return form([packet for packet in packets if packet.get("n") % 2 == 0], packets)

    check_even(Even(4, LONG_S))


def test_packets_for_which_there_is_none_are_dropped() -> None:
    class Even(Gathers):
        def made(self, packets: list[Packet]) -> Any:
            return [None if packet.get("n") % 2 else packet for packet in packets]

    check_even(Even(4, LONG_S))


def check_even(even: Gathers) -> None:
    done, nodes = list[Epoch](), chain(even)
    with running(nodes, WIRES, clock=Clock(), on_done=done.append) as scheduler:
        push(scheduler, "in", 1, 2, 1)
        settle(scheduler)
    end: Any = nodes["end"]
    assert end.numbers == [0, 2]
    fates = {epoch.feed.deliveries[0] + n: epoch.fate_of(n) for epoch in done for n in range(len(epoch.flags))}
    assert [(fates[n].outcome, fates[n].filter) for n in range(4)] == [("published", ""), ("dropped", "gather")] * 2


class Summary(Gathers):
    """One packet for each batch."""

    def made(self, packets: list[Packet]) -> list[Packet]:
        return [Packet({"n": sum(numbers(packets))})]


def test_what_is_made_of_a_batch_belongs_to_all_of_its_documents() -> None:
    done, nodes = list[Epoch](), chain(Summary(4, LONG_S))
    with running(nodes, WIRES, clock=Clock(), on_done=done.append) as scheduler:
        push(scheduler, "in", 1, 2, 1)
        settle(scheduler)
        assert not scheduler.in_flight
    end: Any = nodes["end"]
    assert end.numbers == [6]
    assert [[fate.outcome for fate in epoch.fates()[0]] for epoch in done] == [["published"]] * 3


def test_what_fails_of_a_batch_fails_all_of_its_documents_with_one_letter() -> None:
    class Fails(Filter):
        def process(self, packet: Packet) -> Packet:
            raise ValueError(packet.get("n"))

    done = list[Epoch]()
    nodes = {"in": Pass(), "gather": Summary(4, LONG_S), "end": Fails()}
    with running(nodes, WIRES, clock=Clock(), on_done=done.append) as scheduler:
        push(scheduler, "in", 1, 2, 1)
        settle(scheduler)
    assert (
        sorted((epoch.fate_of(n).outcome, epoch.fate_of(n).filter) for epoch in done for n in range(len(epoch.flags)))
        == [("failed", "end")] * 4
    )
    assert sum(len(epoch.dead_letters) for epoch in done) == 1


def test_what_is_sent_to_other_ports_belongs_to_the_batch() -> None:
    class Sends(Gathers):
        outputs = {"out": "", "more": ""}

        def made(self, packets: list[Packet]) -> list[Packet]:
            self.send("more", Packet({"n": len(packets)}))
            self.send("out", Packet({"n": -1}))
            return packets

    end, more, done = Keep(), Keep(), list[Epoch]()
    nodes = {"in": Pass(), "gather": Sends(3, LONG_S), "end": end, "more": more}
    with running(nodes, [*WIRES, ("gather.more", "more.in")], clock=Clock(), on_done=done.append) as scheduler:
        push(scheduler, "in", 1, 1, 1)
        settle(scheduler)
    assert (sorted(end.numbers), more.numbers) == ([-1, 0, 1, 2], [3])
    assert [epoch.fate_of(0).takers for epoch in done] == [("end", "more")] * 3


def test_halves_of_a_document_meet_behind_a_batch() -> None:
    class Meets(Operator):
        inputs = {"in": "", "in2": ""}

        def run(self) -> None:
            while True:
                found = [*self.receive_all("in"), *self.receive_all("in2")]
                if found:
                    self.send("out", Packet({"n": 10 * len(found) + found[0].get("n")}))
                self.yield_ctrl()

    end, clock, done = Keep(), Clock(), list[Epoch]()
    nodes = {"in": Pass(), "gather": Gathers(3, 5.0), "meet": Meets(), "end": end}
    wires = [*WIRES[:1], ("in.out", "meet.in"), ("gather.out", "meet.in2"), ("meet.out", "end.in")]
    with running(nodes, wires, clock=clock, on_done=done.append) as scheduler:
        for n in range(4):
            push(scheduler, "in", 1, start=n)
            settle(scheduler)
        assert end.numbers == [20, 21, 22]
        clock.now += 5.0
        scheduler.run()
        assert end.numbers[3:] == [23]
        assert not scheduler.in_flight
