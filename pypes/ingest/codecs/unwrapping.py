"""Unwrapping of a content below the encoding of its body: the encodings of a part, and a compressed file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pypes.core.limits import Limits
from pypes.ingest.codecs.content import HEAD_BYTES, Content, content_of, is_plainly, needs_head
from pypes.ingest.codecs.encodings import Inflater, Tally
from pypes.ingest.codecs.media import parse
from pypes.ingest.codecs.transfer import Transfer, transfer_of


class Layers(NamedTuple):
    """From the outside in: transfer encoding and content encoding of a part, and how its file is compressed."""

    transfer: str = ""
    encoding: str = ""
    compression: str = ""


class Unwrapped:
    """Unwraps a content as it arrives, in bounded pieces, and finds out by its first bytes what it is.

    Contents of one body share a ``tally``, so that many small ones together inflate to no more than a large one may.
    """

    def __init__(
        self, content_type: str, filename: str, limits: Limits, transfer: str = "", encoding: str = "", tally: Tally | None = None
    ) -> None:
        self._media = parse(content_type)
        self._filename = filename
        self._limits = limits
        self._tally = tally
        self._transfer_name = transfer
        self._encoding_name = encoding
        self._transfer = transfer_of(transfer)
        self._outer = Inflater(encoding, limits, tally) if encoding else None
        self._inner: Inflater | None = None
        self._head = b""
        self._content = None if needs_head(self._media, filename) else Content(self._media)
        #: Bytes of the content that have come out.
        self.size = 0

    @property
    def content(self) -> Content:
        """Description of the content; known once a piece has come out, or at the end."""
        if self._content is None:
            self._content = content_of(self._media, self._filename, self._head[:HEAD_BYTES])
            if self._content.compression:
                self._inner = Inflater(self._content.compression, self._limits, self._tally)
        return self._content

    @property
    def layers(self) -> Layers:
        return Layers(self._transfer_name, self._encoding_name, self.content.compression)

    def feed(self, piece: bytes) -> Iterable[bytes]:
        """Take a piece as received; gives what comes out, to be gone through before the next."""
        if self._transfer is not None:
            piece = self._transfer.feed(piece)
        return self._open(piece) if self._outer is None else self._opened(self._outer.feed(piece))

    def finish(self) -> Iterable[bytes]:
        """Say that it has ended; gives the rest. Raises :class:`BadRequest` if it should have gone on."""
        if self._content is None or self._transfer is not None or self._outer is not None or self._inner is not None:
            return self._rest()
        return ()

    def _rest(self) -> Iterator[bytes]:
        if self._transfer is not None:
            rest = self._transfer.finish()
            for decoded in (rest,) if self._outer is None else self._outer.feed(rest):
                yield from self._open(decoded)
        if self._outer is not None:
            self._outer.finish()
        if self._content is None:
            yield from self._open(b"", is_all=True)
        if self._inner is not None:
            self._inner.finish()

    def _opened(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            yield from self._open(piece)

    def _open(self, piece: bytes, *, is_all: bool = False) -> Iterable[bytes]:
        if self._content is None:
            if self._head:
                piece = self._head + piece
            if len(piece) > 1 and is_plainly(self._media, piece):
                self._content = Content(self._media)
            else:
                self._head = piece
                if len(piece) < HEAD_BYTES and not is_all:
                    return ()
                _ = self.content
            self._head = b""
        if self._inner is not None:
            return self._inflated(self._inner.feed(piece))
        self.size += len(piece)
        return (piece,) if piece else ()

    def _inflated(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            if piece:
                self.size += len(piece)
                yield piece


def unwrapped(pieces: Iterable[bytes], layers: Layers, limits: Limits) -> Iterator[bytes]:
    """The pieces of a content without the layers around it, which are known."""
    transfer = transfer_of(layers.transfer)
    if transfer is not None:
        pieces = _transferred(pieces, transfer)
    for encoding in (layers.encoding, layers.compression):
        if encoding:
            pieces = _inflated(pieces, encoding, limits)
    return filter(None, pieces)


def _transferred(pieces: Iterable[bytes], transfer: Transfer) -> Iterator[bytes]:
    for piece in pieces:
        yield transfer.feed(piece)
    yield transfer.finish()


def _inflated(pieces: Iterable[bytes], encoding: str, limits: Limits) -> Iterator[bytes]:
    inflater = Inflater(encoding, limits)
    for piece in pieces:
        yield from inflater.feed(piece)
    inflater.finish()
