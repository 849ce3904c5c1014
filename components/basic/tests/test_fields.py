"""SetField, CopyField, RenameField, DeleteField, NormalizeCase, DropDocument."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.component import Component
from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component
from pypes_basic.copy_field import CopyField
from pypes_basic.delete_field import DeleteField
from pypes_basic.drop_document import DropDocument
from pypes_basic.normalize_case import NormalizeCase
from pypes_basic.rename_field import RenameField
from pypes_basic.set_field import SetField


def run_one(component: type[Component], document: dict[str, Any], /, **params: Any) -> Packet:
    """Run one document through a component and return what came out."""
    result = run_component(component, [Packet.from_document(document)], **params)
    assert not result.dead_letters
    (packet,) = result.packets
    assert isinstance(packet, Packet)
    return packet


class TestSetField(ComponentSuite):
    component = SetField
    params = {"field": "a", "value": 1}

    def test_it_sets_whether_or_not_the_field_is_there(self) -> None:
        assert run_one(SetField, {}, field="a", value=1).get("a") == 1
        assert run_one(SetField, {"a": ["x", "y"]}, field="a", value=1).get("a") == 1

    def test_a_list_is_one_value_unless_multi(self) -> None:
        assert not run_one(SetField, {}, field="a", value=[1, 2]).is_multivalued("a")
        assert run_one(SetField, {}, field="a", value=[1, 2], multi=True).is_multivalued("a")

    def test_packets_do_not_share_a_list(self) -> None:
        first, second = run_component(SetField, [Packet(), Packet()], field="a", value={"deep": [1]}).packets
        first.get("a")["deep"].append(2)
        assert second.get("a") == {"deep": [1]}

    def test_without_a_field_packets_pass_unchanged(self) -> None:
        assert run_one(SetField, {"a": 1}).get_attribute_names() == ["a"]


class TestCopyField(ComponentSuite):
    component = CopyField
    params = {"source": "title", "target": "copy"}

    def test_values_and_metadata_are_copied(self) -> None:
        packet = Packet.from_document({"a": ["x", "y"]})
        packet.set_meta("lang", "en", attr="a")
        (copied,) = run_component(CopyField, [packet], source="a", target="b").packets
        assert copied.get("b") == ["x", "y"]
        assert copied.is_multivalued("b")
        assert copied.get_meta("lang", attr="b") == "en"
        assert copied.get("a") == ["x", "y"]

    @pytest.mark.parametrize(("mode", "expected"), [("keep", "old"), ("append", ["old", "new"]), ("overwrite", "new")])
    def test_modes(self, mode: str, expected: Any) -> None:
        assert run_one(CopyField, {"a": "new", "b": "old"}, source="a", target="b", mode=mode).get("b") == expected

    def test_a_missing_source_changes_nothing(self) -> None:
        assert run_one(CopyField, {"b": "old"}, source="a", target="b").get("b") == "old"


class TestRenameField(ComponentSuite):
    component = RenameField
    params = {"source": "title", "target": "name"}

    def test_the_field_moves_with_its_metadata(self) -> None:
        packet = Packet.from_document({"a": "x"})
        packet.set_meta("lang", "en", attr="a")
        (renamed,) = run_component(RenameField, [packet], source="a", target="b").packets
        assert renamed.get_attribute_names() == ["b"]
        assert renamed.get_meta("lang", attr="b") == "en"

    def test_keep_leaves_both(self) -> None:
        packet = run_one(RenameField, {"a": 1, "b": 2}, source="a", target="b", mode="keep")
        assert (packet.get("a"), packet.get("b")) == (1, 2)

    def test_onto_itself_changes_nothing(self) -> None:
        assert run_one(RenameField, {"a": 1}, source="a", target="a").get("a") == 1


class TestDeleteField(ComponentSuite):
    component = DeleteField
    params = {"fields": ["title"]}

    def test_fields_go_and_missing_ones_are_passed_over(self) -> None:
        assert run_one(DeleteField, {"a": 1, "b": 2}, fields=["a", "no"]).get_attribute_names() == ["b"]


class TestNormalizeCase(ComponentSuite):
    component = NormalizeCase
    params = {"fields": ["title"]}

    @pytest.mark.parametrize(("case", "expected"), [("lower", "one two"), ("upper", "ONE TWO"), ("title", "One Two")])
    def test_cases(self, case: str, expected: str) -> None:
        assert run_one(NormalizeCase, {"a": "oNe tWo"}, fields=["a"], case=case).get("a") == expected

    def test_every_string_of_a_multivalued_field_and_nothing_else(self) -> None:
        packet = run_one(NormalizeCase, {"a": ["A", 1, None], "b": 5, "c": "C"}, fields=["a", "b", "no"])
        assert packet.get("a") == ["a", 1, None]
        assert (packet.get("b"), packet.get("c")) == (5, "C")


class TestDropDocument(ComponentSuite):
    component = DropDocument
    params = {"fields": ["title"]}

    def test_any_value_of_a_field_drops(self) -> None:
        result = run_component(DropDocument, [Packet({"a": 1}), Packet({"b": 1})], fields=["a"])
        assert [packet.get("b") for packet in result.packets] == [1]

    def test_only_the_given_values_drop(self) -> None:
        documents = [Packet.from_document({"a": value}) for value in ("spam", " spam ", ["ham", "spam"], 7, "ham")]
        result = run_component(DropDocument, documents, fields=["a"], values=["spam", "7"])
        assert [packet.get("a") for packet in result.packets] == ["ham"]

    def test_deletions_pass(self) -> None:
        deletion = Packet(meta={"requestmethod": "DELETE", "id": "1"})
        deletion.set("a", "spam")
        assert run_component(DropDocument, [deletion], fields=["a"]).packets

    def test_without_fields_everything_passes(self) -> None:
        assert len(run_component(DropDocument, [Packet({"a": 1}), Packet()]).packets) == 2


@pytest.mark.parametrize(
    ("component", "before", "after", "expected"),
    [
        (SetField, {"field": "c", "value": 1}, {"field": "c", "value": [2]}, {"a": "x", "b": "y", "c": [2]}),
        (SetField, {"field": "c", "value": [2]}, {"field": "c", "value": 1}, {"a": "x", "b": "y", "c": 1}),
        (SetField, {"field": "c", "value": 1}, {"value": 1}, {"a": "x", "b": "y"}),
        (DeleteField, {"fields": ["a"]}, {"fields": ["b"]}, {"a": "x"}),
        (CopyField, {"source": "a", "target": "c"}, {"source": "b", "target": "d"}, {"a": "x", "b": "y", "d": "y"}),
        (CopyField, {"source": "a", "target": "b"}, {"source": "a", "target": "b", "mode": "keep"}, {"a": "x", "b": "y"}),
        (RenameField, {"source": "a", "target": "c"}, {"source": "b", "target": "d"}, {"a": "x", "d": "y"}),
        (RenameField, {"source": "a", "target": "b"}, {"source": "a", "target": "b", "mode": "keep"}, {"a": "x", "b": "y"}),
        (NormalizeCase, {"fields": ["a"]}, {"fields": ["b"], "case": "upper"}, {"a": "x", "b": "Y"}),
        (DropDocument, {"fields": ["a"]}, {"fields": ["a"], "values": ["y"]}, {"a": "x", "b": "y"}),
        (DropDocument, {"fields": ["c"]}, {"fields": ["a"]}, None),
    ],
)
def test_new_parameters_hold_for_the_next_packet(
    component: type[Component], before: dict[str, Any], after: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    made = component()
    made.configure(before)
    made.setup()
    made.process(Packet({"a": "x", "b": "y"}))
    made.configure(after)
    assert made.reconfigure is not None
    made.reconfigure(made.params)
    result = made.process(Packet({"a": "x", "b": "y"}))
    assert (None if result is None else {name: result.get(name) for name in result.get_attribute_names()}) == expected
