"""Remote calls between the supervisor and the ingest workers over unix sockets, and between nodes over links.

One JSON object per line, in both directions::

    {"id": 7, "method": "graphs.get", "params": {"name": "search"}}      a call
    {"id": 7, "result": …}   or   {"id": 7, "error": {"class": "NotFound", "code": …, "message": …, "where": …, "problems": […]}}
    {"event": "topology", "params": {…}}                                 pushed by the server, unasked
    {"cancel": 7}                                                        the answer to a call is not wanted any more

Errors come back as what they were: the same class of :mod:`pypes.errors` with code, sentence, place and problems.

No line is longer than both sides accept: a call or an answer that would be fails by itself (``control.too_large``), and the
connection goes on. Whatever else goes wrong with a connection is logged and ends it, so that its owner can make another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec

from pypes import errors
from pypes.core.watched_tasks import WatchedTasks
from pypes.errors import InternalError, Problem, PypesError, QueueFull, TooLarge, Unavailable
from pypes.runtime.rpc.contract import Method

#: Longest line either side accepts, unless it says otherwise: the largest packet among the dead letters.
MAX_LINE_BYTES = 512 << 20
#: Longest line between the supervisor and a worker: a graph with its layout and tests, a page of a list.
MAX_CONTROL_BYTES = 64 << 20

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
        "limit": getattr(error, "limit", None),
    }


def error_from_obj(obj: Mapping[str, Any]) -> PypesError:
    """Inverse of :func:`error_to_obj`; a class that is not known here becomes :class:`InternalError`."""
    cls = getattr(errors, str(obj.get("class")), None)
    if not (isinstance(cls, type) and issubclass(cls, PypesError)):
        cls = InternalError
    code, where = obj.get("code"), str(obj.get("where") or "")
    if issubclass(cls, Unavailable):
        found = cls(obj["message"], retry_after_s=obj.get("retry_after_s") or 1.0, code=code, where=where)
        if isinstance(found, QueueFull):
            found.limit = str(obj.get("limit") or "")
        return found
    return cls(obj["message"], code=code, where=where, problems=[Problem(*problem) for problem in obj.get("problems", ())])


class Sink(Protocol):
    """The writing end of a connection: a stream's, or a transport of its own."""

    def write(self, data: bytes, /) -> None: ...
    def is_closing(self) -> bool: ...
    def close(self) -> None: ...


