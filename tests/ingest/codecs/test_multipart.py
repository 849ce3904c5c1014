"""The parser of multipart bodies tells the same of a body, however it is cut into pieces."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.errors import BadRequest
from pypes.ingest.codecs.multipart import Data, End, Parser, Start

BOUNDARY = b"-" * 8 + b"f00d"
HEAD = b'Content-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\n'


def told(pieces: Iterable[bytes]) -> list[tuple[Any, ...]]:
    """What is told of parts; contents that follow one another are put together, and what is refused comes last."""
    parser = Parser(BOUNDARY)
    found: list[tuple[Any, ...]] = []
    try:
        for piece in pieces:
            for event in parser.feed(piece):
                match event:
                    case Start(part):
                        found.append(("start", part.filename))
                    case Data(offset, content):
                        if found[-1][0] == "data" and found[-1][1] + len(found[-1][2]) == offset:
                            offset, content = found[-1][1], found[-1][2] + content
                            found.pop()
                        found.append(("data", offset, content))
                    case End(offset, size):
                        found.append(("end", offset, size))
        parser.finish()
    except BadRequest as error:
        found.append(("refused", error.code, error.message))
    return found


def body(*contents: bytes, preamble: bytes = b"") -> bytes:
    parts = b"".join(b"--%b\r\n%b%b\r\n" % (BOUNDARY, HEAD, content) for content in contents)
    return preamble + parts + b"--%b--\r\n" % BOUNDARY


def test_offsets_are_within_the_body() -> None:
    whole = body(b"one", b"", b"\r\n--" + BOUNDARY[:-1])
    for event in told([whole]):
        match event:
            case ("data", offset, content):
                assert whole.startswith(content, offset)
            case ("end", offset, size):
                assert whole.startswith(b"\r\n--" + BOUNDARY, offset + size)
    assert [event[2] for event in told([whole]) if event[0] == "end"] == [3, 0, 4 + len(BOUNDARY) - 1]


@pytest.mark.parametrize("preamble", [b"", b"\r\n", b"a preamble\r\n"])
def test_any_cut_tells_the_same(preamble: bytes) -> None:
    whole = body(b"x" * 100, b"\r\n--" + BOUNDARY[:5] + b"\r\n-", b"y", preamble=preamble)
    expected = told([whole])
    assert [event[0] for event in expected].count("end") == 3
    for cut in range(1, len(whole)):
        assert told([whole[:cut], whole[cut:]]) == expected, cut


#: Bits of which bodies, whole and broken, are made.
BITS = (
    *(b"\r\n", b"\n", b"\r", b"--", b"x", b"some words", b" ", b"\r\n--" + BOUNDARY, b"\r\n--" + BOUNDARY + b"--"),
    *(
        b"--" + BOUNDARY,
        b"--" + BOUNDARY + b"\r\n",
        b"\r\n--" + BOUNDARY[:6],
        HEAD,
        HEAD.replace(b"a.txt", b""),
        b"no: field\r\n\r\n",
    ),
)


@given(st.lists(st.sampled_from(BITS), max_size=20), st.lists(st.integers(1, 60), max_size=40))
def test_any_bits_in_any_pieces_tell_the_same(bits: list[bytes], sizes: list[int]) -> None:
    whole = b"".join(bits)
    pieces, at = [], 0
    for size in sizes:
        pieces.append(whole[at : at + size])
        at += size
    pieces.append(whole[at:])
    assert told(pieces) == told(whole[at : at + 1] for at in range(len(whole)))
