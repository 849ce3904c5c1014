"""Everything that is not JSON: one document, its bytes in field ``data``, as a handle when they are many."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO, cast

from pypes.core.limits import Limits
from pypes.errors import TooLarge
from pypes.ingest.codecs.encodings import PieceReader, pieces_of
from pypes.ingest.codecs.passage import Passage
from pypes.ingest.codecs.survey import Survey
from pypes.ingest.codecs.unwrapping import Layers, unwrapped
from pypes.ingest.delivery import Spooled
from pypes.packet import Body


class StreamBody(Body):
    """A body, or ``size`` bytes of it from ``offset`` on, read from where it lies and inflated on the way.

    A part of a compressed body needs the ``passage`` over it that all its parts share.
    """

    def __init__(
        self,
        source: bytes | Spooled,
        encoding: str,
        limits: Limits,
        offset: int = 0,
        size: int | None = None,
        passage: Passage | None = None,
    ) -> None:
        self._passage = passage
        self._source = source
        self._encoding = encoding
        self._limits = limits
        self._offset = offset
        self._size = len(source) - offset if size is None and not encoding else size

    @property
    def size(self) -> int:  # type: ignore[override]
        """Bytes after inflating; the first time it is asked for a compressed body, that is read through."""
        if self._size is None:
            with self.open() as stream:
                self._size = sum(map(len, iter(lambda: stream.read(1 << 18), b"")))
        return self._size

    def open(self) -> BinaryIO:
        if self._passage is not None and self._size is not None:
            return self._passage.open(self._offset, self._size)
        file = self._source.open() if isinstance(self._source, Spooled) else io.BytesIO(self._source)
        if not self._encoding and not self._offset and self._size == len(self._source):
            return file
        if not self._encoding:
            file.seek(self._offset)
        pieces = pieces_of(file, self._encoding, self._limits)
        stream = io.BufferedReader(PieceReader(_cut(pieces, self._size), file), 1 << 18)
        return cast("BinaryIO", stream)

    def read(self) -> bytes:
        if self._size is not None and self._size > self._limits.packet_bytes:
            raise TooLarge(
                f"a value of {self._size} bytes is more than a packet holds in memory; read the value with packet.open",
                code="packet.too_large",
            )
        with self.open() as stream:
            data = stream.read(self._limits.packet_bytes + 1)
        if len(data) > self._limits.packet_bytes:
            raise TooLarge(
                "the value is more than a packet holds in memory; read the value with packet.open", code="packet.too_large"
            )
        return data


class UnwrappedBody(StreamBody):
    """A stream without the layers around its content; ``size`` is that of the content, where it is known."""

    def __init__(self, wrapped: StreamBody, layers: Layers, limits: Limits, size: int | None = None) -> None:
        self._wrapped = wrapped
        self._layers = layers
        self._limits = limits
        self._size = size

    def open(self) -> BinaryIO:
        file = self._wrapped.open()
        pieces = unwrapped(iter(lambda: file.read(1 << 18), b""), self._layers, self._limits)
        return cast("BinaryIO", io.BufferedReader(PieceReader(pieces, file), 1 << 18))


def _cut(pieces: Iterator[bytes], size: int | None) -> Iterator[bytes]:
    for piece in pieces:
        if size is not None:
            piece = piece[:size]
            size -= len(piece)
        if piece:
            yield piece
        if size == 0:
            return


class Checker:
    """Any bytes are one document."""

    #: Bytes that it keeps of the body, and may keep of any.
    held_bytes = 0
    most_bytes = 0

    def __init__(self, seen: Survey | None = None) -> None:
        self._seen = seen

    def feed(self, piece: bytes) -> None:
        """Nothing to check."""

    def finish(self) -> int:
        if self._seen is not None:
            self._seen.opaque("")
        return 1
