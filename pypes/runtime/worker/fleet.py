"""A fleet: nodes that share a directory, in which one of them at a time runs the sources of a graph.

Each graph has two files in it. ``GRAPH.lock`` is locked (flock) by the node that runs the sources; the kernel lets go of it when
the process ends, however it ends. ``GRAPH.json`` says how far the fleet has come with each source: who holds the lock writes
it, always whole, as a new file that is synced and renamed.

A file server may forget a lock while its holder cannot reach it. Therefore what was fetched names what it follows on, and is
not taken if something else came between; and just before the new file takes its place, the lock's own file is written, which NFS
refuses to who has lost the lock.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import math
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from pypes.core.durable import sync_folder
from pypes.errors import StoreError
from pypes.ingest.queues.store_thread import StoreThread

#: Version of the form of the shared files.
FORM: Final = 1
#: Bytes that are read of the name of the process that holds a lock.
_HOLDER_BYTES: Final = 256
#: Errors of a file system that has no locks, or cannot reach whoever keeps them.
_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class Place(msgspec.Struct, omit_defaults=True):
    """The position of the fleet in one source.

    ``at`` is the last scheduled time that is over, in seconds since the epoch. ``cursor`` (JSON text) lies behind what ``node``
    fetched under ``id`` (empty: nothing was fetched yet). ``taken`` is node → id of what it fetched last, for as long as that may
    not have come into its queue.
    """

    at: float = 0.0
    cursor: str = ""
    id: str = ""
    node: int = 0
    taken: dict[str, str] = msgspec.field(default_factory=dict)


class Shared(msgspec.Struct):
    """The contents of ``GRAPH.json``: the version of its form, and a place for each source."""

    pypes: int = FORM
    sources: dict[str, Place] = msgspec.field(default_factory=dict)


class HandedOver(Exception):
    """This node cannot go on with a run, or must not: the reason. Another may, or the same later."""


class Fleet:
    """The shared directory as the node with this number sees it. Used within one event loop; all that blocks is in a thread.

    One thread does one thing after the other, so a lock is only let go when a write that began before it is through, also if
    whoever waited for that was cancelled. And a file server that does not answer holds up no other work of the process, nor its
    end. What cannot be done raises :class:`StoreError` with the path; the caller tries again.
    """

    def __init__(self, path: Path, node: int) -> None:
        self.path = path
        self.node = node
        self._thread: StoreThread | None = None

    async def read(self, graph: str) -> dict[str, Place] | None:
        """The places of a graph's sources; ``None`` if there is no file. Needs no lock: the file is always whole."""
        shared = await self.call(lambda: self.load(graph))
        return None if shared is None else shared.sources

    async def lock(self, graph: str) -> Lock:
        """Try to lock a graph; see ``is_held`` of what it returns, which must be released."""
        lock = Lock(self, graph)
        try:
            await self.call(lock.acquire)
        except BaseException:
            lock.release()
            raise
        return lock

    def close(self) -> None:
        """End the thread behind what it was given, without waiting for it."""
        if self._thread is not None:
            self._thread.stop(wait=False)
            self._thread = None

    def call(self, job: Callable[[], Any]) -> asyncio.Future[Any]:
        """Run ``job`` in the thread."""
        if self._thread is None:
            self._thread = StoreThread(asyncio.get_running_loop(), "pypes-fleet")
        return self._thread.call(job)

    # -- in the thread ----------------------------------------------------------------------------------

    def load(self, graph: str) -> Shared | None:
        """Read the file of a graph; ``None`` if there is none in a directory that is there."""
        path = self.path / f"{graph}.json"
        with _translated_errors(path):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                self.path.stat()  # raises if it is the directory that is missing
                return None
        try:
            shared = msgspec.json.decode(data, type=Shared)
        except ValueError as error:  # of msgspec, or of the text in it
            raise StoreError(
                (
                    f"the file of the fleet is damaged: {error}; put back a copy, or write {{}} into it: then the next "
                    "node that runs the sources resumes from its own cursors"
                ),
                code="fleet.damaged",
                where=str(path),
            ) from error
        if shared.pypes > FORM:
            raise StoreError(
                f"the file of the fleet has form {shared.pypes}, this release reads up to {FORM}; install a newer one",
                code="fleet.newer",
                where=str(path),
            )
        return shared

    def save(self, graph: str, shared: Shared, check: Callable[[], None]) -> None:
        """Replace the file of a graph, unless ``check`` raises at the last moment; returns when that is durable."""
        path, fresh = self.path / f"{graph}.json", self.path / f"{graph}.{self.node}.tmp"
        with _translated_errors(path):
            with fresh.open("wb") as file:
                file.write(msgspec.json.encode(shared))
                file.flush()
                os.fsync(file.fileno())
            check()
            fresh.replace(path)
            sync_folder(self.path)


