"""Whatever a component raises, wherever: its packet fails, its neighbours and the next document do not."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pypes import component
from pypes.component import Adapter, Component, Operator, Transformer
from pypes.core.shown import REASON_CHARS, TRACE_CHARS
from pypes.errors import ComponentError
from pypes.packet import Packet
from pypes.pipeline import Pipeline
from pypes.runtime.scheduler import Epoch, Feed, Scheduler
from pypes.runtime.scheduler.process_driver import ProcessDriver
from pypes.runtime.scheduler.tracing import Trace
from pypes.runtime.scheduler.wire import Wire
from tests.runtime.clock import Clock
from tests.runtime.scheduler.destinations import pass_time
from tests.runtime.scheduler.exceptions import RAISING
from tests.runtime.scheduler.graphs import Keep, Pass, graph_of, packets, running


@pytest.fixture(autouse=True)
def _as_in_an_instance() -> Iterator[None]:
    """Ctrl-C is ignored, so that ``KeyboardInterrupt`` is the component's own."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


class Odd(Component):
    """Base of those that do ``work`` over packet 3, where their name says."""

    max_attempts = 1
    work: Callable[[], Any]

    def look(self, packet: Packet) -> Packet:
        if packet.get("n") == 3:
            self.work()
        return packet


class InProcess(Odd, Transformer):
    def process(self, packet: Packet) -> Packet:
        return self.look(packet)


class AfterSending(Odd, Operator):
    def process(self, packet: Packet) -> None:
        self.look(packet)
        self.send("out", packet)


class InBatch(Odd, Transformer):
    def process_batch(self, packets: list[Packet]) -> list[Packet]:
        return [self.look(packet) for packet in packets]


class InGenerator(Odd, Transformer):
    def process_batch(self, packets: list[Packet]) -> Iterator[Packet]:
        for packet in packets:
            # Python makes a RuntimeError of a StopIteration here
            yield self.look(packet)


class InLoop(Odd, Transformer):
    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                self.send("out", self.look(packet))
            self.yield_ctrl()


class InReceiving(Odd, Transformer):
    def run(self) -> None:
        while True:
            while (packet := self.receive("in")) is not None:
                self.send("out", self.look(packet))
            self.yield_ctrl()


class InThread(Odd, Transformer):
    def process(self, packet: Packet) -> Packet:
        result: Packet = self.offload(self.look, packet)
        return result


class InAdapter(Odd, Adapter):
    def process(self, packet: Packet) -> Packet:
        return self.look(packet)


class InPublisher(Odd, Keep):
    def process(self, packet: Packet) -> None:
        super().process(self.look(packet))


class InPublishersBatch(Odd, Keep):
    def process_batch(self, packets: list[Packet]) -> None:
        for packet in packets:
            self.look(packet)
        for packet in packets:
            self.process(packet)


class InCommit(Odd, Keep):
    def commit(self) -> None:
        taken, self.open = self.open, []
        if 3 in taken:
            self.work()
        self.numbers += taken


class InPublishersLoop(Odd, Keep):
    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                self.process(self.look(packet))
            self.yield_ctrl()


def in_function(work: Callable[[], Any]) -> Component:
    @component
    def odd(packet: Packet) -> Packet:
        if packet.get("n") == 3:
            work()
        return packet

    odd.max_attempts = 1
    made: Component = odd()
    return made


def in_generator_function(work: Callable[[], Any]) -> Component:
    @component
    def odd(packet: Packet) -> Iterator[Packet]:
        if packet.get("n") == 3:
            work()
        yield packet

    odd.max_attempts = 1
    made: Component = odd()
    return made


def _made(cls: type[Odd]) -> Callable[[Callable[[], Any]], Component]:
    def make(work: Callable[[], Any]) -> Component:
        made = cls()
        made.work = work
        return made

    return make


PLACES: dict[str, Callable[[Callable[[], Any]], Component]] = {
    cls.__name__: _made(cls)
    for cls in (
        *(InProcess, AfterSending, InBatch, InGenerator, InLoop, InReceiving, InThread, InAdapter),
        *(InPublisher, InPublishersBatch, InCommit, InPublishersLoop),
    )
} | {"function": in_function, "generator function": in_generator_function}


def push(scheduler: Scheduler, values: list[Any]) -> None:
    scheduler.submit(Feed(iter([("start", values, range(len(values)))]), len(values)))
    scheduler.drain()


