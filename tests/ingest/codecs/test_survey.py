"""What is learnt while a body is checked: order keys, and what cannot be read. Decoding must find the same."""

import gzip
from itertools import count
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.core.limits import MIB, Limits
from pypes.core.media_types import PACKETS
from pypes.errors import InvalidInput, TooLarge
from pypes.ingest.codecs import Checker, Survey, Unreadable, check, documents
from pypes.ingest.delivery import Header
from pypes.ingest.ordering import EVERY, MAX_KEYS, key_of, pack_keys
from pypes.packet import Packet

JSON = "application/json"
NDJSON = "application/x-ndjson"
MULTIPART = "multipart/form-data; boundary=XX"


def surveyed(
    body: bytes,
    content_type: str,
    *,
    is_ordered: bool = False,
    is_lenient: bool = False,
    id: str | None = None,
    encoding: str = "",
) -> tuple[int, int, bytes]:
    """Documents, unreadable ones among them, and keys; the same whole and in chunks."""
    header = Header("g", content_type=content_type, id=id, is_lenient=is_lenient, encoding=encoding)
    seen = Survey(header, is_ordered)
    whole = (check(header, body, Limits(), seen)[0], seen.rejected, seen.keys)
    seen = Survey(header, is_ordered)
    checker = Checker(header, Limits(), seen)
    for at in range(0, len(body), 7):
        checker.feed(body[at : at + 7])
    assert (checker.finish(), seen.rejected, seen.keys) == whole
    return whole


def keys(*ids: str) -> bytes:
    return pack_keys(map(key_of, ids))


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b'{"id": "a", "x": {"id": "no"}}', JSON, keys("a")),
        (b'[{"id": "a"}, {"id": 7}, {"id": "7"}]', JSON, keys("a", "7")),
        (b'{"id": "a"}\n\n{"id": -3}\n', NDJSON, keys("a", "-3")),
        (b'{"fields": {"id": "a"}}', PACKETS, keys("a")),
        (b'[{"fields": {"id": "a"}, "meta": {"id": "b"}}]', PACKETS, keys("b")),
        (
            b'--XX\r\nContent-Disposition: form-data; name="f"; filename="a.json"\r\n\r\n{"id": "a"}\r\n--XX--\r\n',
            MULTIPART,
            keys("a"),
        ),
    ],
)
def test_keys_are_those_of_the_top_level_ids(body: bytes, content_type: str, expected: bytes) -> None:
    assert surveyed(body, content_type, is_ordered=True)[2] == expected
    assert surveyed(gzip.compress(body), content_type, is_ordered=True, encoding="gzip")[2] == expected
    assert surveyed(body, content_type)[2] == b""


def seen_of(body: bytes, content_type: str, **fields: Any) -> Survey:
    header = Header("g", content_type=content_type, **fields)
    seen = Survey(header, True)
    check(header, body, Limits(), seen)
    return seen


def test_live_documents_are_known_by_route_and_id() -> None:
    body = b'[{"id": "a"}, {"id": 7}, {"id": "7"}]'
    assert seen_of(body, JSON).identities == (("", "a"), ("", "7"))
    assert seen_of(body, JSON, route="r").identities == (("r", "a"), ("r", "7"))
    assert seen_of(b"text", "text/plain", route="r", id="x").identities == (("r", "x"),)
    packets = b'[{"fields": {"id": "a"}, "meta": {"route": "own"}}, {"fields": {"id": "a"}}]'
    assert seen_of(packets, PACKETS, route="r").identities == (("own", "a"), ("r", "a"))
    assert seen_of(body, JSON, is_bulk=True).identities == ()


def test_ids_that_take_much_room_are_in_order_with_everything() -> None:
    many = b"[%b]" % b",".join(b'{"id": "%d%s"}' % (n, b"x" * 2000) for n in range(140))
    seen = seen_of(many, JSON)
    assert (seen.keys, seen.identities) == (EVERY, ())
    assert seen_of(many, JSON, is_bulk=True).keys != EVERY


def test_an_id_that_is_too_long_is_told() -> None:
    with pytest.raises(InvalidInput, match="2048") as raised:
        seen_of(b'[{"id": "a"}, {"id": "%s"}]' % (b"x" * 2049), JSON)
    assert (raised.value.code, raised.value.where) == ("document.id", "index 1")


