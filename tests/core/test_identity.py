"""What an id is, and which documents are the same."""

from typing import Any

import pytest

from pypes.core.identified import ids_of
from pypes.core.identity import MAX_ID_BYTES, Identity, Version, id_of
from pypes.errors import BadId
from pypes.packet import Packet


@pytest.mark.parametrize(
    ("value", "id"),
    [
        ("a", "a"),
        ("a/", "a/"),
        (" ", " "),
        ("../é%2F", "../é%2F"),
        (7, "7"),
        (0, "0"),
        (-(2**63), str(-(2**63))),
        ("x" * MAX_ID_BYTES, "x" * MAX_ID_BYTES),
        ("", None),
        (None, None),
        (True, None),
        (1.0, None),
        (["a"], None),
        ({"a": 1}, None),
        (b"a", None),
    ],
)
def test_an_id_is_text_or_a_whole_number(value: Any, id: str | None) -> None:
    assert id_of(value) == id
    assert Packet.from_document({"id": value}).id == id


@pytest.mark.parametrize("value", ["x" * (MAX_ID_BYTES + 1), "é" * (MAX_ID_BYTES // 2 + 1), "half \ud800"])
def test_text_that_cannot_be_an_id_is_told(value: str) -> None:
    with pytest.raises(BadId):
        id_of(value)
    with pytest.raises(BadId):
        _ = Packet({"id": value}).id


def test_the_id_of_the_url_comes_before_that_of_the_document() -> None:
    assert Packet({"id": "own"}, {"id": "given"}).id == "given"
    assert Packet({"id": "own"}, {"id": None}).id == "own"


def test_the_same_id_under_two_routes_is_two_documents() -> None:
    found = [Packet({"id": 1}, meta).identity for meta in (None, {"route": "a"}, {"route": "b"}, {"route": "a", "id": "1"})]
    assert found == [Identity("", "1"), Identity("a", "1"), Identity("b", "1"), Identity("a", "1")]
    assert Packet({"text": "x"}, {"route": "a"}).identity is None


def test_versions_are_in_the_order_of_their_receipts_documents_and_runs() -> None:
    versions = [Version("01a", 2, 5), Version("01a", 2, 40), Version("01a", 10, 3), Version("01b", 0, 1)]
    assert sorted(versions) == versions
    assert [Version.parse(text) for text in sorted(version.text for version in versions)] == versions


@pytest.mark.parametrize(
    "second",
    ["b", 7, "", None, True, 1.0, "é" * (MAX_ID_BYTES // 2 + 1), "x" * MAX_ID_BYTES, "x" * (MAX_ID_BYTES + 1)],
)
@pytest.mark.parametrize("meta", [None, {}, {"id": "given"}, {"id": None}, {"id": ""}, {"receipt": "r"}])
def test_the_ids_of_many_packets_are_those_of_each(second: object, meta: dict[str, object] | None) -> None:
    def id_of_one(packet: Packet) -> str | None:
        try:
            return packet.id
        except BadId:
            return None

    packets = [Packet.from_document({"id": id}, meta, shared=True) for id in ("a", second)]
    packets += [Packet.from_document({}, meta, shared=True)] * (meta is not None)
    assert ids_of(packets) == [id_of_one(packet) for packet in packets]
    assert ids_of([]) == []
