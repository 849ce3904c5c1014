"""Packet: the original's interface, equality, and bodies."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.packet import Packet
from tests.packets import CHANGES, Bytes, looks, names, packets, values


class TestFields:
    def test_get(self) -> None:
        packet = Packet()
        packet.set("a", 1)
        packet.set("m", ["x"], multi=True)
        assert packet.get("a") == 1
        assert packet.get("m") == ["x"]
        assert packet.get("none") is None
        default: list[Any] = []
        assert packet.get("none", default) is default

    def test_a_list_is_one_value_unless_multi(self) -> None:
        packet = Packet()
        packet.set("a", [1, 2])
        assert packet.get("a") == [1, 2]
        assert not packet.is_multivalued("a")
        assert packet.get_attributes() == {"a": [[1, 2]]}
        packet.set("a", [1, 2], multi=True)
        assert packet.is_multivalued("a")
        assert packet.get_attributes() == {"a": [1, 2]}

    def test_multi_is_remembered_however_many_values_there_are(self) -> None:
        packet = Packet()
        for some in ([], [1], [1, 2]):
            packet.set("a", some, multi=True)
            assert packet.is_multivalued("a")
            assert packet.get("a") == some
        packet.set("a", "x", multi=True)
        assert packet.get("a") == ["x"]
        assert packet.remove("a") is True
        assert not packet.has("a")

    def test_a_multivalued_field_gives_a_copy(self) -> None:
        given = [1, 2]
        packet = Packet()
        packet.set("a", given, multi=True)
        given.append(3)
        packet.get("a").append(4)
        assert packet.get("a") == [1, 2]

    def test_set_keeps_or_drops_metadata(self) -> None:
        packet = Packet()
        packet.set("a", 1)
        packet.set_meta("m", 1, "a")
        packet.set("a", 2)
        assert packet.has_meta("m", "a")
        packet.set("a", 3, keep_meta=False)
        assert not packet.has_meta("m", "a")
        assert packet.get("a") == 3

    def test_add_only_if_absent(self) -> None:
        packet = Packet()
        packet.add("a", 1)
        packet.add("a", 2)
        packet.add("m", [1], multi=True)
        assert packet.get("a") == 1
        assert packet.get("m") == [1]

    def test_append(self) -> None:
        packet = Packet()
        packet.append("a", 1)
        assert packet.get("a") == 1
        packet.append("a", 2)
        assert packet.get("a") == [1, 2]
        packet.append("a", [3, 4])
        packet.append("a", [5, 6], extend=True)
        assert packet.get("a") == [1, 2, [3, 4], 5, 6]
        packet.append("l", [1])
        assert packet.get("l") == [1]
        assert packet.get_attributes()["l"] == [[1]]

    def test_what_was_appended_is_single_again_when_one_is_left(self) -> None:
        packet = Packet()
        packet.set("a", "x")
        packet.append("a", "y")
        assert packet.is_multivalued("a")
        assert packet.remove("a")
        assert packet.get("a") == "y"
        assert not packet.is_multivalued("a")

    def test_extending_by_nothing_makes_an_empty_field(self) -> None:
        packet = Packet()
        packet.append("a", [], extend=True)
        assert packet.get("a") == []
        assert not packet.is_multivalued("a")

    def test_delete_takes_the_metadata_along(self) -> None:
        packet = Packet()
        assert packet.delete("a") is False
        packet.set("a", 1)
        packet.set_meta("m", 1, "a")
        assert packet.delete("a") is True
        packet.set("a", 1)
        assert not packet.has_meta("m", "a")

    def test_remove(self) -> None:
        packet = Packet()
        packet.set("a", [1, 2, 3], multi=True)
        assert packet.remove("a") is True
        assert packet.remove("a", 1) is True
        assert packet.get("a") == [2]
        assert packet.remove("a", 10) is False
        assert packet.remove("a", -1) is True
        assert packet.remove("a") is False
        packet.set("b", "x")
        assert packet.remove("b") is True
        assert not packet.has("b")

    def test_replace(self) -> None:
        packet = Packet()
        assert packet.replace("a", 1) is False
        assert not packet.has("a")
        packet.set("a", 1)
        assert packet.replace("a", [2]) is True
        assert packet.get("a") == [2]
        assert not packet.is_multivalued("a")
        packet.set("m", [1, 2], multi=True)
        assert packet.replace("m", 3, 1) is True
        assert packet.replace("m", 3, 2) is False
        assert packet.get("m") == [1, 3]

    def test_names_and_iteration_are_sorted(self) -> None:
        packet = Packet()
        for name in "zma":
            packet.set(name, name)
        packet.set("m", [1, 2], multi=True)
        packet.set("z", [1, 2])
        assert packet.get_attribute_names() == ["a", "m", "z"]
        assert list(packet) == [("a", ["a"]), ("m", [1, 2]), ("z", [[1, 2]])]

    def test_mapping_sugar(self) -> None:
        packet = Packet()
        packet["a"] = [1]
        assert packet["a"] == [1]
        assert "a" in packet
        del packet["a"]
        assert "a" not in packet
        with pytest.raises(KeyError):
            packet["a"]
        with pytest.raises(KeyError):
            del packet["a"]

    def test_constructor_copies_lists_of_values_as_the_original_did(self) -> None:
        doc: dict[str, Any] = {"one": [1], "two": [1, 2], "list": [[1]], "bare": "x"}
        packet = Packet(doc, {"m": [1]}, {"one": {"k": "v"}})
        doc["two"].append(3)
        assert packet.get("one") == 1
        assert packet.get("two") == [1, 2]
        assert packet.get("list") == [1]
        assert packet.get("bare") == "x"
        assert packet.get_metas() == ({"m": [1]}, {"one": {"k": "v"}})

    def test_a_packet_is_true_however_empty(self) -> None:
        assert Packet()
        assert not hasattr(Packet, "__len__")
        assert not hasattr(Packet, "__bool__")

    def test_pprint(self, capsys: pytest.CaptureFixture[str]) -> None:
        packet = Packet({"b": [1], "a": [2]}, {"m": 1}, {"a": {"k": 3}})
        packet.pprint()
        assert capsys.readouterr().out == "Attributes:\n[('a', [2]), ('b', [1])]\n"
        packet.pprint(meta=True)
        assert capsys.readouterr().out.endswith("Packet Meta:\n[('m', 1)]\nAttribute Meta:\n[('a', {'k': 3})]\n")


class TestMetadata:
    def test_of_the_packet(self) -> None:
        packet = Packet()
        assert packet.get_meta("m") is None
        assert packet.get_meta("m", default=1) == 1
        assert packet.set_meta("m", 2) is True
        assert packet.get_meta("m") == 2
        assert packet.has_meta("m")
        assert packet.delete_meta("m") is True
        assert packet.delete_meta("m") is False

    def test_of_a_field(self) -> None:
        packet = Packet()
        assert packet.set_meta("m", 1, "a") is False
        packet.set("a", 1)
        assert packet.set_meta("m", 2, "a") is True
        assert packet.get_meta("m", "a") == 2
        assert packet.get_meta("m") is None
        assert packet.get_metas() == ({}, {"a": {"m": 2}})
        assert packet.get_meta_names() == ([], {"a": ["m"]})
        assert packet.delete_meta("m", "a") is True
        assert packet.delete_meta("m", "a") is False
        assert packet.get_metas() == ({}, {})

    def test_the_multi_flag_never_shows(self) -> None:
        packet = Packet()
        packet.set("a", [1], multi=True)
        assert packet.get_metas() == ({}, {})
        assert packet.get_meta_names() == ([], {})

    def test_deletion(self) -> None:
        assert not Packet().is_deletion
        assert Packet(meta={"requestmethod": "DELETE"}).is_deletion
        assert not Packet(meta={"requestmethod": "POST"}).is_deletion

    def test_shared_metadata_is_copied_when_written_to(self) -> None:
        shared: dict[str, Any] = {"route": "news", "tags": [1]}
        one = Packet.from_document({}, shared, shared=True)
        two = Packet.from_document({}, shared, shared=True)
        one.set_meta("route", "other")
        two.get_meta("tags").append(2)
        assert one.delete_meta("tags")
        assert two.get_meta("tags") == [1, 2]
        assert shared == {"route": "news", "tags": [1]}
        assert two.get_meta("route") == "news"


class TestDocuments:
    @given(st.dictionaries(names, values))
    def test_arrays_become_multivalued_whatever_their_length(self, document: dict[str, Any]) -> None:
        packet = Packet.from_document(copy.deepcopy(document))
        for name, value in document.items():
            assert packet.get(name) == value
            assert packet.is_multivalued(name) == isinstance(value, list)

    def test_a_subclass_stays_one(self) -> None:
        class Special(Packet): ...

        assert type(Special.from_document({}).clone()) is Special


class TestMerge:
    @given(packets(), packets(), st.booleans())
    def test_values_of_the_other_replace(self, one: Packet, two: Packet, metas: bool) -> None:
        before_one, before_two = looks(one), looks(two)
        one.merge(two, metas)
        assert one.get_attributes() == {**before_one[0], **before_two[0]}
        assert {name: one.is_multivalued(name) for name, _ in one} == {**before_one[2], **before_two[2]}
        packet_meta, field_meta = one.get_metas()
        other_meta, other_field_meta = before_two[3] if metas else ({}, {})
        assert packet_meta == {**before_one[3][0], **other_meta}
        assert field_meta == {**before_one[3][1], **other_field_meta}
        for change in CHANGES:
            change(one)
        assert looks(two) == before_two


class TestEquality:
    def test_values_and_metadata_count(self) -> None:
        packet = Packet({"a": [1]})
        assert packet == Packet({"a": [1]})
        assert packet != Packet({"a": [2]})
        assert packet != Packet({"a": [1]}, {"m": 1})
        assert packet != Packet({"a": [1]}, None, {"a": {"m": 1}})
        assert packet != 1

    def test_how_a_field_came_to_its_values_does_not(self) -> None:
        one, two = Packet(), Packet()
        one.set("a", ["x"], multi=True)
        two.set("a", "x")
        assert one == two
        two.set("a", ["x"])
        assert one != two


class TestBodies:
    def test_get_reads_and_open_streams(self) -> None:
        packet = Packet()
        packet.set("data", Bytes(b"content"))
        assert packet.get("data") == b"content"
        assert packet["data"] == b"content"
        assert list(packet) == [("data", [b"content"])]
        assert packet.get_attributes() == {"data": [b"content"]}
        with packet.clone().open("data") as stream:
            assert stream.read(3) == b"con"
        assert packet == Packet({"data": [b"content"]})

    def test_a_body_is_shared_and_never_read_to_copy_it(self) -> None:
        class Unreadable(Bytes):
            def read(self) -> bytes:
                raise AssertionError("read for nothing")

        packet = Packet()
        packet.set("data", Unreadable(b"content"))
        packet.set("nested", {"a": 1})
        clone = packet.clone()
        clone.get("nested")
        clone.merge(packet)
        assert clone._fields["data"] is packet._fields["data"]
        assert packet.size_bytes() < 1000

    @pytest.mark.parametrize("value", [b"x\xc3\xa9", "xé", bytearray(b"x\xc3\xa9")])
    def test_bytes_and_text_can_be_opened_too(self, value: Any) -> None:
        packet = Packet()
        packet.set("data", value)
        with packet.open("data") as stream:
            assert stream.read() == b"x\xc3\xa9"

    def test_nothing_else_can(self) -> None:
        packet = Packet({"n": [1], "m": [b"a", b"b"]})
        for name in "nm":
            with pytest.raises(TypeError, match="can be opened"):
                packet.open(name)
        with pytest.raises(KeyError):
            packet.open("none")


@given(packets())
def test_size_grows_with_the_content(packet: Packet) -> None:
    before = packet.size_bytes()
    packet.set("more", {"text": ["x" * 10_000]})
    assert packet.size_bytes() >= before + 10_000
