"""Frames behind the last commit in SQLite's write-ahead log: an unsynced tail, or damage.

SQLite ends its reading of the log at the first frame whose checksum does not match, which is how a transaction that a power
cut tore apart vanishes: it was not synced, so nobody was told that it is durable. A frame that was synced and went bad later
ends it in just the same way, and everything behind it is silently gone. So frames from there on which carry the salts of this
log are counted. Formats: https://www.sqlite.org/fileformat2.html (the write-ahead log) and https://www.sqlite.org/walformat.html
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

_HEADER_BYTES = 32
_FRAME_BYTES = 24
_BIG_ENDIAN = 0x377F0683
_LITTLE_ENDIAN = 0x377F0682


class Tail(NamedTuple):
    """Frames that SQLite reads, and those of the same log behind a frame that is broken (that one included)."""

    valid: int
    broken: int


class LogIndex:
    """SQLite's index of the log of a database that this process has opened and read from.

    To be closed after the connections, never before: closing a file lets go of all locks that the process has on it, those
    of SQLite included (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
    """

    def __init__(self, database: Path) -> None:
        self._log = Path(f"{database}-wal")
        try:
            self._fd = os.open(f"{database}-shm", os.O_RDONLY)
        except FileNotFoundError:
            self._fd = -1

    def tail(self) -> Tail:
        """Examine the frames behind the last commit; call before anything is written. Blocks."""
        try:
            with self._log.open("rb") as log:
                header = log.read(_HEADER_BYTES)
                # the number of frames up to the last commit, as SQLite found it; native byte order
                (valid,) = struct.unpack_from("=I", os.pread(self._fd, 32, 0) if self._fd >= 0 else b"", 16)
                return Tail(valid, _broken(log, header, valid))
        except (FileNotFoundError, struct.error):  # no log, or nothing in it
            return Tail(0, 0)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _broken(log: BinaryIO, header: bytes, valid: int) -> int:
    magic, _, page_bytes, _, salt1, salt2, sum1, sum2 = struct.unpack(">8I", header)
    if magic not in (_BIG_ENDIAN, _LITTLE_ENDIAN):
        return 0
    order = ">" if magic == _BIG_ENDIAN else "<"
    step = _FRAME_BYTES + page_bytes
    if valid:
        log.seek(_HEADER_BYTES + (valid - 1) * step)
        *_, sum1, sum2 = struct.unpack(">6I", log.read(_FRAME_BYTES))
    frame = first_bad = last_own = valid
    is_intact = True
    while True:
        log.seek(_HEADER_BYTES + frame * step)
        head = log.read(_FRAME_BYTES)
        if len(head) < _FRAME_BYTES:
            break
        _, _, own1, own2, end1, end2 = struct.unpack(">6I", head)
        is_own = (own1, own2) == (salt1, salt2)
        if is_intact:
            page = log.read(page_bytes)
            sum1, sum2 = _checksum(order, head[:8] + page, sum1, sum2)
            # frames left over from an earlier round of the log have other salts
            is_intact = is_own and len(page) == page_bytes and (sum1, sum2) == (end1, end2)
            if not is_intact:
                first_bad = frame
        frame += 1
        if is_own:
            last_own = frame
    return 0 if is_intact else max(0, last_own - first_bad)


def _checksum(order: str, data: bytes, sum1: int, sum2: int) -> tuple[int, int]:
    words = struct.unpack(f"{order}{len(data) // 4}I", data[: len(data) // 8 * 8])
    for i in range(0, len(words), 2):
        sum1 = (sum1 + words[i] + sum2) & 0xFFFFFFFF
        sum2 = (sum2 + words[i + 1] + sum1) & 0xFFFFFFFF
    return sum1, sum2
