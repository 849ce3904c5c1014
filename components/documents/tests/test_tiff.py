"""The pages of a TIFF."""

from __future__ import annotations

import pytest

from pypes_documents.tiff import pages_of


def directory(following: int) -> bytes:
    return bytes(2) + following.to_bytes(4, "big")


@pytest.mark.parametrize(
    ("data", "pages"),
    [
        (b"", 0),
        (b"\x89PNG\r\n\x1a\n", 0),
        (b"MM\0*\0\0\0\x08" + directory(14) + directory(20) + directory(0), 3),
        (b"MM\0*\0\0\0\x08" + directory(14) + directory(8), 2),
        (b"MM\0*\0\0\0\x08" + directory(1 << 31), 2),
        (b"MM\0*", 0),
        (b"II*\0\x08\0\0\0" + bytes(6), 1),
    ],
)
def test_pages_are_counted_whatever_is_in_them(data: bytes, pages: int) -> None:
    assert pages_of(data) == pages
