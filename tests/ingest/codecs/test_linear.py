"""What clients send is read in linear time, however odd it is: 64 times as much takes no more than 8 times 64 as long.

Processor time of the thread is compared, the least of several runs, so a busy machine does not count. Quadratic code takes 4096
times as long.
"""

from __future__ import annotations

import gzip
import random
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from backports import zstd

from pypes.core.limits import Limits
from pypes.errors import BadRequest, InvalidInput
from pypes.ingest.codecs import check, documents
from pypes.ingest.codecs.encodings import Inflater
from pypes.ingest.codecs.file_names import filename_of
from pypes.ingest.codecs.media import parameters_of, parse
from pypes.ingest.codecs.survey import Survey
from pypes.ingest.delivery import Header

FACTOR = 64
RUNS = 3

LIMITS = Limits()


def least_s(work: Callable[[Any], object], given: Any) -> float:
    found = []
    for _ in range(RUNS):
        began = time.thread_time()
        work(given)
        found.append(time.thread_time() - began)
    return min(found)


def is_linear(work: Callable[[Any], object], make: Callable[..., Any], size: int) -> bool:
    """True if ``work`` on what ``make`` makes of 64 times ``size`` takes about 64 times as long."""
    few, many = make(size), make(FACTOR * size)
    work(few)  # warm
    return least_s(work, many) < 8 * FACTOR * max(least_s(work, few), 2e-6)


def refused(work: Callable[[Any], object]) -> Callable[[Any], object]:
    """``work``, whatever it says to what it is given."""

    def tried(given: Any) -> None:
        try:
            work(given)
        except InvalidInput:
            return

    return tried