@pytest.mark.parametrize("kind", RAISING)
@pytest.mark.parametrize("place", PLACES)
def test_one_packet_fails(place: str, kind: str) -> None:
    odd = PLACES[place](RAISING[kind])
    keep = odd if isinstance(odd, Keep) else Keep()
    nodes: dict[str, Component] = {"start": Pass(), "odd": odd}
    wires = [("start.out", "odd.in")]
    if keep is not odd:
        nodes |= {"after": Pass(), "keep": keep}
        wires += [("odd.out", "after.in"), ("after.out", "keep.in")]
    done: list[Epoch] = []
    with running(nodes, wires, on_done=done.append) as scheduler:
        push(scheduler, packets(6))
        assert sorted(keep.numbers) == [0, 1, 2, 4, 5]
        assert [done[0].fate_of(n).outcome for n in range(6)] == [
            *("published", "published", "published", "failed", "published", "published")
        ]
        [letter] = done[0].dead_letters
        assert (letter.documents, letter.filter) == ((3,), "odd")
        letter.error.encode(), letter.traceback.encode()
        assert letter.error
        assert len(letter.error) <= REASON_CHARS + 100
        assert 0 < len(letter.traceback) <= TRACE_CHARS + 100
        push(scheduler, packets(3, 10))
        push(scheduler, [Packet({"n": 13})])
        assert sorted(keep.numbers) == [0, 1, 2, 4, 5, 10, 11, 12, 13]
        assert scheduler.in_flight == 0


@pytest.mark.parametrize("kind", RAISING)
def test_a_packet_that_comes_alone_fails(kind: str) -> None:
    odd, keep = PLACES["InProcess"](RAISING[kind]), Keep()
    done: list[Epoch] = []
    with running({"start": odd, "keep": keep}, [("start.out", "keep.in")], on_done=done.append) as scheduler:
        push(scheduler, [Packet({"n": 3})])
        push(scheduler, [Packet({"n": 4})])
    assert keep.numbers == [4]
    assert [len(epoch.dead_letters) for epoch in done] == [1, 0]


@pytest.mark.parametrize("kind", RAISING)
@pytest.mark.parametrize("style", ["process", "run"])
def test_what_is_held_fails_with_flush(kind: str, style: str) -> None:
    class Holds(Transformer):
        holds = True
        broken = True

        def __init__(self) -> None:
            super().__init__()
            self.held: list[Packet] = []

        def process(self, packet: Packet) -> None:
            self.held.append(packet)

        def flush(self) -> list[Packet]:
            held, self.held = self.held, []
            if self.broken:
                RAISING[kind]()
            return held

    class Loops(Holds):
        def run(self) -> None:
            while True:
                for packet in self.receive_all("in"):
                    self.process(packet)
                self.yield_ctrl()

    odd, keep = (Holds() if style == "process" else Loops()), Keep()
    done: list[Epoch] = []
    with running({"start": odd, "keep": keep}, [("start.out", "keep.in")], on_done=done.append) as scheduler:
        push(scheduler, packets(2))
        odd.broken = False
        push(scheduler, packets(1, 5))
    assert [[(each.documents, each.code) for each in epoch.dead_letters] for epoch in done] == [
        [((0,), "component.flush_failed"), ((1,), "component.flush_failed")],
        [],
    ]
    assert keep.numbers == [5]


@pytest.mark.parametrize("kind", RAISING)
def test_set_up_names_the_filter_and_tears_all_down(kind: str) -> None:
    ended = []

    class Odd(Transformer):
        def setup(self) -> None:
            RAISING[kind]()

        def teardown(self) -> None:
            ended.append("odd")
            RAISING[kind]()

    class After(Keep):
        def teardown(self) -> None:
            ended.append("after")

    with pytest.raises(ComponentError) as caught:
        Pipeline(nodes={"odd": Odd, "after": After}, wires=[("odd.out", "after.in")])
    assert (caught.value.code, caught.value.where) == ("graph.setup_failed", "odd")
    assert ended == ["odd", "after"]


def test_set_up_says_of_each_filter_when_it_begins() -> None:
    begun: list[str] = []

    class Odd(Transformer):
        def setup(self) -> None:
            begun.append("set up")

    nodes = {"odd": Odd(), "after": Keep()}
    scheduler = Scheduler(graph_of(nodes, [("odd.out", "after.in")]), nodes)
    scheduler.setup(begun.append)
    scheduler.teardown()
    assert begun == ["odd", "set up", "after"]


