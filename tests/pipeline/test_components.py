"""Pipeline: a graph in a few lines, and clear words about one that cannot be built."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from greenlet import getcurrent

from pypes import Component, Filter, InvalidGraph, Packet, Pipeline, Publisher, Transformer
from pypes.core.identity import Completed, Identity, Version
from pypes.errors import ComponentError
from pypes.ingest.outcome import Fate
from pypes.observe import Observer
from pypes.testing.node import until
from tests.placement import samples


class Shout(Transformer):
    def process(self, packet: Packet) -> Packet:
        packet["title"] = packet["title"].upper()
        return packet


def test_ten_lines_are_enough() -> None:
    with Pipeline(Shout) as pipeline:
        titles = [packet["title"] for packet in pipeline.run([Packet({"title": "hello"})])]
    assert titles == ["HELLO"]


def test_components_are_told_of_packets_with_an_identity() -> None:
    class Index(Publisher):
        def setup(self) -> None:
            self.told: list[Completed] = []

        def process(self, packet: Packet) -> None:
            if packet["n"] == 1:
                raise ValueError

        def complete(self, documents: list[Completed]) -> None:
            self.told += documents

    index = Index()
    with Pipeline(Shout, index) as pipeline:
        versions: list[dict[str, Any]] = [
            {},
            {"receipt": "r"},
            {"receipt": "r", "index": 3, "run": 5, "route": "people", "requestmethod": "DELETE"},
        ]
        pipeline.push([Packet({"title": "x", "id": n, "n": n}, meta) for n, meta in enumerate(versions)])
        pipeline.push([Packet({"title": "x", "n": 0}), Packet({"title": "x", "n": 0, "id": "x" * 3000})])
    told = sorted(index.told)
    assert [each.document for each in told] == [Identity("", "0"), Identity("", "1"), Identity("people", "2")]
    assert [(each.version, each.is_whole, each.is_deleted) for each in told] == [
        (Version(""), True, False),
        (Version("r"), False, False),
        (Version("r", 3, 5), True, True),
    ]


def test_it_says_how_many_parts_publishers_removed() -> None:
    class Removes(Publisher):
        def process(self, packet: Packet) -> None: ...

        def complete(self, documents: list[Completed]) -> int:
            return len(documents)

    with Pipeline(Removes) as pipeline:
        pipeline.push([Packet({"id": "a"}), Packet({"id": "b"}), Packet({"n": 1})])
        assert pipeline.removed == {"removes1": 2}
        pipeline.push([Packet({"n": 1})])
        assert pipeline.removed == {}


def test_components_are_told_of_the_documents_of_parts() -> None:
    class Index(Publisher):
        def setup(self) -> None:
            self.told: list[Completed] = []

        def process(self, packet: Packet) -> None: ...

        def complete(self, documents: list[Completed]) -> None:
            self.told += documents

    index = Index()
    with Pipeline(Shout, index) as pipeline:
        table = Packet({}, {"id": "a", "route": "r", "origin": "first", "receipt": "second", "index": 2})
        pipeline.push([table.derive("row", 1, {"title": "x"})])
    told = [(each.document, each.version, each.is_whole) for each in index.told]
    assert told == [(Identity("r", "a"), Version("first", 2), False)]


@pytest.mark.parametrize("node", [None, 7, ["a"]], ids=repr)
def test_what_is_no_component_is_refused_with_what_to_do(node: Any) -> None:
    makers: list[Callable[[], Pipeline]] = [lambda: Pipeline(node), lambda: Pipeline(nodes={"a": node})]
    for make in makers:
        with pytest.raises(InvalidGraph) as raised:
            make()
        assert f"made of functions, components, graphs and other pipelines, not of {node!r}" in str(raised.value)
        assert raised.value.code == "pipeline.no_component"


class Looping(Transformer):
    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                self.send("out", packet)
            self.yield_ctrl()


class Offloading(Publisher):
    def process(self, packet: Packet) -> None:
        self.offload(packet.get, "id")

    def complete(self, documents: list[Completed]) -> None:
        self.offload(len, documents)


class Overlapping(Transformer):
    concurrency = 2

    def process(self, packet: Packet) -> Packet:
        self.offload(packet.get, "id")
        return packet


@pytest.mark.parametrize("chain", [(Shout,), (Looping,), (Overlapping, Offloading), (Looping, Offloading)])
def test_nothing_of_its_thread_is_left(chain: tuple[type[Component], ...]) -> None:
    kept: list[Any] = []

    def run() -> None:
        with Pipeline(*chain) as pipeline:
            pipeline.push([Packet({"id": n, "title": "a"}) for n in range(3)])
        kept.extend([pipeline, weakref.ref(getcurrent())])

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    pipeline, main = kept
    assert not pipeline.dead_letters
    until(lambda: main() is None, 5.0, "the main greenlet of the thread has gone")


def test_it_stays_usable_and_lazy() -> None:
    with Pipeline(Shout) as pipeline:
        pushed = 0

        def source() -> Any:
            nonlocal pushed
            for n in range(1000):
                pushed += 1
                yield Packet({"title": f"t{n}"})

        run = pipeline.run(source())
        assert next(run)["title"] == "T0"
        assert pushed <= 2
        assert len(list(run)) == 999


def test_it_tells_what_became_of_each_packet() -> None:
    class Short(Filter):
        def process(self, packet: Packet) -> Packet | None:
            return packet if len(packet["title"]) < 4 else None

    with Pipeline(Shout, Short) as pipeline:
        pipeline.push([Packet({"title": "one"}), Packet({"title": "three"}), Packet({})])
        assert pipeline.fates == [
            Fate("published", ("short2.out",)),
            Fate("dropped", (), "short2"),
            Fate("failed", (), "shout1"),
        ]
        pipeline.push([Packet({"title": "two"})])
        assert [fate.outcome for fate in pipeline.fates] == ["published"]


def test_every_problem_is_named() -> None:
    with pytest.raises(InvalidGraph) as caught:
        Pipeline(nodes={"a": Shout, "b": Shout}, wires=[("a.nowhere", "b.in"), ("a.out", "c.in"), ("a.error", "b.in")])
    assert [p.code for p in caught.value.problems] == ["graph.unknown_port", "graph.unknown_node"]
    with pytest.raises(InvalidGraph, match=r"cycle: a -> b -> a|cycle: b -> a -> b"):
        Pipeline(nodes={"a": Shout, "b": Shout}, wires=[("a.out", "b.in"), ("b.out", "a.in")])


def test_isolated_components_run_in_processes_of_their_own() -> None:
    with Pipeline(samples.Apart, Shout) as pipeline:
        packets = [Packet({"title": "a"}), Packet({"title": "b", "do": "crash"}), Packet({"title": "c"})]
        found = list(pipeline.run(packets))
        [letter] = pipeline.dead_letters
    assert [packet["title"] for packet in found] == ["A", "C"]
    assert all(packet.get_meta("pid") != os.getpid() for packet in found)
    assert letter.reason == "killed by SIGSEGV in filter apart1"


def test_an_observer_sees_a_pipeline() -> None:
    class Counts(Observer):
        def __init__(self) -> None:
            self.taken: dict[str, int] = {}

        def packets_taken(self, graph: str, filter: str, packets: Sequence[Any]) -> None:
            self.taken[filter] = self.taken.get(filter, 0) + len(packets)

    class Even(Transformer):
        def process(self, packet: Packet) -> Packet | None:
            return None if packet.get("n") % 2 else packet

    class Same(Transformer):
        def process(self, packet: Packet) -> Packet:
            return packet

    counts = Counts()
    with Pipeline(Even, Same, observer=counts) as pipeline:
        list(pipeline.run(Packet({"n": n}) for n in range(5)))
    assert (counts.taken["even1"], counts.taken["same2"]) == (5, 3)


@pytest.mark.parametrize("hook", ["epoch_began", "packets_sent", "packets_taken", "epoch_ended"])
@pytest.mark.parametrize("call", ["push", "trigger", "close"])
def test_an_observer_that_calls_back_is_refused_and_harms_nobody(hook: str, call: str, caplog: pytest.LogCaptureFixture) -> None:
    def calls_back(self: Observer, *args: Any) -> None:
        getattr(pipeline, call)(*([[Packet()]] if call == "push" else []))

    observer = type("CallsBack", (Observer,), {hook: calls_back})()
    with Pipeline(Shout, Shout, observer=observer) as pipeline:
        assert [packet["title"] for packet in pipeline.push([Packet({"title": "a"})])] == ["A"]
        assert [packet["title"] for packet in pipeline.push([Packet({"title": "b"})])] == ["B"]
    [record] = [record for record in caplog.records if record.name.endswith("guard")]
    assert record.getMessage() == f"CallsBack raised in {hook} and is switched off"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ComponentError)
    assert record.exc_info[1].code == "pipeline.busy"


def test_a_component_that_calls_back_fails_its_packet() -> None:
    class Recurs(Transformer):
        def process(self, packet: Packet) -> Packet:
            return pipeline.push([packet])[0]  # type: ignore[no-any-return]

    with Pipeline(Recurs) as pipeline:
        assert pipeline.push([Packet()]) == []
        assert pipeline.push([Packet()]) == []
        assert ["the pipeline is at work" in letter.reason for letter in pipeline.dead_letters] == [True, True]


def test_a_deletion_passes_a_function_of_several_parameters_once_without_a_call() -> None:
    def pair(left: Packet, right: Packet) -> Packet:
        left.set("n", right.get("n") + 1)
        return left

    nodes = {"a": Passing, "b": Passing, "join": pair}
    wires = [("a.out", "join.left"), ("b.out", "join.right")]
    with Pipeline(nodes=nodes, wires=wires, errors="raise") as pipeline:
        found = [*pipeline.run([Packet({"n": 1}), Packet({}, {"id": "a", "requestmethod": "DELETE"})])]
    assert [(packet.is_deletion, packet.get("n")) for packet in found] == [(False, 2), (True, None)]


class Passing(Transformer):
    def process(self, packet: Packet) -> Packet:
        return packet
