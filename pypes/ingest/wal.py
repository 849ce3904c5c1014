"""What lies behind the last commit in SQLite's write-ahead log: an unsynced tail, or damage.

SQLite ends its reading of the log at the first frame whose checksum does not match, which is how a transaction that a power
cut tore apart vanishes: it was not synced, so nobody was told that it is durable. A frame that was synced and went bad later
ends it in just the same way, and everything behind it is silently gone. So frames from there on which carry the salts of this
log are counted. Formats: https://www.sqlite.org/fileformat2.html (the write-ahead log) and https://www.sqlite.org/walformat.html
"""

from __future__ import annotations

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


def read_tail(database: Path) -> Tail:
    """Look at the log of a database that the caller has opened and read from, before anything is written. Blocks."""
    try:
        with Path(f"{database}-wal").open("rb") as log, Path(f"{database}-shm").open("rb") as index:
            header = log.read(_HEADER_BYTES)
            # the number of frames up to the last commit, as SQLite found it; native byte order
            (valid,) = struct.unpack_from("=I", index.read(32), 16)
            return Tail(valid, _broken(log, header, valid))
    except (FileNotFoundError, struct.error):
        return Tail(0, 0)


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
