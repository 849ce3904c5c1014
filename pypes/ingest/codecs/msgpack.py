"""MessagePack bodies: a map is one document, and so is each map of an array, or of a row of maps that follow each other.

Maps, arrays, text, bytes and numbers are as in JSON, with bytes beside them; a timestamp becomes text (RFC 3339).
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, Final

import msgspec

from pypes.core.limits import Limits
from pypes.errors import BadRequest
from pypes.ingest.codecs import scan
from pypes.ingest.codecs.json import NOT_DOCUMENTS, too_deep
from pypes.ingest.codecs.records import Cut, Form, Head, Place, malformed

_NAME: Final = "MessagePack"
_decoder = msgspec.msgpack.Decoder(list[dict[str, Any]])

#: Formats of numbers by their first byte, from 0xCA on.
_NUMBERS: Final = tuple(map(struct.Struct, (">f", ">d", ">B", ">H", ">I", ">Q", ">b", ">h", ">i", ">q")))
#: First bytes of what announces a length, with the bytes that it takes.
_BINARY: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4}
_TEXT: Final = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_ARRAY: Final = {0xDC: 2, 0xDD: 4}
_MAP: Final = {0xDE: 2, 0xDF: 4}
_EXTENSION: Final = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_FIXED_EXTENSION: Final = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_CONSTANTS: Final = {0xC0: None, 0xC2: False, 0xC3: True}

_TIMESTAMP: Final = -1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class MessagePack(Form):
    """The form as :mod:`pypes.ingest.codecs.records` reads it."""

    name = _NAME

    def head(self, body: bytes) -> Head:
        first = body[0]
        if 0x90 <= first <= 0x9F:
            return Head(1, first & 0x0F)
        if first not in _ARRAY:
            return Head()
        reader = _Reader(body, 1)
        return Head(1 + _ARRAY[first], reader.number(_ARRAY[first]))

    def count(self, body: bytes, start: int, stop: int, limits: Limits) -> tuple[int, int, bool]:
        return scan.in_maps(body, start, stop, limits.json_depth, limits.line_bytes)

    def decode(self, body: bytes, start: int, end: int, count: int) -> list[dict[str, Any]]:
        # PERF: as an array that announces them, in one call
        return _decoder.decode(b"\xdd" + count.to_bytes(4, "big") + memoryview(body)[start:end])

    def read(self, body: bytes, at: int, limits: Limits, place: Place) -> tuple[dict[str, Any], int]:
        reader = _CarefulReader(body, at, limits, place)
        value = reader.value(0)
        if type(value) is not dict:
            where = f"document {place.document}"
            raise BadRequest(f"{where} is not a map; a document is a map", code=NOT_DOCUMENTS, where=where)
        return value, reader.at

    def skip(self, body: bytes, at: int) -> int:
        reader = _Reader(body, at)
        left = 1
        while left:
            left += reader.skip() - 1
        return reader.at


MSGPACK: Final = MessagePack()


class _Reader:
    """Steps over a body from ``at`` on; raises :class:`Cut` where it ends."""

    def __init__(self, body: bytes, at: int) -> None:
        self.body = body
        self.at = at

    def take(self, size: int, what: str) -> bytes:
        end = self.at + size
        if end > len(self.body):
            raise Cut(what)
        taken = self.body[self.at : end]
        self.at = end
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size, "a length"), "big")

    def skip(self) -> int:
        """Step over a value, or the head of a container; returns how many values are in that. Raises ``ValueError``."""
        first = self.take(1, "a value")[0]
        if first < 0x80 or first >= 0xE0 or first in _CONSTANTS:
            return 0
        if first < 0xA0:
            return (first & 0x0F) * (2 if first < 0x90 else 1)
        if first in _ARRAY:
            return self.number(_ARRAY[first])
        if first in _MAP:
            return 2 * self.number(_MAP[first])
        if 0xCA <= first <= 0xD3:
            size = _NUMBERS[first - 0xCA].size
        elif first in _FIXED_EXTENSION:
            size = 1 + _FIXED_EXTENSION[first]
        elif first < 0xC0:
            size = first & 0x1F
        elif first in _EXTENSION:
            size = 1 + self.number(_EXTENSION[first])
        elif first in _TEXT or first in _BINARY:
            size = self.number(_TEXT[first] if first in _TEXT else _BINARY[first])
        else:
            raise ValueError(f"0x{first:02X} begins no value")
        self.take(size, "a value")
        return 0


class _CarefulReader(_Reader):
    """Reads values, and says of what is refused where it stands."""

    def __init__(self, body: bytes, at: int, limits: Limits, place: Place) -> None:
        super().__init__(body, at)
        self._limits = limits
        self._place = place
        self._path: list[str | int] = []

    def value(self, level: int) -> Any:
        """The value that begins here, in so many containers."""
        start = self.at
        first = self.take(1, "a value")[0]
        if first < 0x80:
            return first
        if first >= 0xE0:
            return first - 0x100
        if first in _CONSTANTS:
            return _CONSTANTS[first]
        if 0xCA <= first <= 0xD3:
            return self._number(start, _NUMBERS[first - 0xCA])
        if first < 0x90 or first in _MAP:
            return self._map(start, self.number(_MAP[first]) if first in _MAP else first & 0x0F, level)
        if first < 0xA0 or first in _ARRAY:
            return self._array(start, self.number(_ARRAY[first]) if first in _ARRAY else first & 0x0F, level)
        if first < 0xC0 or first in _TEXT:
            return self._text(start, self.number(_TEXT[first]) if first in _TEXT else first & 0x1F)
        if first in _BINARY:
            size = self.number(_BINARY[first])
            return self.take(size, f"{size} bytes")
        if first in _FIXED_EXTENSION or first in _EXTENSION:
            return self._extension(start, self.number(_EXTENSION[first]) if first in _EXTENSION else _FIXED_EXTENSION[first])
        raise self._malformed(start, f"0x{first:02X} begins no value")

    def _number(self, start: int, form: struct.Struct) -> int | float:
        (number,) = form.unpack(self.take(form.size, "a number"))
        if not isfinite(number):
            raise self._malformed(start, f"the number {number} has no form in JSON; send null, or text", "ingest.number")
        return number  # type: ignore[no-any-return]

    def _text(self, start: int, size: int) -> str:
        data = self.take(size, f"a text of {size} bytes")
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            reason = f"the text is not UTF-8 ({error.reason} at its byte {error.start}); send bytes as bin, not as str"
            raise self._malformed(start, reason) from error

    def _map(self, start: int, size: int, level: int) -> dict[str, Any]:
        self._check_depth(start, level)
        found: dict[str, Any] = {}
        for _ in range(size):
            at = self.at
            key = self.value(level + 1)
            if type(key) is not str:
                raise self._malformed(at, f"the key of a map must be text, not {_kind(key)}; send it as text")
            self._path.append(key)
            found[key] = self.value(level + 1)
            self._path.pop()
        return found

    def _array(self, start: int, size: int, level: int) -> list[Any]:
        self._check_depth(start, level)
        found: list[Any] = []
        for index in range(size):
            self._path.append(index)
            found.append(self.value(level + 1))
            self._path.pop()
        return found

    def _extension(self, start: int, size: int) -> str:
        code = int.from_bytes(self.take(1, "an extension"), "big", signed=True)
        data = self.take(size, f"an extension of {size} bytes")
        text = timestamp(data) if code == _TIMESTAMP else None
        if text is None:
            reason = f"an extension of type {code} with {size} bytes means nothing here; send it as text, a number or bytes"
            raise self._malformed(start, reason)
        return text

    def _check_depth(self, start: int, level: int) -> None:
        if level >= self._limits.json_depth:
            raise too_deep(self._limits, self._place.at(start), _NAME)

    def _malformed(self, at: int, reason: str, code: str = "ingest.malformed") -> BadRequest:
        return malformed(_NAME, self._place.at(at, self._path), reason, code)


def timestamp(data: bytes) -> str | None:
    """RFC 3339 of the bytes of a timestamp, with nine digits behind a second that is not whole; ``None`` where there is none."""
    if len(data) == 4:
        seconds, nanoseconds = int.from_bytes(data, "big"), 0
    elif len(data) == 8:
        both = int.from_bytes(data, "big")
        seconds, nanoseconds = both & (1 << 34) - 1, both >> 34
    elif len(data) == 12:
        nanoseconds, seconds = struct.unpack(">Iq", data)
    else:
        return None
    if nanoseconds >= 10**9:
        return None
    try:
        text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    except OverflowError:
        return None
    return f"{text.zfill(19)}.{nanoseconds:09}Z" if nanoseconds else f"{text.zfill(19)}Z"


def _kind(value: Any) -> str:
    names = {dict: "a map", list: "an array", bytes: "bytes", bool: "true or false", type(None): "nil"}
    return names.get(type(value), "a number")
