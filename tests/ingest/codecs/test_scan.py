"""Plain text is counted as the careful way counts it, and nothing that the careful way refuses is plain."""

from __future__ import annotations

import itertools
import json as standard
import os
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pypes.core.limits import MIB, Limits
from pypes.errors import InvalidInput
from pypes.ingest.codecs import json, ndjson, scan
from tests.ingest.codecs.conftest import uncompiled

LIMITS = Limits(json_bytes=4 * MIB, line_bytes=MIB, json_depth=4)

if not scan.IS_COMPILED and not os.environ.get("CI"):
    pytest.skip("the compiled scan is missing: apt-get install gcc python3-dev, then make clean install", allow_module_level=True)


def test_the_scan_is_compiled() -> None:
    assert scan.IS_COMPILED


PLAIN = [
    b"{}",
    b' { "a" : 1 , "b" : [ ] } \r',
    b'{"a":"","b":null,"c":true,"d":false}',
    b'{"a":[{"b":{"c":1}}]}',
    b'{"a":-0,"b":0.5,"c":-1.5e-300,"d":1E+3,"e":1e299}',
    b'{"a":18446744073709551615,"b":-9223372036854775808,"c":1234567890123456789}',
    b'{"a":12345678901234567890123.5,"b":0.1234567890123456789012345}',
    '{"é":"Grüße, 世界 \U0001f600 \x7f"}'.encode(),
    b'{"a":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\\uFFFF"}',
    b'{"a":"' + b"x" * 1000 + b'\\n"}',
    b'{"a":"[[[[[[[{{{{{{{"}',
    b'{"a":1,"a":2}',
]


@pytest.mark.parametrize("document", PLAIN)
def test_what_is_plain_is_counted(document: bytes) -> None:
    assert scan.count_value(document, LIMITS) == careful_value(document) == 1
    assert scan.count_lines(document, LIMITS) == careful_lines(document) == 1
    assert scan.count_value(b" [" + document + b" , " + document + b"]\n", LIMITS) == 2
    assert scan.count_lines(b"\n" + document + b"\n\t\r\n" + document + b"\n", LIMITS) == 2


NOT_PLAIN = [
    b"1",
    b'"a"',
    b"{",
    b"}",
    b'{"a":1}}',
    b'{"a":1]',
    b'{"a":1,}',
    b"{,}",
    b'{"a" 1}',
    b'{"a":}',
    b"{a:1}",
    b"{'a':1}",
    b'{"a":[1,]}',
    b'{"a":[,1]}',
    b'{"a":[1 2]}',
    b'{"a":tru}',
    b'{"a":nul',
    b'{"a":NaN}',
    b'{"a":Infinity}',
    b'{"a":01}',
    b'{"a":-}',
    b'{"a":+1}',
    b'{"a":1.}',
    b'{"a":.5}',
    b'{"a":1e}',
    b'{"a":1e+}',
    b'{"a":1e999}',
    b'{"a":1' + b"0" * 400 + b".0}",
    b'{"a":18446744073709551616}',
    b'{"a":-9223372036854775809}',
    b'{"a":123456789012345678901}',
    b'{"a":"\x1f"}',
    b'{"a":"\x00"}',
    b'{"a":"\\x"}',
    b'{"a":"\\u12g4"}',
    b'{"a":"\\u123"}',
    b'{"a":"\\ud83d"}',
    b'{"a":"\\ud83dx"}',
    b'{"a":"\\ud83d\\u0041"}',
    b'{"a":"\\ude00"}',
    b'{"a":"\\ud83d\\ud83d"}',
    b'{"a":"\\',
    b'{"a":"\xff"}',
    b'{"a":"\xc0\xaf"}',
    b'{"a":"\xe0\x80\xaf"}',
    b'{"a":"\xed\xa0\x80"}',
    b'{"a":"\xf0\x80\x80\xaf"}',
    b'{"a":"\xf4\x90\x80\x80"}',
    b'{"a":"\xf5\x80\x80\x80"}',
    b'{"a":"\xe4\xb8"}',
    b'{"a":"\x80"}',
    b'{"a":\xc2\xa0 1}',
    b'{"a":{"b":{"c":{"d":{}}}}}',
    b'{"a":[[[[]]]]}',
    b"\xef\xbb\xbf{}",
    b"{}\x0b",
    b'{"a":"\n"}',
    b"{} {}",
    b"{}x",
]


@pytest.mark.parametrize("text", NOT_PLAIN)
def test_what_is_not_plain_is_left_to_the_careful_way(text: bytes) -> None:
    assert scan.count_value(text, LIMITS) is None
    assert scan.count_value(b"[" + text + b"]", LIMITS) is None
    assert scan.count_lines(b"{}\n" + text + b"\n{}", LIMITS) is None


