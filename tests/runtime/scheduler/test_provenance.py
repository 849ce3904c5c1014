"""The metadata of fields say which filter set them, whichever way it works and whatever runs beside it."""

from __future__ import annotations

from itertools import pairwise
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.component import Component, Operator, Publisher
from pypes.core.contents import COPIED_BYTES
from pypes.core.values import Body
from pypes.errors import Retry
from pypes.graph.model import Graph, GraphNode
from pypes.packet import Packet
from pypes.runtime.scheduler import Feed
from pypes.runtime.scheduler.provenance import SET_BY, Marks, Provenance, marks_of
from tests.runtime.scheduler.graphs import Hold, running
from tests.runtime.scheduler.test_observing import Clock

CHAIN = [("a.out", "b.in"), ("b.out", "end.in")]


class Take(Publisher):
    """Keeps what it is given."""

    def setup(self) -> None:
        self.taken: list[Packet] = []

    def process(self, packet: Packet) -> None:
        self.taken.append(packet.clone())


def marks(packet: Packet) -> dict[str, str | None]:
    return {name: packet.get_meta(SET_BY, name) for name in packet.get_attribute_names()}


def work(packet: Packet, number: int) -> None:
    """Change one field, add one, set one to the value that it has."""
    packet.set("n", packet.get("n") + 1)
    packet.set(f"new{number}", "x")
    packet.set("same", packet.get("same"))


def easy(number: int) -> Component:
    class Easy(Operator):
        def process(self, packet: Packet) -> Packet:
            work(packet, number)
            return packet

    return Easy()


def clones(number: int) -> Component:
    class Clones(Operator):
        def process(self, packet: Packet) -> Packet:
            packet = packet.clone()
            work(packet, number)
            return packet

    return Clones()


def batches(number: int) -> Component:
    class Batches(Operator):
        def process_batch(self, packets: list[Packet]) -> list[Packet]:
            for packet in packets:
                work(packet, number)
            return packets

    return Batches()


def gathers(number: int) -> Component:
    class Gathers(Operator):
        batch_size, batch_s = 3, 1.0

        def process_batch(self, packets: list[Packet]) -> list[Packet]:
            for packet in packets:
                work(packet, number)
            return packets

    return Gathers()


def at_once(number: int) -> Component:
    class AtOnce(Operator):
        concurrency = 3

        def process(self, packet: Packet) -> Packet:
            self.offload(work, packet, number)
            return packet

    return AtOnce()


def loop(number: int) -> Component:
    class Loop(Component):
        def run(self) -> None:
            while True:
                for packet in self.receive_all("in"):
                    work(packet, number)
                    self.send("out", packet)
                self.yield_ctrl()

    return Loop()


def one_by_one(number: int) -> Component:
    class OneByOne(Component):
        def run(self) -> None:
            while True:
                while (packet := self.receive("in")) is not None:
                    work(packet, number)
                    self.send("out", packet)
                self.yield_ctrl()

    return OneByOne()


STYLES = [easy, clones, batches, gathers, at_once, loop, one_by_one]


def pushed(nodes: dict[str, Component], wires: list[tuple[str, str]], *feeds: list[Packet], **options: Any) -> list[Packet]:
    """What a publisher ``end`` was given of these feeds."""
    end = Take()
    every = {**nodes, "end": end}
    with running(every, wires, marks=Marks({name: f"by {name}" for name in every}), **options) as scheduler:
        for packets in feeds:
            scheduler.submit(Feed(iter([(next(iter(nodes)), packets, range(len(packets)))]), len(packets)))
        scheduler.drain()
    return end.taken


@given(st.lists(st.sampled_from(STYLES), min_size=1, max_size=5), st.lists(st.integers(1, 5), min_size=1, max_size=3))
def test_a_chain_of_any_styles_marks_what_a_model_marks(styles: list[Any], sizes: list[int]) -> None:
    nodes = {f"f{at}": make(at) for at, make in enumerate(styles)}
    names = [*nodes, "end"]
    wires = [(f"{a}.out", f"{b}.in") for a, b in pairwise(names)]
    feeds = [[Packet({"n": 0, "same": "s", "given": [1, 2]}) for _ in range(size)] for size in sizes]
    taken = pushed(nodes, wires, *feeds)
    assert len(taken) == sum(sizes)
    # what came with the document is nobody's; the last that changed a field is named
    expected = {
        "given": None,
        "same": None,
        "n": f"by f{len(styles) - 1}",
        **{f"new{at}": f"by f{at}" for at in range(len(styles))},
    }
    assert [marks(packet) for packet in taken] == [expected] * len(taken)


