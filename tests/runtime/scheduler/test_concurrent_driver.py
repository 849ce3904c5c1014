"""Components that work on several packets at once: calls overlap, and all else is as with one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from pypes.component import Component, Operator, Transformer
from pypes.core.limits import Limits
from pypes.errors import InvalidComponent, Retry
from pypes.packet import Packet
from pypes.runtime.scheduler import Epoch, Feed, Scheduler, concurrent_driver
from tests.runtime.scheduler.graphs import Keep, Pass, graph_of, packets, running

WIRES = [("ask.out", "end.in")]

#: Calls that wait for each other give up after so long: then they did not overlap.
PATIENCE_S = 10.0


class Asks(Transformer):
    """Asks a service for each packet, several at once."""

    concurrency = 4

    def __init__(self, ask: Callable[[int], Any]) -> None:
        super().__init__()
        self.ask = ask
        self.ended: list[int] = []

    def process(self, packet: Packet) -> Packet:
        n = packet.get("n")
        try:
            packet.set("answer", self.offload(self.ask, n))
        finally:
            self.ended.append(n)
        return packet


class Width:
    """A service that counts how many ask at once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = self.most = 0

    def __call__(self, n: int) -> None:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        with self.lock:
            self.inside -= 1


def push(scheduler: Scheduler, name: str, *counts: int) -> None:
    """So many documents for each delivery, numbered on."""
    start = 0
    for count in counts:
        scheduler.submit(Feed(iter([(name, packets(count, start), range(count))]), count, [start]))
        start += count


@pytest.mark.parametrize("counts", [(12,), (5, 7), (1,) * 12])
def test_calls_overlap_whichever_deliveries_their_packets_belong_to(counts: tuple[int, ...]) -> None:
    """Each call waits until all have been made."""
    together = threading.Barrier(12)
    ask, end, done = Asks(lambda n: together.wait(PATIENCE_S)), Keep(), list[Epoch]()
    ask.concurrency = 12
    with running({"ask": ask, "end": end}, WIRES, on_done=done.append) as scheduler:
        push(scheduler, "ask", *counts)
        scheduler.drain()
    assert end.numbers == list(range(12))
    assert not any(epoch.dead_letters for epoch in done)
    assert len(done) == len(counts)


def test_no_more_than_it_says_are_out() -> None:
    width, end = Width(), Keep()
    with running({"ask": Asks(width), "end": end}, WIRES) as scheduler:
        push(scheduler, "ask", 40)
        scheduler.drain()
    assert width.most <= 4
    assert end.numbers == list(range(40))


def test_what_goes_on_keeps_the_order_of_what_came() -> None:
    """Each call ends only after the next one has."""
    ended = [threading.Event() for _ in range(5)]
    ended[4].set()

    def ask(n: int) -> None:
        assert ended[n % 4 + 1].wait(PATIENCE_S)
        ended[n % 4].set()

    asks, end = Asks(ask), Keep()
    with running({"ask": asks, "end": end}, WIRES) as scheduler:
        push(scheduler, "ask", 4)
        scheduler.drain()
    assert asks.ended == [3, 2, 1, 0]
    assert end.numbers == [0, 1, 2, 3]


def test_one_that_fails_costs_only_its_own_document() -> None:
    def ask(n: int) -> int:
        return 1 // (n % 3)

    asks, end, done = Asks(ask), Keep(), list[Epoch]()
    with running({"ask": asks, "end": end}, WIRES, on_done=done.append) as scheduler:
        push(scheduler, "ask", 9)
        scheduler.drain()
    assert end.numbers == [1, 2, 4, 5, 7, 8]
    [epoch] = done
    assert [(letter.documents, letter.filter) for letter in epoch.dead_letters] == [((n,), "ask") for n in (0, 3, 6)]


def test_one_that_fails_when_it_is_tried_again_is_let_go() -> None:
    errors: list[Exception] = [Retry(0.001), ValueError("no")]

    def ask(n: int) -> None:
        raise errors.pop(0)

    asks, done = Asks(ask), list[Epoch]()
    with running({"ask": asks, "end": Keep()}, WIRES, on_done=done.append) as scheduler:
        push(scheduler, "ask", 1)
        scheduler.drain()
        assert [len(driver.attempts) for driver in scheduler.drivers] == [0, 0]
    assert [letter.code for letter in done[0].dead_letters] == ["component.raised"]


def test_a_packet_may_send_more_than_a_wire_holds() -> None:
    class Many(Operator):
        concurrency = 3

        def process(self, packet: Packet) -> None:
            n = self.offload(packet.get, "n")
            for each in range(10):
                self.send("out", Packet({"n": 10 * n + each}))

    end, done = Keep(), list[Epoch]()
    with running({"ask": Many(), "end": end}, WIRES, limits=Limits(wire_packets=4), on_done=done.append) as scheduler:
        push(scheduler, "ask", 7, 2)
        scheduler.drain()
    assert end.numbers == list(range(90))
    assert [[epoch.fate_of(n).outcome for n in range(epoch.feed.documents)] for epoch in done] == [
        ["published"] * 7,
        ["published"] * 2,
    ]


def test_what_had_sent_more_than_a_wire_holds_is_tried_again_and_sends_again() -> None:
    """It cannot be taken back, so the packet does not wait with the others, but is no dead letter either."""

    class Falters(Operator):
        concurrency = 3

        def setup(self) -> None:
            self.tries = 0

        def process(self, packet: Packet) -> None:
            for each in range(10):
                self.send("out", Packet({"n": each}))
            self.tries += 1
            if self.tries == 1:
                raise ConnectionRefusedError("nobody")

    end, done = Keep(), list[Epoch]()
    with running({"ask": Falters(), "end": end}, WIRES, limits=Limits(wire_packets=4), on_done=done.append) as scheduler:
        push(scheduler, "ask", 1)
        scheduler.drain()
    assert not done[0].dead_letters
    assert end.numbers == [*range(10), *range(10)]