class Lock:
    """The lock of one graph, from :meth:`Fleet.lock`. ``holder`` names who has it if it is not held."""

    def __init__(self, fleet: Fleet, graph: str) -> None:
        self.is_held = False
        self.holder = ""
        self._fleet = fleet
        self._graph = graph
        self._fd = -1

    async def begin(self) -> None:
        """Write the file for the first time."""
        await self._fleet.call(lambda: self._fleet.save(self._graph, Shared(), self._sign))

    async def take(self, source: str, after: str, id: str, cursor: str) -> None:
        """Make what this node has fetched under ``id`` a part of what the fleet has fetched, behind ``after``.

        From now on it is up to this node to enqueue it. Raises :class:`HandedOver` if something else came between: then the
        lock was lost, and another node has run the source.
        """

        def take(shared: Shared) -> None:
            place = shared.sources.setdefault(source, Place())
            if place.id != after:
                raise HandedOver("another node has run the source meanwhile, so the lock was lost")
            place.id, place.node, place.cursor = id, self._fleet.node, cursor
            place.taken[str(self._fleet.node)] = id

        await self._change(take)

    async def done(self, sources: Iterable[str], at: float, latest: float = math.inf) -> None:
        """The run of these sources is over, for all scheduled times up to ``at``, and all they fetched here is in the queue.

        A time later than ``latest`` was noted by a node whose clock was wrong, and is forgotten.
        """

        def done(shared: Shared) -> None:
            for source in sources:
                place = shared.sources.setdefault(source, Place())
                place.at = max(place.at, at) if place.at <= latest else at
                place.taken.pop(str(self._fleet.node), None)

        await self._change(done)

    def release(self) -> None:
        """Let go of it, as soon as what was begun under it is through."""
        self.is_held = False
        self._fleet.call(self._close)

    async def _change(self, change: Callable[[Shared], None]) -> None:
        def run() -> None:
            shared = self._fleet.load(self._graph)
            if shared is None:
                raise missing(self._fleet.path / f"{self._graph}.json")
            change(shared)
            self._fleet.save(self._graph, shared, self._sign)

        await self._fleet.call(run)

    # -- in the thread ----------------------------------------------------------------------------------

    def acquire(self) -> None:
        path = self._fleet.path / f"{self._graph}.lock"
        with _translated_errors(path):
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.holder = os.pread(self._fd, _HOLDER_BYTES, 0).decode(errors="replace").strip()
                return
            os.ftruncate(self._fd, 0)
            self._sign()
        self.is_held = True

    def _sign(self) -> None:
        """Write into the lock's file who holds it; raises ``OSError`` if the file server has forgotten that."""
        os.pwrite(self._fd, f"{socket.gethostname()}, pid {os.getpid()}\n".encode(), 0)
        os.fsync(self._fd)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def missing(path: Path) -> StoreError:
    """The error for a file that has been there."""
    return StoreError(
        (
            "the file of the fleet is gone: is its directory mounted? Put it back, or write {} into a new one: then the "
            "next node that runs the sources resumes from its own cursors"
        ),
        code="fleet.missing",
        where=str(path),
    )


@contextmanager
def _translated_errors(path: Path) -> Iterator[None]:
    """Errors of the file system as :class:`StoreError`."""
    try:
        yield
    except OSError as error:
        hint = (
            "its file system supports no locks"
            if error.errno in _NO_LOCKS
            else "make sure that the directory exists and can be written"
        )
        raise StoreError(
            f"the directory of the fleet cannot be used: {error.strerror or error}; {hint}",
            code="fleet.unreachable",
            where=str(path),
        ) from error
