"""Viewers: clients that look on, each with a bounded queue of what was not sent to it yet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from typing import Any

import orjson

from pypes.access.account import Account
from pypes.errors import Unavailable

#: Bytes that wait for one viewer, beyond those in the hands of its connection; then it is let go.
MOST_WAITING_BYTES = 1 << 20
#: Sent at first, which shows that there is an answer; with the milliseconds after which a browser comes back.
HELLO = b": pypes\nretry: 1000\n"


class Viewer:
    """The queue of what goes to one client. Call :meth:`close` when it is gone; ``on_close`` is called once then."""

    def __init__(self, on_close: Callable[[], None], owner: Account | None = None) -> None:
        self._on_close = on_close
        #: The account of the client that looks.
        self.owner = owner
        self._chunks: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._is_closed = False
        #: Nothing more is put to it.
        self.is_over = False

    def put(self, chunk: bytes) -> None:
        """Have something sent. A viewer that does not read is let go, with all that waits for it.

        What comes when nothing waits is sent however long it is: all events that are kept, or the counters of many graphs.
        """
        if self.is_over or not chunk:
            return
        if self._chunks and self._waiting_bytes + len(chunk) > MOST_WAITING_BYTES:
            self._chunks.clear()
            self.end()
            self.close()
            return
        self._chunks.append(chunk)
        self._waiting_bytes += len(chunk)
        self._wake()

    def end(self) -> None:
        """Put nothing more: it ends when it has been sent what waits."""
        self.is_over = True
        self._wake()

    async def next(self) -> bytes:
        """All that waits, once there is something; empty at the end."""
        while not self._chunks and not self.is_over:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        taken = b"".join(self._chunks)
        self._chunks.clear()
        self._waiting_bytes = 0
        return taken

    def close(self) -> None:
        """Forget it."""
        self.is_over = True
        if not self._is_closed:
            self._is_closed = True
            self._on_close()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def check_viewers(viewers: Collection[Viewer], most: int, owner: Account | None, what: str, code: str) -> None:
    """Raise :class:`Unavailable` if there are ``most`` viewers, and :class:`OverBudget` if one of many clients has its part."""
    if len(viewers) >= most:
        raise Unavailable(f"{most} clients look at {what} already; let one of them end, or ask again later", code=code)
    if owner is not None and sum(viewer.owner is owner for viewer in viewers) >= owner.part(most):
        raise owner.over_part(f"{owner.part(most)} clients look at {what} with the same token already", code)


def as_sse(kind: str, body: Any, id: str = "") -> bytes:
    """An event in the form of server-sent events (WHATWG HTML, 9.2.6)."""
    head = f"id: {id}\nevent: {kind}\n" if id else f"event: {kind}\n"
    return b"%bdata: %b\n\n" % (head.encode(), orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS))
