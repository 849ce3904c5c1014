"""Multipart bodies whose files alone are compressed: so the original's FileCrawler sent them under ``Content-Encoding: gzip``."""

from __future__ import annotations

from typing import Any

from isal import isal_zlib

#: The beginning of such a body, and of none that is compressed as a whole.
BEGINNING = b"--"

_HEAD_BYTES = 16 << 10


class CrawledFrame:
    """Inflates the files in a multipart body, each a zlib stream, and leaves the frame around them as it is.

    It has the interface of a decompressor, so that what comes out is checked and read as any body that was compressed as a whole.
    Raises ``EOFError`` for a file that ends too early, and what the decompressor raises for one that is damaged.
    """

    #: All that is fed is taken, and what follows the closing boundary belongs to the body.
    unconsumed_tail = b""
    eof = False

    def __init__(self) -> None:
        #: The closing boundary was seen.
        self.is_closed = False
        self._rest = b""
        self._delimiter = b""
        self._file: Any = None

    def decompress(self, data: bytes, most: int) -> bytes:
        """Take some more; returns what it inflates to, about ``most`` bytes. Call it with nothing while it gives so many."""
        self._rest += data
        out: list[bytes] = []
        size = 0
        while size < most:
            piece = self._frame() if self._file is None else self._content(most - size)
            if piece is None:
                break
            out.append(piece)
            size += len(piece)
        return b"".join(out)

    def _frame(self) -> bytes | None:
        """The boundary and the head of the next file, the end of the body, or ``None`` if there is more to come first."""
        rest = self._rest
        if not self._delimiter:
            line, end, _ = rest.partition(b"\r\n")
            if not end:
                self._bound()
                return None
            self._delimiter = b"\r\n" + line
            self._rest = rest[len(line) :]
            return line
        if self.is_closed or rest.startswith(b"--"):
            self.is_closed = True
            self._rest = b""
            return rest or None
        head, end, content = rest.partition(b"\r\n\r\n")
        if not end:
            self._bound()
            return None
        self._rest = content
        self._file = isal_zlib.decompressobj(15)
        return head + end

    def _bound(self) -> None:
        if len(self._rest) > _HEAD_BYTES:
            raise EOFError("it is neither compressed, nor a multipart body of compressed files")

    def _content(self, most: int) -> bytes | None:
        """Some content of the file, the boundary behind it, or ``None`` if there is more to come first."""
        at = self._rest.find(self._delimiter)
        end = at if at >= 0 else max(0, len(self._rest) - len(self._delimiter) + 1)
        piece: bytes = self._file.decompress(self._rest[:end], most)
        self._rest = self._file.unconsumed_tail + self._rest[end:]
        if piece:
            return piece
        if at < 0:
            return None
        if not self._file.eof:
            raise EOFError("a file in it ends too early")
        self._file = None
        self._rest = self._rest[len(self._delimiter) :]
        return self._delimiter
