"""Pieces: how the input of a batch run is cut into work, so that every core has some and none of it fills memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import msgspec
import orjson

from pypes.cli.feeding.walking import media_type
from pypes.core.media_types import media_type_of
from pypes.errors import BadRequest
from pypes.ingest.codecs.encodings import ENCODINGS

NDJSON = "application/x-ndjson"
JSON = "application/json"
_BOM = b"\xef\xbb\xbf"

#: Work is handed out in portions of about this size, and of at most so many files.
PORTION_BYTES = 1024 * 1024
PORTION_FILES = 256


class Piece(msgspec.Struct, frozen=True):
    """A file, a part of one (whole lines of NDJSON), or a body that has no file."""

    name: str
    content_type: str
    encoding: str = ""
    path: str = ""
    start: int = 0
    length: int = 0
    body: bytes | None = None
    is_part: bool = False
    #: Lines before a piece of a stream.
    lines_before: int = 0

    @property
    def place(self) -> str:
        """Place of the piece, for a person."""
        return f"{self.name} from byte {self.start}" if self.start else self.name

    def told(self, error: BadRequest) -> tuple[str, str]:
        """The place of an error, and its message with lines as the whole input has them. Reads the file up to the piece."""
        found = re.fullmatch(r"line ([0-9]+)(.*)", error.where)
        if not self.start or found is None:
            return self.place, error.message
        line = int(found[1]) + (_lines_in(Path(self.path), self.start) if self.path else self.lines_before)
        return self.name, error.message.replace(error.where, f"line {line}{found[2]}", 1)


def portions(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Small pieces together, large ones alone."""
    portion: list[Piece] = []
    size = 0
    for piece in pieces:
        if portion and (size + piece.length > PORTION_BYTES or len(portion) == PORTION_FILES):
            yield portion
            portion, size = [], 0
        portion.append(piece)
        size += piece.length
        if piece.body is not None:  # a stream: whoever writes it may wait for what comes of it
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def pieces_of_file(path: Path, content_type: str | None) -> Iterator[Piece]:
    """Cut one file; its media type is taken from its name unless given."""
    size = path.stat().st_size
    named = media_type_of(path.name)
    encoding = named.compression if named.compression in ENCODINGS else ""
    kind = content_type or (named.type if encoding else "") or media_type(path)
    if kind != NDJSON or encoding:
        yield Piece(path.name, kind, encoding, str(path), 0, size)
        return
    with path.open("rb") as file:
        start = 0
        while start < size:
            file.seek(min(start + PORTION_BYTES, size))
            file.readline()
            end = min(file.tell(), size)
            yield Piece(path.name, kind, "", str(path), start, end - start, is_part=True)
            start = end


def _lines_in(path: Path, size: int) -> int:
    """The lines that end in the first bytes of a file."""
    count = 0
    with path.open("rb") as file:
        while size > 0 and (data := file.read(min(size, PORTION_BYTES))):
            count += data.count(b"\n")
            size -= len(data)
    return count


def pieces_of_stream(stream: BinaryIO, content_type: str | None) -> Iterator[Piece]:
    """Cut standard input: NDJSON as it arrives, anything else whole; ``None``: JSON of the form that its beginning shows."""
    read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
    head = b""
    while content_type is None:
        data = read(PORTION_BYTES)
        head += data
        content_type = _form_of(head, is_all=not data)
    if content_type != NDJSON:
        body = head + stream.read()
        yield Piece("-", content_type, body=body, length=len(body))
        return
    rest = b""
    start = lines_before = 0
    for data in chain([head] if head else [], iter(lambda: read(PORTION_BYTES), b"")):
        lines, newline, tail = data.rpartition(b"\n")
        if not newline:
            rest += data
            continue
        body = rest + lines + newline
        rest = tail
        if body.strip():
            yield Piece("-", content_type, start=start, body=body, length=len(body), lines_before=lines_before)
        start += len(body)
        lines_before += body.count(b"\n")
    if rest.strip():
        yield Piece("-", content_type, start=start, body=rest, length=len(rest), lines_before=lines_before)


def _form_of(head: bytes, *, is_all: bool) -> str | None:
    """The media type of JSON that begins in this way; ``None`` if more of it must be seen.

    An array is JSON, and so is an object that goes on behind its first line. All else is lines, of which each is a document, or
    is told to be none.
    """
    text = head.removeprefix(_BOM).lstrip()
    if text.startswith(b"["):
        return JSON
    first, newline, rest = text.partition(b"\n")
    if not newline:
        # a line as long as that is no beginning of an object in several lines
        return NDJSON if is_all or len(head) >= PORTION_BYTES else None
    if not _is_unfinished(first.rstrip()):
        return NDJSON
    rest = rest.lstrip()
    if not rest and not is_all:
        return None
    return NDJSON if rest.startswith(b"{") else JSON


def _is_unfinished(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return error.pos >= len(line)
    return False
