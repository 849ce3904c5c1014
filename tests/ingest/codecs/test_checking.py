"""Checking a body whole and in chunks: both must say the same."""

import gzip
from collections.abc import Callable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.core.limits import MIB, Limits
from pypes.core.media_types import PACKETS
from pypes.errors import BadRequest, InvalidInput, PypesError, TooLarge, UnsupportedMedia
from pypes.ingest.codecs import Checker, Survey, check, json
from pypes.ingest.delivery import Header

JSON = "application/json; charset=utf-8"
NDJSON = "application/x-ndjson"
MULTIPART = "multipart/form-data; boundary=XX"

pytestmark = pytest.mark.usefixtures("both_ways")


def verdict(run: Callable[[], int]) -> object:
    try:
        return run()
    except PypesError as error:
        return type(error), error.code


def both(body: bytes, content_type: str, limits: Limits | None = None, *, size: int = 7, **fields: str) -> object:
    """What checking says, whole and in chunks of ``size`` bytes; the number of documents or (class, code)."""
    limits = limits or Limits()
    header = Header("g", content_type=content_type, **fields)  # type: ignore[arg-type]
    whole = verdict(lambda: check(header, body, limits)[0])

    def chunked() -> int:
        checker = Checker(header, limits)
        for at in range(0, len(body), size):
            checker.feed(body[at : at + size])
        return checker.finish()

    assert verdict(chunked) == whole
    return whole


def code(found: object) -> object:
    assert isinstance(found, tuple)
    assert issubclass(found[0], InvalidInput)
    return found[1]


@pytest.mark.parametrize(
    ("body", "content_type", "documents"),
    [
        (b'{"a": 1}', JSON, 1),
        (b'\xef\xbb\xbf{"a": 1}', JSON, 1),
        (b'[{"a": 1}, {}]', "application/json", 2),
        (b'{"@id": 1}', "application/ld+json", 1),
        (b'{"a": 1}\n\n{"b": 2}\r\n', NDJSON, 2),
        (b'{"a": 1}\n{"b": 2}', "application/jsonl", 2),
        (b"\x00\x01", "", 1),
        (b"a,b\n1,2\n", "text/csv", 1),
        (b'{"fields": {"a": 1}, "meta": {"x": 1}}', PACKETS, 1),
        (b'[{"fields": {"a": 1}}, {"fields": {}}]', PACKETS, 2),
    ],
)
def test_documents_are_counted(body: bytes, content_type: str, documents: int) -> None:
    assert both(body, content_type) == documents
    assert both(gzip.compress(body), content_type, encoding="gzip") == documents


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"", JSON, "ingest.empty"),
        (b"", "text/plain", "ingest.empty"),
        (b"", NDJSON, "ingest.empty"),
        (b"[]", JSON, "ingest.not_documents"),
        (b"3", JSON, "ingest.not_documents"),
        (b'"x"', JSON, "ingest.not_documents"),
        (b"null", JSON, "ingest.not_documents"),
        (b"[1]", JSON, "ingest.not_documents"),
        (b"\n\n", NDJSON, "ingest.not_documents"),
        (b"[1]\n", NDJSON, "ingest.not_documents"),
        (b'{"a": 1', JSON, "ingest.malformed"),
        (b'{"a": "\xff"}', JSON, "ingest.malformed"),
        (b'{"a": NaN}', JSON, "ingest.malformed"),
        (b'{"a": 1}\n{"b"', NDJSON, "ingest.malformed"),
        (b'{"a": 1}', PACKETS, "ingest.malformed"),
        (b'{"fields": {"a": "!"}, "field_meta": {"b": {"x": 1}}}', PACKETS, "ingest.malformed"),
        (b'{"a": 1}', "application/x-www-form-urlencoded", "ingest.unsupported_media"),
        (b'{"a": 1}', "application/json; charset=utf-16", "ingest.unsupported_media"),
        (b"x", "text", "ingest.unsupported_media"),
        (b"x", MULTIPART, "ingest.multipart"),
        (b"x", "multipart/form-data", "ingest.multipart"),
    ],
)
def test_what_is_no_document_is_refused(body: bytes, content_type: str, expected: str) -> None:
    assert code(both(body, content_type)) == expected


