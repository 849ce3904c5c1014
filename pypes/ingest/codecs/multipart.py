"""Multipart bodies (RFC 2046, RFC 7578): every part with a file name is read by the codec of its own type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pypes.core.media_types import OCTETS, media_type_of
from pypes.errors import BadRequest
from pypes.ingest.codecs.given import NOTHING, PREFIX, Given, given_of
from pypes.ingest.codecs.media import MediaType, parameters_of

_HEAD_BYTES = 16 << 10


class Part(NamedTuple):
    """The head of a part."""

    content_type: str
    filename: str
    name: str
    given: Given = NOTHING


class Start(NamedTuple):
    """A part begins."""

    part: Part


class Data(NamedTuple):
    """Content of the part, at ``offset`` within the multipart body."""

    offset: int
    piece: bytes


class End(NamedTuple):
    """The part has ended; its content took ``size`` bytes from ``offset``."""

    offset: int
    size: int


Event = Start | Data | End


def boundary_of(media: MediaType) -> bytes:
    """The boundary of a multipart type; raises :class:`BadRequest` if there is none."""
    boundary = media.parameters.get("boundary", "")
    if not 0 < len(boundary) <= 70:
        raise BadRequest("multipart needs a boundary of up to 70 characters in its Content-Type", code="ingest.multipart")
    return boundary.encode("latin-1", "replace")


class Parser:
    """Takes a multipart body in pieces and tells of its parts; keeps no more than a boundary's length of content back."""

    def __init__(self, boundary: bytes, *, is_form: bool = False) -> None:
        """``is_form``: parts without a file name are fields; otherwise they are refused."""
        self._is_form = is_form
        self._delimiter = b"\r\n--" + boundary
        # the first boundary may stand at the very start, without a line break before it
        self._buffer = bytearray(b"\r\n")
        self._offset = -2  # of the buffer within the body
        self._state = "preamble"
        self._content_at = 0

    def feed(self, piece: bytes) -> Iterator[Event]:
        self._buffer += piece
        while True:
            if self._state in ("preamble", "content"):
                at = self._buffer.find(self._delimiter)
                keep = len(self._delimiter) - 1
                end = at if at >= 0 else max(0, len(self._buffer) - keep)
                if self._state == "content" and end:
                    yield Data(self._offset, bytes(self._buffer[:end]))
                if at < 0:
                    self._drop(end)
                    return
                if self._state == "content":
                    yield End(self._content_at, self._offset + at - self._content_at)
                self._drop(at + len(self._delimiter))
                self._state = "delimiter"
            if self._state == "delimiter":
                if len(self._buffer) < 2:
                    return
                if self._buffer.startswith(b"--"):
                    self._state = "epilogue"
                else:
                    at = self._buffer.find(b"\r\n")
                    if at < 0:
                        if len(self._buffer) > _HEAD_BYTES:
                            raise _broken("a boundary is not followed by a line break")
                        return
                    if self._buffer[:at].strip(b" \t"):
                        raise _broken("a boundary is followed by other text")
                    self._drop(at)  # an empty head is two line breaks, of which this is the first
                    self._state = "head"
            if self._state == "head":
                at = self._buffer.find(b"\r\n\r\n")
                if at < 0:
                    if len(self._buffer) > _HEAD_BYTES:
                        raise _broken(f"the head of a part is longer than {_HEAD_BYTES} bytes")
                    return
                part = _part(bytes(self._buffer[2 : at + 2]), self._is_form)
                self._drop(at + 4)
                self._content_at = self._offset
                self._state = "content"
                yield Start(part)
                continue
            if self._state == "epilogue":
                self._drop(len(self._buffer))
                return

    def finish(self) -> None:
        """Raises :class:`BadRequest` unless the closing boundary was seen."""
        if self._state != "epilogue":
            raise _broken("it ends before the closing boundary")

    def _drop(self, n: int) -> None:
        del self._buffer[:n]
        self._offset += n


def events(pieces: Iterable[bytes], boundary: bytes) -> Iterator[Event]:
    """The events of a whole body; raises :class:`BadRequest` if it is broken."""
    parser = Parser(boundary)
    for piece in pieces:
        yield from parser.feed(piece)
    parser.finish()


def _part(head: bytes, is_form: bool) -> Part:
    fields: dict[str, str] = {}
    own: list[tuple[str, str]] = []
    for line in head.decode("utf-8", "replace").splitlines():
        field, _, value = line.partition(":")
        fields[field := field.strip().lower()] = value.strip()
        if field.startswith(PREFIX):
            own.append((field, value.strip()))
    parameters = parameters_of(fields.get("content-disposition", "").partition(";")[2])
    filename, name = parameters.get("filename", ""), parameters.get("name", "")
    if not filename and not is_form:
        raise BadRequest(
            f"part {name!r} is not a file; send only files in multipart bodies (metadata goes into packets, see the user guide)",
            code="ingest.multipart",
        )
    content_type = fields.get("content-type") or OCTETS
    if content_type.lower() == OCTETS:  # what clients send for types they do not know
        content_type = media_type_of(filename).outer or OCTETS
    try:
        return Part(content_type, filename, name, given_of(own) if own else NOTHING)
    except BadRequest as error:
        raise BadRequest(f"file {filename!r}: {error.message}", code=error.code, where=error.where) from error


def _broken(reason: str) -> BadRequest:
    return BadRequest(f"the multipart body is broken: {reason}", code="ingest.multipart")
