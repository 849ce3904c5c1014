"""What is kept of one epoch while others run beside it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import orjson
import pytest

from pypes.component import Component, Operator, Publisher
from pypes.core.limits import Limits
from pypes.errors import Retry
from pypes.observe.hiding import Hiding
from pypes.packet import Packet
from pypes.runtime.scheduler import Epoch, Feed, Scheduler
from pypes.runtime.scheduler.tracing import BYTES, DOCUMENTS, ERRORS, PACKETS, Passage, Trace
from tests.runtime.scheduler.gatherers import LONG_S, Gathers
from tests.runtime.scheduler.graphs import Hold, Keep, Pass, packets, running
from tests.runtime.scheduler.test_observing import Clock, batches, easy, loop, one_by_one

CHAIN = [("a.out", "b.in"), ("b.out", "end.in")]


def submit(scheduler: Scheduler, count: int, start: int = 0, *, to: str = "a", is_traced: bool = True) -> Trace:
    trace = Trace(Hiding(["secret"]).excerpt, scheduler.core.clock)
    scheduler.submit(Feed(iter([(to, packets(count, start), range(count))]), count, trace=trace if is_traced else None))
    return trace


def shown(forms: list[bytes]) -> list[int]:
    return [orjson.loads(form)["fields"]["n"] for form in forms]


def counts(passage: Passage) -> tuple[int, dict[str, int], int, int, int]:
    sent = {port: out.count for port, out in passage.sent.items()}
    return passage.arrived.count, sent, passage.dropped, passage.failed, passage.published


@pytest.mark.parametrize("make", [easy, batches, loop, one_by_one])
def test_a_chain_is_seen_whole_whichever_way_its_components_are_driven(make: Callable[..., Component]) -> None:
    clock = Clock()

    def work() -> None:
        clock.now_s += 2.0

    nodes = {"a": make(work), "b": make(work), "end": Keep()}
    with running(nodes, CHAIN, clock=clock) as scheduler:
        submit(scheduler, 5, 100, is_traced=False)
        trace = submit(scheduler, 3)
        submit(scheduler, 5, 200, is_traced=False)
        scheduler.drain()
    for name in ("a", "b"):
        passage = trace.of(name)
        assert counts(passage) == (3, {"out": 3}, 0, 0, 0)
        assert (shown(passage.arrived.forms), shown(passage.sent["out"].forms)) == ([0, 1, 2], [0, 1, 2])
        # neither what the others took nor the time in which they ran
        assert (passage.ran_s, passage.taken, passage.attempts) == (6.0, 3, 1)
    assert counts(trace.of("end")) == (3, {}, 0, 0, 3)


def test_nothing_is_left_of_it_in_the_scheduler() -> None:
    with running({"a": Pass(), "b": Pass(), "end": Keep()}, CHAIN) as scheduler:
        submit(scheduler, 1)
        assert scheduler.core.special == 1
        scheduler.drain()
        assert (scheduler.core.special, scheduler.core.turn_times.epochs) == (0, 0)


def test_what_was_sent_is_shown_as_it_was_then_with_hidden_fields() -> None:
    class Changes(Operator):
        def process(self, packet: Packet) -> Packet:
            packet.set("secret", "s")
            packet.set("n", packet.get("n") + 1)
            return packet

    with running({"a": Changes(), "b": Changes(), "end": Keep()}, CHAIN) as scheduler:
        trace = submit(scheduler, 1)
        scheduler.drain()
    assert [shown(trace.of(name).arrived.forms) for name in ("a", "b", "end")] == [[0], [1], [2]]
    form = orjson.loads(trace.of("end").arrived.forms[0])
    assert form == {"documents": [0], "fields": {"n": 2, "secret": "(hidden)"}}


def test_a_packet_that_cannot_be_shown_goes_on() -> None:
    with running({"a": Pass(), "b": Pass(), "end": Keep()}, CHAIN) as scheduler:
        trace = Trace(lambda value: {"fields": object()}, scheduler.core.clock)
        scheduler.submit(Feed(iter([("a", packets(1), range(1))]), 1, trace=trace))
        scheduler.drain()
    assert counts(trace.of("end")) == (1, {}, 0, 0, 1)
    assert "TypeError" in orjson.loads(trace.of("end").arrived.forms[0])["value"]


def test_all_are_counted_and_the_first_documents_shown() -> None:
    class Parts(Operator):
        def process(self, packet: Packet) -> None:
            for _ in range(PACKETS + 5):
                self.send("out", packet.clone())

    with running({"a": Pass(), "b": Parts(), "end": Keep()}, CHAIN) as scheduler:
        trace = submit(scheduler, DOCUMENTS + 40)
        scheduler.drain()
    first, last = trace.of("a"), trace.of("end")
    assert shown(first.arrived.forms) == list(range(DOCUMENTS))
    assert first.arrived.count == DOCUMENTS + 40
    assert (len(last.arrived.forms), last.arrived.count) == (PACKETS, (DOCUMENTS + 40) * (PACKETS + 5))


def test_the_whole_is_bounded_in_bytes() -> None:
    class Large(Pass):
        def process(self, packet: Packet) -> Packet:
            for n in range(50):
                packet.set(f"f{n}", "x" * 1000)
            return packet

    nodes = {f"n{n}": Large() for n in range(30)} | {"end": Keep()}
    names = list(nodes)
    with running(nodes, [(f"{a}.out", f"{b}.in") for a, b in pairwise(names)]) as scheduler:
        trace = submit(scheduler, DOCUMENTS, to="n0")
        scheduler.drain()
    size = sum(len(form) for p in trace.passages.values() for each in (p.arrived, *p.sent.values()) for form in each.forms)
    assert BYTES / 2 < size < BYTES + (64 << 10)
    assert trace.of("end").arrived.count == DOCUMENTS


def test_drops_failures_and_what_stays_as_it_is() -> None:
    class Picky(Operator):
        def process(self, packet: Packet) -> Packet | None:
            n = packet.get("n")
            if n == 0:
                raise ValueError("not nought")
            if n == 1:
                self.keep(packet)
            return packet if n > 2 else None

    with running({"a": Pass(), "b": Picky(), "end": Keep()}, CHAIN) as scheduler:
        trace = submit(scheduler, 4)
        scheduler.drain()
    passage = trace.of("b")
    assert counts(passage) == (4, {"out": 1}, 2, 1, 0)
    assert passage.kept == 1
    [error] = passage.errors
    assert error == {
        "documents": (0,), "code": "component.raised", "error": "ValueError: not nought", "attempt": 1, "is_final": True
    }  # fmt: skip


def test_failures_for_the_error_port_are_told_too() -> None:
    class Bad(Operator):
        def process(self, packet: Packet) -> Packet:
            raise ValueError("bad")

    wires = [("a.error", "b.in"), ("b.out", "end.in")]
    with running({"a": Bad(), "b": Pass(), "end": Keep()}, wires) as scheduler:
        trace = submit(scheduler, 1)
        scheduler.drain()
    passage = trace.of("a")
    assert counts(passage) == (1, {"error": 1}, 0, 1, 0)
    assert passage.errors[0]["error"] == "ValueError: bad"


def test_attempts_are_told_with_their_reasons() -> None:
    class Flaky(Operator):
        tries = 0

        def process(self, packet: Packet) -> Packet:
            self.tries += 1
            if self.tries < 3:
                raise Retry(0.0, f"try {self.tries}")
            return packet

    clock = Clock()
    with running({"a": Flaky(), "b": Pass(), "end": Keep()}, CHAIN, clock=clock) as scheduler:
        trace = submit(scheduler, 1)
        while scheduler.in_flight:
            scheduler.run()
            clock.now_s += 1.0
    passage = trace.of("a")
    assert (passage.attempts, passage.taken) == (3, 3)
    assert counts(passage) == (1, {"out": 1}, 0, 0, 0)
    assert [(error["attempt"], error["is_final"]) for error in passage.errors] == [(1, False), (2, False)]


def test_rests_over_a_service_that_is_away_count_as_attempts() -> None:
    class Away(Publisher):
        tries = 0

        def process(self, packet: Packet) -> None:
            self.tries += 1
            if self.tries < 3:
                raise ConnectionError("away")

    clock = Clock()
    with running({"a": Pass(), "b": Pass(), "end": Away()}, CHAIN, clock=clock) as scheduler:
        trace = submit(scheduler, 1)
        while scheduler.in_flight:
            scheduler.run()
            clock.now_s += 100.0
    passage = trace.of("end")
    assert (passage.attempts, passage.published, passage.failed) == (3, 1, 0)
    assert ["away" in error["error"] for error in passage.errors] == [True, True]


def test_of_many_errors_the_ends_are_told() -> None:
    class Bad(Operator):
        def process(self, packet: Packet) -> Packet:
            raise ValueError(packet.get("n"))

    with running({"a": Bad(), "b": Pass(), "end": Keep()}, CHAIN) as scheduler:
        trace = submit(scheduler, 30)
        scheduler.drain()
    assert (trace.of("a").failed, len(trace.of("a").errors)) == (30, ERRORS)


def test_a_batch_of_several_epochs_shows_its_own_packets_alone() -> None:
    gathers = Gathers(6, LONG_S)
    with running(
        {"in": Pass(), "gather": gathers, "end": Keep()}, [("in.out", "gather.in"), ("gather.out", "end.in")]
    ) as scheduler:
        submit(scheduler, 2, 10, to="in", is_traced=False)
        trace = submit(scheduler, 2, to="in")
        other = submit(scheduler, 2, 20, to="in")
        scheduler.drain()
    assert gathers.batches == [[10, 11, 0, 1, 20, 21]]
    assert shown(trace.of("gather").sent["out"].forms) == [0, 1]
    assert shown(other.of("end").arrived.forms) == [20, 21]
    assert (trace.of("gather").taken, trace.of("end").published) == (2, 2)


def test_what_is_made_of_held_packets_of_several_epochs_belongs_to_each() -> None:
    with running({"hold": Hold(), "end": Keep()}, [("hold.out", "end.in")]) as scheduler:
        traces = [submit(scheduler, 1, n, to="hold", is_traced=n != 1) for n in range(3)]
        scheduler.drain()
    # nobody knows which of them it was made of
    assert [trace.of("hold").sent["out"].count for trace in (traces[0], traces[2])] == [3, 3]
    assert traces[1].passages == {}
    assert traces[0].of("end").published == 3


def test_calls_beside_the_graph_are_told_apart_from_work() -> None:
    class Calls(Operator):
        def process(self, packet: Packet) -> Packet:
            self.offload(lambda: None)
            return packet

    with running({"a": Calls(), "b": Pass(), "end": Keep()}, CHAIN) as scheduler:
        trace = submit(scheduler, 1)
        scheduler.drain()
    assert trace.of("a").waited_s > 0.0
    assert trace.of("b").waited_s == 0.0


def test_documents_that_could_not_be_read_are_told_under_no_filter() -> None:
    def broken() -> Any:
        yield "a", packets(1), range(1)
        raise ValueError("the rest is garbage")

    with running({"a": Pass(), "b": Pass(), "end": Keep()}, CHAIN) as scheduler:
        trace = Trace(Hiding().excerpt, scheduler.core.clock)
        scheduler.submit(Feed(broken(), 3, trace=trace))
        scheduler.drain()
    assert trace.of("").failed == 1
    assert trace.of("").errors[0]["documents"] == (1, 2)


def test_filters_that_wait_for_room_are_traced_whole() -> None:
    class Burst(Operator):
        def process(self, packet: Packet) -> None:
            for each in packets(9):
                self.send("out", each)

    done: list[Epoch] = []
    with running(
        {"a": Burst(), "b": Pass(), "end": Keep()}, CHAIN, limits=Limits(wire_packets=2), on_done=done.append
    ) as scheduler:
        trace = submit(scheduler, 2)
        scheduler.drain()
    assert counts(trace.of("a")) == (2, {"out": 18}, 0, 0, 0)
    assert trace.of("end").published == 18
    assert len(done) == 1