@pytest.mark.parametrize("make", STYLES)
def test_nothing_is_marked_where_it_is_not_wanted(make: Any) -> None:
    end = Take()
    with running({"a": make(1), "b": make(2), "end": end}, CHAIN) as scheduler:
        scheduler.submit(Feed(iter([("a", [Packet({"n": 0, "same": 1})], range(1))]), 1))
        scheduler.drain()
    assert end.taken[0].get_metas()[1] == {}


def _new(packet: Packet) -> None:
    packet.set("new", packet.get("n"))


def _nothing(packet: Packet) -> None:
    packet.set("same", packet.get("same"))


def _other(packet: Packet) -> None:
    packet.set("other", "o")


def _both(packet: Packet) -> None:
    packet.set("new", "n")
    packet.set("same", "changed")


def _inside(packet: Packet) -> None:
    packet.get("box")["in"].append("more")


def _appends(packet: Packet) -> None:
    packet.append("many", 3)


def _renames(packet: Packet) -> None:
    packet.delete("same")
    packet.set("new", "s")


def _one_in_two(packet: Packet) -> None:
    if packet.get("n") % 2:
        packet.set("new", "n")


#: By what is done to a packet, the fields that are set by it.
DONE: dict[Any, set[str]] = {
    _new: {"new"},
    _nothing: set(),
    _other: {"other"},
    _both: {"new", "same"},
    _inside: {"box"},
    _appends: {"many"},
    _renames: {"new"},
    _one_in_two: {"new"},
}


@given(st.lists(st.lists(st.sampled_from(list(DONE)), min_size=1, max_size=5), min_size=1, max_size=4), st.booleans())
def test_what_a_filter_did_before_does_not_tell_what_it_does_next(done: list[list[Any]], sends_twice: bool) -> None:
    before: list[Packet] = []

    class Does(Operator):
        def process(self, packet: Packet) -> Packet:
            if packet.get("n") == 3:
                before.append(packet.clone())
            dos[packet.get_meta("do")](packet)
            if sends_twice:
                self.send("out", packet)
            return packet

    dos = {do.__name__: do for do in DONE}

    def made(number: int, do: Any) -> Packet:
        # as adapters make them: nobody outside has what is in them
        return Packet.from_document({"n": number, "same": "s", "box": {"in": []}, "many": 1}, {"do": do.__name__})

    feeds = [[made(number, do) for number, do in enumerate(chunk)] for chunk in done]
    for packet in pushed({"a": Does()}, [("a.out", "end.in")], *feeds):
        do = dos[packet.get_meta("do")]
        expected = DONE[do] if do is not _one_in_two or packet.get("n") % 2 else set()
        assert {name for name, mark in marks(packet).items() if mark == "by a"} == expected
    for packet in before:
        assert packet.to_json()["fields"] == {"n": 3, "same": "s", "box": {"in": []}, "many": 1}


class Parts(Operator):
    """Makes two packets of one, by derive and by hand."""

    def process(self, packet: Packet) -> None:
        one = packet.derive("part", 1)
        one.set("title", packet.get("title"))
        one.set("text", "first")
        self.send("out", one)
        other = Packet({"title": packet.get("title"), "text": "second"})
        self.send("out", other)


def test_fields_that_parts_have_from_their_document_stay_whose_they_were() -> None:
    class Titles(Operator):
        def process(self, packet: Packet) -> Packet:
            packet.set("title", "t")
            return packet

    taken = pushed({"a": Titles(), "b": Parts()}, CHAIN, [Packet({"text": "whole"})])
    assert [marks(packet) for packet in taken] == [{"title": "by a", "text": "by b"}] * 2


