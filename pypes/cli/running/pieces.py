"""Pieces: how the input of a batch run is cut into work, so that every core has some and none of it fills memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from pypes.cli.feeding.walking import media_type
from pypes.core.media_types import media_type_of
from pypes.ingest.codecs.encodings import ENCODINGS

NDJSON = "application/x-ndjson"

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

    @property
    def place(self) -> str:
        """Place of the piece, for a person."""
        return f"{self.name} from byte {self.start}" if self.start else self.name


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


def pieces_of_stream(stream: BinaryIO, content_type: str) -> Iterator[Piece]:
    """Cut standard input: NDJSON as it arrives, anything else whole."""
    if content_type != NDJSON:
        body = stream.read()
        yield Piece("-", content_type, body=body, length=len(body))
        return
    rest = b""
    read = getattr(stream, "read1", stream.read)
    start = 0
    while data := read(PORTION_BYTES):
        lines, newline, tail = data.rpartition(b"\n")
        if not newline:
            rest += data
            continue
        body = rest + lines + newline
        rest = tail
        if body.strip():
            yield Piece("-", content_type, start=start, body=body, length=len(body))
        start += len(body)
    if rest.strip():
        yield Piece("-", content_type, start=start, body=rest, length=len(rest))