@pytest.mark.parametrize(
    ("body", "content_type", "where"),
    [
        (b'{"a": 1}', JSON, "index 0"),
        (b'[{"id": "a"}, {"id": null}]', JSON, "index 1"),
        (b'[{"id": "a"}, {"id": true}]', JSON, "index 1"),
        (b'{"id": 1.5}', JSON, "index 0"),
        (b'{"id": ""}', JSON, "index 0"),
        (b'{"id": "a"}\n\n{"id": ["a"]}\n', NDJSON, "line 3"),
        (b'[{"fields": {"id": "a"}}, {"fields": {}}]', PACKETS, "packet 2"),
        (b"hello", "text/plain", ""),
        (b'--XX\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\nx\r\n--XX--\r\n', MULTIPART, ""),
    ],
)
def test_a_missing_id_is_refused_and_named(body: bytes, content_type: str, where: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        surveyed(body, content_type, is_ordered=True)
    assert (caught.value.code, caught.value.where) == ("order.id_missing", where)


def test_the_id_in_the_url_comes_first() -> None:
    for body, content_type in ((b'{"id": "b"}', JSON), (b"hello", "text/plain"), (b'{"fields": {"id": "b"}}', PACKETS)):
        assert surveyed(body, content_type, is_ordered=True, id="a")[2] == keys("a")
    # what a packet says of itself is what publishers go by
    assert surveyed(b'{"fields": {}, "meta": {"id": "c"}}', PACKETS, is_ordered=True, id="a")[2] == keys("c")
    assert Survey(Header("g", "DELETE", id="a"), True).keys == keys("a")


def test_very_many_keys_are_every_key() -> None:
    body = b"".join(b'{"id": %d}\n' % n for n in range(MAX_KEYS + 100))
    header = Header("g", content_type=NDJSON)
    seen = Survey(header, True)
    assert check(header, body, Limits(), seen)[0] == MAX_KEYS + 100
    assert seen.keys == EVERY
    with pytest.raises(InvalidInput):
        check(header, body + b"{}\n", Limits(), Survey(header, True))


DEEP = b'{"a":' * 300 + b"1" + b"}" * 300


@pytest.mark.parametrize("bad", [b"oops", b'{"a": ', b"3", b"[{}]", b'{"a": "\xff"}', DEEP], ids=range(6))
def test_lines_that_cannot_be_read_are_counted_and_found_again(bad: bytes) -> None:
    body = b'{"n": 0}\n' + bad + b"\n\n" + b'{"n": 2}\n' + bad
    assert surveyed(body, NDJSON, is_lenient=True)[:2] == (4, 2)
    found = decoded(body, NDJSON)
    assert [one.get("n") if isinstance(one, Packet) else one.where for one in found] == [0, "line 2", 2, "line 5"]
    unreadable = found[1]
    assert isinstance(unreadable, Unreadable)
    assert unreadable.raw == bad
    assert unreadable.reason
    with pytest.raises(InvalidInput):
        surveyed(body, NDJSON)


@pytest.mark.parametrize("bad", [b"3", b"[{}]", b"null", b'{"a": "\xff"}', DEEP], ids=range(5))
def test_elements_that_cannot_be_read_are_counted_and_found_again(bad: bytes) -> None:
    body = b'\n[{"n": 0},' + bad + b', {"n": 2} , ' + bad + b"]"
    assert surveyed(body, JSON, is_lenient=True)[:2] == (4, 2)
    found = decoded(body, JSON)
    assert [one.get("n") if isinstance(one, Packet) else one.where for one in found] == [0, "index 1", 2, "index 3"]
    assert isinstance(found[1], Unreadable)
    assert found[1].raw == bad


@pytest.mark.parametrize("body", [b"[", b'[{"a": 1}, oops]', b"3", b"[]", b'{"a": ', b"[" * 100_000], ids=range(6))
def test_what_is_no_json_at_all_is_refused_all_the_same(body: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        surveyed(body, JSON, is_lenient=True)
    assert caught.value.code in ("ingest.malformed", "ingest.not_documents", "ingest.too_deep")


def test_a_line_over_the_limit_is_refused_all_the_same() -> None:
    header = Header("g", content_type=NDJSON, is_lenient=True)
    with pytest.raises(TooLarge):
        check(header, b"x" * MIB, Limits(line_bytes=1000), Survey(header, False))


def test_unreadable_ones_have_no_key() -> None:
    body = b'{"id": "a"}\noops\n'
    assert surveyed(body, NDJSON, is_lenient=True, is_ordered=True) == (2, 1, keys("a"))
    assert surveyed(b"oops\n", NDJSON, is_lenient=True, is_ordered=True) == (1, 1, b"")


def decoded(body: bytes, content_type: str) -> list[Packet | Unreadable]:
    header = Header("g", content_type=content_type, length=len(body), is_lenient=True)
    batches = list(documents(header, body, "receipt", 1.0, limits=Limits(wave_packets=16)))
    for _, batch in batches:
        assert 0 < len(batch) <= 16
        assert len({type(one) for one in batch}) == 1
    return [one for _, batch in batches for one in batch]


good = st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=2).map(orjson.dumps)
bad = st.sampled_from([b"3", b"null", b'["x"]', b'"y"'])


@given(st.lists(st.one_of(good, bad), min_size=1, max_size=60))
def test_checking_and_decoding_agree(parts: list[bytes]) -> None:
    for body, content_type in ((b"\n".join(parts), NDJSON), (b"[" + b",".join(parts) + b"]", JSON)):
        documents, rejected, _ = surveyed(body, content_type, is_lenient=True)
        assert (documents, rejected) == (len(parts), sum(part[:1] != b"{" for part in parts))
        found = decoded(body, content_type)
        assert [isinstance(one, Unreadable) for one in found] == [part[:1] != b"{" for part in parts]
        for number, one, part in zip(count(), found, parts, strict=False):
            if isinstance(one, Unreadable):
                assert one.raw == part
                assert one.where == (f"line {number + 1}" if content_type == NDJSON else f"index {number}")
