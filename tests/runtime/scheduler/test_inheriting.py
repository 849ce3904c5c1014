"""Metadata that a graph inherits reach every packet made of a document, or that packet is not published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypes.component import Component, Operator, Publisher, Transformer
from pypes.core.limits import Limits
from pypes.packet import Packet
from pypes.runtime.scheduler import Epoch, Feed, Scheduler
from tests.runtime.scheduler.graphs import graph_of
from tests.runtime.scheduler.test_naming import STEPS

#: Access and word of packets that were published, and codes of those that failed.
Found = tuple[list[tuple[Any, Any]], list[str]]


class Keep(Publisher):
    def setup(self) -> None:
        self.packets: list[Packet] = []

    def process(self, packet: Packet) -> None:
        self.packets.append(packet)


class KeepBatches(Keep):
    batch_size = 2

    def process_batch(self, packets: list[Packet]) -> None:
        self.packets += packets


class KeepLoop(Keep):
    def run(self) -> None:
        while True:
            self.packets += self.receive_all("in")
            self.yield_ctrl()


KEEPS: list[type[Keep]] = [Keep, KeepBatches, KeepLoop]


class Bare(Transformer):
    """Clones without metadata."""

    def process(self, packet: Packet) -> Packet:
        return packet.clone(metas=False)


class Strips(Transformer):
    def process(self, packet: Packet) -> Packet:
        packet.delete_meta("acl")
        return packet


class Sums(Operator):
    """One packet for all of a batch, whatever they are."""

    def process_batch(self, packets: list[Packet]) -> Iterable[Packet]:
        yield Packet({"words": [packet.get("words") for packet in packets]})
        if len(packets) == 1:  # more than were taken, so that it is not taken for one of each
            yield Packet({"words": []})


class Holds(Operator):
    holds = True

    def setup(self) -> None:
        self.held: list[Packet] = []

    def process(self, packet: Packet) -> None:
        self.held.append(packet)

    def flush(self) -> list[Packet]:
        held, self.held = self.held, []
        return [Packet({"words": [packet.get("words") for packet in held]})]


class LoopSums(Operator):
    def run(self) -> None:
        while True:
            found = [packet.get("words") for packet in self.receive_all("in")]
            if found:
                self.send("out", Packet({"words": found}))
            self.yield_ctrl()


def run(
    steps: Sequence[type[Component]], documents: Sequence[Packet], keep: type[Keep] = Keep, inherit: tuple[str, ...] = ("acl",)
) -> Found:
    last = keep()
    nodes: Mapping[str, Component] = {**{f"s{n}": step() for n, step in enumerate(steps)}, "keep": last}
    names = [*nodes]
    graph = graph_of(nodes, [(f"{one}.out", f"{other}.in") for one, other in pairwise(names)])
    ended: list[Epoch] = []
    scheduler = Scheduler(replace(graph, inherit=inherit), nodes, limits=Limits(wire_packets=16), on_done=ended.append)
    scheduler.setup()
    try:
        feed = Feed(iter([(names[0], [packet.clone() for packet in documents], range(len(documents)))]), len(documents))
        scheduler.submit(feed)
        scheduler.drain()
    finally:
        scheduler.teardown()
    failed = [letter.code for epoch in ended for letter in epoch.dead_letters]
    return [(packet.get_meta("acl"), packet.get("words")) for packet in last.packets], failed


def document(word: str, acl: Any = None, **meta: Any) -> Packet:
    return Packet.from_document({"words": [word]}, {"receipt": "01a", **({"acl": acl} if acl is not None else {}), **meta})


@pytest.mark.parametrize("keep", KEEPS)
@pytest.mark.parametrize("step", [*STEPS, Bare])
def test_what_is_made_of_a_document_has_what_that_has(step: type[Component], keep: type[Keep]) -> None:
    published, failed = run([step, step], [document("a", ["x"]), document("b", "y"), document("c")], keep)
    assert {str(words).strip("[']"): acl for acl, words in published} == {"a": ["x"], "b": "y", "c": None}
    assert (len(published), failed) == (3, [])


@pytest.mark.parametrize("keep", KEEPS)
@pytest.mark.parametrize("steps", [[Strips], [Strips, Bare], [Bare, Strips]])
def test_without_what_its_document_had_nothing_is_published(steps: list[type[Component]], keep: type[Keep]) -> None:
    published, failed = run(steps, [document("a", "x"), document("b")], keep)
    assert (published, failed) == ([(None, ["b"])], ["meta.missing"])
    assert run(steps, [document("a", "x")], keep, inherit=())[1] == []


@pytest.mark.parametrize("step", [Sums, Holds, LoopSums])
@pytest.mark.parametrize(
    ("acls", "expected"),
    [
        (["x", "x"], ["x"]),
        ([["x"], ["x"]], [["x"]]),
        ([None, None], [None]),
        (["x", "y"], []),
        (["x", None], []),
        ([None, "x"], []),
    ],
)
def test_what_is_made_of_packets_that_differ_is_not_sent_on(step: type[Component], acls: list[Any], expected: list[Any]) -> None:
    published, failed = run([step], [document(str(n), acl) for n, acl in enumerate(acls)])
    assert [acl for acl, _ in published] == expected
    assert failed == ([] if expected else ["meta.conflict"])


@pytest.mark.parametrize("step", [Sums, Holds])
def test_behind_what_gathers_it_is_known_which_documents_had_it(step: type[Component]) -> None:
    published, failed = run([step, Strips], [document("a", "x"), document("b", "x")])
    assert (published, set(failed)) == ([], {"meta.missing"})


def test_packets_share_nothing_that_they_inherit() -> None:
    class Spoils(Transformer):
        def process(self, packet: Packet) -> Packet:
            packet.get_meta("acl").append(packet.get("words"))
            return packet

    class Twice(Operator):
        def process(self, packet: Packet) -> None:
            for word in "ab":
                self.send("out", Packet({"words": word}))

    published, _ = run([Twice, Spoils], [document("a", ["x"])])
    assert published == [(["x", "a"], "a"), (["x", "b"], "b")]


@settings(max_examples=50, deadline=None)
@given(
    steps=st.lists(st.sampled_from([*STEPS, Bare, Strips, Sums, Holds, LoopSums]), min_size=1, max_size=4),
    acls=st.lists(st.sampled_from([None, "x", "y"]), min_size=1, max_size=5),
    keep=st.sampled_from(KEEPS),
)
def test_nothing_is_published_with_less_than_its_documents_had(
    steps: list[type[Component]], acls: list[Any], keep: type[Keep]
) -> None:
    documents = [document(f"{acl}", acl) for acl in acls]
    for acl, words in run(steps, documents, keep)[0]:
        made_of = {word for word in ("None", "x", "y") if word in str(words)}
        if made_of - {"None"}:
            assert {str(acl)} == made_of