def test_malformed_json_is_named_by_line_and_column() -> None:
    limits = Limits()
    for body in (b'{"a": 1,\n "b": oops}', b"[" + b'{"pad": "' + b"x" * MIB + b'"},\n{"b": oops}]'):
        with pytest.raises(InvalidInput, match=r"line 2, column \d+"):
            check(Header("g", content_type=JSON), body, limits)


def test_malformed_ndjson_is_named_by_its_line() -> None:
    body = b'{"a": 1}\n' * 500 + b"{oops}\n" + b'{"a": 1}\n'
    header = Header("g", content_type=NDJSON)
    with pytest.raises(InvalidInput, match="line 501"):
        check(header, body, Limits())
    checker = Checker(header, Limits())
    checker.feed(body[:4000])
    with pytest.raises(InvalidInput, match="line 501"):
        checker.feed(body[4000:])


@pytest.mark.parametrize("content_type", [JSON, NDJSON])
@pytest.mark.parametrize(("opening", "closing"), [(b'{"a":', b"1}"), (b"[", b"]")])
def test_depth_is_bounded(content_type: str, opening: bytes, closing: bytes) -> None:
    def nested(levels: int) -> bytes:
        if opening == b"[":
            return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"
        return opening * levels + b"1" + b"}" * levels

    assert both(nested(200), content_type) == 1
    for levels in (201, 900, 100_000):
        assert code(both(nested(levels), content_type, size=65536)) == "ingest.too_deep"
    assert both(b'{"a": [' + b"[{}]," * 500 + b"1]}", content_type) == 1, "many brackets are not deep"


def test_one_document_of_an_array_may_be_as_deep_as_one_alone() -> None:
    limits = Limits(json_depth=3)
    assert both(b'[{"a":{"b":{}}},{"a":{"b":{}}}]', JSON, limits) == 2
    assert code(both(b'[{"a":{"b":{"c":{}}}}]', JSON, limits)) == "ingest.too_deep"


@pytest.mark.parametrize("text", [b"", b"1", b"{}", b"[]", b'{"a":[{}]}', b"[[[", b"{{{", b"[{[{", b"{[" * 3])
def test_brackets_bound_the_depth(text: bytes) -> None:
    brackets = text.count(b"{") + text.count(b"[")
    assert [json.may_be_deeper(text, most) for most in range(8)] == [brackets > most for most in range(8)]


def test_sizes_are_bounded() -> None:
    assert code(both(b'{"a": "xxxxxxxxxx"}', JSON, Limits(json_bytes=10))) == "ingest.too_large"
    assert code(both(b'[{"fields": {}}]', PACKETS, Limits(json_bytes=10))) == "ingest.too_large"
    assert code(both(b'{"a": "xxxxxxxxxx"}\n', NDJSON, Limits(line_bytes=10))) == "ingest.line_too_long"
    assert code(both(b"{}\n" * 11, NDJSON, Limits(documents_per_post=10))) == "ingest.too_many_documents"


def test_several_documents_cannot_share_an_id() -> None:
    assert both(b"[{}]", JSON, id="x") == 1
    assert code(both(b"[{}, {}]", JSON, id="x")) == "ingest.several_documents"
    assert code(both(b"{}\n{}", NDJSON, id="x")) == "ingest.several_documents"


def test_a_deletion_has_no_body() -> None:
    assert check(Header("g", method="DELETE", id="x"), b"", Limits()) == (1, b"")


def test_a_bomb_of_any_type_is_refused() -> None:
    bomb = gzip.compress(b'{"a": "' + b" " * (32 * MIB) + b'"}')
    for content_type in (JSON, NDJSON, "text/plain", PACKETS):
        found = both(bomb, content_type, size=4096, encoding="gzip")
        assert isinstance(found, tuple)
        assert found[0] is TooLarge