def test_lines_and_documents_are_told_apart() -> None:
    assert scan.count_lines(b"", LIMITS) == 0
    assert scan.count_lines(b" \n\n\t", LIMITS) == 0
    assert scan.count_lines(b"{}{}", LIMITS) is None
    assert scan.count_lines(b'{"a":\n1}', LIMITS) is None
    assert scan.count_lines(b"[{}]", LIMITS) is None
    assert scan.count_value(b'{"a":\n1}', LIMITS) == 1
    for text in (b"", b" ", b"[]", b"[", b"[{}", b"[{},]", b"[{}]]", b"[{}{}]", b"[[{}]]"):
        assert scan.count_value(text, LIMITS) is None


def test_a_line_is_as_long_as_allowed() -> None:
    limits = Limits(line_bytes=1024)
    line = b'{"a":"' + b"x" * 1016 + b'"}'
    assert scan.count_lines(line + b"\n" + line, limits) == 2
    assert scan.count_lines(line + b"\n" + line + b" ", limits) is None


def test_depth_is_counted_from_each_document() -> None:
    deepest = b'{"a":{"a":{"a":{}}}}'
    assert scan.count_value(b"[" + deepest + b"]", LIMITS) == 1
    # beyond what the parsers read nothing is plain, whatever is allowed
    deep = b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"
    assert scan.count_value(deep, Limits(json_depth=100_000)) is None


def test_other_threads_run_beside_a_large_body_and_nothing_is_kept_of_it() -> None:
    body = bytearray(b'{"a":"' + b"x" * MIB + b'"}')
    assert scan.count_value(body, LIMITS) == 1
    body.clear()  # raises while somebody looks at it


def test_wrong_arguments_are_errors() -> None:
    with pytest.raises(TypeError):
        scan.in_value("{}", 4)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        scan.in_lines(b"{}", 4)  # type: ignore[call-arg]
    assert scan.in_value(b"{}", -1) == -1
    assert scan.in_lines(b"{}", 4, -1) == -1


# -- against the careful way -----------------------------------------------------------------------------


def careful_value(text: bytes) -> int | None:
    return _careful(json.check, text)


def careful_lines(text: bytes) -> int | None:
    return _careful(ndjson.check, text)


def _careful(check: Any, text: bytes) -> int | None:
    """What is said without the compiled module; ``None`` for a refusal."""
    with uncompiled():
        try:
            count: int = check(text, LIMITS)
        except InvalidInput:
            return None
    return count


def agrees(text: bytes) -> None:
    """Nothing is plain that would be refused, or counted otherwise."""
    for found, expected in (
        (scan.count_value(text, LIMITS), careful_value),
        (scan.count_lines(text, LIMITS), careful_lines),
    ):
        if found is not None:
            assert found == expected(text), text


@pytest.mark.parametrize(
    ("alphabet", "length", "frame"),
    [
        (b'{}[]:,"1 \n', 6, b"%b"),
        (b'-+.eE019"', 5, b'{"":%b}'),
        (b'\\u"dD8cC0n', 5, b'{"":"%b"}'),
        (bytes([0x61, 0x7F, 0x80, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5]), 4, b'{"":"%b"}'),
    ],
)
def test_every_short_text_of_an_alphabet(alphabet: bytes, length: int, frame: bytes) -> None:
    plain = 0
    for characters in itertools.chain.from_iterable(itertools.product(alphabet, repeat=n) for n in range(length + 1)):
        text = frame % bytes(characters)
        count, lines = scan.count_value(text, LIMITS), scan.count_lines(text, LIMITS)
        if count is not None:
            assert count == careful_value(text), text
            plain += 1
        if lines:
            assert lines == careful_lines(text), text
    assert plain > 10


#: Without the very small: those are rare, and not plain.
floats = st.floats(-1e290, 1e290).filter(lambda number: number == 0 or abs(number) > 1e-290)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | floats | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(st.text(max_size=20), values, max_size=6)


def depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(depth, inner), default=0) if isinstance(value, dict | list) else 0


@given(objects, st.booleans(), st.sampled_from([None, 1]))
def test_usual_documents_are_plain(document: dict[str, Any], is_ascii: bool, indent: int | None) -> None:
    text = standard.dumps(document, ensure_ascii=is_ascii, indent=indent).encode("utf-8", "surrogatepass")
    expected = 1 if depth(document) <= LIMITS.json_depth else None
    assert scan.count_value(text, LIMITS) == expected


@given(st.lists(objects, max_size=3), st.data())
@example([{"a": "x" * 40}], None)
def test_a_changed_text_is_not_plain_unless_it_is_accepted(documents: list[dict[str, Any]], data: st.DataObject | None) -> None:
    text = bytearray(b"\n".join(standard.dumps(each, ensure_ascii=False).encode() for each in documents))
    agrees(bytes(text))
    if data is None:
        return
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        text[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.binary(max_size=3) | st.sampled_from([b"{", b"]", b'"', b"\n", b"\\u", b"\\ud800", b"1e9", b",", b":"])
        )
    agrees(bytes(text))
