import gzip
import io
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from pypes.core.limits import MIB, Limits
from pypes.errors import BadRequest, TooLarge, UnsupportedMedia
from pypes.ingest.codecs.encodings import Inflater, PieceReader, inflate, normalize, pieces_of

LIMITS = Limits()


def deflate_raw(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "deflate": zlib.compress,
    "deflate raw": deflate_raw,
    "gzip as zlib": zlib.compress,
}


def inflate_in_chunks(body: bytes, encoding: str, size: int, limits: Limits = LIMITS) -> bytes:
    inflater = Inflater(encoding, limits)
    out = b"".join(piece for at in range(0, len(body), size) for piece in inflater.feed(body[at : at + size]))
    inflater.finish()
    return out


@pytest.mark.parametrize("how", COMPRESS)
@given(data=st.binary(max_size=2000), size=st.integers(1, 50))
def test_whatever_was_compressed_comes_back_in_any_chunks(how: str, data: bytes, size: int) -> None:
    body = COMPRESS[how](data)
    encoding = how.split()[0]
    assert inflate(body, encoding, LIMITS, MIB) == data
    assert inflate_in_chunks(body, encoding, size) == data


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_members_one_after_another_are_one_body(encoding: str) -> None:
    body = COMPRESS[encoding](b"one ") + COMPRESS[encoding](b"two")
    assert inflate(body, encoding, LIMITS, MIB) == b"one two"
    assert inflate_in_chunks(body, encoding, 7) == b"one two"


@pytest.mark.parametrize("how", COMPRESS)
def test_a_body_cut_short_is_refused(how: str) -> None:
    body = COMPRESS[how](bytes(range(256)) * 40)
    for cut in (1, 5, len(body) // 2, len(body) - 1):
        with pytest.raises(BadRequest):
            inflate(body[:cut], how.split()[0], LIMITS, MIB)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_other_bytes_are_refused(encoding: str) -> None:
    for body in (b"this is not compressed", b"\x00\x00\x00", COMPRESS[encoding](b"x") + b"garbage"):
        with pytest.raises(BadRequest):
            inflate(body, encoding, LIMITS, MIB)


@pytest.mark.parametrize("how", COMPRESS)
def test_a_bomb_is_stopped_early_in_little_memory(how: str) -> None:
    body = COMPRESS[how](bytes(200 * MIB))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge) as caught:
            inflate_in_chunks(body, how.split()[0], 65536)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.code == "ingest.decompressed_ratio"
    assert peak < 48 * MIB


def test_the_byte_limit_holds_whatever_the_ratio() -> None:
    limits = Limits(decompressed_bytes=1000)
    with pytest.raises(TooLarge) as caught:
        inflate(gzip.compress(bytes(range(256)) * 8), "gzip", limits, 100)
    assert caught.value.code == "ingest.decompressed_too_large"


def test_what_is_too_large_to_keep_is_left_to_streaming() -> None:
    assert inflate(gzip.compress(b"0123456789" * 100), "gzip", LIMITS, 999) is None


def test_encodings_are_named_as_clients_name_them() -> None:
    assert [normalize(name) for name in ("", "identity", "GZIP", " x-gzip ", "zstd")] == ["", "", "gzip", "gzip", "zstd"]
    with pytest.raises(UnsupportedMedia) as caught:
        normalize("br")
    assert caught.value.code == "ingest.unsupported_encoding"


def test_a_stream_reads_like_a_file() -> None:
    file = io.BytesIO(gzip.compress(b"line 1\nline 2\n" * 1000))
    with io.BufferedReader(PieceReader(pieces_of(file, "gzip", LIMITS), file)) as stream:
        assert stream.readline() == b"line 1\n"
        assert stream.read() == (b"line 1\nline 2\n" * 1000)[7:]
    assert file.closed
