"""Content encodings: inflating in bounded pieces, stopped as soon as a limit is exceeded."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from typing import Any, BinaryIO

from backports import zstd
from isal import isal_zlib

from pypes.core.limits import MIB, Limits
from pypes.errors import BadRequest, TooLarge, UnsupportedMedia
from pypes.ingest.codecs.crawled import BEGINNING, CrawledFrame

ENCODINGS = frozenset({"", "gzip", "deflate", "zstd"})

#: The ratio counts beyond this much output: small bodies of one repeated letter harm no one.
_FREE_BYTES = MIB
_PIECE_BYTES = 256 << 10
#: Bytes for a decompressor at once after a member of the body has ended: it hands back a copy of all that it did not use,
#: and members may be as short as 20 bytes.
_SHORT_BYTES = 4 << 10
#: Largest window of zstd that a decoder need have (RFC 9659): it is memory for each body that is being inflated.
_ZSTD_OPTIONS = {int(zstd.DecompressionParameter.window_log_max): 23}
_ERRORS: tuple[type[Exception], ...] = (isal_zlib.error, zstd.ZstdError, EOFError)  # type: ignore[assignment]  # the stub says it is an instance


def normalize(content_encoding: str) -> str:
    """A Content-Encoding header as :class:`Header` keeps it. Raises :class:`UnsupportedMedia` for one that is not known."""
    name = content_encoding.strip().lower()
    name = {"identity": "", "x-gzip": "gzip"}.get(name, name)
    if name not in ENCODINGS:
        raise UnsupportedMedia(
            f"content encoding {content_encoding!r} is not known; send gzip, deflate, zstd or none",
            code="ingest.unsupported_encoding",
        )
    return name


class Tally:
    """Bytes before and after inflating, of all contents that count against one limit."""

    def __init__(self) -> None:
        self.in_bytes = 0
        self.out_bytes = 0


class Inflater:
    """Inflates a body fed in chunks. Raises :class:`TooLarge` at the byte or ratio limit, :class:`BadRequest` for damage."""

    def __init__(self, encoding: str, limits: Limits, tally: Tally | None = None) -> None:
        self._encoding = normalize(encoding)
        self._limits = limits
        self._tally = Tally() if tally is None else tally
        self._stream: Any = None
        self._head = b""
        self._is_begun = False
        self._is_ended = False
        self._is_short = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take a chunk; yields what it inflates to in pieces of up to 256 KiB."""
        self._tally.in_bytes += len(chunk)
        self._is_begun = self._is_begun or bool(chunk)
        try:
            rest = chunk if self._is_short else (yield from self._inflate(chunk))
            for start in range(0, len(rest), _SHORT_BYTES):
                some = rest[start : start + _SHORT_BYTES]
                while some:
                    some = yield from self._inflate(some)
        except _ERRORS as error:
            raise self._damaged(str(error)) from error

    def finish(self) -> None:
        """Say that the body has ended; raises :class:`BadRequest` if it should have gone on."""
        is_ended = self._stream.is_closed if isinstance(self._stream, CrawledFrame) else self._is_ended
        if self._head or (self._is_begun and not is_ended):
            raise self._damaged("it ends too early")

    def _inflate(self, data: bytes) -> Generator[bytes, None, bytes]:
        """Inflate up to the end of a member; returns what stands behind it."""
        if self._stream is None:
            if self._is_ended:
                data = data.lstrip(b"\0")  # padding after a member (RFC 1952 says nothing, tar and tapes do it)
            data = self._head + data
            if len(data) < 2:  # two bytes tell a raw deflate stream from a wrapped one
                self._head = data
                return b""
            self._head, self._is_ended = b"", False
            self._stream = self._start(data)
        while True:
            piece = self._stream.decompress(data, _PIECE_BYTES)
            self._tally.out_bytes += len(piece)
            self._check_size()
            if piece:
                yield piece
            if self._stream.eof:
                rest: bytes = self._stream.unused_data
                self._stream, self._is_ended = None, True
                self._is_short = self._is_short or bool(rest)
                return rest
            if self._encoding == "zstd":
                data = b""
                if self._stream.needs_input:
                    return b""
            else:
                data = self._stream.unconsumed_tail
                if not data and len(piece) < _PIECE_BYTES:
                    return b""

    def _start(self, data: bytes) -> Any:
        if self._encoding == "zstd":
            return zstd.ZstdDecompressor(options=_ZSTD_OPTIONS)
        # the head of the zlib format (RFC 1950, 2.2); that of gzip is none
        is_wrapped = data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
        if self._encoding == "gzip":
            if data.startswith(BEGINNING):
                return CrawledFrame()
            # clients of the original Pypes sent the zlib format by this name, and it was taken
            return isal_zlib.decompressobj(15 if is_wrapped else 31)
        # "deflate" means the zlib format (RFC 9110, 8.4.1.2), but raw streams are sent as well
        return isal_zlib.decompressobj(15 if is_wrapped else -15)

    def _check_size(self) -> None:
        seen = self._tally
        if seen.out_bytes > self._limits.decompressed_bytes:
            raise TooLarge(
                f"the body inflates to more than {self._limits.decompressed_bytes} bytes; send the body in parts",
                code="ingest.decompressed_too_large",
            )
        if seen.out_bytes > _FREE_BYTES and seen.out_bytes > self._limits.decompressed_ratio * seen.in_bytes:
            raise TooLarge(
                f"the body inflates to more than {self._limits.decompressed_ratio} times its size; send the body uncompressed",
                code="ingest.decompressed_ratio",
            )

    def _damaged(self, reason: str) -> BadRequest:
        return BadRequest(f"the body is not valid {self._encoding}: {reason}", code="ingest.malformed_encoding")


def inflate(body: bytes, encoding: str, limits: Limits, max_bytes: int) -> bytes | None:
    """Inflate a body in memory, or ``None`` if it is sound so far but has more than ``max_bytes``."""
    if encoding == "gzip":  # one call for what is most common: it fits, and it is one member
        stream = isal_zlib.decompressobj(31)
        allowed = min(max_bytes, limits.decompressed_bytes, max(_FREE_BYTES, limits.decompressed_ratio * len(body)))
        try:
            data: bytes = stream.decompress(body, allowed)
        except _ERRORS:
            data = b""
        if stream.eof and not stream.unused_data:
            return data
    inflater = Inflater(encoding, limits)
    pieces, size = [], 0
    for piece in inflater.feed(body):
        pieces.append(piece)
        size += len(piece)
        if size > max_bytes:
            return None
    inflater.finish()
    return b"".join(pieces)


def pieces_of(file: BinaryIO, encoding: str, limits: Limits) -> Iterator[bytes]:
    """The inflated content of an open file in pieces; ``encoding`` may be ``""``."""
    inflater = Inflater(encoding, limits) if encoding else None
    while chunk := file.read(_PIECE_BYTES):
        if inflater is None:
            yield chunk
        else:
            yield from inflater.feed(chunk)
    if inflater is not None:
        inflater.finish()


class PieceReader(io.RawIOBase):
    """A readable stream over an iterator of pieces; wrap it in ``io.BufferedReader``."""

    def __init__(self, pieces: Iterator[bytes], file: BinaryIO) -> None:
        self._pieces = pieces
        self._file = file
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        n = min(len(buffer), len(self._rest))
        buffer[:n] = self._rest[:n]
        self._rest = self._rest[n:]
        return n

    def close(self) -> None:
        self._file.close()
        super().close()
