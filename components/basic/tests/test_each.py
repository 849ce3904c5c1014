"""Each and Gather: items of lists as parts, and back."""

from __future__ import annotations

from typing import Any

import pytest

from pypes import Component, Packet, Pipeline, Transformer
from pypes.errors import InvalidInput
from pypes.testing import ComponentSuite, run_component
from pypes_basic.each import Each
from pypes_basic.gather import Gather

from .packages import packages

DELETION = Packet({}, {"requestmethod": "DELETE", "id": "a", "route": "r"})


class TestEach(ComponentSuite):
    component = Each
    params = {"field": "list"}

    def test_requirements_of_packages(self) -> None:
        given = packages()
        result = run_component(Each, given, field="requires", kind="need", keep=["name"])
        expected = [
            (f"{packet.id}/need={n}", packet.get("name"), each)
            for packet in given
            for n, each in enumerate(packet.get("requires"), 1)
        ]
        assert [(part.id, part.get("name"), part.get("item")) for part in result.packets] == expected
        assert [packet.id for packet in result.outputs["document"]] == [packet.id for packet in given]

    def test_items_of_every_kind(self) -> None:
        packet = Packet({"list": [{"a": [1, 2], "b": None}, "x", 3, [4]], "tags": "t"}, {"id": "d", "route": "r"})
        packet.set("tags", ["p", "q"], multi=True)
        parts = run_component(Each, [packet], field="list", keep=["tags", "absent"]).packets
        assert [part.get_attributes() for part in parts] == [
            {"a": [1, 2], "b": [None], "tags": ["p", "q"]},
            {"item": ["x"], "tags": ["p", "q"]},
            {"item": [3], "tags": ["p", "q"]},
            {"item": [4], "tags": ["p", "q"]},
        ]
        result = run_component(Each, [Packet({"list": 5}), Packet({"n": 1})], field="list")
        assert [part.get("item") for part in result.packets] == [5]
        assert len(result.outputs["document"]) == 2

    def test_parts_are_called_by_a_member(self) -> None:
        packet = Packet({"list": [{"k": "a/b"}, {"k": 7}]}, {"id": "d", "route": "r"})
        assert [part.id for part in run_component(Each, [packet], field="list", place="k").packets] == [
            "d/item=a%2Fb",
            "d/item=7",
        ]

    @pytest.mark.parametrize(
        ("items", "code", "fault"),
        [
            ([{"k": 1}, {"k": "1"}], "each.twice", "two items of field 'list' are called 1 (place)"),
            ([{"k": 1}, {}], "each.no_place", "item 2 of field 'list' has no 'k' that is text or a number"),
            (["x"], "each.no_place", "item 1"),
            ([{"k": True}], "each.no_place", "item 1"),
        ],
    )
    def test_names_that_are_none(self, items: list[Any], code: str, fault: str) -> None:
        result = run_component(Each, [Packet({"list": items})], field="list", place="k")
        [letter] = result.dead_letters
        assert (letter.code, letter.error[: len(fault)]) == (code, fault)
        assert result.packets == []

    @pytest.mark.parametrize(("items", "is_sent"), [(49, True), (50, False)])
    def test_kept_fields_count_in_each_part(self, items: int, is_sent: bool) -> None:
        packet = Packet({"list": [*range(items)], "long": "x" * 10_000})
        result = run_component(Each, [packet], field="list", keep=["long"], max_kept_bytes=500_000)
        assert len(result.packets) == (items if is_sent else 0)
        assert [(letter.code, letter.error.partition(" (keep)")[0]) for letter in result.dead_letters] == (
            [] if is_sent else [("each.too_large", "long")]
        )

    def test_a_deletion_goes_everywhere(self) -> None:
        result = run_component(Each, [DELETION.clone()], field="list")
        assert [found[0].is_deletion for found in result.outputs.values()] == [True, True]

    def test_a_bad_kind_is_refused(self) -> None:
        with pytest.raises(InvalidInput):
            Each().configure({"field": "x", "kind": "no kind"})


class TestGather(ComponentSuite):
    component = Gather
    params = {"field": "list"}

    def test_what_came_of_the_items(self) -> None:
        document = Packet({"n": 1, "list": "old"})
        parts = [Packet({"a": 1, "b": 2}), Packet({"a": 3})]
        given = {"in": [document], "parts": parts}
        assert run_component(Gather, given, field="list").packets[0].get("list") == [{"a": 1, "b": 2}, {"a": 3}]
        again = {"in": [document.clone()], "parts": [part.clone() for part in parts]}
        assert run_component(Gather, again, field="list", item="a").packets[0].get("list") == [1, 3]
        assert run_component(Gather, {"in": [Packet()], "parts": []}, field="list").packets[0].get("list") == []
        [deletion] = run_component(Gather, {"in": [DELETION.clone()], "parts": [DELETION.clone()]}, field="list").packets
        assert deletion.is_deletion
        assert not deletion.has("list")


class Upper(Transformer):
    """Write items in capitals; leaves some out, and fails on others."""

    def process(self, packet: Packet) -> Packet | None:
        item = packet.get("item")
        if item is not None:
            if item == "!leave":
                return None
            packet.set("item", item.upper())
            if item == "!fail":
                raise ValueError("as it was told")
        return packet


def round_trip() -> Pipeline:
    each, gather = Each(), Gather()
    each.configure({"field": "requires"})
    gather.configure({"field": "requires", "item": "item"})
    nodes: dict[str, Component | type[Component]] = {"each": each, "upper": Upper, "gather": gather}
    wires = [("each.out", "upper.in"), ("upper.out", "gather.parts"), ("each.document", "gather.in")]
    return Pipeline(nodes=nodes, wires=wires)


def test_there_and_back_document_by_document() -> None:
    given = packages()
    with round_trip() as pipeline:
        found = pipeline.push([packet.clone() for packet in given])
        assert pipeline.dead_letters == []
    back = {packet.id: packet.get("requires") for packet in found}
    assert back == {packet.id: [each.upper() for each in packet.get("requires")] for packet in given}


def test_items_that_are_left_out_or_fail_are_missing() -> None:
    packet = Packet({"requires": ["a", "!leave", "!fail", "b"]}, {"id": "d", "route": "r"})
    with round_trip() as pipeline:
        [found] = pipeline.push([packet])
        assert found.get("requires") == ["A", "B"]
        assert [letter.node for letter in pipeline.dead_letters] == ["upper"]
