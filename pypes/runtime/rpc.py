"""Remote calls between the supervisor and the ingest workers, over a unix socket.

One JSON object per line, in both directions::

    {"id": 7, "method": "graphs.get", "params": {"name": "search"}}      a call
    {"id": 7, "result": …}   or   {"id": 7, "error": {"class": "NotFound", "code": …, "message": …, "where": …, "problems": […]}}
    {"event": "topology", "params": {…}}                                 pushed by the server, unasked

Errors come back as what they were: the same class of :mod:`pypes.errors` with code, sentence, place and problems.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from pypes import errors
from pypes.errors import InternalError, Problem, PypesError, Unavailable

#: Longest line either side accepts: a graph with its layout and tests, or the largest packet among the dead letters.
MAX_LINE_BYTES = 512 << 20

log = logging.getLogger(__name__)

OnEvent = Callable[[str, dict[str, Any]], None]


def error_to_obj(error: PypesError) -> dict[str, Any]:
    """An error as plain JSON values; its class is the nearest one of :mod:`pypes.errors`."""
    return {
        "class": next(c.__name__ for c in type(error).__mro__ if c.__module__ == errors.__name__),
        "code": error.code,
        "message": error.message,
        "where": error.where,
        "problems": [[p.path, p.message, p.code] for p in error.problems],
        "retry_after_s": getattr(error, "retry_after_s", None),
    }


def error_from_obj(obj: Mapping[str, Any]) -> PypesError:
    """Inverse of :func:`error_to_obj`; a class that is not known here becomes :class:`InternalError`."""
    cls = getattr(errors, str(obj.get("class")), None)
    if not (isinstance(cls, type) and issubclass(cls, PypesError)):
        cls = InternalError
    code, where = obj.get("code"), str(obj.get("where") or "")
    if issubclass(cls, Unavailable):
        return cls(obj["message"], retry_after_s=obj.get("retry_after_s") or 1.0, code=code, where=where)
    return cls(obj["message"], code=code, where=where, problems=[Problem(*problem) for problem in obj.get("problems", ())])


class RpcClient:
    """One connection to a server; any number of calls may be under way. Used within one asyncio loop."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_event: OnEvent | None,
        on_lost: Callable[[], None] | None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._on_event = on_event
        self._on_lost = on_lost
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._last_id = 0
        self._is_closed = False
        self._task = asyncio.create_task(self._listen())

    @classmethod
    async def connect(cls, path: str, on_event: OnEvent | None = None, on_lost: Callable[[], None] | None = None) -> RpcClient:
        """Connect to the socket at ``path``; raises ``OSError`` if nobody listens.

        ``on_event(name, params)`` is called in the loop for what the server pushes, in order, and between the answers to
        calls as they came; ``on_lost()`` once if the server goes away by itself.
        """
        reader, writer = await asyncio.open_unix_connection(path, limit=MAX_LINE_BYTES)
        return cls(reader, writer, on_event, on_lost)

    @property
    def is_open(self) -> bool:
        """False once the connection has ended, whoever ended it: what was not answered by then never will be."""
        return not (self._writer.is_closing() or self._task.done())

    async def call(self, method: str, /, timeout_s: float | None = None, **params: Any) -> Any:
        """Call ``method`` and return its result; raises the error it raised, or :class:`Unavailable` without a server."""
        if not self.is_open:
            raise _gone()
        self._last_id += 1
        number, future = self._last_id, asyncio.get_running_loop().create_future()
        self._calls[number] = future
        self._writer.write(_line({"id": number, "method": method, "params": params}))
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            raise Unavailable(f"{method} took longer than {timeout_s:g} s; try again", code="control.timeout") from None
        finally:
            self._calls.pop(number, None)

    async def _listen(self) -> None:
        try:
            while line := await self._reader.readline():
                message = msgspec.json.decode(line)
                if "event" in message:
                    if self._on_event is not None:
                        self._on_event(message["event"], message["params"])
                    continue
                future = self._calls.get(message["id"])
                if future is None or future.done():
                    continue
                if "error" in message:
                    future.set_exception(error_from_obj(message["error"]))
                else:
                    future.set_result(message["result"])
        except ConnectionError:
            pass  # the same as its end: handled below
        finally:
            for future in self._calls.values():
                if not future.done():
                    future.set_exception(_gone())
            self._writer.close()
        if not self._is_closed and self._on_lost is not None:
            self._on_lost()

    async def close(self) -> None:
        """Close the connection; calls still under way fail."""
        self._is_closed = True
        self._writer.close()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await self._task
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class Peer:
    """A connected client, as the server sees it. ``info`` is free for the server's owner."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.info: dict[str, Any] = {}
        self._writer = writer

    def notify(self, event: str, **params: Any) -> None:
        """Push an event. Never blocks; nothing happens if the client is gone."""
        self.send({"event": event, "params": params})

    def send(self, message: Any) -> None:
        if not self._writer.is_closing():
            self._writer.write(_line(message))

    def close(self) -> None:
        self._writer.close()


class RpcServer:
    """Listens on a unix socket and answers calls with ``handle(peer, method, params)``, each in a task of its own."""

    def __init__(
        self,
        handle: Callable[[Peer, str, dict[str, Any]], Awaitable[Any]],
        on_gone: Callable[[Peer], None] | None = None,
    ) -> None:
        self.peers: set[Peer] = set()
        self._handle = handle
        self._on_gone = on_gone
        self._server: asyncio.Server | None = None
        self._path = ""
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, path: str) -> None:
        """Listen at ``path``; asyncio replaces a socket that a predecessor left there."""
        self._path = path
        self._server = await asyncio.start_unix_server(self._connected, path, limit=MAX_LINE_BYTES)
        os.chmod(path, 0o600)  # noqa: PTH101

    def broadcast(self, event: str, **params: Any) -> None:
        """Push an event to every client."""
        for peer in self.peers:
            peer.notify(event, **params)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(writer)
        self.peers.add(peer)
        try:
            while line := await reader.readline():
                message = msgspec.json.decode(line)
                task = asyncio.create_task(self._answer(peer, message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        except (OSError, ValueError) as error:
            # a broken connection ends like a closed one; garbage on it does not come from our own client
            log.debug("control connection ended", extra={"error": str(error)})
        except asyncio.CancelledError:
            pass  # the server closes; streams would log the cancellation of their own callback as an error
        finally:
            self.peers.discard(peer)
            writer.close()
            if self._on_gone is not None:
                self._on_gone(peer)

    async def _answer(self, peer: Peer, message: Mapping[str, Any]) -> None:
        try:
            answer = {"id": message["id"], "result": await self._handle(peer, message["method"], message.get("params") or {})}
        except PypesError as error:
            answer = {"id": message["id"], "error": error_to_obj(error)}
        except Exception as error:
            log.exception("control call failed", extra={"method": message.get("method")})
            failure = InternalError(
                f"{type(error).__name__} in the supervisor; its log has the traceback", where=str(message.get("method"))
            )
            answer = {"id": message.get("id"), "error": error_to_obj(failure)}
        peer.send(answer)

    async def close(self) -> None:
        """Stop listening, drop all clients and cancel what they asked for."""
        if self._server is not None:
            self._server.close()
        for peer in list(self.peers):
            peer.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)  # noqa: PTH108


def _line(message: Any) -> bytes:
    return msgspec.json.encode(message) + b"\n"


def _gone() -> Unavailable:
    return Unavailable("the supervisor cannot be reached; try again", code="control.lost")
