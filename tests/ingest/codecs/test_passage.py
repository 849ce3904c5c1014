"""Parts of a compressed body: what is read of them in any order, and how often the body is inflated for it."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest

from pypes.core.limits import MIB, Limits
from pypes.errors import BadRequest
from pypes.ingest.codecs import documents
from pypes.ingest.codecs import passage as module
from pypes.ingest.codecs.encodings import pieces_of
from pypes.ingest.codecs.passage import Passage
from pypes.ingest.delivery import Header, Spooled

CONTENT = random.Random(1).randbytes(1_000_000)
PARTS = [(offset, 90_000) for offset in range(1000, 900_000, 100_000)]


def read(passage: Passage, offset: int, size: int) -> bytes:
    with passage.open(offset, size) as stream:
        return stream.read()


@pytest.mark.parametrize("order", [PARTS, PARTS[::-1], PARTS[::2] + PARTS[1::2], [PARTS[3]] * 3])
def test_parts_are_what_they_are_in_any_order(order: list[tuple[int, int]], tmp_path: Path) -> None:
    body = gzip.compress(CONTENT)
    path = tmp_path / "spool"
    path.write_bytes(body)
    for source in (body, Spooled(str(path), len(body))):
        passage = Passage(source, "gzip", Limits())
        assert [read(passage, *part) for part in order] == [CONTENT[offset : offset + size] for offset, size in order]


def test_parts_may_be_open_at_the_same_time_and_left_early() -> None:
    passage = Passage(gzip.compress(CONTENT), "gzip", Limits())
    with passage.open(100, 1000) as first, passage.open(500, 1000) as second:
        assert first.read(10) == CONTENT[100:110]
        assert second.read() == CONTENT[500:1500]
        assert first.read() == CONTENT[110:1100]
    with passage.open(2000, 1000) as third:
        assert third.read(1) == CONTENT[2000:2001]
    assert read(passage, 3000, 10) == CONTENT[3000:3010]


def test_a_damaged_body_is_damaged_for_every_part() -> None:
    body = bytearray(gzip.compress(CONTENT))
    body[len(body) // 2 :] = b"\0" * 100
    passage = Passage(bytes(body), "gzip", Limits())
    for _ in range(2):
        with pytest.raises((BadRequest, EOFError)):
            read(passage, 900_000, 1000)
    assert read(passage, 0, 10) == CONTENT[:10]


def test_files_of_a_compressed_multipart_body_are_inflated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once more than to find where they are; each from the beginning, ten files would take 55 times one."""
    inflated = 0
    real = pieces_of

    def counting(*args: object) -> object:
        nonlocal inflated
        for piece in real(*args):  # type: ignore[arg-type]
            inflated += len(piece)
            yield piece

    monkeypatch.setattr(module, "pieces_of", counting)
    block = random.Random(2).randbytes(MIB + 1000)
    files = 10
    part = b'--cut\r\nContent-Disposition: form-data; name="f"; filename="a.bin"\r\n\r\n' + block + b"\r\n"
    body = gzip.compress(part * files + b"--cut--\r\n", 1)
    header = Header("g", "POST", "multipart/form-data; boundary=cut", "gzip")
    found = 0
    for _, packets in documents(header, body, "r", 0.0):
        for packet in packets:
            with packet.open("data") as stream:  # type: ignore[union-attr]
                assert stream.read() == block
            found += 1
    assert found == files
    assert inflated < 2 * files * len(block)
