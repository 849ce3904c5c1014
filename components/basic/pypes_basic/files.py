"""Files: fetch what is new or changed in a directory, and delete what is gone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from time import sleep
from typing import Annotated, Any

from pypes import Example, Help, Packet, Parameters, Reject, Source
from pypes.core.file_names import in_one_line, named, shown_below
from pypes.errors import ComponentError
from pypes_basic.fetched import Fetched, in_batches, longest_data
from pypes_basic.folder import Folder, read, stamp
from pypes_basic.found import Found, by_name, without_shared_ids
from pypes_basic.naming import deletion, id_help
from pypes_basic.seen import Seen
from pypes_basic.unpacking import kind_of, unpack

#: Bounds of one fetch that is stored at once: so many files, or a share of those known, since the cursor with all is stored each
#: time; or so many bytes. A larger file goes alone.
BATCH_FILES = 256
BATCH_SHARE = 16
MOST_FILES = 4096
BATCH_BYTES = 4 << 20
#: About what the metadata of a file adds to its bytes; and what it never reaches, paths being 4,096 bytes at most.
META_BYTES = 1024
MOST_META_BYTES = 1 << 16
#: Files passed over that are named in the log; of the rest it says how many.
NAMED = 10


class Files(Source):
    """Fetch the files of a directory, those that are new or have changed since, and delete the documents of those that are gone.

    A document has the bytes in ``data``, and ``path`` (below the directory), ``filename``, ``mimetype`` and ``modified`` as
    metadata. Its id is the path unless ``id`` says otherwise, so that a changed file replaces its document. What ``.gz``,
    ``.bz2`` and ``.xz`` hold is unpacked where the name says what it is (``people.csv.gz``).

    Changed is what has another size or another time of modification. A file is read when it has stayed the same for
    ``settle_s``; hidden files and temporary ones (``a.tmp``, ``a.part``, ``a~`` …) are left out. Of files that would have one id,
    one is fetched. What was seen is part of the cursor, by name, so this is for thousands of files rather than millions.

    A run that would delete more than ten documents, and more than half of those known, deletes none and ends with
    ``source.too_many_deletions``, since the directory may just not be mounted; ``POST /graphs/{name}/trigger?confirm=deletions``
    has them deleted.

    Only regular files are read, and nothing outside of the directory: links are passed over unless ``links`` says otherwise.
    What is passed over or cannot be read is named in the log and tried again the next time; the others are fetched all the same.
    """

    icon = "folder"
    tags = ("files", "deletions")
    example = Example(
        params={"directory": "inbox", "pattern": "*.txt", "settle_s": 0},
        files={"inbox/a.txt": "hello", "inbox/b.log": "not asked for"},
        gives=Packet({"data": b"hello"}, {"id": "a.txt", "path": "a.txt", "mimetype": "text/plain"}),
    )

    class Params(Parameters):
        directory: Annotated[str, Help("Directory, from the data directory if relative.", path=True, min_length=1)]
        pattern: Annotated[
            str,
            Help(
                "Which files, such as *.html; **/*.html in all directories below.",
                pattern=r"^(?!/)(?!(.*/)?\.\.(/|$))(?=.*[^./]).+$",
            ),
        ] = "*"
        id: Annotated[str, id_help("Id of each document, made of {path} (below the directory) or {name}", "path", "name")] = (
            "{path}"
        )
        deletions: Annotated[bool, Help("Delete the document of a file that is gone.")] = True
        hidden: Annotated[bool, Help("Take hidden files, too, and those with the names of temporary ones.")] = False
        settle_s: Annotated[float, Help("How long a new or changed file must stay the same before it is read.", ge=0, le=600)] = (
            0.5
        )
        max_bytes: Annotated[int, Help("A larger file is not read, but becomes a dead letter.", ge=1)] = 32 * 1024 * 1024
        links: Annotated[bool, Help("Follow symbolic links, also out of the directory.")] = False

    def setup(self) -> None:
        self._passed_over: Mapping[str, str] = {}
        #: The template of ids and the directory as they are stored: no value of a variable gets into them.
        self._template = self.secrets.redact(self.params.id)
        self._directory = self.secrets.redact(self.params.directory)

    def fetch(self, cursor: Any) -> Iterator[tuple[list[Packet], Any]]:
        seen = Seen(cursor["seen"] if cursor else {})
        if cursor and cursor["directory"] not in (self._directory, self.params.directory):
            # what another directory holds is another content, and what it had and this one has not is gone
            seen.outdate()
        with self._open() as folder:
            found = by_name(folder, folder.files(self.params.pattern))
            found = without_shared_ids(folder, found, seen, self._id)
            # what lies where nobody could look, or is no file to be read just now, is there still, as far as anybody knows
            unknown = tuple(begin for prefix in folder.unknown for begin in shown_below(prefix))
            gone = [
                name
                for name in seen.entries
                if not (name in found or name in folder.passed_over or (unknown and name.startswith(unknown)))
            ]
            changed = {name: at for name, at in sorted(found.items()) if not seen.is_as(name, stamp(at[1]))}
            living = {self._id(name) if name in changed else seen.id_of(name) for name in {*found, *seen.entries} - {*gone}}
            yield from self._documents(folder, changed, seen, living)
            self._tell(folder.passed_over)
        if not found:
            # the directory may not be mounted: what has no id would be published beside itself when it is back
            gone = [name for name in gone if seen.id_of(name)]
        yield from self._deletions(gone, seen, living)

    def _open(self) -> Folder:
        """The directory; raises if it is not there: that must not make everything gone now, and new when it is back."""
        home = Path(self.data_dir, self.params.directory)
        try:
            return Folder(home, self.paths, follows_links=self.params.links, takes_hidden=self.params.hidden)
        except OSError as error:
            raise ComponentError(
                f"{self.secrets.redact(str(home))} cannot be looked into ({error.strerror}): nothing is fetched or deleted; "
                "make or mount the directory, or name another one",
                code="files.no_directory",
            ) from error

    def _documents(self, folder: Folder, changed: Found, seen: Seen, living: set[str]) -> Iterator[tuple[list[Packet], Any]]:
        """Yield the documents that are new or have changed. One that has another id by now is deleted under the one it had."""
        if changed:
            # two looks instead of a comparison with the time: the clock that writes the files may be another one
            sleep(self.params.settle_s)
        most = min(BATCH_BYTES, longest_data(self.fetched_bytes, MOST_META_BYTES))
        found = self._changed(folder, changed, seen, living)
        yield from in_batches(found, most, lambda: self._batch_files(seen), lambda: self._cursor(seen))

    def _changed(self, folder: Folder, changed: Found, seen: Seen, living: set[str]) -> Iterator[Fetched]:
        for name, (path, status) in changed.items():
            packet = self._read(folder, path, name, status)
            if packet is None:
                continue
            # a path stands there up to three times
            size = len(packet.get("data") or b"") + META_BYTES + 3 * len(name)
            packets, former = [packet], seen.id_of(name)
            if former and former not in living and self.params.deletions:
                packets.append(self._deletion(former, name))
            yield Fetched(packets, size, partial(seen.put, name, stamp(status), self._id(name)))

    def _batch_files(self, seen: Seen) -> int:
        return max(BATCH_FILES, min(seen.count // BATCH_SHARE, MOST_FILES))

    def _deletions(self, gone: list[str], seen: Seen, living: set[str]) -> Iterator[tuple[list[Packet], Any]]:
        doomed: dict[str, str] = {}
        if self.params.deletions:
            doomed = {name: id for name in gone if (id := seen.id_of(name)) and id not in living}
        if seen.forget(name for name in gone if name not in doomed):
            yield [], self._cursor(seen)
        if seen.are_too_many(doomed) and not self.is_confirmed:
            raise ComponentError(
                f"{len(doomed)} files in {self._directory} that were known are gone, more than half: their documents are not "
                "deleted, the directory may just not be mounted; if they are to be deleted, "
                f"POST /graphs/{self.graph_name}/trigger?confirm=deletions",
                code="source.too_many_deletions",
            )
        left = iter(doomed.items())
        while some := list(islice(left, self._batch_files(seen))):
            seen.forget(name for name, _ in some)
            yield [self._deletion(id, name) for name, id in some], self._cursor(seen)

    def _cursor(self, seen: Seen) -> dict[str, Any]:
        return {"directory": self._directory, "seen": seen.entries}

    def _id(self, name: str) -> str:
        return named(self._template, path=name, name=name.rpartition("/")[2])

    def _read(self, folder: Folder, path: str, name: str, status: os.stat_result) -> Packet | None:
        """A file as a packet; ``None`` if it is gone, is being written, or cannot be read: then it is for the next time."""
        compression, media_type = kind_of(name)
        meta: dict[str, Any] = {
            "path": name,
            "filename": in_one_line(name.rpartition("/")[2]),
            "mimetype": media_type,
            "contentlength": status.st_size,
        }
        if id := self._id(name):
            meta["id"] = id
        if (modified := _time(status.st_mtime)) is not None:
            meta["modified"] = modified
        limit = min(self.params.max_bytes, longest_data(self.fetched_bytes, MOST_META_BYTES))
        if status.st_size > limit:
            return self._too_large(meta, limit)
        try:
            fd = folder.open(path)
            try:
                # who does not wait wants it as it is: a log never stands still
                data = read(fd, status, may_grow=not self.params.settle_s)
            finally:
                os.close(fd)
            if data is not None and compression:
                data = unpack(data, compression, limit)
                return self._too_large(meta, limit) if data is None else Packet.from_document({"data": data}, meta)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            folder.passed_over[name] = getattr(error, "strerror", None) or str(error)
            return None
        if data is None:
            folder.passed_over[name] = "it is being written"
            return None
        return Packet.from_document({"data": data}, meta)

    def _deletion(self, id: str, name: str) -> Packet:
        return deletion(id, path=name, mimetype=kind_of(name)[1])

    def _too_large(self, meta: dict[str, Any], limit: int) -> Packet:
        return Packet.from_document({}, meta | {"toolarge": limit})

    def _tell(self, passed_over: Mapping[str, str]) -> None:
        """Name in the log what was passed over, when that is not what it was the last time."""
        if passed_over and passed_over != self._passed_over:
            first = [f"{name}: {reason}" for name, reason in list(passed_over.items())[:NAMED]]
            self.log.warning("files were passed over", extra={"files": len(passed_over), "first": first})
        self._passed_over = passed_over

    def process(self, packet: Packet) -> Packet:
        limit = packet.get_meta("toolarge")
        if limit is None:
            return packet
        size = packet.get_meta("contentlength")
        has = f"has {size} bytes" if size > limit else f"has {size} bytes, and more than {limit} unpacked"
        which = "max_bytes is" if limit >= self.params.max_bytes else "what can be handed over by limits.json_bytes is"
        reason = f"{packet.get_meta('path')} {has}; {which} {limit}; raise it and touch the file"
        raise Reject(reason, code="files.too_large")


def _time(seconds: float) -> str | None:
    """A time of modification (RFC 3339), ``None`` if no calendar has it."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None
