"""Files: fetch what is new or changed in a directory."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pypes.component import Source
from pypes.core.parameters import Help, Parameters
from pypes.errors import Reject
from pypes.packet import Packet

#: What is fetched and stored at once: so many files, or bytes (the last file of them may lead beyond).
BATCH_FILES = 256
BATCH_BYTES = 4 << 20
#: Where there is no media type by the name.
UNKNOWN = "application/octet-stream"


class Files(Source):
    """Fetch the files of a directory, those that are new or have changed since: bytes in ``data``, ``filename``, ``mimetype``.

    Changed is what has another size or another time of modification. Have files renamed into the directory when they are
    complete: one that is written in place may be fetched half, and again when it is whole. What was seen is part of the
    cursor, by name, so this is for thousands of files rather than millions; it is forgotten with the file.
    """

    class Params(Parameters):
        directory: Annotated[str, Help("Directory, from the data directory if relative.", min_length=1)]
        pattern: Annotated[str, Help("Which files, such as *.html; **/*.html in all directories below.", min_length=1)] = "*"
        max_bytes: Annotated[int, Help("A larger file is not read, but becomes a dead letter.", ge=1)] = 32 * 1024 * 1024

    def fetch(self, cursor: Any) -> Iterator[tuple[list[Packet], Any]]:
        home = Path(self.data_dir, self.params.directory)
        # a directory that is gone for a moment must not make everything new when it is back
        names = sorted(path.relative_to(home).as_posix() for path in _files(home, self.params.pattern))
        before: dict[str, list[int]] = cursor["seen"] if cursor and cursor["directory"] == self.params.directory else {}
        seen = {name: before[name] for name in names if name in before}
        packets: list[Packet] = []
        size = 0
        for name in names:
            found = _stamp(home / name)
            if found is None or seen.get(name) == found:
                continue
            packet = self._read(home / name, name, found)
            if packet is None:
                continue
            packets.append(packet)
            seen[name] = found
            size += found[0]
            if len(packets) >= BATCH_FILES or size >= BATCH_BYTES:
                yield packets, self._cursor(seen)
                packets, size = [], 0
        if packets or seen.keys() != before.keys():
            yield packets, self._cursor(seen)

    def _cursor(self, seen: dict[str, list[int]]) -> dict[str, Any]:
        return {"directory": self.params.directory, "seen": dict(seen)}

    def _read(self, path: Path, name: str, stamp: list[int]) -> Packet | None:
        """A file as a packet; ``None`` if it is gone or was being written: then it is for the next time."""
        meta: dict[str, Any] = {
            "filename": name,
            "mimetype": mimetypes.guess_type(name)[0] or UNKNOWN,
            "contentlength": stamp[0],
        }
        if stamp[0] > self.params.max_bytes:
            return Packet.from_document({}, meta | {"toolarge": self.params.max_bytes})
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        return Packet.from_document({"data": data}, meta) if _stamp(path) == stamp else None

    def process(self, packet: Packet) -> Packet:
        limit = packet.get_meta("toolarge")
        if limit is not None:
            size = packet.get_meta("contentlength")
            reason = f"{packet.get_meta('filename')} has {size} bytes, max_bytes is {limit}; raise it and touch the file"
            raise Reject(reason, code="files.too_large")
        return packet


def _files(home: Path, pattern: str) -> Iterator[Path]:
    next(home.iterdir(), None)  # raises what a pattern would only find nothing for
    return (path for path in home.glob(pattern) if path.is_file())


def _stamp(path: Path) -> list[int] | None:
    """What tells that a file has changed: its size and its time of modification."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return [found.st_size, found.st_mtime_ns]
