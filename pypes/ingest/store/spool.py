"""Spool files: bodies too large for memory, written while they arrive and synced before the commit that refers to them."""

from __future__ import annotations

import asyncio
import errno
import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from pypes.core.durable import sync_folder
from pypes.core.limits import MIB
from pypes.errors import StoreError, StoreFull
from pypes.ingest.delivery import Spooled

#: No room on the disk, none within the quota, none within the file size limit of the process.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class SpoolDir:
    """The folder of a shard's spool files: :class:`pypes.ingest.contracts.blobs.Blobs` on a local disk, keys are file names."""

    def __init__(self, path: Path, durability: str = "always") -> None:
        self.path = path
        self._is_synced = durability != "never"
        path.mkdir(parents=True, exist_ok=True)
        # after the sync of the slot: without this one a power cut makes the folder vanish, with all that was synced in it
        sync_folder(path.parent)

    def create(self) -> SpoolWriter:
        """Start a file; nothing is opened before the first write."""
        return SpoolWriter(self.path / uuid.uuid4().hex, is_synced=self._is_synced)

    def locate(self, name: str) -> Spooled:
        """The body in the file ``name``. Raises :class:`StoreError` if it is gone."""
        try:
            return Spooled(str(self.path / name), (self.path / name).stat().st_size)
        except FileNotFoundError as error:
            raise StoreError("the file with the body is gone; post the document again", code="store.spool_missing") from error

    def link(self, body: Spooled) -> Spooled:
        """A second name for a file, durable on return: two owners may remove theirs. Blocks. Raises :class:`StoreError`."""
        path = self.path / uuid.uuid4().hex
        try:
            os.link(body.path, path)
            sync_folder(self.path)
        except FileNotFoundError as error:
            raise StoreError("the file with the body is gone; post the document again", code="store.spool_missing") from error
        except OSError as error:
            raise _failure(error, self.path) from error
        return Spooled(str(path), body.size)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files that no row refers to any more. Blocks on the file system; a file already gone is no error."""
        for name in names:
            (self.path / name).unlink(missing_ok=True)

    def sweep(self, referenced: set[str]) -> int:
        """Remove files that a crash left behind; the caller must hold the shard. Returns their number."""
        orphans = [entry.name for entry in self.path.iterdir() if entry.name not in referenced]
        self.remove(orphans)
        return len(orphans)


class SpoolWriter:
    """Writes one spool file in blocks, in a thread: ``async with`` removes the file unless :meth:`finish` was reached."""

    BLOCK_BYTES = MIB

    def __init__(self, path: Path, *, is_synced: bool = True) -> None:
        self.path = path
        self.size = 0
        self._is_synced = is_synced
        self._chunks: list[bytes] = []
        self._buffered_bytes = 0
        self._file: BinaryIO | None = None
        self._is_finished = False

    async def __aenter__(self) -> SpoolWriter:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._is_finished:
            await self.abort()

    async def write(self, chunk: bytes) -> None:
        """Take a chunk; waits for the disk once per MiB. Raises :class:`StoreError` when the disk refuses."""
        self._chunks.append(chunk)
        self._buffered_bytes += len(chunk)
        self.size += len(chunk)
        if self._buffered_bytes >= self.BLOCK_BYTES:
            await self._in_thread(sync=False)

    async def finish(self) -> Spooled:
        """Sync file and folder; the body may be appended to the queue now. Raises :class:`StoreError`."""
        await self._in_thread(sync=True)
        self._is_finished = True
        return Spooled(str(self.path), self.size)

    async def abort(self) -> None:
        """Close and remove the file."""
        self._chunks.clear()
        if self._file is not None:
            self._file.close()
            self._file = None
        self.path.unlink(missing_ok=True)

    async def _in_thread(self, *, sync: bool) -> None:
        chunks, self._chunks, self._buffered_bytes = self._chunks, [], 0
        # shielded: a request that is cancelled must not abort the file under the thread that writes it
        job = asyncio.get_running_loop().run_in_executor(None, self._flush, chunks, sync)
        try:
            await asyncio.shield(job)
        except asyncio.CancelledError:
            await asyncio.wait([job])
            raise
        except OSError as error:
            raise _failure(error, self.path.parent) from error

    def _flush(self, chunks: list[bytes], sync: bool) -> None:
        if self._file is None:
            self._file = self.path.open("xb", buffering=0)
        for block in [b"".join(chunks)] if chunks else []:
            view = memoryview(block)
            while view:
                view = view[self._file.write(view) :]
        if not sync:
            return
        if self._is_synced:
            os.fsync(self._file.fileno())
            sync_folder(self.path.parent)
        self._file.close()
        self._file = None


def _failure(error: OSError, folder: Path) -> StoreError:
    if error.errno in _FULL:
        return StoreFull("the queue's disk is full; free some space, then post again", where=str(folder))
    return StoreError(
        f"the spool file cannot be written: {error.strerror or error}; repair the disk, then post again", where=str(folder)
    )