def test_what_inflates_to_much_is_checked_without_being_kept() -> None:
    line = orjson.dumps({"n": list(range(300))}) + b"\n"
    body = gzip.compress(line * 9000)
    count, data = check(Header("g", content_type=NDJSON, encoding="gzip"), body, Limits(decompressed_ratio=1 << 20))
    assert (count, data) == (9000, None)


def part(content: bytes, disposition: str, content_type: str | None = None) -> bytes:
    head = f'--XX\r\nContent-Disposition: form-data; name="f"{disposition}\r\n'
    if content_type:
        head += f"Content-Type: {content_type}\r\n"
    return head.encode() + b"\r\n" + content + b"\r\n"


def test_files_are_counted_by_their_own_type() -> None:
    body = (
        part(b"plain", '; filename="a.txt"', "text/plain")
        + part(b'[{"a": 1}, {"a": 2}]', '; filename="b.json"')
        + part(b"--XX is not a boundary\r\n--X", '; filename="c.bin"', "application/octet-stream")
    )
    assert both(b"preamble\r\n" + body + b"--XX--\r\nepilogue", MULTIPART) == 4
    assert both(body + b"--XX--", MULTIPART) == 4
    assert code(both(body, MULTIPART)) == "ingest.multipart"


def test_an_empty_file_is_refused_as_an_empty_body_is() -> None:
    body = part(b"fine", '; filename="a.txt"') + part(b"", '; filename="empty.txt"', "text/plain") + b"--XX--\r\n"
    assert code(both(body, MULTIPART)) == code(both(b"", "text/plain")) == "ingest.empty"
    with pytest.raises(BadRequest, match=r"file 'empty\.txt': the file is empty, or a folder"):
        check(Header("g", content_type=MULTIPART), body, Limits())


def test_an_input_of_a_form_without_a_file_is_passed_over() -> None:
    unchosen = part(b"", '; filename=""', "application/octet-stream")
    assert both(unchosen + part(b"fine", '; filename="a.txt"') + b"--XX--\r\n", MULTIPART) == 1
    assert code(both(part(b"x", '; filename=""') + b"--XX--\r\n", MULTIPART)) == "ingest.multipart"
    assert code(both(part(b"", '; filename="folder/"') + b"--XX--\r\n", MULTIPART)) == "ingest.multipart"


FILE = b'--XX\r\nContent-Disposition: form-data; name="f"; filename="a.txt"'


@pytest.mark.parametrize(
    "body",
    [
        b'--XX\r\nContent-Disposition: form-data;\r\n name="f";\r\n\tfilename="a.txt"\r\n\r\nx\r\n--XX--\r\n',
        b'--XX\r\nCONTENT-DISPOSITION : form-data; filename="a.txt"\r\nX-Empty:\r\n\r\nx\r\n--XX--',
        b'a preamble\r\n--XX  \r\nContent-Disposition: form-data; filename="a.txt"\r\n\r\nx\r\n--XX--',
        b'--XX\nContent-Disposition: form-data; name="f"; filename="a.txt"\nContent-Type: text/plain\n\nx\r\n--XX--\n\n--XX--\n',
    ],
    ids=["folded", "blanks", "preamble", "LF alone"],
)
def test_heads_that_other_programs_write(body: bytes) -> None:
    assert both(body, MULTIPART) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (FILE, "the body ends within the head of a part"),
        (FILE + b"\r\n\r\nx", "the body ends before the closing boundary, in file 'a.txt'"),
        (FILE + b"\r\n\r\nx\r\n--XX\r\n", "the body ends within the head of a part"),
        (b"x", "the boundary of the Content-Type does not occur in the body"),
        (FILE + b"\nContent-Type: text/csv\r\n\r\nx\r\n--XX--\r\n", "ends with LF alone"),
        (FILE + b"\r\nnonsense\r\n\r\nx\r\n--XX--\r\n", "'nonsense' in the head of a part is no field"),
    ],
)
def test_a_broken_multipart_body_says_where(body: bytes, reason: str) -> None:
    with pytest.raises(BadRequest, match=reason):
        check(Header("g", content_type=MULTIPART), body, Limits())
    assert code(both(body, MULTIPART, size=3)) == "ingest.multipart"


