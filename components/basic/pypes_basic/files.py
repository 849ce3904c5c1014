"""Files: fetch what is new or changed in a directory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pypes.component import Source
from pypes.core.media_types import OCTETS, media_type_of
from pypes.core.parameters import Help, Parameters
from pypes.errors import Reject
from pypes.packet import Packet
from pypes_basic.folder import Folder, read, shown, stamp

#: What is fetched and stored at once: so many files, or bytes (the last file of them may lead beyond).
BATCH_FILES = 256
BATCH_BYTES = 4 << 20
#: Files passed over that are named in the log; of the rest it says how many.
NAMED = 10


class Files(Source):
    """Fetch the files of a directory, those that are new or have changed since: bytes in ``data``, ``filename``, ``mimetype``.

    Changed is what has another size or another time of modification. Have files renamed into the directory when they are
    complete: one that is written in place may be fetched half, and again when it is whole. What was seen is part of the
    cursor, by name, so this is for thousands of files rather than millions; it is forgotten with the file.

    Only regular files are read, and nothing outside of the directory: links are passed over unless ``links`` says otherwise.
    What is passed over or cannot be read is named in the log and tried again the next time; the others are fetched all the same.
    """

    class Params(Parameters):
        directory: Annotated[str, Help("Directory, from the data directory if relative.", path=True, min_length=1)]
        pattern: Annotated[
            str,
            Help("Which files, such as *.html; **/*.html in all directories below.", pattern=r"^(?!/)(?!(.*/)?\.\.(/|$)).+$"),
        ] = "*"
        max_bytes: Annotated[int, Help("A larger file is not read, but becomes a dead letter.", ge=1)] = 32 * 1024 * 1024
        links: Annotated[bool, Help("Follow symbolic links, also out of the directory.")] = False

    def setup(self) -> None:
        self._passed_over: Mapping[str, str] = {}

    def fetch(self, cursor: Any) -> Iterator[tuple[list[Packet], Any]]:
        # a directory that is gone for a moment must not make everything new when it is back: this raises
        with Folder(Path(self.data_dir, self.params.directory), self.paths, follows_links=self.params.links) as folder:
            yield from self._fetch(folder, cursor)
            self._tell(folder.passed_over)

    def _fetch(self, folder: Folder, cursor: Any) -> Iterator[tuple[list[Packet], Any]]:
        is_same = cursor and cursor["directory"] in (self._shown_directory, self.params.directory)
        before: dict[str, list[int]] = cursor["seen"] if is_same else {}
        found = _by_name(folder, folder.files(self.params.pattern))
        # what lies where nobody could look is there still, as far as anybody knows
        hidden = [shown(prefix) for prefix in folder.unknown]
        seen = {name: at for name, at in before.items() if name in found or any(name.startswith(each) for each in hidden)}
        packets: list[Packet] = []
        size = 0
        for name, (path, status) in sorted(found.items()):
            if seen.get(name) == stamp(status):
                continue
            packet = self._read(folder, path, name, status)
            if packet is None:
                continue
            packets.append(packet)
            seen[name] = stamp(status)
            size += status.st_size
            if len(packets) >= BATCH_FILES or size >= BATCH_BYTES:
                yield packets, self._cursor(seen)
                packets, size = [], 0
        if packets or seen.keys() != before.keys():
            yield packets, self._cursor(seen)

    def _cursor(self, seen: dict[str, list[int]]) -> dict[str, Any]:
        return {"directory": self._shown_directory, "seen": dict(seen)}

    @property
    def _shown_directory(self) -> str:
        """What the cursor knows the directory by: it is stored, so no value of a variable gets into it."""
        return self.secrets.redact(self.params.directory)

    def _read(self, folder: Folder, path: str, name: str, status: os.stat_result) -> Packet | None:
        """A file as a packet; ``None`` if it is gone, was being written, or cannot be read: then it is for the next time."""
        meta: dict[str, Any] = {
            "filename": name,
            "mimetype": media_type_of(name).outer or OCTETS,
            "contentlength": status.st_size,
        }
        if status.st_size > self.params.max_bytes:
            return Packet.from_document({}, meta | {"toolarge": self.params.max_bytes})
        try:
            fd = folder.open(path)
            try:
                data = read(fd, status)
            finally:
                os.close(fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            folder.passed_over[name] = error.strerror or str(error)
            return None
        return None if data is None else Packet.from_document({"data": data}, meta)

    def _tell(self, passed_over: Mapping[str, str]) -> None:
        """Name in the log what was passed over, when that is not what it was the last time."""
        if passed_over and passed_over != self._passed_over:
            first = [f"{name}: {reason}" for name, reason in list(passed_over.items())[:NAMED]]
            self.log.warning("files were passed over", extra={"files": len(passed_over), "first": first})
        self._passed_over = passed_over

    def process(self, packet: Packet) -> Packet:
        limit = packet.get_meta("toolarge")
        if limit is not None:
            size = packet.get_meta("contentlength")
            reason = f"{packet.get_meta('filename')} has {size} bytes, max_bytes is {limit}; raise it and touch the file"
            raise Reject(reason, code="files.too_large")
        return packet


def _by_name(folder: Folder, found: Mapping[str, os.stat_result]) -> dict[str, tuple[str, os.stat_result]]:
    """Files by the name that documents have, with their paths. Of two that would be shown alike, one is passed over."""
    named = {path: (path, status) for path, status in found.items() if shown(path) == path}
    for path, status in found.items():
        name = shown(path)
        if named.setdefault(name, (path, status))[0] != path:
            folder.passed_over[name] = "another file would have the same name"
    return named
