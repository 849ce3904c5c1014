"""Outboxes: the outboxes of the node as an ingest worker gives from them.

Instances write them, and other workers acknowledge. So who waits for a result looks at the file, which costs microseconds, and
holds no thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from pypes.core.nodetime import Clock
from pypes.errors import NotFound, Unavailable
from pypes.graph.codec import NAME
from pypes.outbox.file import OUTBOXES
from pypes.outbox.giving import Given, acknowledge, describe, give, unknown

#: Bytes of results in one answer; a larger result comes alone.
MAX_BYTES: Final = 8 << 20

#: Seconds between two looks at whether a file has changed, and between two at what is in it: leases end without a change.
LOOK_S: Final = 0.1
LOOK_INTO_S: Final = 1.0


class OutboxUse(msgspec.Struct, frozen=True):
    """Usage of one outbox: results that wait, those of them that are leased, their bytes, and the age of the oldest in seconds.

    ``reason`` says why an outbox cannot be read, or is empty.
    """

    name: str
    waiting: int = 0
    leased: int = 0
    bytes: int = 0
    oldest_s: float | None = None
    reason: str = ""


class Outboxes:
    """The outboxes in a data directory. ``is_synced``: an acknowledgement is on stable storage before it is answered."""

    def __init__(self, data: Path, clock: Clock, *, is_synced: bool) -> None:
        self._folder = data / OUTBOXES
        self._clock = clock
        self._is_synced = is_synced

    async def uses(self) -> list[OutboxUse]:
        """The usage of all outboxes, by name."""
        return await asyncio.to_thread(self._uses)

    async def give(self, name: str, most: int, lease_s: float, wait_s: float, is_stopping: Callable[[], bool]) -> Given:
        """The oldest results that are free; if there are none, what comes within ``wait_s``, or nothing once it is to stop.

        Raises :class:`NotFound`, and :class:`Unavailable` while the file cannot be used.
        """
        path = self._path(name)
        deadline = time.monotonic() + wait_s
        while True:
            seen = _state(path)
            given = await asyncio.to_thread(give, path, most, MAX_BYTES, lease_s, self._clock.fresh())
            if given.results:
                return given
            look_into = time.monotonic() + LOOK_INTO_S
            while _state(path) == seen and time.monotonic() < look_into:
                if is_stopping() or time.monotonic() >= deadline:
                    return given
                await asyncio.sleep(LOOK_S)

    async def acknowledge(self, name: str, cursor: str) -> int:
        """Delete the results of a cursor; returns how many were still there. Raises as :meth:`give` does."""
        return await asyncio.to_thread(acknowledge, self._path(name), cursor, is_synced=self._is_synced)

    def _path(self, name: str) -> Path:
        if not NAME.fullmatch(name):  # it might lead out of the folder
            raise unknown(name)
        return self._folder / f"{name}.db"

    def _uses(self) -> list[OutboxUse]:
        return [self._use(path) for path in sorted(self._folder.glob("*.db"))]

    def _use(self, path: Path) -> OutboxUse:
        try:
            use = describe(path, self._clock.fresh())
        except (NotFound, Unavailable) as error:
            return OutboxUse(path.stem, reason=error.message)
        return OutboxUse(path.stem, use.waiting, use.leased, use.bytes, use.oldest_s)


def _state(path: Path) -> list[tuple[int, int, int] | None]:
    """State of a file and of its log, which is another one after each change."""
    return [_stat(each) for each in (path, path.with_name(f"{path.name}-wal"))]


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
