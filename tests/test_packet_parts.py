"""Packets that are parts of a document: their names, their document and its version."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.core.identity import MAX_ID_BYTES, Identity, Version
from pypes.core.parts import part_of
from pypes.errors import BadId
from pypes.packet import Packet

META = {"route": "mail", "id": "box/1", "receipt": "01a", "mimetype": "message/rfc822"}


def test_a_part_knows_its_document_and_its_place() -> None:
    mail = Packet({"data": b"x"}, META)
    attachment = mail.derive("attachment", "a/b=1.pdf", {"text": "two pages"})
    chunk = attachment.derive("chunk", 4)
    assert (mail.document, mail.part) == (Identity("mail", "box/1"), "")
    assert (attachment.document, attachment.part) == (Identity("mail", "box/1"), "attachment=a%2Fb%3D1.pdf")
    assert (chunk.document, chunk.part) == (Identity("mail", "box/1"), "attachment=a%2Fb%3D1.pdf/chunk=4")
    assert chunk.identity == Identity("mail", "box/1/attachment=a%2Fb%3D1.pdf/chunk=4")
    assert attachment.get("text") == "two pages"
    assert chunk.get_attribute_names() == []
    assert attachment.get_meta("mimetype") == "message/rfc822"
    assert mail.get_metas()[0] == META


def test_a_document_whose_id_is_a_field_has_parts_as_well() -> None:
    part = Packet({"id": 7, "text": "a b"}).derive("chunk", 0, {"id": "its own", "text": "a"})
    assert (part.document, part.id, part.identity) == (Identity("", "7"), "7/chunk=0", Identity("", "7/chunk=0"))


def test_parts_of_a_document_without_an_id_have_none() -> None:
    part = Packet({"text": "a b"}, {"receipt": "01a", "index": 3}).derive("line", 2, {"text": "b"}, {"row": 2})
    assert (part.document, part.id, part.part, part.get_meta("row")) == (None, None, "line=2", 2)
    assert part.version == Version("01a", 3, 0)
    part.set_meta("id", "its own")
    inner = part.derive("word", 1)
    assert (inner.document, inner.id, inner.part) == (None, None, "line=2/word=1")


@pytest.mark.parametrize(
    ("meta", "version"),
    [
        ({}, None),
        ({"receipt": ""}, None),
        ({"receipt": "b"}, Version("b")),
        ({"receipt": "b", "origin": "a", "index": 5, "run": 9}, Version("a", 5, 9)),
        ({"receipt": "b", "index": True, "run": "9"}, Version("b")),
    ],
)
def test_the_version_is_that_of_the_first_run(meta: dict[str, Any], version: Version | None) -> None:
    assert Packet({}, meta).version == version
    assert Packet({}, {**meta, "id": "x"}).derive("row", 1).version == version


@pytest.mark.parametrize("copied", [Packet.clone, copy.deepcopy, lambda part: Packet.from_json(orjson.loads(_json(part)))])
def test_copies_and_the_json_form_keep_document_and_part(copied: Any) -> None:
    part = Packet({}, META).derive("row", 1, {"a": 1})
    found = copied(part)
    assert (found.document, found.part, found.id, found.version) == (part.document, part.part, part.id, part.version)


def test_a_packet_stays_the_part_that_it_is_when_it_takes_over_another() -> None:
    document, row = Packet({}, {"id": "doc"}), Packet({}, {"id": "sheet"}).derive("row", 1, {"a": 1}, {"acl": "staff"})
    taken = row.clone()
    taken.merge(document, metas=True)
    assert (taken.id, taken.part) == ("sheet/row=1", "row=1")
    document.merge(row, metas=True)
    assert document.get_metas()[0] == {"id": "doc", "acl": "staff"}
    document.merge(Packet({}, {"id": "other"}), metas=True)
    assert document.id == "other"


def test_a_part_shares_nothing_that_can_be_changed() -> None:
    document = Packet({}, {"id": "a", "acl": ["x"]})
    exposed = document.get_meta("acl")
    first = document.derive("row", 1)
    exposed.append("document")
    second = document.derive("row", 2)
    second.get_meta("acl").append("second")
    unread = Packet({}, {"id": "b", "acl": ["x"]})
    third = unread.derive("row", 3)
    third.get_meta("acl").append("third")
    unread.get_meta("acl").append("unread")
    found = [packet.get_meta("acl") for packet in (first, second, third, unread, document)]
    assert found == [["x"], ["x", "document", "second"], ["x", "third"], ["x", "unread"], ["x", "document"]]


def test_ids_that_would_be_too_long_are_told() -> None:
    with pytest.raises(BadId):
        Packet({}, {"id": "x" * MAX_ID_BYTES}).derive("row", 1)
    with pytest.raises(BadId):
        Packet({}, {"id": "x"}).derive("member", "half \ud800")


@pytest.mark.parametrize(
    ("kind", "place"), [("", 1), ("Row", 1), ("1row", 1), ("a=b", 1), ("é", 1), ("row", -1), ("row", True), ("row", 1.0)]
)
def test_what_cannot_name_a_part_is_told(kind: str, place: Any) -> None:
    with pytest.raises(ValueError, match="part"):
        Packet({}, {"id": "x"}).derive(kind, place)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_each_place_has_a_name_of_its_own_in_which_nothing_else_can_stand(one: str, other: str) -> None:
    assert (part_of("member", one) == part_of("member", other)) == (one == other)
    assert not set("/~\n\x7f") & set(part_of("member", one))
    assert part_of("member", one).count("=") == 1


def _json(packet: Packet) -> bytes:
    return orjson.dumps(packet.to_json())
