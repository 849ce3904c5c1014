"""Components are told of documents that are done everywhere."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from pypes.component import Operator
from pypes.core.identity import Completed, Identity, Version
from pypes.core.limits import Limits
from pypes.errors import Retry, Unreachable
from pypes.packet import Packet
from pypes.runtime.scheduler import Epoch
from pypes.runtime.scheduler.completions import Known
from tests.runtime.scheduler.graphs import Hold, Keep, packets, running
from tests.runtime.scheduler.told import Ends, Index, follow, known, nothing_is_left


def shared_index(events: list[Any]) -> Index:
    index = Index()
    index.events = events
    return index


# -- documents that are done everywhere -----------------------------------------------------------------------


def test_it_is_told_after_the_last_commit_and_before_the_epoch_is_done() -> None:
    events: list[Any] = []
    wires = [("ends.out", "index.in"), ("ends.out", "hold.in"), ("hold.out", "keep.in")]
    nodes = {"ends": Ends(events), "index": shared_index(events), "hold": Hold(), "keep": Keep()}

    def done(epoch: Epoch) -> None:
        events.append(("acknowledged", list(nodes["keep"].numbers)))  # type: ignore[attr-defined]

    with running(nodes, wires, on_done=done) as scheduler:
        scheduler.submit(follow([("ends", packets(2), range(2))], 2))
        scheduler.run()
        assert not [event for event in events if event[0] == "done"]
        scheduler.drain()
        nothing_is_left(scheduler)
    told = [("told", "0", True), ("told", "1", True), ("commit",)]
    assert events == [("put", 0), ("put", 1), *told, ("done", "0", True), ("done", "1", True), ("acknowledged", [0, 1])]


def test_documents_of_which_nothing_comes_anywhere_are_done_too() -> None:
    ends = Ends()
    with running({"drop": Drop(), "ends": ends}, [("drop.out", "ends.in")]) as scheduler:
        scheduler.submit(follow([("drop", packets(2), range(2))], 2))
        scheduler.drain()
        nothing_is_left(scheduler)
    assert ends.events == [("done", "0", True), ("done", "1", True)]


def test_documents_without_an_id_are_done_too_and_publishers_are_not_told_of_them() -> None:
    ends, index = Ends(), Index()
    identities = {**known(0), 1: Known(Identity("", ""), Version("r", 1)), **known(2)}
    identities[3] = Known(Identity("", ""), Version("r", 3))
    seen: list[tuple[int, bool]] = []

    def conclude(documents: list[Completed]) -> None:
        seen.extend((each.version.index, each.is_whole) for each in documents)

    ends.conclude = conclude  # type: ignore[method-assign]
    refuse = Refuse()
    with running(
        {"ends": ends, "refuse": refuse, "index": index}, [("ends.out", "refuse.in"), ("refuse.out", "index.in")]
    ) as scheduler:
        scheduler.submit(follow([("ends", packets(4), range(4))], 4, identities=identities))
        scheduler.drain()
        nothing_is_left(scheduler)
    assert sorted(seen) == [(0, True), (1, True), (2, True), (3, False)]
    assert index.told == [("0", True), ("2", True)]


class Refuse(Operator):
    def process(self, packet: Packet) -> Packet:
        if packet.get("n") == 3:
            raise ValueError
        return packet


class Drop(Operator):
    def process(self, packet: Packet) -> None:
        pass


def test_what_fails_anywhere_is_whole_nowhere_else_for_it() -> None:
    class Fails(Keep):
        def process(self, packet: Packet) -> None:
            if packet.get("n") == 1:
                raise ValueError

    ends = Ends()
    wires = [("ends.out", "keep.in"), ("ends.out", "fails.in")]
    with running({"ends": ends, "keep": Keep(), "fails": Fails()}, wires) as scheduler:
        scheduler.submit(follow([("ends", packets(3), range(3))], 3))
        scheduler.drain()
        nothing_is_left(scheduler)
    assert ends.events == [("done", "0", True), ("done", "1", False), ("done", "2", True)]


@pytest.mark.parametrize("error", [lambda: Retry(0.001), lambda: Unreachable(0.001)])
def test_it_is_told_after_a_publisher_has_got_through(error: Callable[[], Exception]) -> None:
    class Once(Keep):
        has_failed = False

        def commit(self) -> None:
            if not self.has_failed:
                self.has_failed = True
                self.open = []
                raise error()
            super().commit()

    ends, once = Ends(), Once()
    with running({"ends": ends, "once": once}, [("ends.out", "once.in")]) as scheduler:
        scheduler.submit(follow([("ends", packets(2), range(2))], 2))
        scheduler.run()
        assert ends.events == []
        scheduler.drain()
        nothing_is_left(scheduler)
    assert sorted(once.numbers) == [0, 1]
    assert sorted(ends.events) == [("done", "0", True), ("done", "1", True)]


def test_a_publisher_that_rests_does_not_keep_another_from_its_completion() -> None:
    may_reach = threading.Event()

    class Rests(Index):
        def commit(self) -> None:
            if not may_reach.is_set():
                raise Unreachable(0.001)
            super().commit()

    ends, index, rests = Ends(), Index(), Rests()
    wires = [("ends.out", "index.in"), ("ends.out", "rests.in")]
    with running({"ends": ends, "index": index, "rests": rests}, wires) as scheduler:
        scheduler.submit(follow([("ends", packets(1), (0,))], 1))
        scheduler.run()
        assert index.told == [("0", True)]
        assert ends.events == []
        may_reach.set()
        scheduler.drain()
        nothing_is_left(scheduler)
    assert ends.events == [("done", "0", True)]


def test_what_an_earlier_run_had_committed_or_a_replay_leaves_out_is_not_whole() -> None:
    ends = Ends()
    identities = {0: known(0)[0], 1: known(0, 1, is_partial=True)[1], 2: known(2)[2]}
    wires = [("ends.out", "keep.in"), ("ends.out", "index.in")]
    with running({"ends": ends, "keep": Keep(), "index": Index()}, wires) as scheduler:
        feed = follow([("ends", packets(3), range(3))], 3, identities=identities, committed={"keep": frozenset({2})})
        scheduler.submit(feed)
        scheduler.drain()
        nothing_is_left(scheduler)
    assert ends.events == [("done", "0", True), ("done", "1", False), ("done", "2", False)]


def test_it_may_wait_for_a_call_while_feeds_go_on_and_several_are_told() -> None:
    class Slow(Ends):
        def conclude(self, documents: list[Completed]) -> None:
            self.offload(threading.Event().wait, 0.001)
            super().conclude(documents)

    slow, second = Slow(), Ends()
    with running({"slow": slow, "second": second}, [("slow.out", "second.in")], limits=Limits(wave_packets=2)) as scheduler:
        batches = [("slow", packets(2, n), range(n, n + 2)) for n in range(0, 6, 2)]
        scheduler.submit(follow(batches, 6, complete=None))
        scheduler.drain()
        nothing_is_left(scheduler)
    everything = [("done", str(n), True) for n in range(6)]
    assert sorted(slow.events) == sorted(second.events) == everything


@pytest.mark.parametrize("hook", ["complete", "conclude"])
def test_a_call_that_ends_at_once_lets_the_filter_go_on(hook: str) -> None:
    class Quick(Ends):
        pass

    def told(documents: list[Completed]) -> None:
        quick.offload(int)

    setattr(Quick, hook, staticmethod(told))
    quick, keep = Quick(), Keep()
    with running({"quick": quick, "keep": keep}, [("quick.out", "keep.in")]) as scheduler:
        for n in range(200):  # some of the calls end before it is looked whether they have
            scheduler.submit(follow([("quick", packets(1, n), (0,))], 1))
            scheduler.drain()
        nothing_is_left(scheduler)
    assert keep.numbers == [*range(200)]


@pytest.mark.parametrize("again", [Retry, Unreachable])
def test_what_it_raises_is_logged_or_tried_again_if_it_says_so(again: type[Retry], caplog: pytest.LogCaptureFixture) -> None:
    class Raises(Ends):
        tries = 0

        def conclude(self, documents: list[Completed]) -> None:
            self.tries += 1
            if self.tries == 1:
                raise again(0.001)
            if documents[0].document.id == "1" or len(documents) > 1:
                raise ValueError("no")
            super().conclude(documents)

    raises, keep, done = Raises(), Keep(), list[Epoch]()
    with running({"raises": raises, "keep": keep}, [("raises.out", "keep.in")], on_done=done.append) as scheduler:
        scheduler.submit(follow([("raises", packets(2), range(2))], 2))
        scheduler.drain()
        nothing_is_left(scheduler)
    assert raises.events == [("done", "0", True)]
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == ["conclude failed"]
    assert done[0].flags == bytes((1, 1))
    assert not done[0].dead_letters


def test_it_neither_sends_nor_takes_packets(caplog: pytest.LogCaptureFixture) -> None:
    class Sends(Ends):
        def conclude(self, documents: list[Completed]) -> None:
            self.send("out", Packet({"n": 99}))

    keep = Keep()
    with running({"sends": Sends(), "keep": keep}, [("sends.out", "keep.in")]) as scheduler:
        scheduler.submit(follow([("sends", packets(1), (0,))], 1))
        scheduler.drain()
    assert keep.numbers == [0]
    assert "conclude() takes and sends no packets" in str(caplog.records[0].exc_info)
