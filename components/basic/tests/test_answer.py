"""Answers of web servers: encodings and media types, as they are and as they should not be."""

from __future__ import annotations

import gzip
import zlib

import pytest
import urllib3

from pypes_basic.answer import UNKNOWN, decoded, type_of

PLAIN = b"hello " * 100
RAW = zlib.compress(PLAIN)[2:-4]


def heads(name: str, *values: str) -> urllib3.HTTPHeaderDict:
    return urllib3.HTTPHeaderDict([(name, value) for value in values])


@pytest.mark.parametrize(
    ("encodings", "data"),
    [
        ([], PLAIN),
        (["identity"], PLAIN),
        (["GZIP"], gzip.compress(PLAIN)),
        (["x-gzip"], gzip.compress(PLAIN[:300]) + gzip.compress(PLAIN[300:])),
        (["deflate"], zlib.compress(PLAIN)),
        (["deflate"], RAW),
        (["gzip, deflate"], zlib.compress(gzip.compress(PLAIN))),
        (["gzip", "deflate"], zlib.compress(gzip.compress(PLAIN))),
        (["utf-8"], PLAIN),
        (["none, gzip"], gzip.compress(PLAIN)),
    ],
)
def test_encodings_are_taken_off(encodings: list[str], data: bytes) -> None:
    assert decoded(data, heads("Content-Encoding", *encodings), len(PLAIN)) == PLAIN


@pytest.mark.parametrize(
    ("encoding", "data", "reason"),
    [
        ("gzip", gzip.compress(PLAIN)[:-10], "ends too early"),
        ("gzip", PLAIN, "no sound gzip"),
        ("deflate", zlib.compress(PLAIN)[:-6], "ends too early"),
        ("br", b"\x8b\x02\x80hello\x03", "encoding br"),
        ("gzip, zstd", PLAIN, "encoding gzip, zstd"),
        ("gzip, gzip, gzip, gzip", PLAIN, "encoding gzip"),
    ],
)
def test_what_is_not_whole_or_not_known_is_no_content(encoding: str, data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decoded(data, heads("Content-Encoding", encoding), 10**6)


@pytest.mark.parametrize("names", ["gzip", "gzip, gzip"])
def test_what_is_more_than_wanted(names: str) -> None:
    data = bytes(10**6)
    for _ in names.split(","):
        data = gzip.compress(data)
    assert decoded(data, heads("Content-Encoding", names), 10**6 - 1) is None


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_nothing_is_nothing(encoding: str) -> None:
    assert decoded(b"", heads("Content-Encoding", encoding), 10) == b""


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([], (UNKNOWN, None)),
        (["Text/HTML; charset=UTF-8"], ("text/html", "utf-8")),
        (["text/html", "text/html; charset=utf-8"], ("text/html", None)),
        (["text/html, text/html"], ("text/html", None)),
        (["text/html; charset=utf-8, text/html; charset=utf-8"], ("text/html", "utf-8")),
        (["html", "text/html"], ("text/html", None)),
        (['text/html; title="a, b/c"'], ("text/html", None)),
        (["html"], (UNKNOWN, None)),
        ([""], (UNKNOWN, None)),
        ([";charset=utf-8"], (UNKNOWN, None)),
        (["text/h\u00e9; charset=\u00e9"], (UNKNOWN, None)),
        (["application/ld+json"], ("application/ld+json", None)),
    ],
)
def test_the_type_is_the_first_that_is_one(values: list[str], found: tuple[str, str | None]) -> None:
    assert type_of(heads("Content-Type", *values)) == found
