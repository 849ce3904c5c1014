"""Components are told of documents that are done everywhere, and what a filter keeps stays as it is behind it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from pypes.component import Component, Operator
from pypes.core.identity import Completed, Identity, Version
from pypes.core.limits import Limits
from pypes.errors import Retry, Unreachable
from pypes.packet import Packet
from pypes.runtime.scheduler import Epoch
from pypes.runtime.scheduler.completions import Known
from tests.runtime.scheduler.graphs import Hold, Keep, Pass, packets, running
from tests.runtime.scheduler.told import Index, follow, known, nothing_is_left


class Ends(Pass):
    """Notes in a list what it is told of the whole graph."""

    def __init__(self, events: list[Any] | None = None) -> None:
        super().__init__()
        self.events: list[Any] = [] if events is None else events

    def conclude(self, documents: list[Completed]) -> None:
        self.events += [("done", each.document.id, each.is_whole) for each in documents]


class Odd(Operator):
    """Keeps packets of odd numbers."""

    def process(self, packet: Packet) -> Packet | None:
        if packet.get("n") % 2:
            self.keep(packet)
            return None
        return packet


class OddBatches(Odd):
    def process_batch(self, packets: list[Packet]) -> list[Packet]:
        return [packet for packet in packets if self.process(packet) is not None]


class OddGathered(OddBatches):
    batch_size = 3
    batch_s = 60.0


class OddConcurrent(Odd):
    concurrency = 4


ODD = [Odd, OddBatches, OddGathered, OddConcurrent]


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


def test_what_a_filter_before_keeps_is_not_told_to_those_behind_it() -> None:
    first, last = Ends(), Ends()
    with running({"first": first, "odd": Odd(), "last": last}, [("first.out", "odd.in"), ("odd.out", "last.in")]) as scheduler:
        scheduler.submit(follow([("first", packets(3), range(3))], 3))
        scheduler.drain()
        nothing_is_left(scheduler)
    assert first.events == [("done", "0", True), ("done", "1", True), ("done", "2", True)]
    assert last.events == [("done", "0", True), ("done", "2", True)]


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


# -- documents that are kept -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ODD)
def test_what_is_behind_is_not_told_of_what_is_kept_and_what_is_not_is(kind: type[Odd]) -> None:
    behind, beside, ends, done = Index(), Index(), Ends(), list[Epoch]()
    nodes: dict[str, Component] = {"ends": ends, "odd": kind(), "pass": Pass(), "behind": behind, "beside": beside}
    wires = [("ends.out", "odd.in"), ("odd.out", "pass.in"), ("pass.out", "behind.in"), ("ends.out", "beside.in")]
    with running(nodes, wires, on_done=done.append) as scheduler:
        scheduler.submit(follow([("ends", packets(5), range(5))], 5))
        scheduler.drain()
        scheduler.submit(follow([("ends", packets(1, 1), (0,))], 1, identities=known(0, receipt="s")))
        scheduler.drain()
        nothing_is_left(scheduler)
    assert behind.told == [("0", True), ("2", True), ("4", True)]
    assert sorted(beside.told) == [("0", True), *((str(n), True) for n in range(5))]
    assert sorted(ends.events) == [("done", "0", True), *(("done", str(n), True) for n in range(5))]
    commits = [event for event in behind.events if event == ("commit",)]
    assert len(commits) == (2 if kind is OddGathered else 1)
    assert [(fate.outcome, fate.filter) for fate in [done[1].fate_of(0)]] == [("published", "")]


def test_what_reaches_a_publisher_by_another_branch_is_published_and_not_told_of() -> None:
    index = Index()
    wires = [("start.out", "odd.in"), ("odd.out", "index.in"), ("start.out", "index.in")]
    with running({"start": Pass(), "odd": Odd(), "index": index}, wires) as scheduler:
        scheduler.submit(follow([("start", packets(2), range(2))], 2))
        scheduler.drain()
        nothing_is_left(scheduler)
    assert sorted(event for event in index.events if event[0] == "put") == [("put", 0), ("put", 0), ("put", 1)]
    assert index.told == [("0", True)]


@pytest.mark.parametrize("kind", ODD)
def test_what_raises_after_it_was_kept_has_failed(kind: type[Odd]) -> None:
    class Raises(kind):  # type: ignore[misc,valid-type]
        def process(self, packet: Packet) -> Packet | None:
            result = super().process(packet)
            if packet.get("n") == 1:
                raise ValueError
            return result  # type: ignore[no-any-return]

    index = Index()
    with running({"raises": Raises(), "index": index}, [("raises.out", "index.in")]) as scheduler:
        scheduler.submit(follow([("raises", packets(4), range(4))], 4))
        scheduler.drain()
        nothing_is_left(scheduler)
    assert sorted(index.told) == [("0", True), ("1", False), ("2", True)]


@pytest.mark.parametrize("waits_for", ["call", "wire"])
def test_what_is_kept_stays_so_while_the_filter_waits_over_a_later_packet(waits_for: str) -> None:
    class Waits(Odd):
        def process(self, packet: Packet) -> Packet | None:
            if packet.get("n") == 2:
                if waits_for == "call":
                    self.offload(threading.Event().wait, 0.01)
                else:
                    for _ in range(8):
                        self.send("out", packet.clone())
            return super().process(packet)

    index, ends = Index(), Ends()
    wires = [("ends.out", "waits.in"), ("waits.out", "pass.in"), ("pass.out", "index.in")]
    nodes = {"ends": ends, "waits": Waits(), "pass": Pass(), "index": index}
    with running(nodes, wires, limits=Limits(wire_packets=2)) as scheduler:
        scheduler.submit(follow([("ends", packets(4), range(4))], 4))
        scheduler.drain()
        nothing_is_left(scheduler)
    assert sorted(index.told) == [("0", True), ("2", True)]
    assert sorted(ends.events) == [("done", str(n), True) for n in range(4)]


def test_what_is_kept_by_a_filter_of_which_only_another_port_is_wired() -> None:
    class Other(Odd):
        outputs = {"out": "Nothing", "even": "Even numbers"}

        def process(self, packet: Packet) -> None:
            if super().process(packet) is not None:
                self.send("even", packet)

    index = Index()
    with running({"other": Other(), "index": index}, [("other.even", "index.in")]) as scheduler:
        scheduler.submit(follow([("other", packets(4), range(4))], 4))
        scheduler.drain()
        nothing_is_left(scheduler)
    assert sorted(index.told) == [("0", True), ("2", True)]


def test_a_retry_that_passes_is_not_kept() -> None:
    class Later(Odd):
        tries = 0

        def process(self, packet: Packet) -> Packet:
            self.tries += 1
            if self.tries == 1:
                self.keep(packet)
                raise Retry(0.001)
            return packet

    index = Index()
    with running({"later": Later(), "index": index}, [("later.out", "index.in")]) as scheduler:
        scheduler.submit(follow([("later", packets(1), (0,))], 1))
        scheduler.drain()
        nothing_is_left(scheduler)
    assert index.told == [("0", True)]


def test_an_older_version_that_is_kept_lets_a_newer_one_complete() -> None:
    class Told(Index):
        def complete(self, documents: list[Completed]) -> None:
            self.events += [("told", each.version.receipt, each.is_whole) for each in documents]

    index = Told()
    with running({"odd": Odd(), "index": index}, [("odd.out", "index.in")]) as scheduler:
        both = {n: Known(Identity("", "a"), Version(receipt)) for n, receipt in enumerate(("s", "r"))}
        scheduler.submit(follow([("odd", packets(2), range(2))], 2, identities=both))
        scheduler.drain()
        nothing_is_left(scheduler)
    assert index.told == [("s", True)]


@pytest.mark.parametrize("base", [Hold, "loop"])
def test_components_that_hold_or_loop_cannot_keep(base: Any) -> None:
    class Holds(Hold):
        def process(self, packet: Packet) -> None:
            self.keep(packet)

    class Loops(Operator):
        def run(self) -> None:
            for packet in self.receive_all("in"):
                self.keep(packet)

    done: list[Epoch] = []
    nodes: dict[str, Component] = {"keeps": Holds() if base is Hold else Loops(), "keep": Keep()}
    with running(nodes, [("keeps.out", "keep.in")], on_done=done.append) as scheduler:
        scheduler.submit(follow([("keeps", packets(1), (0,))], 1, identities=None))
        scheduler.drain()
    assert "keep belongs to process() and process_batch()" in done[0].dead_letters[0].error
