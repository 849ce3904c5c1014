"""The audit log in the supervisor: asked for by workers, and rid of what is too old."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import TypeVar

from pypes import logs
from pypes.access.audit import AuditQuery, Cause, Entry, Kept, line_of
from pypes.core.databases import connect
from pypes.core.limits import Limits
from pypes.errors import StoreError
from pypes.runtime.graphs.store import ControlStore

T = TypeVar("T")

#: Seconds between two looks for lines that are too old.
LOOK_S = 600.0


class AuditDesk:
    """Answers the calls of workers; see :class:`pypes.runtime.contracts.control.AuditCalls`."""

    def __init__(self, store: ControlStore) -> None:
        self._store = store

    async def lines(self, query: AuditQuery, limit: int) -> list[Entry]:
        return await asyncio.to_thread(self._look, partial(self._store.trail.page, query=query, limit=limit))

    async def kept(self) -> Kept:
        return await asyncio.to_thread(self._look, self._store.trail.kept)

    def _look(self, look: Callable[[sqlite3.Connection], T]) -> T:
        path = self._store.path
        try:
            with closing(connect(path, "ro")) as db:
                return look(db)
        except sqlite3.Error as error:
            raise StoreError(f"{path} cannot be read: {error}", where=str(path)) from error

    async def note(self, cause: Cause) -> None:
        self._store.note(line_of(cause, ""))


async def forget_lines(store: ControlStore, limits: Limits) -> None:
    """Remove lines that are too old, again and again; never returns."""
    log = logs.get("pypes.audit")
    while True:
        # just after a start or a jump of the wall clock, how old anything is may be told wrong yet
        if store.clock.is_steady():
            try:
                store.forget_lines(store.clock.ago(limits.audit_s))
            except StoreError as error:
                log.warning("old lines of the audit log could not be removed", reason=str(error))
        await asyncio.sleep(LOOK_S)
