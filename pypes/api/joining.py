"""Head and body of an answer in one system call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class JoiningTransport:
    """Keeps the head of an answer until its body comes, so that both leave in one system call.

    uvicorn writes them apart, which costs a server of small answers more than anything else it does. ``linger`` is asked before
    it closes; True: it will be closed later.
    """

    __slots__ = ("_head", "_transport", "is_closing", "linger", "write_now")

    def __init__(self, transport: asyncio.Transport, linger: Callable[[], bool]) -> None:
        self.linger: Callable[[], bool] | None = linger
        self._transport = transport
        self._head = b""
        self.write_now = transport.write
        # PERF: asked after each answer
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        if self._head:
            head, self._head = self._head, b""
            self.write_now(head + data)
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 100"):
            self._head = data
        else:
            self.write_now(data)

    def flush(self) -> None:
        """Write a head that no body follows (HEAD, 204)."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        self.flush()
        if self.linger is None or not self.linger():
            self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
