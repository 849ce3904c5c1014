"""Components that fail when they are told of documents, rest, retry, wait, or are ended meanwhile."""

from __future__ import annotations

import random
import threading
from concurrent.futures import Future, wait
from typing import Any

import pytest

from pypes.component import Component, Operator
from pypes.core.identity import Completed
from pypes.core.limits import Limits
from pypes.errors import Retry
from pypes.packet import Packet
from pypes.runtime.scheduler import FAILED, PUBLISHED, Epoch, Scheduler
from pypes.runtime.scheduler.calls import Calls
from pypes.runtime.scheduler.standstill import LOOK_S, STANDSTILL_S
from tests.runtime.clock import Clock
from tests.runtime.scheduler.destinations import NoRest, pass_time, settle
from tests.runtime.scheduler.graphs import Keep, Pass, packets, running
from tests.runtime.scheduler.told import EVERY, Index, follow, known, nothing_is_left


class Fails(Operator):
    """Drops odd numbers."""

    def process(self, packet: Packet) -> Packet | None:
        return packet if packet.get("n") % 2 == 0 else None


def refusing(kind: type[Index], errors: dict[str, list[Exception]]) -> Index:
    """Raises the errors of documents one after the other when it is told of them, before it notes that it was."""

    class Refuses(kind):  # type: ignore[misc, valid-type]
        def complete(self, documents: list[Completed]) -> int | None:
            for each in documents:
                if errors.get(each.document.id):
                    raise errors[each.document.id].pop(0)
            return super().complete(documents)  # type: ignore[no-any-return]

    return Refuses()


def uncommitted(index: Index) -> list[tuple[Any, ...]]:
    """What was noted after the last commit."""
    last = max((at for at, event in enumerate(index.events) if event == ("commit",)), default=-1)
    return index.events[last + 1 :]


def told_of_four(index: Index) -> list[Epoch]:
    """Run four documents, of which every second is dropped before it; returns the epoch, which is done."""
    done: list[Epoch] = []
    nodes = {"some": Fails(), "index": index}
    with running(nodes, [("some.out", "index.in")], rng=NoRest(), on_done=done.append) as scheduler:
        scheduler.submit(follow([("some", packets(4), range(4))], 4))
        scheduler.drain()
        nothing_is_left(scheduler)
    return done


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("document", ["2", "3"])
def test_it_rests_while_its_service_is_away_and_is_told_again(kind: type[Index], document: str) -> None:
    index = refusing(kind, {document: [ConnectionRefusedError("away")] * 3})
    clock, done = Clock(), list[Epoch]()
    options: dict[str, Any] = {"clock": clock, "rng": random.Random(1), "on_done": done.append}
    with running({"some": Fails(), "index": index}, [("some.out", "index.in")], **options) as scheduler:
        scheduler.submit(follow([("some", packets(4), range(4))], 4))
        scheduler.flush_holds()
        scheduler.run()
        scheduler.flush_holds()
        settle(scheduler)
        assert scheduler.watch.breakers
        assert not done
        while not done:
            pass_time(scheduler, clock)
        assert not scheduler.watch.breakers
        nothing_is_left(scheduler)
    assert sorted(index.told) == [(str(n), True) for n in range(4)]
    assert uncommitted(index) == []
    assert done[0].dead_letters == []


@pytest.mark.parametrize("kind", EVERY)
def test_a_commit_of_completions_alone_that_cannot_reach_its_service_is_done_again(kind: type[Index]) -> None:
    class Away(kind):  # type: ignore[misc, valid-type]
        times = 2

        def commit(self) -> None:
            if self.times:
                self.times -= 1
                raise ConnectionResetError
            super().commit()

    index = Away()
    clock, done = Clock(), list[Epoch]()
    with running({"some": Fails(), "index": index}, [("some.out", "index.in")], clock=clock, on_done=done.append) as scheduler:
        scheduler.submit(follow([("some", packets(1, 1), (0,))], 1))
        settle(scheduler)
        while not done:
            pass_time(scheduler, clock)
        nothing_is_left(scheduler)
    assert index.events == [("told", "0", True)] * 3 + [("commit",)]


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("document", ["2", "3"])
def test_one_that_asks_to_be_told_later_is(kind: type[Index], document: str) -> None:
    index = refusing(kind, {document: [Retry(), Retry()]})
    done = told_of_four(index)
    assert sorted(index.told) == [(str(n), True) for n in range(4)]
    assert (done[0].dead_letters, bytes(done[0].flags)) == ([], bytes((1, 0, 1, 0)))


@pytest.mark.parametrize("error", [ValueError("no"), Retry()])
def test_a_document_without_packets_over_which_it_always_raises_is_a_dead_letter(error: Exception) -> None:
    index = refusing(Index, {"1": [error] * 100})
    done = told_of_four(index)
    assert sorted(index.told) == [("0", True), ("2", True), ("3", True)]
    (letter,) = done[0].dead_letters
    # five times with the others, and once by itself
    code, attempts = ("retry.exhausted", 6) if isinstance(error, Retry) else ("component.complete", 1)
    assert (letter.documents, letter.filter, letter.component) == ((1,), "index", "Refuses")
    assert (letter.code, letter.attempts, letter.packet, letter.is_whole) == (code, attempts, b"", False)
    assert bytes(done[0].flags) == bytes((PUBLISHED, FAILED, PUBLISHED, 0))