@pytest.mark.parametrize(
    "make",
    [
        lambda n: "a" * n,
        lambda n: "a " * n,
        lambda n: "a=" * n,
        lambda n: "a" + " " * n,
        lambda n: "a=" + " " * n,
        lambda n: 'a="' * n,
        lambda n: 'a="' + "\\" * n,
        lambda n: 'a="\\' * n,
        lambda n: 'a="b";' * n,
        lambda n: ";" * n,
        lambda n: '"' * n,
        lambda n: "a*=UTF-8''%C3%A4;" * n,
        lambda n: ';filename="' + '";"' * n,
        lambda n: "".join(f"; filename*{at}=a" for at in range(n // 10)),
    ],
)
def test_header_values(make: Callable[[int], str]) -> None:
    assert is_linear(parameters_of, make, 500)
    assert is_linear(filename_of, make, 500)
    assert is_linear(refused(parse), lambda n: "text/plain;" + make(n), 500)


def check_as(content_type: str, encoding: str = "") -> Callable[[bytes], object]:
    return lambda body: check(Header("g", "POST", content_type, encoding), body, LIMITS)


def read_as(content_type: str, is_lenient: bool = False) -> Callable[[bytes], object]:
    header = Header("g", "POST", content_type, is_lenient=is_lenient)
    return lambda body: list(documents(header, body, "r", 0.0))


@pytest.mark.parametrize("line", [b"\n", b" \n", b"\r\n", b'{"a":{"b":1}}\n' + b"\n" * 20, b'{"a":{"b":1}}\n' + b"\t\n" * 20])
def test_blank_lines(line: bytes) -> None:
    def make(n: int) -> bytes:
        return b'{"a": 1}\n' + line * n

    assert is_linear(check_as("application/x-ndjson"), make, 100)
    assert is_linear(read_as("application/x-ndjson"), make, 100)


@pytest.mark.parametrize("line", [b"\n", b" \n"])
def test_a_blank_line_costs_little(line: bytes) -> None:
    """An exception for each, as it once was, takes twenty times as long as cutting the body into lines."""
    count = 200_000
    body = b'{"a": 1}\n' + line * count
    whole = b'{"a": 1}\n' + b'{"a":{"b":[1,2,3,4],"c":"some text","d":null}}\n' * count
    assert least_s(check_as("application/x-ndjson"), body) < least_s(check_as("application/x-ndjson"), whole)


def test_lines_that_are_left_out() -> None:
    header = Header("g", "POST", "application/x-ndjson", is_lenient=True)
    for line in (b"x\n", b"[\n", b"\n", b'"\\\n'):
        assert is_linear(
            lambda body: check(header, body, LIMITS, Survey(header, False)), lambda n, line=line: line * n + b"{}\n", 50
        )
        assert is_linear(lambda body: list(documents(header, body, "r", 0.0)), lambda n, line=line: line * n + b"{}\n", 50)


@pytest.mark.parametrize(
    "make", [lambda n: b"[" + b"{}," * n + b"{}]", lambda n: b'{"a":[' + b"[]," * n + b"[]]}", lambda n: b"[" * n]
)
def test_json(make: Callable[[int], bytes]) -> None:
    assert is_linear(refused(check_as("application/json")), make, 1000)


def inflated(encoding: str, chunk_bytes: int) -> Callable[[bytes], int]:
    def work(body: bytes) -> int:
        inflater = Inflater(encoding, LIMITS)
        size = 0
        for start in range(0, len(body), chunk_bytes):
            size += sum(map(len, inflater.feed(body[start : start + chunk_bytes])))
        inflater.finish()
        return size

    return work


@pytest.mark.parametrize(
    ("encoding", "member"),
    [
        ("gzip", gzip.compress(b"", mtime=0)),
        ("gzip", gzip.compress(b"x", mtime=0)),
        ("gzip", gzip.compress(b"x", mtime=0) + b"\0" * 100),
        ("deflate", zlib.compress(b"")),
        ("zstd", zstd.compress(b"")),
        ("zstd", b"\x50\x2a\x4d\x18\x00\x00\x00\x00"),  # a frame to be skipped (RFC 8878, 3.1.2)
    ],
)
def test_members_of_a_compressed_body(encoding: str, member: bytes) -> None:
    assert is_linear(inflated(encoding, 1 << 20), lambda n: member * n, 60 if encoding == "zstd" else 300)


def test_members_are_read_wherever_they_are_cut() -> None:
    members = [bytes([number % 256]) * (number * 37 % 9000) for number in range(200)]
    for encoding, compress in (("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", zstd.compress)):
        body = b"".join(compress(member) for member in members)
        for chunk_bytes in (1, 7, 4096, 4097, 1 << 20):
            inflater = Inflater(encoding, LIMITS)
            found = [
                piece for start in range(0, len(body), chunk_bytes) for piece in inflater.feed(body[start : start + chunk_bytes])
            ]
            inflater.finish()
            assert b"".join(found) == b"".join(members)


def test_a_window_of_zstd_is_bounded() -> None:
    """Each body that is being inflated would hold as much memory as its frame asks for, up to 128 MiB."""
    content = random.Random(1).randbytes(12 << 20)
    for log, is_taken in ((23, True), (27, False)):
        options = {int(zstd.CompressionParameter.window_log): log, int(zstd.CompressionParameter.content_size_flag): 0}
        compressor = zstd.ZstdCompressor(options=options)
        body = compressor.compress(content) + compressor.flush()
        if is_taken:
            assert inflated("zstd", 1 << 20)(body) == len(content)
        else:
            with pytest.raises(BadRequest):
                inflated("zstd", 1 << 20)(body)


def multipart(n: int, disposition: str = 'form-data; filename="a.txt"', content: bytes = b"", more: bytes = b"") -> bytes:
    part = b"--cut\r\nContent-Disposition: " + disposition.encode() + b"\r\n" + more + b"\r\n" + content + b"\r\n"
    return part * n + b"--cut--\r\n"


@pytest.mark.parametrize(
    "make",
    [
        lambda n: multipart(n),
        lambda n: multipart(1, content=b"\r\n--cu" * n),
        lambda n: multipart(1, content=b"\r" * n),
        lambda n: multipart(1, content=b"-" * n),
        lambda n: b"--cut" + b" " * n,
        lambda n: b"-" * n + multipart(1),
        lambda n: multipart(1) + b"--cut" * n,
        lambda n: multipart(1, content=b"=\r\n" * n, more=b"Content-Transfer-Encoding: quoted-printable\r\n"),
        lambda n: multipart(1, content=b" \r\n" * n + b"QQ==", more=b"Content-Transfer-Encoding: base64\r\n"),
    ],
)
def test_multipart(make: Callable[[int], bytes]) -> None:
    assert is_linear(refused(check_as("multipart/form-data; boundary=cut")), make, 100)


@pytest.mark.parametrize("run", ["a", "a;", '"', "a=", ";", "a "])
def test_heads_of_parts(run: str) -> None:
    def make(n: int) -> bytes:
        return multipart(1, "form-data; " + run * n + '; filename="a.txt"', b"x")

    assert is_linear(refused(check_as("multipart/form-data; boundary=cut")), make, 16000 // FACTOR // len(run))
    folded = lambda n: multipart(1, content=b"x", more=b"X:y\r\n" * n)  # noqa: E731
    assert is_linear(refused(check_as("multipart/form-data; boundary=cut")), folded, 40)


def test_long_types_are_not_kept() -> None:
    """As keys of a cache, the types that one client makes up would fill the memory."""
    parse("text/plain; a=" + "x" * 1000)
    assert parse("text/plain; a=" + "x" * 1000) is not parse("text/plain; a=" + "x" * 1000)
    assert parse("text/plain; a=b") is parse("text/plain; a=b")


def test_arrays_nested_without_end_are_refused() -> None:
    for depth in (900, 2000, 3 << 20):
        for body in (b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth):
            for header in (Header("g", "POST", "application/json"), Header("g", "POST", "application/vnd.pypes.packets+json")):
                with pytest.raises(InvalidInput):
                    check(header, body, LIMITS)
                with pytest.raises(InvalidInput):
                    check(header, body, LIMITS, Survey(header, True))
