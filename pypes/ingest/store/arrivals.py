"""Shards that another node hands over: they arrive as files, are compared, and then take free slots, each as a whole.

Until they are adopted nobody opens them. The folder of what arrives is named by the node that sends and by an id that it has
drawn, so what is left of an attempt that was given up is never taken for what the next one sends::

    shards/arriving-NODE-ID/000/queue.db      files as they come
    shards/whole-NODE-ID/000/queue.db         compared, and on the disk
    shards/255/queue.db                       a shard of this node, with its origin

Everything blocks on the disk, and every step can be made again.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from pypes.core.durable import sync_folder
from pypes.errors import Conflict, NotFound, StoreError, StoreFull
from pypes.ingest.receipt import MAX_SHARD
from pypes.ingest.store.origin import ORIGIN, Origin
from pypes.ingest.store.shards import Shards

_ID = re.compile(r"[0-9a-f]{32}")
_FILE = re.compile(r"(spool/)?[A-Za-z0-9_][A-Za-z0-9._-]*")

#: Files of a slot that are not of its shard.
_STAYING = ("lock", ORIGIN)


class SentFile(msgspec.Struct, frozen=True):
    """A file of a shard; ``name`` is its path in the folder of the shard, ``sha256`` is in hexadecimal."""

    name: str
    size: int
    sha256: str


class SentShard(msgspec.Struct, frozen=True):
    """A shard that is handed over: its slot there, the node and the shard in its receipts, with the name of that node."""

    slot: int
    node: int
    shard: int
    name: str
    files: tuple[SentFile, ...] = ()


def files_of(folder: Path) -> list[Path]:
    """The files of the shard in a folder."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    return [path for path in found if str(path.relative_to(folder)) not in _STAYING]


def sent_file(folder: Path, path: Path) -> SentFile:
    """A file of the shard in a folder, as it is sent."""
    with path.open("rb") as file:
        return SentFile(str(path.relative_to(folder)), path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


class Arrivals:
    """The shards that one node sends in one attempt. ``first`` is the first slot that no worker of this node takes."""

    def __init__(self, shards: Shards, node: int, id: str, first: int) -> None:
        if not _ID.fullmatch(id):
            raise StoreError("the id of a handing over is not one", code="drain.bad_call")
        self._shards = shards
        self._node = node
        self._first = first
        self._arriving = shards.path / f"arriving-{node}-{id}"
        self._whole = shards.path / f"whole-{node}-{id}"

    def begin(self, sent: Sequence[tuple[int, int]]) -> None:
        """Make room for shards, given as node and shard in their receipts; what the node began before is removed.

        Raises :class:`Conflict` if one of them is here already, or if there are not as many slots.
        """
        known = self._known()
        if both := [f"{node}/{shard}" for node, shard in sent if (node, shard) in known]:
            raise Conflict(f"shards of that node are here already: {', '.join(both)}", code="drain.known")
        if len(sent) > MAX_SHARD + 1 - self._first - len(known):
            raise Conflict(f"a node has at most {MAX_SHARD + 1} shards", code="drain.no_slots")
        with _telling(self._shards.path):
            for former in (*self._shards.path.glob(f"arriving-{self._node}-*"), *self._shards.path.glob(f"whole-{self._node}-*")):
                shutil.rmtree(former)
            self._arriving.mkdir()

    def write(self, slot: int, name: str, offset: int, data: bytes) -> None:
        """Write a piece of a file. Raises :class:`StoreError`."""
        if not _FILE.fullmatch(name) or not 0 <= slot <= MAX_SHARD:
            raise StoreError(f"the file {name!r} is none of a shard", code="drain.bad_call")
        path = self._arriving / f"{slot:03d}" / name
        with _telling(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.pwrite(fd, data, offset)
            finally:
                os.close(fd)

    def verify(self, sent: Sequence[SentShard], now: float) -> None:
        """Compare what has come with what was sent, and have it on the disk. Raises :class:`StoreError` (``drain.differs``)."""
        if self._whole.is_dir():
            return
        with _telling(self._arriving):
            for shard in sent:
                folder = self._arriving / f"{shard.slot:03d}"
                (folder / "spool").mkdir(parents=True, exist_ok=True)
                found = [sent_file(folder, path) for path in files_of(folder)]
                if sorted(found, key=lambda file: file.name) != sorted(shard.files, key=lambda file: file.name):
                    raise StoreError("what arrived is not what was sent", code="drain.differs", where=str(folder))
                for file in found:
                    _sync(folder / file.name)
                Origin(shard.node, shard.shard, shard.name, now).write(folder)
                sync_folder(folder / "spool")
                sync_folder(folder)
            sync_folder(self._arriving)
            self._arriving.rename(self._whole)
            sync_folder(self._shards.path)

    def adopt(self, sent: Sequence[tuple[int, int]]) -> list[int]:
        """Give each shard a slot, durably on return; returns the slots. Raises :class:`NotFound` if one never came whole."""
        with _telling(self._shards.path):
            if self._whole.is_dir():
                for folder in sorted(self._whole.iterdir()):
                    self._settle(folder)
                sync_folder(self._whole)
                sync_folder(self._shards.path)
                self._whole.rmdir()
        known = self._known()
        if lost := [f"{node}/{shard}" for node, shard in sent if (node, shard) not in known]:
            raise NotFound(f"these shards never came whole to this node: {', '.join(lost)}", code="drain.unknown")
        return [known[one] for one in sent]

    def withdraw(self) -> None:
        """Remove what has come: the other node has given up."""
        for folder in (self._arriving, self._whole):
            shutil.rmtree(folder, ignore_errors=True)

    def _settle(self, folder: Path) -> None:
        for number in range(MAX_SHARD, self._first - 1, -1):
            target = self._shards.folder(number)
            if target.exists():
                continue
            try:
                folder.rename(target)
            except OSError as error:
                # another process was quicker: to the slot, or with the folder
                if error.errno == errno.ENOTEMPTY:
                    continue
                if error.errno != errno.ENOENT:
                    raise
            return
        raise StoreError(f"a node has at most {MAX_SHARD + 1} shards", code="drain.no_slots")

    def _known(self) -> dict[tuple[int, int], int]:
        """The shards of other nodes that have slots here."""
        found = ((number, self._shards.origin(number)) for number in self._shards.numbers())
        return {(origin.node, origin.shard): number for number, origin in found if origin is not None}


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = StoreFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreError
        raise kind(f"what another node hands over cannot be kept: {error.strerror or error}", where=str(path)) from error
