"""Which character set bytes are in: byte order mark, what was declared, UTF-8, and only then a guess."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from types import MappingProxyType
from typing import BinaryIO, NamedTuple

# UTF-32 first: its little-endian mark begins with that of UTF-16
MARKS: Mapping[bytes, str] = MappingProxyType(
    {
        codecs.BOM_UTF8: "utf-8",
        codecs.BOM_UTF32_LE: "utf-32-le",
        codecs.BOM_UTF32_BE: "utf-32-be",
        codecs.BOM_UTF16_LE: "utf-16-le",
        codecs.BOM_UTF16_BE: "utf-16-be",
    }
)

#: A guess looks at this many bytes: more makes it slower, not better.
GUESSED_BYTES = 64 * 1024


def decode(data: bytes, declared: str | None = None) -> tuple[str, str]:
    """Decode ``data``; returns the text and the name of the character set. Never fails.

    ``declared`` (from the content type) counts if the bytes agree with it. Bytes that fit nothing become U+FFFD.
    """
    mark, charset = split_mark(data[:4])
    if charset:
        return data[mark:].decode(charset, "replace"), charset
    for candidate in (declared, "utf-8"):
        if candidate:
            try:
                return data.decode(candidate), codecs.lookup(candidate).name
            except (UnicodeDecodeError, LookupError):
                continue
    charset = guess(data)
    return data.decode(charset, "replace"), charset


def split_mark(head: bytes) -> tuple[int, str | None]:
    """Length of the byte order mark that ``head`` (four bytes) begins with, and the character set it stands for."""
    for mark, charset in MARKS.items():
        if head.startswith(mark):
            return len(mark), charset
    return 0, None


class Misfit(NamedTuple):
    """The first byte that is not of a character set: its offset, and the bytes around it."""

    at: int
    around: bytes


def fitting(body: BinaryIO, declared: str | None) -> tuple[str, Misfit | None]:
    """The character set of the mark, or as declared, or UTF-8; and where the first byte is that is not of it.

    Reads to the end in blocks, or to that byte. Raises ``LookupError`` for a declared one that nobody knows.
    """
    block = body.read(GUESSED_BYTES)
    mark, charset = split_mark(block[:4])
    charset = charset or declared or "utf-8"
    decoder = codecs.getincrementaldecoder(charset)()
    at, before = mark, b""
    block = block[mark:]
    while block:
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(block)
        except UnicodeDecodeError as error:
            return charset, Misfit(at - pending + error.start, before[-GUESSED_BYTES // 2 :] + block)
        at += len(block)
        before, block = block, body.read(GUESSED_BYTES)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return charset, Misfit(at - len(decoder.getstate()[0]), before)
    return charset, None


def guess(data: bytes) -> str:
    """Guess the character set of bytes that are not UTF-8; ``windows-1252`` where nothing speaks for another."""
    # chardet loads its models when imported (~50 ms): most documents never get here
    import chardet

    found = chardet.detect(data[:GUESSED_BYTES])["encoding"]
    try:
        charset = codecs.lookup(found or "windows-1252").name
    except LookupError:
        return "windows-1252"
    # a guess of ASCII or UTF-8 comes from a part of the document, and the whole was tried
    return "windows-1252" if charset in ("ascii", "utf-8") else charset
