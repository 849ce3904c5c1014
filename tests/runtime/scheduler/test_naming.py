"""Packets that components make without naming them get names that follow from the document alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypes.component import Component, Operator, Publisher, Transformer
from pypes.core.identity import Identity, Version
from pypes.core.limits import Limits
from pypes.errors import Retry
from pypes.packet import Packet
from pypes.pipeline import Pipeline

#: Document, part and id of a packet.
Name = tuple[Identity | None, str, str | None]


class Keep(Publisher):
    def setup(self) -> None:
        self.packets: list[Packet] = []

    def process(self, packet: Packet) -> None:
        self.packets.append(packet)

    def complete(self, documents: list[Any]) -> None:
        """Asks for names by being there."""


class Unasking(Publisher):
    setup, process = Keep.setup, Keep.process


class Sends(Operator):
    """Sends a new packet for each of ``words``."""

    def process(self, packet: Packet) -> None:
        for word in packet.get("words"):
            self.send("out", Packet({"words": [word]}))


class Both(Operator):
    """Sends a new packet for all of ``words`` but the last, and returns one for that."""

    def process(self, packet: Packet) -> Packet:
        *words, last = packet.get("words")
        for word in words:
            self.send("out", Packet({"words": [word]}))
        return Packet({"words": [last]})


class Several(Both):
    concurrency = 3

    def process(self, packet: Packet) -> Packet:
        self.offload(str)
        return super().process(packet)


class Loop(Operator):
    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                for word in packet.get("words"):
                    self.send("out", Packet({"words": [word]}))
            self.yield_ctrl()


class Receives(Operator):
    def run(self) -> None:
        while True:
            while (packet := self.receive("in")) is not None:
                for word in packet.get("words"):
                    self.send("out", Packet({"words": [word]}))
            self.yield_ctrl()


class Last(Operator):
    """Sends a new packet for each of ``words`` but the first, and goes on with the packet itself for that."""

    def process(self, packet: Packet) -> Packet:
        first, *others = packet.get("words")
        for word in others:
            self.send("out", Packet({"words": [word]}))
        packet.set("words", first)
        return packet


class First(Operator):
    """The same, but the packet itself goes first."""

    def process(self, packet: Packet) -> None:
        first, *others = packet.get("words")
        packet.set("words", first)
        self.send("out", packet)
        for word in others:
            self.send("out", Packet({"words": [word]}))


class LastInLoop(Operator):
    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                first, *others = packet.get("words")
                for word in others:
                    self.send("out", Packet({"words": [word]}))
                packet.set("words", first)
                self.send("out", packet)
            self.yield_ctrl()


class FirstInLoop(Operator):
    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                first, *others = packet.get("words")
                packet.set("words", first)
                self.send("out", packet)
                for word in others:
                    self.send("out", Packet({"words": [word]}))
            self.yield_ctrl()


class Remakes(Transformer):
    def process(self, packet: Packet) -> Packet:
        return Packet({"words": packet.get("words")})


class RemakesAll(Transformer):
    def process_batch(self, packets: list[Packet]) -> Iterable[Packet]:
        return [Packet({"words": packet.get("words")}) for packet in packets]


class Gathers(RemakesAll):
    batch_size = 3
    batch_s = 0.001


class Passes(Transformer):
    def process(self, packet: Packet) -> Packet:
        return packet


SPLITTERS = [Sends, Both, Several, Loop, Receives]
KEEPERS = [Last, First, LastInLoop, FirstInLoop]
STEPS = [*SPLITTERS, Remakes, RemakesAll, Gathers, Passes]


def document(id: Any, words: list[str], **meta: Any) -> Packet:
    return Packet.from_document({"words": words}, {"id": id, "receipt": "01a", "route": "r", **meta})


def published(
    steps: list[type[Component]], documents: list[Packet], wave: int = 256, last: type[Publisher] = Keep
) -> list[Packet]:
    keep = last()
    with Pipeline(*steps, keep, limits=Limits(wave_packets=wave, wire_packets=wave)) as pipeline:
        list(pipeline.run([packet.clone() for packet in documents]))
        return keep.packets  # type: ignore[attr-defined,no-any-return]


def name(packet: Packet) -> Name:
    return packet.document, packet.part, packet.id


@pytest.mark.parametrize("splitter", SPLITTERS)
def test_the_first_keeps_its_place_and_the_others_are_counted(splitter: type[Component]) -> None:
    row = document("sheet", []).derive("row", 7, {"words": ["x", "y"]})
    found = published([splitter], [document("d", ["a", "b", "c"]), row, document("e", ["z"])])
    d, sheet, e = (Identity("r", id) for id in ("d", "sheet", "e"))
    assert [(*name(packet), packet.get("words")) for packet in found] == [
        (d, "", "d", "a"),
        (d, "~2", "d/~2", "b"),
        (d, "~3", "d/~3", "c"),
        (sheet, "row=7", "sheet/row=7", "x"),
        (sheet, "row=7~2", "sheet/row=7~2", "y"),
        (e, "", "e", "z"),
    ]
    assert {packet.version for packet in found} == {Version("01a")}


@pytest.mark.parametrize("step", [Remakes, RemakesAll, Gathers])
def test_what_is_made_anew_is_the_same_document(step: type[Component]) -> None:
    origin = {"origin": "019", "index": 3, "run": 5}
    deletion = document("e", ["b"], requestmethod="DELETE")
    kept, deleted = published([step, step], [document("d", ["a"], **origin), deletion])
    assert (name(kept), kept.version) == ((Identity("r", "d"), "", "d"), Version("019", 3, 5))
    assert (name(deleted), deleted.is_deletion) == ((Identity("r", "e"), "", "e"), True)


def test_names_do_not_collide_where_two_split_one_after_the_other() -> None:
    class Doubles(Operator):
        def process(self, packet: Packet) -> None:
            for _ in range(2):
                self.send("out", Packet({"words": packet.get("words")}))

    found = published([Doubles, Doubles, Doubles], [document("d", ["a"])])
    assert [packet.part for packet in found] == ["", "~1~1~2", "~1~2", "~1~2~2", "~2", "~2~1~2", "~2~2", "~2~2~2"]


@pytest.mark.parametrize("splitter", KEEPERS)
def test_a_packet_that_goes_on_itself_keeps_its_place(splitter: type[Component]) -> None:
    found = published([splitter], [document("d", ["a", "b", "c"]), document("e", ["z"])])
    names = {packet.get("words"): packet.id for packet in found}
    assert (names["a"], names["z"]) == ("d", "e")
    assert {names["b"], names["c"]} == {"d/~2", "d/~3"}


@pytest.mark.parametrize("order", ["clone new", "new clone", "new new clone clone", "clone new clone new"])
def test_a_clone_that_goes_on_keeps_its_place(order: str) -> None:
    class Clones(Operator):
        def process(self, packet: Packet) -> None:
            for each in order.split():
                self.send("out", packet.clone() if each == "clone" else Packet({"words": "new"}))

    found = published([Clones], [document("d", ["a"])])
    assert {packet.part for packet in found if packet.get("words") != "new"} == {""}
    others = [packet.part for packet in found if packet.get("words") == "new"]
    assert "" not in others
    assert len(set(others)) == len(others)


def test_names_do_not_collide_behind_a_packet_that_goes_on_itself() -> None:
    for keeper in KEEPERS:
        found = published([keeper, Sends, Sends], [document("d", ["ab", "cd", "ef"])])
        assert len({packet.part for packet in found}) == len(found) == 6


def test_another_document_takes_no_place() -> None:
    class Makes(Operator):
        def process(self, packet: Packet) -> Packet:
            self.send("out", Packet({}, {"id": "other"}))
            return packet

    found = published([Makes], [document("d", ["a"])], wave=1)
    assert [(packet.id, packet.part) for packet in found] == [("other", ""), ("d", "")]


def test_packets_that_say_whose_they_are_are_left_alone() -> None:
    class Says(Operator):
        def process(self, packet: Packet) -> Packet:
            self.send("out", packet.derive("chunk", 1))
            self.send("out", packet.clone())
            self.send("out", Packet({}, {"id": "its own"}))
            return packet

    found = published([Says], [document("d", ["a"])])
    d = Identity("r", "d")
    assert [name(packet) for packet in found] == [
        (d, "chunk=1", "d/chunk=1"),
        (d, "", "d"),
        (Identity("r", "its own"), "", "its own"),
        (d, "", "d"),
    ]
    assert [packet.get_meta("receipt") for packet in found] == ["01a"] * 4


def test_documents_without_an_id_are_known_by_version_and_place() -> None:
    found = published([Sends], [Packet({"words": ["a", "b"]}, {"receipt": "01a", "index": 2})])
    assert [(packet.document, packet.part, packet.version) for packet in found] == [
        (None, "", Version("01a", 2)),
        (None, "~2", Version("01a", 2)),
    ]


def test_what_is_made_of_several_documents_has_no_name() -> None:
    class Collects(Operator):
        holds = True

        def setup(self) -> None:
            self.words: list[str] = []

        def process(self, packet: Packet) -> None:
            self.words.append(packet.get("words"))

        def flush(self) -> list[Packet]:
            words, self.words = self.words, []
            return [Packet({"words": words})]

    for made in published([Collects, Remakes], [document("d", ["a"]), document("e", ["b"])]):
        assert name(made) == (None, "", None)


def test_nobody_names_what_nobody_asks_for() -> None:
    (found,) = published([Remakes], [document("d", ["a"])], last=Unasking)
    assert found.get_metas()[0] == {}


@pytest.mark.parametrize("error", [Retry(0), ConnectionRefusedError()])
def test_a_packet_that_is_tried_again_makes_packets_of_the_same_names(error: Exception) -> None:
    class Fails(Operator):
        left = 1

        def process(self, packet: Packet) -> None:
            self.send("out", Packet({"words": packet.get("words")}))
            if self.left:
                self.left -= 1
                raise error
            self.send("out", Packet({"words": packet.get("words")}))

    found = published([Fails], [document("d", ["a"])])
    assert {packet.part for packet in found} == {"", "~2"}


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=3),
    last=st.sampled_from([Passes, *KEEPERS]),
    texts=st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=5), min_size=1, max_size=7),
    waves=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    data=st.data(),
)
def test_names_are_the_same_in_whatever_waves_documents_come(
    steps: list[type[Component]],
    last: type[Component],
    texts: list[list[str]],
    waves: tuple[int, int],
    data: st.DataObject,
) -> None:
    steps = [*steps, last]
    documents = [document(f"d{n}", words) for n, words in enumerate(texts)]
    first = [str(name(packet)) for packet in published(steps, documents, waves[0])]
    again = [str(name(packet)) for packet in published(steps, data.draw(st.permutations(documents)), waves[1])]
    assert sorted(first) == sorted(again)
    assert len(set(first)) == len(first)
