"""NDJSON bodies: one JSON object per line, read line by line; blank lines are skipped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from pypes.core import numbers
from pypes.core.limits import MIB, Limits
from pypes.errors import BadRequest, TooLarge
from pypes.ingest.codecs import json, scan
from pypes.ingest.codecs.survey import Survey, Unreadable

#: Lines whose brackets are counted together: so few that those of usual documents stay below the depth allowed.
GROUP = 16

#: Bytes of whole lines that are read by one call.
BLOCK_BYTES: Final = 256 << 10

_decoder = msgspec.json.Decoder(dict[str, Any])


def check(body: bytes, limits: Limits) -> int:
    """Count the documents of a body in memory; raises :class:`BadRequest` naming the line."""
    if (count := scan.count_lines(body, limits)) is not None:
        return count
    return sum(_count(lines, limits, number) for number, lines in _numbered(lines_of(_pieces(body), limits)))


def _pieces(body: bytes) -> Iterator[bytes]:
    """A body in pieces of up to 1 MiB: a list of all its lines may take eight times its size."""
    return (body[start : start + MIB] for start in range(0, len(body), MIB)) if len(body) > MIB else iter((body,))


def _numbered(groups: Iterable[list[bytes]]) -> Iterator[tuple[int, list[bytes]]]:
    number = 0
    for lines in groups:
        yield number, lines
        number += len(lines)


def _count(lines: list[bytes], limits: Limits, number: int) -> int:
    """Check lines, ``number`` of which came before; returns how many documents they are.

    PERF: each document is parsed and let go before the next, so that all of them are parsed in the same, hot memory.
    """
    loads, depth = orjson.loads, limits.json_depth
    documents = 0
    # PERF: to raise and catch an error costs a microsecond; where one line was blank, the others are looked at before
    has_blanks = False
    for start in range(0, len(lines), GROUP):
        group = lines[start : start + GROUP]
        joined = b"\n".join(group)
        is_flat = not json.may_be_deeper(joined, depth)
        may_change = numbers.may_change(joined)
        for line in group:
            number += 1
            if has_blanks and (not line or line.isspace()):
                continue
            try:
                value = loads(line)
            except orjson.JSONDecodeError:
                if (value := _unusual(line, limits, number)) is None:
                    has_blanks = True
                    continue
            if type(value) is not dict:
                raise _not_an_object(number)
            if may_change:
                numbers.check(line, f"line {number}")
            if not is_flat and json.may_be_deeper(line, depth):
                json.check_depth(value, limits, f"line {number}")
            documents += 1
    return documents


def lines_of(pieces: Iterable[bytes], limits: Limits) -> Iterator[list[bytes]]:
    """Split pieces into lists of whole lines. Raises :class:`TooLarge` for a line over ``line_bytes``."""
    rest: list[bytes] = []
    rest_bytes = 0
    number = 0
    for piece in pieces:
        lines = piece.split(b"\n")
        if len(lines) > 1:
            lines[0] = b"".join([*rest, lines[0]])
            rest, rest_bytes = [], 0
            last = lines.pop()
            if max(map(len, lines)) > limits.line_bytes:
                raise _line_too_long(number, limits)
            number += len(lines)
            yield lines
        else:
            last = piece
        if last:
            rest.append(last)
            rest_bytes += len(last)
            if rest_bytes > limits.line_bytes:
                raise _line_too_long(number, limits)
    if rest:
        yield [b"".join(rest)]


def documents(pieces: Iterable[bytes], limits: Limits) -> Iterator[list[dict[str, Any]]]:
    """The documents of a checked body that comes in pieces, at most ``wave_packets`` at a time."""
    size = limits.wave_packets
    for block in _blocks(pieces, limits):
        text = block.text
        found = _plain(text) if len(text) <= limits.line_bytes else None
        if found is None:
            found = _looked_at(text, limits, block.lines_before)
        for start in range(0, len(found), size):
            yield found[start : start + size]


class _Block(NamedTuple):
    """Whole lines: the ``begun`` one that ends here, and a part of a piece; ``number`` lines ended before that piece."""

    begun: list[bytes]
    piece: bytes
    start: int
    end: int
    number: int

    @property
    def text(self) -> bytes | memoryview:
        part = memoryview(self.piece)[self.start : self.end]
        return b"".join([*self.begun, part]) if self.begun else part

    @property
    def lines_before(self) -> int:
        """Counted only for who needs it: that takes a sixth of the time of reading them."""
        return self.number + self.piece.count(b"\n", 0, self.start)


def _blocks(pieces: Iterable[bytes], limits: Limits) -> Iterator[_Block]:
    """Split pieces into blocks of whole lines. Raises :class:`TooLarge` for a line over ``line_bytes`` that spans pieces."""
    size = min(BLOCK_BYTES, limits.line_bytes)
    begun: list[bytes] = []
    number = 0
    piece = b""
    for following in pieces:
        if piece:  # never so for a body in memory, which is one piece
            number += piece.count(b"\n")
        piece, start = following, 0
        while end := (piece.rfind(b"\n", start, start + size) + 1 or piece.find(b"\n", start + size) + 1):
            yield _Block(begun, piece, start, end, number)
            begun, start = [], end
        if start < len(piece):
            begun.append(piece[start:])
            if sum(map(len, begun)) > limits.line_bytes:
                raise _line_too_long(number + piece.count(b"\n"), limits)
    if begun:
        yield _Block(begun, piece, len(piece), len(piece), number)


def _plain(text: bytes | memoryview) -> list[dict[str, Any]] | None:
    """The documents in lines, ``None`` if one of them is unusual.

    PERF: a parser that reads all lines in one call; that they are lines was checked at acceptance.
    """
    try:
        found: list[dict[str, Any]] = _decoder.decode_lines(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found


def _looked_at(text: bytes | memoryview, limits: Limits, number: int) -> list[dict[str, Any]]:
    """The documents in lines, ``number`` of which came before, looked at one by one. Raises :class:`BadRequest`."""
    found = []
    for before, lines in _numbered(lines_of([bytes(text)], limits)):
        for at, line in enumerate(lines, number + before + 1):
            if not line or line.isspace():
                continue
            try:
                value = orjson.loads(line)
            except orjson.JSONDecodeError:
                value = _unusual(line, limits, at)
            if type(value) is not dict:
                raise _not_an_object(at)
            found.append(value)
    return found


def elements(pieces: Iterable[bytes], limits: Limits) -> Iterator[dict[str, Any] | Unreadable]:
    """The documents of a body, one by one; a line that is none is given as :class:`Unreadable` in its place."""
    for number, lines in _numbered(lines_of(pieces, limits)):
        yield from _readable(lines, limits, number)


def _readable(lines: list[bytes], limits: Limits, number: int) -> Iterator[dict[str, Any] | Unreadable]:
    for at, line in enumerate(lines, number + 1):
        try:
            value = _unusual(line, limits, at)
        except BadRequest as error:
            yield Unreadable(error.message, line, f"line {at}", error.code)
            continue
        if value is not None:
            yield value


def _survey(lines: list[bytes], limits: Limits, number: int, seen: Survey) -> int:
    """:func:`_count`, showing each document to ``seen``."""
    documents = 0
    for at, line in enumerate(lines, number + 1):
        try:
            value = _unusual(line, limits, at)
        except BadRequest:
            if not seen.is_lenient:
                raise
            seen.rejected += 1
        else:
            if value is None:
                continue
            seen.document(value, f"line {at}")
        documents += 1
    return documents


def _unusual(line: bytes, limits: Limits, number: int) -> dict[str, Any] | None:
    """The document in a line read with all care, ``None`` if the line is blank. Raises :class:`BadRequest`."""
    if not line.strip():
        return None
    value = json.parse(line, limits, f"line {number}, ")
    if type(value) is not dict:
        raise _not_an_object(number)
    return value


def _not_an_object(number: int) -> BadRequest:
    return BadRequest(f"line {number} is not a JSON object", code="ingest.not_documents", where=f"line {number}")


def _line_too_long(number: int, limits: Limits) -> TooLarge:
    return TooLarge(f"a line is longer than {limits.line_bytes} bytes", code="ingest.line_too_long", where=f"after line {number}")


class Checker:
    """Checks a body that arrives in pieces, keeping no more than a line."""

    def __init__(self, limits: Limits, seen: Survey | None = None) -> None:
        self._limits = limits
        self._seen = seen
        self._rest = bytearray()
        self._lines = 0
        self._documents = 0

    @property
    def held_bytes(self) -> int:
        """Bytes kept of the body."""
        return len(self._rest)

    @property
    def most_bytes(self) -> int:
        """Most bytes kept of any body."""
        return self._limits.line_bytes

    def feed(self, piece: bytes) -> None:
        cut = piece.rfind(b"\n") + 1
        if not cut:
            self._rest += piece
        else:
            self._check(bytes(self._rest) + piece[:cut])
            self._rest = bytearray(piece[cut:])
        if len(self._rest) > self._limits.line_bytes:
            raise _line_too_long(self._lines, self._limits)

    def finish(self) -> int:
        self._check(bytes(self._rest))
        return self._documents

    def _check(self, lines: bytes) -> None:
        if self._seen is None and (count := scan.count_lines(lines, self._limits)) is not None:
            self._documents += count
        else:
            for number, group in _numbered(lines_of([lines], self._limits)):
                number += self._lines
                if self._seen is None:
                    self._documents += _count(group, self._limits, number)
                else:
                    self._documents += _survey(group, self._limits, number, self._seen)
        self._lines += lines.count(b"\n")
