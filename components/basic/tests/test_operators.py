"""Split, Merge, Collate."""

from __future__ import annotations

from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component
from pypes_basic.collate import Collate
from pypes_basic.merge import Merge
from pypes_basic.split import Split


def numbered(*numbers: int) -> list[Packet]:
    return [Packet.from_document({"n": number}) for number in numbers]


class TestSplit(ComponentSuite):
    component = Split

    def test_both_outputs_get_every_packet_and_share_nothing(self) -> None:
        result = run_component(Split, numbered(1, 2))
        assert [p.get("n") for p in result.outputs["out"]] == [1, 2]
        assert [p.get("n") for p in result.outputs["out2"]] == [1, 2]
        result.outputs["out"][0].set("n", 99)
        assert result.outputs["out2"][0].get("n") == 1


class TestMerge(ComponentSuite):
    component = Merge

    def test_pairs_are_joined_and_the_second_input_wins(self) -> None:
        first = [Packet.from_document({"a": 1, "both": "first"}, {"m": 1})]
        second = [Packet.from_document({"b": 2, "both": "second"}, {"n": 2})]
        (merged,) = run_component(Merge, {"in": first, "in2": second}).packets
        assert {name: merged.get(name) for name in merged.get_attribute_names()} == {"a": 1, "b": 2, "both": "second"}
        assert (merged.get_meta("m"), merged.get_meta("n")) == (1, 2)

    def test_what_is_left_over_passes(self) -> None:
        result = run_component(Merge, {"in": numbered(1, 2, 3), "in2": numbered(10)})
        assert [p.get("n") for p in result.packets] == [10, 2, 3]
        result = run_component(Merge, {"in": numbered(1), "in2": numbered(10, 20)})
        assert [p.get("n") for p in result.packets] == [10, 20]

    def test_more_than_a_wire_holds(self) -> None:
        result = run_component(Merge, {"in": numbered(*range(1000)), "in2": numbered(*range(1000))})
        assert [p.get("n") for p in result.packets] == list(range(1000))


class TestCollate(ComponentSuite):
    component = Collate

    def test_inputs_take_turns(self) -> None:
        result = run_component(Collate, {"in": numbered(1, 2, 3), "in2": numbered(10, 20)})
        assert [p.get("n") for p in result.packets] == [1, 10, 2, 20, 3]