@pytest.mark.parametrize("kind", EVERY)
def test_one_that_raises_over_a_document_fails_its_packets_and_no_others(kind: type[Index]) -> None:
    class Refuses(kind):  # type: ignore[misc, valid-type]
        """Does not replace one of the documents."""

        def complete(self, documents: list[Completed]) -> int | None:
            if any(each.is_whole and each.document.id == "1" for each in documents):
                raise ValueError("no")
            return super().complete(documents)  # type: ignore[no-any-return]

    index = Refuses()
    done: list[Epoch] = []
    with running({"start": Pass(), "index": index}, [("start.out", "index.in")], on_done=done.append) as scheduler:
        for n in range(3):
            scheduler.submit(follow([("start", packets(1, n), (0,))], 1, [n], identities={0: known(n)[n]}))
        scheduler.drain()
        nothing_is_left(scheduler)
    by_number = {epoch.feed.deliveries[0]: epoch for epoch in done}
    assert {n: bytes(epoch.flags) for n, epoch in by_number.items()} == {0: b"\1", 1: b"\2", 2: b"\1"}
    assert {n: len(epoch.dead_letters) for n, epoch in by_number.items()} == {0: 0, 1: 1, 2: 0}
    assert dict(index.told) == {"0": True, "1": False, "2": True}


def test_a_result_that_is_no_count_fails() -> None:
    class Says(Index):
        def complete(self, documents: list[Completed]) -> Any:
            return "three"

    done: list[Epoch] = []
    nodes = {"some": Fails(), "index": Says()}
    with running(nodes, [("some.out", "index.in")], on_done=done.append) as scheduler:
        scheduler.submit(follow([("some", packets(1, 1), (0,))], 1))
        scheduler.drain()
    (letter,) = done[0].dead_letters
    assert (letter.code, "complete returned a str" in letter.error) == ("component.returned", True)