def test_a_list_that_is_changed_in_place_is_found_up_to_a_size() -> None:
    class Appends(Operator):
        def process(self, packet: Packet) -> Packet:
            for name in packet.get_attribute_names():
                value = packet.get(name)
                value["list"].append("more")
            return packet

    large = {"list": ["x" * 100] * (COPIED_BYTES // 50)}
    [found] = pushed({"a": Appends(), "b": Appends()}, CHAIN, [Packet({"small": {"list": []}, "large": large})])
    # the first could not have what is inside without a copy of its own; from then on it might be changed from outside, too
    assert marks(found) == {"small": "by b", "large": "by a"}


def test_what_a_filter_did_before_it_asked_to_be_tried_again_is_its_own() -> None:
    class Flaky(Operator):
        tries = 0

        def process(self, packet: Packet) -> Packet:
            packet.set("early", "e") if not packet.has("early") else None
            self.tries += 1
            if self.tries < 3:
                raise Retry(0.0, "again")
            return packet

    class Passes(Operator):
        def process(self, packet: Packet) -> Packet:
            return packet

    clock, end = Clock(), Take()
    nodes = {"a": Flaky(), "b": Passes(), "end": end}
    with running(nodes, CHAIN, marks=Marks({name: f"by {name}" for name in nodes}), clock=clock) as scheduler:
        scheduler.submit(Feed(iter([("a", [Packet({"n": 1})], range(1))]), 1))
        while scheduler.in_flight:
            scheduler.run()
            clock.now_s += 10.0
        assert scheduler.drivers[0].provenance is not None
        assert (scheduler.drivers[0].provenance._values, scheduler.drivers[0].provenance._kept) == ([], {})
    assert marks(end.taken[0]) == {"early": "by a", "n": None}


def test_what_is_held_is_compared_with_how_it_came() -> None:
    class Changes(Hold):
        def flush(self) -> list[Packet]:
            kept = super().flush()
            for packet in kept:
                packet.set("n", -1)
            return kept

    taken = pushed({"a": Changes()}, [("a.out", "end.in")], [Packet({"n": 1, "m": 2})], [Packet({"n": 2, "m": 3})])
    assert [marks(packet) for packet in taken] == [{"n": "by a", "m": None}] * 2


def test_packets_for_the_error_port_are_marked_too() -> None:
    class Fails(Operator):
        def process(self, packet: Packet) -> Packet:
            packet.set("half", 1)
            raise ValueError("bad")

    taken = pushed({"a": Fails()}, [("a.error", "end.in")], [Packet({"n": 1})])
    assert marks(taken[0]) == {"half": "by a", "n": None}


def test_bodies_are_not_read_and_odd_values_count_as_changed() -> None:
    class Unread(Body):
        size = 10

        def open(self) -> Any:
            raise AssertionError

        read = open

    class Odd:
        def __eq__(self, other: object) -> bool:
            raise RuntimeError

        __hash__ = None  # type: ignore[assignment]

    provenance, packet = Provenance("me", Marks({"me": "me"})), Packet({"n": 1})
    packet.set("file", Unread())
    packet.set("odd", Odd())
    provenance.taken([packet, "no packet"], ())
    packet.set("n", 2)
    packet.set("odd", Odd())
    provenance.sent([packet, "no packet"])
    assert {name: packet.get_meta(SET_BY, name) for name in ("file", "n", "odd")} == {"file": None, "n": "me", "odd": "me"}


def test_a_mark_names_graph_filter_and_component_with_their_versions() -> None:
    graph = Graph("g", {"a": GraphNode("a", "Language"), "b": GraphNode("b", "Mine")})
    assert marks_of(graph, 3, {"Language": "2.0.1", "Mine": ""}) == {"a": "g@3 a Language@2.0.1", "b": "g@3 b Mine"}
    assert marks_of(graph, 0, {})["a"] == "g a Language"


def test_what_cannot_be_copied_goes_on() -> None:
    class Puts(Operator):
        def process(self, packet: Packet) -> Packet:
            packet.set("locked", MappingProxyType({"a": 1}))
            return packet

    class Looks(Operator):
        def process(self, packet: Packet) -> Packet:
            return Packet({"has": packet.has("locked")})

    taken, marks = Take(), Marks({"a": "by a", "b": "by b", "end": ""})
    with running({"a": Puts(), "b": Looks(), "end": taken}, CHAIN, marks=marks) as scheduler:
        scheduler.submit(Feed(iter([("a", [Packet({"n": 1})], range(1))]), 1))
        scheduler.drain()
    assert [packet.get("has") for packet in taken.taken] == [True]
