"""Remote keeper: the keeper of a pool as an instance has it, whose pool workers belong to the node."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType

from pypes.errors import ComponentError, Unreachable
from pypes.placement.channel import Broken, PassingChannel
from pypes.placement.keeper import Connection
from pypes.placement.pool_process import KILLED, Loss
from pypes.runtime.pools import talk

#: Failures of the way to the keeper.
_GONE = (OSError, Broken)


class RemoteKeeper:
    """See :class:`pypes.placement.keeper.Keeper`. ``path`` is the socket of the node's :class:`KeeperServer`.

    Each seat has a connection of its own, because a call waits for a pool worker to be set up.
    """

    def __init__(self, path: str, pool: str, width: int) -> None:
        self.width = width
        self._path = path
        self._pool = pool
        self._lines = [_Line() for _ in range(width)]
        self._is_closed = True

    def setup(self) -> None:
        """Connect. Raises ``ComponentError`` if the node does not have the pool, or is gone."""
        self._is_closed = False
        try:
            with self._lines[0] as line:
                self._channel(line)
        except _GONE as error:
            raise ComponentError(f"its pool cannot be reached: {error}", code="pool.unknown") from error

    def connect(self, seat: int) -> Connection:
        try:
            with self._lines[seat] as line:
                channel = self._channel(line)
                channel.write(talk.CONNECT, talk.say(seat))
                kind, payload = _answer(channel)
                if kind == talk.SOCKET:
                    worker, user = talk.said(payload, int, int)
                    return Connection(seat, worker, user, socket.socket(fileno=channel.take_fd()))
                [reason] = talk.said(payload, str)
        except _GONE as error:
            reason = f"the pool cannot be reached: {error}"
        raise Unreachable(0.0, reason)

    def lost(self, connection: Connection, fault: str = "") -> Loss:
        try:
            with self._lines[connection.seat] as line:
                channel = self._channel(line)
                channel.write(talk.LOST, talk.say(connection.seat, connection.worker, fault))
                _, payload = _answer(channel)
                return talk.said_loss(payload)
        except _GONE as error:
            # pool workers end with their keeper
            return Loss(f"the pool cannot be reached: {error}", KILLED, None)

    def close(self) -> None:
        """Let go of the pool workers; who waits for an answer gets none."""
        self._is_closed = True
        for line in self._lines:
            line.end()

    def _channel(self, line: _Line) -> PassingChannel:
        """The connection of a seat, made when it is first used."""
        if self._is_closed:
            raise ConnectionAbortedError("the graph has ended")
        if line.channel is not None:
            return line.channel
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.channel = channel = PassingChannel(sock, talk.MAX_BYTES)
        sock.connect(self._path)
        channel.write(talk.USE, talk.say(self._pool))
        kind, payload = _answer(channel)
        if kind != talk.THERE:
            [reason] = talk.said(payload, str)
            raise ConnectionRefusedError(reason)
        return channel


class _Line:
    """The connection of one seat; entered by whoever calls. A call that fails ends it."""

    def __init__(self) -> None:
        self.channel: PassingChannel | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> _Line:
        self._lock.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            self._close()
        self._lock.release()

    def end(self) -> None:
        """Close it, and have whoever waits for an answer fail."""
        channel = self.channel
        if channel is not None:
            with contextlib.suppress(OSError):
                channel.sock.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self.channel is not None:
            self.channel.close()
            self.channel = None


def _answer(channel: PassingChannel) -> tuple[int, bytes | bytearray]:
    frame = channel.read()
    if frame is None:
        raise ConnectionResetError("the keeper is gone")
    return frame
