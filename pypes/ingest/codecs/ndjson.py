"""NDJSON bodies: one JSON object per line, read line by line; blank lines are skipped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from pypes.core.limits import Limits
from pypes.errors import BadRequest, TooLarge
from pypes.ingest.codecs import json


def check(body: bytes, limits: Limits) -> int:
    """Count the documents of a body in memory; raises :class:`BadRequest` naming the line."""
    return sum(map(len, documents([body], limits)))


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


def documents(
    pieces: Iterable[bytes], limits: Limits, number: int = 0, *, is_checked: bool = False
) -> Iterator[list[dict[str, Any]]]:
    """The documents of a body that comes in pieces, as lists; ``number`` lines came before them.

    ``is_checked``: their depth was looked at before.
    """
    loads, depth = orjson.loads, limits.json_depth
    for lines in lines_of(pieces, limits):
        found = []
        for line in lines:
            number += 1
            try:
                value = loads(line)
            except orjson.JSONDecodeError:
                if not line.strip():
                    continue
                value = json.parse(line, limits, f"line {number}, ")
            if type(value) is not dict:
                raise BadRequest(f"line {number} is not a JSON object", code="ingest.not_documents", where=f"line {number}")
            if not is_checked and line.count(b"{") + line.count(b"[") > depth:
                json.check_depth(value, limits, f"line {number}")
            found.append(value)
        if found:
            yield found


def _line_too_long(number: int, limits: Limits) -> TooLarge:
    return TooLarge(f"a line is longer than {limits.line_bytes} bytes", code="ingest.line_too_long", where=f"after line {number}")


class Checker:
    """Checks a body that arrives in pieces, keeping no more than a line."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._rest = bytearray()
        self._lines = 0
        self._documents = 0

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
        for found in documents([lines], self._limits, self._lines):
            self._documents += len(found)
        self._lines += lines.count(b"\n")