def test_what_is_not_sent_on_was_dropped_here() -> None:
    class Even(Operator):
        concurrency = 3

        def process(self, packet: Packet) -> Packet | None:
            return None if self.offload(packet.get, "n") % 2 else packet

    end, done = Keep(), list[Epoch]()
    with running({"ask": Even(), "end": end}, WIRES, on_done=done.append) as scheduler:
        push(scheduler, "ask", 4)
        scheduler.drain()
    assert end.numbers == [0, 2]
    fates = [done[0].fate_of(n) for n in range(4)]
    assert [(fate.outcome, fate.filter) for fate in fates] == [("published", ""), ("dropped", "ask")] * 2


def test_each_packet_is_the_current_one_when_its_code_runs() -> None:
    seen: list[tuple[int, int]] = []

    class Looks(Transformer):
        concurrency = 4

        def process(self, packet: Packet) -> Packet:
            self.offload(together.wait, PATIENCE_S)
            assert self._run_context is not None
            seen.append((packet.get("n"), self._run_context.current().get("n")))
            return packet

    together = threading.Barrier(4)
    with running({"ask": Looks(), "end": Keep()}, WIRES) as scheduler:
        push(scheduler, "ask", 4)
        scheduler.drain()
    assert sorted(seen) == [(n, n) for n in range(4)]


def test_a_source_is_triggered_once() -> None:
    class Source(Component):
        __metatype__ = "ADAPTER"
        inputs = {}
        outputs = {"out": ""}
        concurrency = 2

        def process(self, packet: Any) -> None:
            for n in self.offload(range, 3):
                self.send("out", Packet({"n": n}))

    end = Keep()
    with running({"ask": Source(), "end": end}, WIRES) as scheduler:
        scheduler.trigger()
        scheduler.drain()
    assert end.numbers == [0, 1, 2]


def test_a_lone_run_works_on_one_at_a_time() -> None:
    """It must be known which packet is to blame if the process dies."""
    width, end = Width(), Keep()
    with running({"ask": Asks(width), "end": end}, WIRES) as scheduler:
        scheduler.record_turn = lambda name, document: None
        push(scheduler, "ask", 9)
        scheduler.drain()
    assert width.most == 1
    assert end.numbers == list(range(9))


def test_several_wired_inputs_are_worked_on_one_at_a_time() -> None:
    class Join(Asks):
        inputs = {"in": "", "in2": ""}

    width, end = Width(), Keep()
    wires = [("a.out", "ask.in"), ("a.out", "ask.in2"), *WIRES]
    with running({"a": Pass(), "ask": Join(width), "end": end}, wires) as scheduler:
        push(scheduler, "a", 6)
        scheduler.drain()
    assert width.most == 1
    assert sorted(end.numbers) == sorted([*range(6), *range(6)])


def test_what_is_out_is_ended_with_the_graph() -> None:
    hold = threading.Event()
    asks = Asks(lambda n: hold.wait(PATIENCE_S))
    try:
        with running({"ask": asks, "end": Keep()}, WIRES) as scheduler:
            push(scheduler, "ask", 9)
            scheduler.run()
            assert asks.ended == []
        assert asks.ended == [0, 1, 2, 3]
    finally:
        hold.set()


def test_a_fault_of_the_runtime_costs_what_was_out_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a call that ends after that is not gone on with."""
    hold = threading.Event()
    asks, end, done = Asks(lambda n: hold.wait(PATIENCE_S)), Keep(), list[Epoch]()

    def fails(*args: Any) -> None:
        monkeypatch.undo()
        raise MemoryError("bookkeeping")

    with running({"ask": asks, "end": end}, WIRES, on_done=done.append) as scheduler:
        push(scheduler, "ask", 3)
        scheduler.run()
        monkeypatch.setattr(concurrent_driver, "Item", fails)
        push(scheduler, "ask", 2)
        scheduler.run()
        hold.set()
        scheduler.drain()
        push(scheduler, "ask", 1)
        scheduler.drain()
    assert sorted(asks.ended) == [0, 0, 1, 2]
    assert end.numbers == [0]
    assert [[letter.documents for letter in epoch.dead_letters] for epoch in done] == [[(0,), (1,), (2,)], [(0,), (1,)], []]


class Batches(Transformer):
    concurrency = 2

    def process_batch(self, packets: list[Packet]) -> list[Packet]:
        return packets


class Loop(Component):
    concurrency = 2

    def run(self) -> None:
        self.yield_ctrl()


class Holds(Asks):
    holds = True


class Publishes(Keep):
    concurrency = 2


class Alone(Asks):
    isolated = True


@pytest.mark.parametrize(
    ("component", "reason"),
    [
        (Batches(), "only a component with process"),
        (Loop(), "only a component with process"),
        (Holds(print), "only a component with process"),
        (Publishes(), "a publisher has one commit"),
        (Alone(print), "an isolated component"),
    ],
)
def test_what_cannot_work_on_several_says_so(component: Component, reason: str) -> None:
    with pytest.raises(InvalidComponent, match=f"{type(component).__name__}: {reason}.*leave out concurrency"):
        Scheduler(graph_of({"ask": component}, []), {"ask": component})


@pytest.mark.parametrize("value", [0, -1, 65, 2.0, True, "4", None])
def test_a_concurrency_that_is_no_number_of_packets_is_refused(value: Any) -> None:
    ask = Asks(print)
    ask.concurrency = value
    with pytest.raises(InvalidComponent, match="concurrency must be"):
        Scheduler(graph_of({"ask": ask}, []), {"ask": ask})
