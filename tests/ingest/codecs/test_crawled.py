"""Multipart bodies with compressed files under a Content-Encoding, as the original's FileCrawler sent them."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.core.limits import MIB, Limits
from pypes.errors import BadRequest, TooLarge
from pypes.ingest.codecs import check, documents
from pypes.ingest.codecs.encodings import Inflater, inflate
from pypes.ingest.delivery import Header
from pypes.packet import Packet

LIMITS = Limits()
HEAD = b'--b0.1.2\r\nContent-Disposition: form-data; name="document"; filename="%b"\r\nContent-Type: text/plain\r\n\r\n'


def frame(*files: bytes) -> bytes:
    parts = b"".join(HEAD % b"%d.txt" % number + content + b"\r\n" for number, content in enumerate(files))
    return parts + b"--b0.1.2--\r\n\r\n"


@given(files=st.lists(st.binary(max_size=500), min_size=1, max_size=3), size=st.integers(1, 80))
def test_files_are_inflated_in_their_frame_in_any_chunks(files: list[bytes], size: int) -> None:
    sent, wanted = frame(*map(zlib.compress, files)), frame(*files)
    assert inflate(sent, "gzip", LIMITS, MIB) == wanted
    inflater = Inflater("gzip", LIMITS)
    assert b"".join(piece for at in range(0, len(sent), size) for piece in inflater.feed(sent[at : at + size])) == wanted
    inflater.finish()


def test_large_files_come_in_pieces_and_bombs_are_stopped() -> None:
    large = bytes(range(256)) * 8 * 1024
    inflater = Inflater("gzip", Limits(decompressed_ratio=10_000))
    pieces = list(inflater.feed(frame(zlib.compress(large), zlib.compress(b"small"))))
    assert b"".join(pieces) == frame(large, b"small")
    assert max(map(len, pieces)) < MIB
    with pytest.raises(TooLarge):
        list(Inflater("gzip", LIMITS).feed(frame(zlib.compress(b"x" * 64 * MIB))))


@pytest.mark.parametrize(
    "body",
    [
        frame(zlib.compress(b"x" * 1000)[:-6]),
        frame(b"not compressed"),
        frame(zlib.compress(b"x"))[:-20],
        b"--no multipart body at all" * 1000,
        b"--",
    ],
    ids=["a file cut short", "not compressed", "a frame cut short", "no frame", "two dashes"],
)
def test_what_is_not_sound_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest, match="not valid gzip"):
        inflate(body, "gzip", LIMITS, MIB)


def test_each_file_is_a_document() -> None:
    body = frame(zlib.compress(b"one"), zlib.compress(b"two"))
    header = Header("g", "POST", "multipart/form-data; boundary=b0.1.2", "gzip", length=len(body))
    count, decoded = check(header, body, LIMITS)
    assert (count, decoded) == (2, frame(b"one", b"two"))
    packets = [packet for _, batch in documents(header, body, "r", 0.0) for packet in batch if isinstance(packet, Packet)]
    assert [(packet.get("data"), packet.get_meta("filename")) for packet in packets] == [(b"one", "0.txt"), (b"two", "1.txt")]
