"""The log ring of a process: its last log lines, in a mapped file that others read at any time, and when the process is dead.

Nothing is sent and nobody is asked: a line is a store into memory, and the pages of the file outlive a ``kill -9``. The layout,
in the byte order of the machine::

    0     8 s   MAGIC
    8     u64   bytes of the ring, a multiple of 8
    16    u64   position of the oldest line that is whole
    24    u64   position behind the newest line that is whole
    64    …     the ring: a line at position P begins at P modulo the size, and may go on at the beginning

A line is u32 length, u32 CRC-32 of its bytes (begun with its position), the bytes, zeros up to a multiple of 8. Positions only
grow. The oldest position moves before bytes are overwritten, the newest after they are written: a process that dies in between
leaves no half line, and a reader that was overtaken notices. The file is ``PROC.PID.log`` in the runtime directory. Whoever
writes it holds a lock on it (``flock``), which ends with the process, however it ends.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections import deque
from pathlib import Path
from typing import Final
from zlib import crc32

MAGIC: Final = b"PYPESLOG"
SUFFIX: Final = ".log"

#: No ring is smaller, so that a line has room in it.
LEAST_BYTES: Final = 4096
#: A line takes at most so much of the ring.
_SHARE: Final = 4

_SIZE, _OLDEST, _NEWEST = 1, 2, 3  # in units of 8 bytes
_RING_AT: Final = 64
_LINE: Final = struct.Struct("=II")


class LogRing:
    """The ring of this process; ``path`` is made anew. One thread at a time writes. Raises ``OSError`` if there is no room."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._size = max(LEAST_BYTES, max_bytes) & ~7
        #: Bytes of the longest line that is taken.
        self.most_bytes = self._size // _SHARE
        self._pid = os.getpid()
        hidden = path.with_name(f".{path.name}")
        self._fd = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            # a sparse file on a full disk would end the process at the first line
            os.posix_fallocate(self._fd, 0, _RING_AT + self._size)
            self._map = mmap.mmap(self._fd, _RING_AT + self._size)
            self._numbers = memoryview(self._map).cast("Q")
            self._numbers[_SIZE] = self._size
            self._map[: len(MAGIC)] = MAGIC
            # before it can be found: whoever finds it without a lock takes its process for dead
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            hidden.rename(path)
        except OSError:
            os.close(self._fd)
            hidden.unlink(missing_ok=True)
            raise
        self._oldest = self._newest = 0
        self._sizes: deque[int] = deque()

    def write(self, line: bytes) -> None:
        """Add a line of up to :attr:`most_bytes`, in place of the oldest; longer ones raise ``ValueError``.

        A process that was forked from the one that made the ring writes nothing: it would write over the lines of the other.
        """
        if len(line) > self.most_bytes:
            raise ValueError(f"a line of {len(line)} bytes; at most {self.most_bytes} fit")
        if os.getpid() != self._pid:
            return
        at, size = self._newest, _taken(len(line))
        while at + size - self._oldest > self._size:
            self._oldest += self._sizes.popleft()
        self._numbers[_OLDEST] = self._oldest
        self._put(at, _LINE.pack(len(line), _check(line, at)) + line)
        self._sizes.append(size)
        self._newest = at + size
        self._numbers[_NEWEST] = self._newest

    def _put(self, position: int, data: bytes) -> None:
        at = position % self._size
        first = min(len(data), self._size - at)
        self._map[_RING_AT + at : _RING_AT + at + first] = data[:first]
        self._map[_RING_AT : _RING_AT + len(data) - first] = data[first:]

    def close(self) -> None:
        """Let go of the file, which stays."""
        self._numbers.release()
        self._map.close()
        os.close(self._fd)


class RingReader:
    """Reads the ring of any process, living or dead. Raises ``OSError``, and ``ValueError`` for a file that is none."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._map = mmap.mmap(self._fd, 0, access=mmap.ACCESS_READ)
            self._size = len(self._map) - _RING_AT
            if self._map[: len(MAGIC)] != MAGIC or self._size < LEAST_BYTES or self._size % 8:
                raise ValueError(f"{path} is no log ring")
            self._numbers = memoryview(self._map).cast("Q")
        except (OSError, ValueError):
            os.close(self._fd)
            raise
        self._position = 0

    def is_orphaned(self) -> bool:
        """True if the process that wrote it is gone, so that nothing more will come."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def read(self) -> list[bytes]:
        """The lines since the last call, the oldest first, as far as they are still there."""
        newest, oldest = self._numbers[_NEWEST], self._numbers[_OLDEST]
        start = max(self._position, oldest)
        if not start < newest <= oldest + self._size:
            return []
        data = self._copy(start, newest)
        # what its process has overwritten meanwhile is not looked at
        at = max(start, self._numbers[_OLDEST])
        self._position = newest
        found: list[bytes] = []
        while at < newest:
            begin = at - start + _LINE.size
            length, check = _LINE.unpack_from(data, at - start)
            line = data[begin : begin + length]
            if len(line) != length or _check(line, at) != check:
                break
            found.append(line)
            at += _taken(length)
        return found

    def _copy(self, start: int, end: int) -> bytes:
        at = start % self._size
        first = min(end - start, self._size - at)
        return self._map[_RING_AT + at : _RING_AT + at + first] + self._map[_RING_AT : _RING_AT + end - start - first]

    def close(self) -> None:
        """Let go of the file."""
        self._numbers.release()
        self._map.close()
        os.close(self._fd)


def ring_path(folder: Path, process: str) -> Path:
    """Path of the ring of this process, which is called ``process``."""
    return folder / f"{process}.{os.getpid()}{SUFFIX}"


def _taken(length: int) -> int:
    """Bytes of the ring that a line of ``length`` takes."""
    return (_LINE.size + length + 7) & ~7


def _check(line: bytes, position: int) -> int:
    return crc32(line, position & 0xFFFF_FFFF)
