"""Components are told of each document once, when nothing more of it can come to them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pypes.component import Adapter, Component, Operator
from pypes.core.identity import Completed, Identity, Version
from pypes.core.limits import Limits
from pypes.packet import Packet
from pypes.runtime.scheduler import BARRIER, Epoch, Feed
from pypes.runtime.scheduler.completions import Known
from tests.runtime.scheduler.graphs import Keep, Pass, packets, running
from tests.runtime.scheduler.told import EVERY, Index, Listens, LoopIndex, follow, known, nothing_is_left


class Rows(Adapter):
    """So many packets of each document as it says."""

    def process(self, packet: Packet) -> None:
        for n in range(packet.get("rows")):
            self.send("out", Packet({"n": n, "of": packet.get("n")}))


class Work(Operator):
    """Drops odd numbers, and fails over those that are divisible by four and not by eight."""

    def process(self, packet: Packet) -> Packet | None:
        n = packet.get("n")
        if n % 8 == 4:
            raise ValueError(n)
        return packet if n % 2 == 0 else None


@pytest.mark.parametrize("kind", EVERY)
def test_a_publisher_is_told_of_what_it_commits_before_the_commit(kind: type[Index]) -> None:
    index = kind()
    with running({"start": Pass(), "index": index}, [("start.out", "index.in")]) as scheduler:
        scheduler.submit(follow([("start", packets(3), range(3))], 3))
        scheduler.drain()
        nothing_is_left(scheduler)
    whole = [("told", str(n), True) for n in range(3)]
    assert index.events == [("put", 0), ("put", 1), ("put", 2), *whole, ("commit",)]


class BatchPass(Operator):
    def process_batch(self, packets: list[Packet]) -> list[Packet]:
        return packets


@pytest.mark.parametrize("filter", [Pass, BatchPass])
@pytest.mark.parametrize("kind", EVERY)
def test_it_is_so_for_waves_that_fill_a_wire(kind: type[Index], filter: type[Component]) -> None:
    index = kind()
    limits = Limits(wire_packets=5, wave_packets=5)
    with running({"start": filter(), "index": index}, [("start.out", "index.in")], limits=limits) as scheduler:
        for _ in range(3):
            scheduler.submit(follow([("start", packets(5), range(5))], 5, complete=lambda: 5))
        scheduler.drain()
        nothing_is_left(scheduler)
    assert index.told == [(str(n), True) for n in range(5)] * 3
    assert index.events.count(("commit",)) == 3


@pytest.mark.parametrize("kind", EVERY)
def test_it_is_told_also_of_documents_of_which_nothing_comes(kind: type[Index]) -> None:
    index = kind()
    done: list[Epoch] = []
    with running({"work": Work(), "index": index}, [("work.out", "index.in")], on_done=done.append) as scheduler:
        scheduler.submit(follow([("work", packets(6), range(6))], 6))
        scheduler.drain()
        nothing_is_left(scheduler)
    assert sorted(index.told) == [("0", True), ("1", True), ("2", True), ("3", True), ("4", False), ("5", True)]
    assert index.events[-1] == ("commit",)
    assert done[0].flags == bytes((1, 0, 1, 0, 2, 0))


def test_a_document_without_identity_is_not_told_of() -> None:
    index = Index()
    with running({"start": Pass(), "index": index}, [("start.out", "index.in")]) as scheduler:
        scheduler.submit(follow([("start", packets(3), range(3))], 3, identities=known(1)))
        scheduler.submit(Feed(iter([("start", packets(3), range(3))]), 3))
        scheduler.drain()
        nothing_is_left(scheduler)
    assert index.told == [("1", True)]


def test_deletions_and_versions_are_told() -> None:
    class Keeps(Index):
        def complete(self, documents: list[Completed]) -> None:
            self.events.append(tuple(documents))

    index = Keeps()
    identities = {
        0: Known(Identity("people", "ada"), Version("r", 0, 7)),
        1: Known(Identity("", "ada"), Version("r", 1, 7), is_deleted=True),
        2: Known(Identity("", "bob"), Version("r", 2, 7), is_partial=True),
    }
    with running({"start": Pass(), "index": index}, [("start.out", "index.in")]) as scheduler:
        scheduler.submit(follow([("start", packets(3), range(3))], 3, identities=identities))
        scheduler.drain()
    assert index.events[3] == (
        Completed(Identity("people", "ada"), Version("r", 0, 7), True),
        Completed(Identity("", "ada"), Version("r", 1, 7), True, True),
        Completed(Identity("", "bob"), Version("r", 2, 7), False),
    )


@pytest.mark.parametrize(
    ("bases", "removed"),
    [((0,), [40]), ((0, 1, 3), [10, 20, 10]), ((0, 1, 2, 3), [10, 10, 10, 10]), ((0, 2, 2, 3), [20, 0, 10, 10])],
)
def test_it_is_told_once_for_each_delivery_and_what_it_removed_is_counted(bases: tuple[int, ...], removed: list[int]) -> None:
    class Removes(Index):
        def complete(self, documents: list[Completed]) -> int:
            super().complete(documents)
            self.events.append(("call",))
            return 10 * len(documents)

    index = Removes()
    done: list[Epoch] = []
    nodes = {"start": Pass(), "index": index}
    with running(nodes, [("start.out", "index.in")], on_done=done.append) as scheduler:
        scheduler.submit(follow([("start", packets(4), range(4))], 4, bases=bases))
        scheduler.drain()
    assert index.events.count(("call",)) == len(list(filter(None, removed)))
    assert index.events.count(("commit",)) == 1
    completions = done[0].completions
    assert completions is not None
    found = [completions.removed_by(delivery) for delivery in range(len(bases))]
    assert found == [{"index": count} if count else {} for count in removed]


@pytest.mark.parametrize("kind", EVERY)
def test_a_large_document_is_told_of_with_its_last_part(kind: type[Index]) -> None:
    index = kind()
    limits = Limits(wire_packets=4, wave_packets=4)
    with running({"rows": Rows(), "index": index}, [("rows.out", "index.in")], limits=limits) as scheduler:
        scheduler.submit(follow([("rows", [Packet({"n": 0, "rows": 30})], (0,))], 1))
        scheduler.drain()
        nothing_is_left(scheduler)
    assert [event for event in index.events if event[0] == "put"] == [("put", n) for n in range(30)]
    assert index.told == [("0", True)]
    assert index.events[-1] == ("commit",)
    assert ("put", 29) in index.events[: index.events.index(("told", "0", True))]


@pytest.mark.parametrize("kind", EVERY)
def test_a_publisher_that_is_fed_itself_is_told_as_others_are(kind: type[Index]) -> None:
    index = kind()
    done: list[Epoch] = []
    with running({"index": index}, [], on_done=done.append) as scheduler:
        scheduler.submit(follow([("index", packets(3), range(3)), ("index", packets(2), range(3, 5))], 5))
        scheduler.drain()
        nothing_is_left(scheduler)
    assert index.told == [(str(n), True) for n in range(5)]
    assert not done[0].dead_letters


def test_nothing_is_kept_for_each_part() -> None:
    """What a run of a document with many parts leaves in the books at any time does not grow with them."""

    class Watches(Index):
        most = 0
        parts = 0

        def process(self, packet: Packet) -> None:
            self.parts += 1

        def commit(self) -> None:
            completing = scheduler.completing
            assert completing is not None
            kept = [len(completing.open), *(each.untold for each in completing.listeners)]
            kept += [len(completions.known) + len(completions.spoiled) for completions in completing.open.values()]
            self.most = max(self.most, *kept)

    index = Watches()
    with running({"rows": Rows(), "index": index}, [("rows.out", "index.in")]) as scheduler:
        scheduler.submit(follow([("rows", [Packet({"n": 0, "rows": 100_000})], (0,))], 1))
        scheduler.drain()
    assert (index.parts, index.told, index.most) == (100_000, [("0", True)], 1)


def test_documents_are_forgotten_as_they_are_complete_while_their_feed_goes_on() -> None:
    identities: dict[int, Known] = {}
    sizes: list[int] = []

    def batches() -> Iterator[Any]:
        for n in range(50):
            sizes.append(len(identities))
            identities.update(known(2 * n, 2 * n + 1))
            yield "work", packets(2, 2 * n), (2 * n, 2 * n + 1)

    index = Index()
    with running({"work": Work(), "index": index}, [("work.out", "index.in")]) as scheduler:
        scheduler.submit(follow(batches(), 100, identities=identities))
        scheduler.drain()
        nothing_is_left(scheduler)
    assert max(sizes) <= 4
    assert [int(id) for id, _ in index.told] == sorted(int(id) for id, _ in index.told)
    assert {int(id) for id, is_whole in index.told if not is_whole} == set(range(4, 100, 8))


def test_every_component_that_overrides_it_is_told_not_publishers_alone() -> None:
    class Filter(Listens, Operator):
        def process(self, packet: Packet) -> Packet | None:
            self.events.append(("put", packet.get("n")))
            return packet

    first, left, right = Filter(), Index(), Index()
    nodes = {"first": first, "work": Work(), "left": left, "right": right, "keep": Keep()}
    wires = [("first.out", "work.in"), ("work.out", "left.in"), ("first.out", "right.in"), ("first.out", "keep.in")]
    with running(nodes, wires) as scheduler:
        scheduler.submit(follow([("first", packets(5), range(5))], 5))
        scheduler.drain()
        nothing_is_left(scheduler)
    assert first.events == [*(("put", n) for n in range(5)), *(("told", str(n), True) for n in range(5))]
    assert right.told == [(str(n), True) for n in range(5)]
    assert sorted(left.told) == [(str(n), n != 4) for n in range(5)]


def test_what_fails_into_a_wired_error_port_is_missing_behind_the_other_ports() -> None:
    main, errors, both = Index(), Index(), Index()
    nodes = {"work": Work(), "main": main, "errors": errors, "both": both}
    wires = [("work.out", "main.in"), ("work.error", "errors.in"), ("work.out", "both.in"), ("work.error", "both.in")]
    with running(nodes, wires) as scheduler:
        scheduler.submit(follow([("work", packets(5), range(5))], 5))
        scheduler.drain()
    assert sorted(main.told) == sorted(both.told) == [(str(n), n != 4) for n in range(5)]
    assert sorted(errors.told) == [(str(n), True) for n in range(5)]


def test_what_fails_before_the_graph_is_whole_nowhere() -> None:
    def batches() -> Iterator[Any]:
        identities.update(known(0))
        yield "start", packets(1), (0,)
        identities.update(known(1))
        raise ValueError("no more can be read")

    identities: dict[int, Known] = {}
    index = Index()
    with running({"start": Pass(), "index": index}, [("start.out", "index.in")]) as scheduler:
        scheduler.submit(follow(batches(), 2, identities=identities))
        scheduler.drain()
        nothing_is_left(scheduler)
    assert index.told == [("0", True), ("1", False)]


def test_what_was_committed_in_an_earlier_run_is_not_whole_in_this_one() -> None:
    index = Index()
    feed = follow([("start", packets(2), range(2))], 2, committed={"index": frozenset({0})})
    with running({"start": Pass(), "index": index}, [("start.out", "index.in")]) as scheduler:
        scheduler.submit(feed)
        scheduler.drain()
        nothing_is_left(scheduler)
    assert sorted(index.told) == [("0", False), ("1", True)]


def test_a_document_is_not_reported_as_committed_before_the_publisher_was_told_of_it() -> None:
    told: list[tuple[str, list[int]]] = []
    may_drop = threading.Event()

    class Waits(Operator):
        """Lets the first packet through, and drops the rest later."""

        def process(self, packet: Packet) -> Packet | None:
            if packet.get("n") == 0:
                return packet
            self.offload(may_drop.wait, 10)
            return None

    index, later = Index(), Index()
    nodes: dict[str, Component] = {"rows": Rows(), "waits": Waits(), "index": index, "later": later}
    wires = [("rows.out", "waits.in"), ("waits.out", "index.in"), ("rows.out", "later.in")]

    def committed(epoch: Epoch, publisher: str, documents: Any) -> None:
        log = nodes[publisher].events  # type: ignore[attr-defined]
        assert all(("told", str(document), True) in log for document in documents)
        told.append((publisher, list(documents)))

    with running(nodes, wires, on_committed=committed, limits=Limits(wire_packets=1)) as scheduler:
        scheduler.submit(follow([("rows", [Packet({"n": 0, "rows": 2})], (0,))], 1))
        scheduler.run()
        assert told == [("later", [0])]
        assert index.told == []
        may_drop.set()
        scheduler.drain()
        nothing_is_left(scheduler)
    assert index.told == [("0", True)]


def test_versions_of_a_document_are_told_of_in_their_order() -> None:
    may_go = threading.Event()

    class Waits(Operator):
        concurrency = 4

        def process(self, packet: Packet) -> Packet:
            if packet.get("n") == 0:
                self.offload(may_go.wait, 10)
            return packet

    class Keeps(Index):
        def complete(self, documents: list[Completed]) -> None:
            self.events += [("told", each.version.receipt, each.is_whole) for each in documents]

    index = Keeps()
    wires = [("start.out", "waits.in"), ("waits.out", "index.in"), ("start.out", "index.in")]

    def version(receipt: str, id: str = "a") -> dict[int, Known]:
        return {0: Known(Identity("", id), Version(receipt))}

    with running({"start": Pass(), "waits": Waits(), "index": index}, wires) as scheduler:
        scheduler.submit(follow([("waits", packets(1), (0,))], 1, identities=version("r2")))
        scheduler.run()
        scheduler.submit(follow([("index", packets(1, 1), (0,))], 1, identities=version("r3")))
        scheduler.submit(follow([("index", packets(1, 2), (0,))], 1, identities=version("r1")))
        scheduler.submit(follow([("index", packets(1, 3), (0,))], 1, identities=version("other", "b")))
        scheduler.run()
        assert sorted(index.told) == [("other", True), ("r1", True)]
        may_go.set()
        scheduler.drain()
        nothing_is_left(scheduler)
    assert index.told[-2:] == [("r2", True), ("r3", True)]


def test_a_lone_run_is_told_of_each_document_before_the_next_is_fed() -> None:
    log: list[Any] = []

    class Notes(LoopIndex):
        def complete(self, documents: list[Completed]) -> None:
            log.append(("told", *(each.document.id for each in documents)))

    def batches() -> Iterator[Any]:
        for n in range(3):
            yield "work", packets(1, n), (n,)
            yield BARRIER

    with running({"work": Work(), "index": Notes()}, [("work.out", "index.in")]) as scheduler:
        scheduler.record_turn = lambda filter, document: log.append((filter, document))
        scheduler.submit(follow(batches(), 3))
        scheduler.drain()
        nothing_is_left(scheduler)
    first, second, third = [("work", 0), ("index", 0), ("told", "0")], [("work", 1), ("index", 1), ("told", "1")], ("work", 2)
    assert log == [*first, *second, third, ("index", 2), ("told", "2")]


def test_it_neither_sends_nor_takes_packets_when_it_is_told() -> None:
    class Sends(Listens, Operator):
        def process(self, packet: Packet) -> Packet:
            return packet

        def complete(self, documents: list[Completed]) -> None:
            self.send("out", Packet({"n": 99}))

    keep = Keep()
    done: list[Epoch] = []
    nodes = {"sends": Sends(), "keep": keep}
    with running(nodes, [("sends.out", "keep.in")], on_done=done.append) as scheduler:
        scheduler.submit(follow([("sends", packets(1), (0,))], 1))
        scheduler.drain()
        scheduler.submit(follow([("sends", packets(1, 1), (0,))], 1, identities=None))
        scheduler.drain()
    assert keep.numbers == [0, 1]
    assert "send those of a document while it is worked on" in done[0].dead_letters[0].error
    assert done[0].dead_letters[0].code == "component.complete"


def test_graphs_without_such_a_component_have_no_books_of_it() -> None:
    with running({"start": Pass(), "keep": Keep()}, [("start.out", "keep.in")]) as scheduler:
        epoch = scheduler.submit(follow([("start", packets(1), (0,))], 1))
        scheduler.drain()
    assert scheduler.completing is None
    assert epoch.completions is None
