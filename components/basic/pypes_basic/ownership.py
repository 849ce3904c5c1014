"""Ownership of a file of lines: how a publisher knows what it wrote itself, and may cut off after a crash.

The mark is an extended attribute of the file (``user.pypes.lines``): the offset from which on everything was written by us. It
goes with the file wherever it is renamed to, needs no file beside it, and is gone where somebody put another file in its place.
Where a file system has no attributes, or a copy lost them, nothing is known, and nothing is cut.
"""

from __future__ import annotations

import contextlib
import os
import sys

import orjson

ATTRIBUTE = "user.pypes.lines"
BLOCK_BYTES = 64 * 1024
#: Lines longer than this are not read to find out what a file is.
LOOKED_AT_BYTES = 16 * 1024 * 1024


def marked_from(fd: int) -> int | None:
    """The offset from which on the file is ours; ``None`` if it is not marked."""
    if sys.platform != "linux":
        return None
    try:
        return int(os.getxattr(fd, ATTRIBUTE))
    except (OSError, ValueError):  # no mark, or a file system without attributes
        return None


def mark(fd: int, offset: int) -> bool:
    """Say that all from ``offset`` on is ours; False where that cannot be said."""
    if sys.platform != "linux":
        return False
    try:
        os.setxattr(fd, ATTRIBUTE, str(offset).encode())
    except OSError:  # a file system without attributes, or no room for one
        return False
    return True


def unmark(fd: int) -> None:
    """Take the mark away."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # it has none
            os.removexattr(fd, ATTRIBUTE)


def last_break(fd: int, size: int) -> int:
    """Offset behind the last line break of the first ``size`` bytes; 0 if there is none."""
    end = size
    while end:
        start = max(0, end - (1 if end == size else BLOCK_BYTES))
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def reads_as_json_lines(fd: int, size: int) -> bool:
    """True if the first line and the last whole one are JSON objects, each with its line break."""
    end = last_break(fd, size)
    if not end:
        return False
    begin = last_break(fd, end - 1)
    return _is_object(_first_line(fd, end)) and _is_object(os.pread(fd, min(end - begin, LOOKED_AT_BYTES), begin))


def _first_line(fd: int, end: int) -> bytes:
    line = b""
    while b"\n" not in line and len(line) < min(end, LOOKED_AT_BYTES):
        line += os.pread(fd, BLOCK_BYTES, len(line))
    return line.partition(b"\n")[0]


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False