def test_a_broken_file_refuses_the_whole_body() -> None:
    body = part(b"fine", '; filename="a.txt"') + part(b"{oops", '; filename="b.json"') + b"--XX--\r\n"
    assert code(both(body, MULTIPART)) == "ingest.malformed"


def test_form_fields_are_not_files() -> None:
    assert code(both(part(b"value", "") + b"--XX--\r\n", MULTIPART)) == "ingest.multipart"


def test_a_head_without_end_is_refused() -> None:
    assert code(both(b"--XX\r\nX: " + b"y" * 100_000, MULTIPART, size=5000)) == "ingest.multipart"


def test_multipart_without_files_is_refused() -> None:
    assert code(both(b"--XX--\r\n", MULTIPART)) == "ingest.not_documents"


@given(body=st.binary(max_size=300), content_type=st.sampled_from([JSON, NDJSON, PACKETS, MULTIPART]), size=st.integers(1, 40))
def test_garbage_is_counted_or_refused_but_never_crashes(body: bytes, content_type: str, size: int) -> None:
    both(body, content_type, size=size)
    both(b"--XX" + body + b"--XX--", content_type, size=size)


@given(
    st.lists(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=4), min_size=1, max_size=8),
    st.integers(1, 60),
)
def test_documents_are_counted_in_every_form(documents: list[dict[str, object]], size: int) -> None:
    documents = [{k: v if not isinstance(v, int) or abs(v) < 1 << 53 else 0 for k, v in each.items()} for each in documents]
    assert both(orjson.dumps(documents), JSON, size=size) == len(documents)
    assert both(b"\n".join(map(orjson.dumps, documents)), NDJSON, size=size) == len(documents)


def test_an_unsupported_type_says_what_to_send() -> None:
    with pytest.raises(UnsupportedMedia, match="application/json"):
        check(Header("g", content_type="application/x-www-form-urlencoded"), b"a=b", Limits())


@pytest.mark.parametrize(
    ("body", "content_type", "where"),
    [
        (b'{"id": 18446744073709551616}', "application/json", ""),
        (b'[{"n": 1}, {"n": [-9223372036854775809]}]', "application/json", ""),
        (b'{"n": 1}\n\n{"n": 123456789012345678901234567890}\n', "application/x-ndjson", "line 3"),
        (b'{"n": 1}\n' * 40 + b'{"n": 18446744073709551616}\n', "application/x-ndjson", "line 41"),
        (b'{"fields": {"n": 18446744073709551616}}', PACKETS, ""),
        (b"[" + b'{"n": 1}, ' * 150_000 + b'{"n": 18446744073709551616}]', "application/json", ""),
        (
            b'--X\r\nContent-Disposition: form-data; name="f"; filename="a.json"\r\n\r\n{"n": 18446744073709551616}\r\n--X--\r\n',
            "multipart/form-data; boundary=X",
            "",
        ),
    ],
)
def test_a_number_that_would_be_changed_is_refused(body: bytes, content_type: str, where: str) -> None:
    header = Header("g", content_type=content_type)
    with pytest.raises(BadRequest, match="64 bits") as raised:
        check(header, body, Limits())
    assert (raised.value.code, raised.value.where) == ("ingest.number", where)
    assert both(body, content_type, size=1 << 16) == (BadRequest, "ingest.number")


def test_a_number_that_would_be_changed_is_a_dead_letter_where_that_was_asked_for() -> None:
    body = b'{"n": 1}\n{"n": 18446744073709551616}\n'
    header = Header("g", content_type="application/x-ndjson", is_lenient=True)
    seen = Survey(header, False)
    assert (check(header, body, Limits(), seen)[0], seen.rejected) == (2, 1)
