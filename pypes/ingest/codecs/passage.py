"""Parts of a compressed body, read one after the other in a single pass over it."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from pypes.core.limits import Limits
from pypes.ingest.codecs.encodings import pieces_of
from pypes.ingest.delivery import Spooled

_BUFFER_BYTES = 1 << 18


class Passage:
    """Opens parts of a compressed body by their place in what it inflates to.

    A part that is opened goes on where the last one was closed, if it lies behind it, as parts do that are read in their order.
    Inflated from the beginning for each part, the time would grow with the square of their number. Threads may share it.
    """

    def __init__(self, source: bytes | Spooled, encoding: str, limits: Limits) -> None:
        self._source = source
        self._encoding = encoding
        self._limits = limits
        self._idle: _Pass | None = None
        self._lock = threading.Lock()

    def open(self, offset: int, size: int) -> BinaryIO:
        """A stream of ``size`` bytes from ``offset`` on."""
        with self._lock:
            found, self._idle = self._idle, None
        if found is not None and found.position > offset:
            found.close()
            found = None
        if found is None:
            file = self._source.open() if isinstance(self._source, Spooled) else io.BytesIO(self._source)
            found = _Pass(file, self._encoding, self._limits)
        return cast("BinaryIO", io.BufferedReader(_PartReader(found, offset, size, self._give_back), _BUFFER_BYTES))

    def _give_back(self, ended: _Pass) -> None:
        with self._lock:
            former, self._idle = self._idle, ended
        if former is not None:
            former.close()

    def __del__(self) -> None:
        if self._idle is not None:
            self._idle.close()


class _Pass:
    """One pass over the inflated content, ``position`` bytes of which have been taken."""

    def __init__(self, file: BinaryIO, encoding: str, limits: Limits) -> None:
        self.position = 0
        self._file = file
        self._pieces = pieces_of(file, encoding, limits)
        self._rest = memoryview(b"")

    def take(self, most: int) -> memoryview:
        """The next bytes, at most so many; none at the end."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._rest = memoryview(piece)
        taken, self._rest = self._rest[:most], self._rest[most:]
        self.position += len(taken)
        return taken

    def close(self) -> None:
        self._file.close()


class _PartReader(io.RawIOBase):
    """The raw stream of a part; ``give_back`` takes the pass over when it is closed."""

    def __init__(self, each: _Pass, offset: int, size: int, give_back: Callable[[_Pass], None]) -> None:
        self._pass = each
        self._offset = offset
        self._end = offset + size
        self._give_back = give_back
        self._is_broken = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            while (ahead := self._offset - self._pass.position) > 0 and self._pass.take(ahead):
                pass
            taken = self._pass.take(min(len(buffer), self._end - self._pass.position))
        except BaseException:
            self._is_broken = True
            raise
        buffer[: len(taken)] = taken
        return len(taken)

    def close(self) -> None:
        if not self.closed:
            if self._is_broken:
                self._pass.close()
            else:
                self._give_back(self._pass)
        super().close()
