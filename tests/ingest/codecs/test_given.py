"""Ids and metadata that a client gives in the head of a request or of a part."""

from __future__ import annotations

import msgspec
import pytest

from pypes.core.limits import Limits
from pypes.core.media_types import PACKETS
from pypes.errors import BadRequest, PypesError
from pypes.ingest.codecs import Checker, Survey, check, documents
from pypes.ingest.codecs.given import MAX_META, NOTHING, given_of
from pypes.ingest.delivery import Header
from pypes.ingest.ordering import key_of, pack_keys
from pypes.packet import Packet

MULTIPART = "multipart/form-data; boundary=XX"


def part(content: bytes, content_type: str = "text/plain", name: str = "a.txt", *fields: str) -> bytes:
    head = [f'Content-Disposition: form-data; name="file"; filename="{name}"', f"Content-Type: {content_type}", *fields]
    return b"--XX\r\n" + "\r\n".join(head).encode() + b"\r\n\r\n" + content + b"\r\n"


def body(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--XX--\r\n"


def code(header: Header, data: bytes) -> str | None:
    """The code by which a body is refused, the same whole and in pieces, with a survey and without."""

    def one(run: object) -> str | None:
        try:
            run()  # type: ignore[operator]
        except PypesError as error:
            return error.code
        return None

    def pieces() -> None:
        checker = Checker(header, Limits())
        for at in range(0, len(data), 7):
            checker.feed(data[at : at + 7])
        checker.finish()

    found = {
        one(lambda: check(header, data, Limits())),
        one(lambda: check(header, data, Limits(), Survey(header, True))),
        one(pieces),
    }
    assert len(found) == 1
    return found.pop()


def packets(header: Header, data: bytes) -> list[Packet]:
    return [packet for _, batch in documents(header, data, "receipt", 1.5) for packet in batch if isinstance(packet, Packet)]


def test_ids_and_metadata_are_decoded() -> None:
    found = given_of(
        [("pypes-id", "b%C3%BCcher/a%20b%25.txt"), ("pypes-meta-source-url", "http://x/?a=b&c"), ("pypes-meta-e", "")]
    )
    assert found == ("bücher/a b%.txt", (("source_url", "http://x/?a=b&c"), ("e", "")))
    assert given_of([("pypes-meta-acl", "ada"), ("pypes-meta-e", ""), *[("pypes-meta-acl", name) for name in ("b", "c")]]) == (
        None,
        (("acl", ("ada", "b", "c")), ("e", "")),
    )
    assert given_of([("pypes-hops", "08")]) == (None, (("hops", "8"),))
    assert given_of([]) is NOTHING
    assert given_of([("pypes-elsewhere", "%")]) is NOTHING


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("pypes-id", "")], "document.id"),
        ([("pypes-id", "100%")], "document.id"),
        ([("pypes-id", "%ff")], "document.id"),
        ([("pypes-id", "bücher")], "document.id"),
        ([("pypes-id", "x" * 2049)], "document.id"),
        ([("pypes-id", "a"), ("pypes-id", "a")], "document.id"),
        ([("pypes-meta-", "x")], "ingest.meta"),
        ([("pypes-meta-1", "x")], "ingest.meta"),
        ([("pypes-meta-a.b", "x")], "ingest.meta"),
        ([("pypes-meta-receipt", "x")], "ingest.meta"),
        ([("pypes-meta-id", "x")], "ingest.meta"),
        ([("pypes-meta-a", "%zz")], "ingest.meta"),
        ([("pypes-meta-a", "x" * 8193)], "ingest.meta"),
        ([("pypes-meta-hops", "1")], "ingest.meta"),
        *(([("pypes-hops", text)], "ingest.hops") for text in ("", "0", "-1", "1.0", "²", "9" * 10)),
        ([("pypes-hops", "9")], "ingest.too_many_hops"),
        ([(f"pypes-meta-a{n}", "x") for n in range(MAX_META + 1)], "ingest.meta"),
    ],
)
def test_what_cannot_be_taken_is_refused(fields: list[tuple[str, str]], expected: str) -> None:
    with pytest.raises(BadRequest) as caught:
        given_of(fields)
    assert caught.value.code == expected
    assert caught.value.where