class Offloads(Index):
    """Waits, when it is told, until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go = threading.Event()

    def complete(self, documents: list[Completed]) -> int | None:
        self.offload(self.may_go.wait, 10)
        return super().complete(documents)


class OffloadsInLoop(Offloads):
    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                self.process(packet)
            self.yield_ctrl()


@pytest.mark.parametrize("kind", [Offloads, OffloadsInLoop])
@pytest.mark.parametrize("n", [0, 1])
def test_it_may_wait_for_a_call_while_others_go_on(kind: type[Offloads], n: int) -> None:
    index, keep = kind(), Keep()
    nodes = {"some": Fails(), "index": index, "keep": keep}
    with running(nodes, [("some.out", "index.in"), ("some.out", "keep.in")]) as scheduler:
        scheduler.submit(follow([("some", packets(1, n), (0,))], 1))
        scheduler.run()
        scheduler.submit(follow([("keep", packets(1, 7), (0,))], 1, identities=None))
        scheduler.run()
        assert 7 in keep.numbers
        assert index.told == []
        index.may_go.set()
        scheduler.drain()
        nothing_is_left(scheduler)
    assert index.told == [("0", True)]
    assert index.events[-1] == ("commit",)


@pytest.mark.parametrize("kind", [Offloads, OffloadsInLoop])
def test_no_turn_begins_before_it_has_been_told(kind: type[Offloads]) -> None:
    index = kind()
    with running({"some": Fails(), "index": index}, [("some.out", "index.in")]) as scheduler:
        scheduler.submit(follow([("some", packets(1, 1), (0,))], 1))
        scheduler.run()
        scheduler.submit(follow([("some", packets(1, 0), (0,))], 1, identities=known(0, receipt="s")))
        scheduler.run()
        index.may_go.set()
        scheduler.drain()
        nothing_is_left(scheduler)
    told = [("told", "0", True), ("commit",)]
    assert index.events == [*told, ("put", 0), *told]


@pytest.mark.parametrize("kind", [Offloads, OffloadsInLoop])
@pytest.mark.parametrize("errors", [[], [Retry(0.001)]])
def test_it_goes_on_after_a_call_that_ends_at_once(
    errors: list[Exception], kind: type[Offloads], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Asks(kind):  # type: ignore[misc, valid-type]
        def complete(self, documents: list[Completed]) -> int | None:
            result = super().complete(documents)
            if errors:
                raise errors.pop()
            return result  # type: ignore[no-any-return]

    def start(calls: Calls, *args: Any) -> Future[Any]:
        future = begin(calls, *args)
        wait([future], 10)
        return future

    begin = Calls.start
    monkeypatch.setattr(Calls, "start", start)
    index = Asks()
    index.may_go.set()
    with running({"some": Fails(), "index": index}, [("some.out", "index.in")]) as scheduler:
        for n in (1, 0):
            scheduler.submit(follow([("some", packets(1, n), (0,))], 1))
            scheduler.drain()
        nothing_is_left(scheduler)
    assert index.events[-3:] == [("put", 0), ("told", "0", True), ("commit",)]


@pytest.mark.parametrize("kind", [Offloads, OffloadsInLoop])
def test_the_graph_can_be_ended_while_one_waits(kind: type[Offloads]) -> None:
    index = kind()
    with running({"some": Fails(), "index": index}, [("some.out", "index.in")]) as scheduler:
        scheduler.submit(follow([("some", packets(1, 1), (0,))], 1))
        scheduler.run()
        assert scheduler.core.calls.running == 1
    index.may_go.set()
    assert index.told == []


def test_what_waits_for_one_that_rests_does_not_stand_still() -> None:
    clock, done = Clock(), list[Epoch]()
    index = refusing(Index, {"0": [ConnectionRefusedError("away")] * 20})
    nodes = {"some": Fails(), "index": index, "keep": Keep()}
    wires = [("some.out", "index.in"), ("some.out", "keep.in")]
    with running(nodes, wires, clock=clock, on_done=done.append) as scheduler:
        scheduler.submit(follow([("some", packets(1, 1), (0,))], 1))
        settle(scheduler)
        while not done:
            assert look(scheduler, clock) == []
            pass_time(scheduler, clock)
    assert clock.now > STANDSTILL_S
    assert index.told == [("0", True)]


def look(scheduler: Scheduler, clock: Clock) -> list[Any]:
    scheduler.standstill.look()
    return [each for epoch in scheduler.epochs for each in epoch.dead_letters]


def test_a_graph_that_stood_still_goes_on_without_what_it_had() -> None:
    index, done = Index(), list[Epoch]()
    clock = Clock()
    with running({"start": Pass(), "index": index}, [("start.out", "index.in")], clock=clock, on_done=done.append) as scheduler:
        epoch = scheduler.submit(follow([("start", packets(2), range(2))], 2))
        scheduler.feeds.pull()
        scheduler.standstill.end_all()
        assert done == [epoch]
        nothing_is_left(scheduler)
        scheduler.submit(follow([("start", packets(1, 5), (0,))], 1))
        scheduler.drain()
        nothing_is_left(scheduler)
    assert index.events == [("put", 5), ("told", "0", True), ("commit",)]
    assert LOOK_S < STANDSTILL_S


def test_feeds_wait_while_too_many_documents_wait_to_be_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pypes.runtime.scheduler.completing.MOST_UNTOLD", 20)
    clock, done = Clock(), list[Epoch]()
    index = refusing(Index, {"0": [ConnectionRefusedError("away")] * 3})
    fed: list[int] = []

    class Drops(Operator):
        def process(self, packet: Packet) -> None:
            fed.append(packet.get("n"))

    nodes: dict[str, Component] = {"drops": Drops(), "index": index}
    batches = (("drops", packets(5, 5 * n), range(5 * n, 5 * n + 5)) for n in range(40))
    with running(nodes, [("drops.out", "index.in")], clock=clock, on_done=done.append, limits=Limits()) as scheduler:
        scheduler.submit(follow(batches, 200))
        settle(scheduler)
        assert 20 <= len(fed) <= 25
        assert not scheduler.stands_still
        while not done:
            pass_time(scheduler, clock)
        nothing_is_left(scheduler)
    assert len(fed) == len(index.told) == 200


def test_a_document_that_is_too_large_for_a_join_is_not_whole_behind_it() -> None:
    class Splits(Operator):
        """As many packets as the document says into one branch, one into the other."""

        outputs = {"out": "", "other": ""}

        def process(self, packet: Packet) -> Packet:
            for _ in range(packet.get("rows")):
                self.send("other", Packet({"text": "x" * 100}))
            return packet

    class Join(Operator):
        inputs = {"in": "", "in2": ""}

        def process(self, packet: Packet) -> Packet:
            return packet

    class Counts(Index):
        def process(self, packet: Packet) -> None:
            return None

    before, behind = Counts(), Counts()
    nodes = {"splits": Splits(), "a": Pass(), "b": Pass(), "join": Join(), "behind": behind, "before": before}
    wires = [
        ("splits.out", "a.in"),
        ("a.out", "join.in"),
        ("splits.other", "b.in"),
        ("b.out", "join.in2"),
        ("join.out", "behind.in"),
    ]
    done: list[Epoch] = []
    limits = Limits(wire_packets=4, wire_bytes=4096)
    with running(nodes, [*wires, ("a.out", "before.in")], on_done=done.append, limits=limits) as scheduler:
        given = [Packet({"rows": rows}) for rows in (3, 400, 5)]
        scheduler.submit(follow([("splits", given, range(3))], 3))
        scheduler.drain()
        nothing_is_left(scheduler)
    assert {letter.code for letter in done[0].dead_letters} == {"wire.overflow"}
    assert sorted(behind.told) == [("0", True), ("1", False), ("2", True)]
    assert sorted(before.told) == [(str(n), True) for n in range(3)]