def test_a_filter_that_is_ended_in_the_middle_of_a_turn_is_no_failure() -> None:
    seen: list[BaseException] = []
    over = threading.Event()

    class Waits(Transformer):
        def process(self, packet: Packet) -> Packet:
            try:
                self.offload(over.wait, 20)
            except BaseException as error:
                seen.append(error)
                raise
            return packet

    done: list[Epoch] = []
    with running({"start": Waits()}, [], on_done=done.append) as scheduler:
        scheduler.submit(Feed(iter([("start", packets(2), range(2))]), 2))
        while not scheduler.awaits_something:  # a slice may be over before it has come to anything
            scheduler.run()
    over.set()
    assert len(seen) == 1
    assert not done


def test_a_user_who_interrupts_ends_the_run() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    keep = Keep()
    done: list[Epoch] = []
    odd = PLACES["InProcess"](lambda: signal.raise_signal(signal.SIGINT))
    with running({"start": odd, "keep": keep}, [("start.out", "keep.in")], on_done=done.append) as scheduler:
        with pytest.raises(KeyboardInterrupt):
            push(scheduler, packets(6))
        push(scheduler, packets(1, 8))
        assert 8 in keep.numbers
        assert scheduler.in_flight == 0


def test_a_user_who_interrupts_between_two_turns_ends_the_run_too(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = Keep()
    with running({"start": Pass(), "keep": keep}, [("start.out", "keep.in")]) as scheduler:
        with monkeypatch.context() as patched:
            patched.setattr(type(scheduler.feeds), "pull", lambda feeds: signal.raise_signal(signal.SIGINT))
            signal.signal(signal.SIGINT, signal.default_int_handler)
            with pytest.raises(KeyboardInterrupt):
                push(scheduler, packets(1))
        push(scheduler, packets(1, 8))
        assert keep.numbers == [0, 8]
        assert scheduler.in_flight == 0


@pytest.mark.parametrize("is_triggered", [False, True])
def test_a_fault_of_the_runtime_before_a_turn_has_anything_ends_what_waits(
    is_triggered: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Bad(Pass):
        inputs = {} if is_triggered else Pass.inputs

    done: list[Epoch] = []
    nodes = {"bad": Bad(), "last": Keep(), "other": Keep()}
    clock = Clock()
    with running(nodes, [("bad.out", "last.in")], clock=clock, on_done=done.append) as scheduler:
        step = ProcessDriver.step

        def fails(driver: ProcessDriver) -> None:
            if driver.name == "bad":
                raise MemoryError("bookkeeping")
            step(driver)

        monkeypatch.setattr(ProcessDriver, "step", fails)
        if is_triggered:
            scheduler.trigger()
        else:
            scheduler.submit(Feed(iter([("bad", packets(2), range(2)), ("other", packets(1), (2,))]), 3))
        while not done:
            pass_time(scheduler, clock)
        assert [failure.code for failure in done[0].dead_letters] == ["internal"] * (1 if is_triggered else 2)
        assert caplog.text.count("MemoryError: bookkeeping") == 8
        monkeypatch.undo()
        if not is_triggered:
            assert done[0].fate_of(2).outcome == "published"
            scheduler.submit(Feed(iter([("bad", packets(2), range(2))]), 2))
            scheduler.run()
            assert done[1].fate_of(0).outcome == "published"


@pytest.mark.parametrize("style", [InProcess, AfterSending, InBatch, InGenerator, InLoop, InReceiving])
def test_a_fault_of_the_runtime_while_packets_go_on_loses_none(style: type[Odd], monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Epoch] = []
    nodes = {"a": style(), "last": Keep()}
    with running(nodes, [("a.out", "last.in")], on_done=done.append) as scheduler:
        put = Wire.put

        def fails(wire: Wire, epoch: Epoch, values: list[Any], lineages: Any) -> bool:
            if wire is scheduler.wires[0] and any(value.get("n") == 1 for value in values):
                raise MemoryError("bookkeeping")
            return put(wire, epoch, values, lineages)

        monkeypatch.setattr(Wire, "put", fails)
        # one that is traced takes no short cut past the wire
        trace = Trace(lambda value: {}, scheduler.core.clock)
        scheduler.submit(Feed(iter([("a", packets(3), range(3))]), 3, trace=trace))
        scheduler.drain()
    assert done[0].fate_of(1).outcome == "failed"
    assert {done[0].fate_of(n).outcome for n in range(3)} <= {"failed", "published"}
