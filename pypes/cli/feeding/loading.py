"""Content of files as it is sent: whole, or as a stream of the bytes that were there when it began."""

from __future__ import annotations

import os
from codecs import BOM_UTF8
from dataclasses import dataclass
from typing import BinaryIO

import orjson

from pypes.cli.feeding.walking import File, media_type
from pypes.core.identity import id_of
from pypes.core.limits import Limits
from pypes.core.media_types import media_type_of
from pypes.errors import BadId, InvalidInput
from pypes.ingest.codecs.media import parse

#: A larger file is posted alone and streamed.
WHOLE_BYTES = 4 << 20

#: Types that may be sent up to a line's end while something is still appended to the file.
LINE_TYPES = frozenset({"text/plain", "text/csv", "text/tab-separated-values"})
LAST_LINE_BYTES = 1 << 20

CHANGED = "the file changed while it was read; feed it again"
UNFINISHED = "a program still writes to the file; feed it again when it is complete"


Stamp = tuple[int, int]

#: Stamp of a file that is to be sent again whatever it looks like.
UNKNOWN: Stamp = (-1, -1)


@dataclass(slots=True)
class Loaded:
    """A file ready to be sent. ``content`` is ``None`` if the first ``size`` bytes are streamed from the file.

    ``is_one``: it is certainly one document. ``id`` is the id of that, ``is_own`` if it says so itself. ``stamp`` are the size
    and the time of modification of the file that this is the content of, :data:`UNKNOWN` if it is not all of it. ``is_lines``:
    more may be appended while it is sent. ``has_failed``: it was accepted, and became a dead letter.
    """

    file: File
    media_type: str
    size: int
    content: bytes | None
    is_one: bool
    id: str | None
    is_own: bool
    stamp: Stamp
    is_lines: bool
    has_failed: bool = False


class Window:
    """A file-like view of the first ``size`` bytes of a file, whatever is appended meanwhile.

    With a ``stamp``, the last of them are only read while the file still has that.
    """

    def __init__(self, file: BinaryIO, size: int, stamp: Stamp | None = None) -> None:
        self._file = file
        self._size = size
        self._stamp = stamp

    def read(self, n: int = -1) -> bytes:
        """The next bytes; raises :class:`InvalidInput` if the file has become shorter, or has changed."""
        rest = self._size - self._file.tell()
        if rest <= 0:
            return b""
        piece = self._file.read(rest if n < 0 else min(n, rest))
        is_last = len(piece) == rest
        if not piece or (is_last and self._stamp not in (None, stamp_of(os.fstat(self._file.fileno())))):
            raise InvalidInput(CHANGED, code="feed.changed")
        return piece

    def seek(self, offset: int) -> None:
        self._file.seek(offset)


def load(file: File) -> Loaded:
    """Read a file. Raises :class:`InvalidInput` if it is being changed, and ``OSError``."""
    kind = file.media_type or media_type(file.path)
    try:
        media = parse(kind)
        codec, is_lines = media.codec, media.codec == "ndjson" or media.type in LINE_TYPES
    except InvalidInput:  # the server says why it takes no such type
        codec, is_lines = "raw", False
    whole_bytes = Limits().json_bytes if codec == "json" else WHOLE_BYTES
    with file.path.open("rb") as opened:
        before = os.fstat(opened.fileno())
        size, content = before.st_size, None
        if size <= whole_bytes:
            content = opened.read(size)
            if len(content) < size:
                raise InvalidInput(CHANGED, code="feed.changed")
        after = os.fstat(opened.fileno())
        stamp = stamp_of(before)
        if is_lines and after.st_size > file.size:
            size = _whole_lines(opened, size)
            if size < before.st_size:
                content, stamp = content if content is None else content[:size], UNKNOWN
        elif stamp_of(after) != stamp:
            raise InvalidInput(UNFINISHED if after.st_size > before.st_size else CHANGED, code="feed.changed")
    id, is_own = file.id, False
    inner = media_type_of(file.name)
    if inner.compression and inner.type and parse(inner.type).codec != "raw":
        codec = "packed"  # the server reads what is in it, which may be several documents
    if codec not in ("raw", "json"):
        id = None
    elif codec == "json":
        id, is_own = _json_id(content, file.id)
    is_one = codec == "raw" or (codec == "json" and content is not None and not _is_array(content))
    return Loaded(file, kind, size, content, is_one, id, is_own, stamp, is_lines)


def stamp_of(status: os.stat_result) -> Stamp:
    """Stamp of a file, which differs once the file has changed."""
    return status.st_size, status.st_mtime_ns


def _whole_lines(file: BinaryIO, size: int) -> int:
    """``size``, or less: up to the end of the last whole line."""
    begin = max(0, size - LAST_LINE_BYTES)
    file.seek(begin)
    at = file.read(size - begin).rfind(b"\n")
    return size if at < 0 else begin + at + 1


def _is_array(content: bytes) -> bool:
    return content[:64].removeprefix(BOM_UTF8).lstrip().startswith(b"[")


def _json_id(content: bytes | None, otherwise: str | None) -> tuple[str | None, bool]:
    """The id of the one document of a JSON file, and whether that says it itself; ``None`` if they may be several."""
    if content is None or _is_array(content):
        return None, False
    try:
        value = orjson.loads(content.removeprefix(BOM_UTF8))
        own = id_of(value.get("id")) if isinstance(value, dict) else None
    except (orjson.JSONDecodeError, BadId):  # the server says what is wrong with it
        return otherwise, False
    return (otherwise, False) if own is None else (own, True)