def test_each_part_has_its_own() -> None:
    data = body(
        part(b"hello", "text/plain", "a.txt", "Pypes-Id: notes/a.txt", "PYPES-META-Owner: Ada%20L."),
        part(b'{"n": 1, "id": "own"}', "application/json", "b.json", "Pypes-Id: b.json"),
        part(b"bye", "text/plain", "c.txt"),
    )
    header = Header("g", content_type=MULTIPART, documents=3, meta=(("owner", "all"), ("host", "h")))
    first, second, third = packets(header, data)
    assert (first.id, first.get_meta("owner"), first.get_meta("host"), first.has_meta("index")) == (
        "notes/a.txt",
        "Ada L.",
        "h",
        False,
    )
    assert (second.id, second.get_meta("owner"), second.has_meta("index")) == ("b.json", "all", False)
    assert (third.id, third.get_meta("index")) == (None, 2)


def test_metadata_of_a_request_goes_to_all_its_documents() -> None:
    header = Header("g", content_type="application/x-ndjson", documents=2, meta=(("owner", "Ada"),))
    assert [packet.get_meta("owner") for packet in packets(header, b"{}\n{}\n")] == ["Ada", "Ada"]
    header = Header("g", content_type=PACKETS, documents=1, meta=(("owner", "Ada"),))
    assert [packet.get_meta("owner") for packet in packets(header, b'{"fields": {}, "meta": {"owner": "own"}}')] == ["own"]


def test_metadata_that_are_given_several_times_are_a_list() -> None:
    fields = "Pypes-Meta-ACL: ada", "Pypes-Meta-ACL: the%20staff"
    header = Header("g", content_type=MULTIPART, documents=2, meta=(("acl", ("bob", "eve")), ("n", "1")))
    # as it is stored and read again
    header = msgspec.msgpack.decode(msgspec.msgpack.encode(header), type=Header)
    data = body(part(b"x", "text/plain", "a", *fields, "Pypes-Id: a"), part(b"x", "text/plain", "b", "Pypes-Id: b"))
    assert [packet.get_meta("acl") for packet in packets(header, data)] == [["ada", "the staff"], ["bob", "eve"]]
    assert code(header, data) is None


@pytest.mark.parametrize(
    ("id", "data", "expected"),
    [
        (None, body(part(b"x", "text/plain", "a", "Pypes-Id: a"), part(b"x", "text/plain", "b", "Pypes-Id: b")), None),
        ("a", body(part(b"x", "text/plain", "a", "Pypes-Id: a")), None),
        ("a", body(part(b"x", "text/plain", "a", "Pypes-Id: b")), "ingest.id_conflict"),
        (None, body(part(b"[{}, {}]", "application/json", "a", "Pypes-Id: a")), "ingest.several_documents"),
        (None, body(part(b"{}\n{}", "application/x-ndjson", "a", "Pypes-Id: a")), "ingest.several_documents"),
        (None, body(part(b"[{}]", "application/json", "a", "Pypes-Id: a")), None),
        (None, body(part(b"x", "text/plain", "a", "Pypes-Id: %")), "document.id"),
        (None, body(part(b"x", "text/plain", "a", "Pypes-Id: a", "Pypes-Meta-Route: b")), "ingest.meta"),
    ],
)
def test_ids_of_parts_are_checked_before_they_are_accepted(id: str | None, data: bytes, expected: str | None) -> None:
    assert code(Header("g", content_type=MULTIPART, id=id), data) == expected


def test_order_goes_by_the_ids_of_parts() -> None:
    header = Header("g", content_type=MULTIPART, route="r")
    seen = Survey(header, True)
    data = body(
        part(b"x", "text/plain", "a", "Pypes-Id: a"),
        part(b'{"id": "b"}', "application/json", "b"),
        part(b'[{"fields": {}, "meta": {"id": "c"}}]', PACKETS, "c", "Pypes-Id: other"),
    )
    assert check(header, data, Limits(), seen)[0] == 3
    assert seen.keys == pack_keys(map(key_of, ("a", "b", "c")))
    assert seen.identities == (("r", "a"), ("r", "b"), ("r", "c"))