class RpcClient:
    """One connection to a server; any number of calls may be under way. Used within one asyncio loop.

    ``called`` is the other side, in errors.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_event: OnEvent | None,
        on_lost: Callable[[], None] | None,
        max_line_bytes: int = MAX_LINE_BYTES,
        called: str = "the supervisor",
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._called = called
        self._max_line_bytes = max_line_bytes
        self._on_event = on_event
        self._on_lost = on_lost
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._last_id = 0
        self._is_closed = False
        # however listening ends, the connection has ended then
        self._tasks = WatchedTasks(lambda _: None)
        self._task = self._tasks.start(self._listen(), "control connection")
        self._task.add_done_callback(lambda _: self._end())

    @classmethod
    async def connect(
        cls,
        path: str,
        on_event: OnEvent | None = None,
        on_lost: Callable[[], None] | None = None,
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> RpcClient:
        """Connect to the socket at ``path``; raises ``OSError`` if nobody listens.

        ``on_event(name, params)`` is called in the loop for what the server pushes, in order, and between the answers to
        calls as they came; ``on_lost()`` once if the connection ends by itself: because the server has gone away, or because
        what came over it could not be understood or dealt with, which is logged.
        """
        reader, writer = await asyncio.open_unix_connection(path, limit=max_line_bytes)
        return cls(reader, writer, on_event, on_lost, max_line_bytes)

    @property
    def is_open(self) -> bool:
        """False once either side has ended the connection: calls that are not answered by then never will be."""
        return not (self._writer.is_closing() or self._task.done())

    async def call(self, method: str, /, timeout_s: float | None = None, **params: Any) -> Any:
        """Call ``method`` and return its result; raises the error it raised, or :class:`Unavailable` without a server.

        What does not fit into a line is :class:`TooLarge`, be it the call or its answer.
        """
        return await self._call({"method": method, "params": params}, timeout_s)

    async def carry(self, name: str, method: Method, params: dict[str, Any], timeout_s: float | None = None) -> Any:
        """Make a call of a contract (see :func:`pypes.runtime.rpc.contract.stub`).

        When the caller of one that is made ``while_wanted`` is cancelled, or this process dies, the server gives it up.
        """
        extra = {"while_wanted": True} if method.is_while_wanted else {}
        return await self._call({"method": name, "params": params, **extra}, timeout_s)

    async def _call(self, message: dict[str, Any], timeout_s: float | None) -> Any:
        if not self.is_open:
            raise self._gone()
        self._last_id += 1
        number, future = self._last_id, asyncio.get_running_loop().create_future()
        line = _line({"id": number, **message})
        if len(line) > self._max_line_bytes:
            raise _too_large("the request", message["method"], len(line), self._max_line_bytes)
        self._calls[number] = future
        self._writer.write(line)
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            raise Unavailable(
                f"{message['method']} took longer than {timeout_s:g} s; try again", code="control.timeout"
            ) from None
        except asyncio.CancelledError:
            if "while_wanted" in message and self.is_open:
                self._writer.write(_line({"cancel": number}))
            raise
        finally:
            self._calls.pop(number, None)

    async def _listen(self) -> None:
        try:
            while line := await self._reader.readline():
                self._on_message(msgspec.json.decode(line))
        except ConnectionError:
            pass  # the same as its end

    def _on_message(self, message: dict[str, Any]) -> None:
        if "event" in message:
            if self._on_event is not None:
                self._on_event(message["event"], message["params"])
            return
        future = self._calls.get(message["id"])
        if future is None or future.done():
            return
        if "error" in message:
            future.set_exception(error_from_obj(message["error"]))
        else:
            future.set_result(message["result"])

    def _end(self) -> None:
        """Nothing will be heard any more, of whatever reason: let nobody wait for it."""
        for future in self._calls.values():
            if not future.done():
                future.set_exception(self._gone())
        self._writer.close()
        if not self._is_closed and self._on_lost is not None:
            self._is_closed = True
            self._on_lost()

    def _gone(self) -> Unavailable:
        return Unavailable(f"{self._called} cannot be reached; try again", code="control.lost")

    async def close(self) -> None:
        """Close the connection; calls still under way fail."""
        self._is_closed = True
        await self._tasks.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class Peer:
    """A connected client, as the server sees it. ``info`` is free for the server's owner."""

    def __init__(self, writer: Sink) -> None:
        self.info: dict[str, Any] = {}
        self._writer = writer
        #: Calls that the client may give up, by number.
        self.wanted: dict[int, asyncio.Task[Any]] = {}

    def notify(self, event: str, **params: Any) -> None:
        """Push an event. Never blocks; nothing happens if the client is gone."""
        self.send(_line({"event": event, "params": params}))

    def send(self, line: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(line)

    def give_up(self, number: int | None = None) -> None:
        """Cancel what is done for one of its calls, or for all that it may give up."""
        for task in list(self.wanted.values()) if number is None else filter(None, [self.wanted.get(number)]):
            task.cancel()

    def close(self) -> None:
        self._writer.close()


class RpcServer:
    """Listens on a unix socket and answers calls with ``handle(peer, method, params)``, each in a task of its own."""

    def __init__(
        self,
        handle: Callable[[Peer, str, dict[str, Any]], Awaitable[Any]],
        on_gone: Callable[[Peer], None] | None = None,
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> None:
        self.peers: set[Peer] = set()
        self._handle = handle
        self._on_gone = on_gone
        self._max_line_bytes = max_line_bytes
        self._server: asyncio.Server | None = None
        self._path = ""
        # an answer that fails is missed by the one who called: its connection ends, and with it the waiting
        self._tasks = WatchedTasks(lambda _: self._reset())

    async def start(self, path: str) -> None:
        """Listen at ``path``; asyncio replaces a socket that a predecessor left there."""
        self._path = path
        self._server = await asyncio.start_unix_server(self.serve, path, limit=self._max_line_bytes)
        os.chmod(path, 0o600)  # noqa: PTH101

    def broadcast(self, event: str, **params: Any) -> None:
        """Push an event to every client."""
        for peer in self.peers:
            peer.notify(event, **params)

    async def serve(self, reader: asyncio.StreamReader, writer: Sink) -> None:
        """Answer what comes over a connection until it ends."""
        peer = Peer(writer)
        self.peers.add(peer)
        try:
            while line := await reader.readline():
                self._on_message(peer, msgspec.json.decode(line))
        except ConnectionError:
            pass  # a broken connection ends like a closed one
        except (OSError, ValueError, TypeError, KeyError) as error:
            # our own clients send nothing of the kind
            log.error("control connection ends", extra={"reason": f"{type(error).__name__}: {error}", **peer.info})
        except asyncio.CancelledError:
            pass  # the server closes; streams would log the cancellation of their own callback as an error
        finally:
            self.peers.discard(peer)
            peer.give_up()
            writer.close()
            if self._on_gone is not None:
                self._on_gone(peer)

    def _on_message(self, peer: Peer, message: dict[str, Any]) -> None:
        if "cancel" in message:
            peer.give_up(message["cancel"])
            return
        task = self._tasks.start(self._answer(peer, message), f"answer to {message['method']}")
        if message.get("while_wanted"):
            number = message["id"]
            peer.wanted[number] = task
            task.add_done_callback(lambda _: peer.wanted.pop(number, None))

    async def _answer(self, peer: Peer, message: Mapping[str, Any]) -> None:
        number, method = message["id"], str(message.get("method"))
        try:
            outcome = {"result": await self._handle(peer, message["method"], message.get("params") or {})}
        except PypesError as error:
            outcome = {"error": error_to_obj(error)}
        except Exception as error:
            outcome = {"error": _bug(method, error)}
        peer.send(self._encoded(number, method, outcome))

    def _encoded(self, number: int, method: str, outcome: dict[str, Any]) -> bytes:
        """The line of an answer, or of the reason why there can be none."""
        try:
            line = _line({"id": number, **outcome})
        except Exception as error:  # what components and clients gave need not be text, or may contain itself
            return _line({"id": number, "error": _bug(method, error)})
        if len(line) > self._max_line_bytes:
            return _line({"id": number, "error": error_to_obj(_too_large("the answer", method, len(line), self._max_line_bytes))})
        return line

    def _reset(self) -> None:
        for peer in list(self.peers):
            peer.close()

    async def close(self) -> None:
        """Stop listening, drop all clients and cancel what they asked for."""
        if self._server is not None:
            self._server.close()
        for peer in list(self.peers):
            peer.close()
        await self._tasks.close()
        if self._server is not None:
            await self._server.wait_closed()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)  # noqa: PTH108


def _line(message: Any) -> bytes:
    return msgspec.json.encode(message) + b"\n"


def _bug(method: str, error: Exception) -> dict[str, Any]:
    log.error("control call failed", extra={"method": method}, exc_info=error)
    return error_to_obj(InternalError(f"{type(error).__name__} in the supervisor; its log has the traceback", where=method))


def _too_large(what: str, method: str, size: int, limit: int) -> TooLarge:
    return TooLarge(
        f"{what} has {size} bytes, at most {limit} can be passed on; ask for less at a time",
        code="control.too_large",
        where=method,
    )
