"""What a filter keeps stays as it is behind it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pypes.component import Component, Operator
from pypes.core.identity import Completed, Identity, Version
from pypes.core.limits import Limits
from pypes.errors import Retry
from pypes.packet import Packet
from pypes.runtime.scheduler import Epoch
from pypes.runtime.scheduler.completions import Known
from tests.runtime.scheduler.graphs import Hold, Keep, Pass, packets, running
from tests.runtime.scheduler.told import Ends, Index, follow, known, nothing_is_left


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


def test_what_a_filter_before_keeps_is_not_told_to_those_behind_it() -> None:
    first, last = Ends(), Ends()
    with running({"first": first, "odd": Odd(), "last": last}, [("first.out", "odd.in"), ("odd.out", "last.in")]) as scheduler:
        scheduler.submit(follow([("first", packets(3), range(3))], 3))
        scheduler.drain()
        nothing_is_left(scheduler)
    assert first.events == [("done", "0", True), ("done", "1", True), ("done", "2", True)]
    assert last.events == [("done", "0", True), ("done", "2", True)]


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
