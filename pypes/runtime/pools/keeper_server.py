"""Keeper server: hands sockets to the pool workers of a node to its instances. Part of the supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pypes.core.watched import watched_thread
from pypes.errors import Unreachable
from pypes.placement.channel import Broken, PassingChannel
from pypes.placement.keeper import Connection, LocalKeeper
from pypes.runtime.pools import talk

log = logging.getLogger(__name__)

#: Connections that may wait to be taken.
_BACKLOG = 256


class KeeperServer:
    """Listens at ``path``. ``find`` gives the keeper of a pool; ``on_unused()`` is called in the event loop when a user is gone.

    Each connection has a thread, since calls wait for pool workers to be set up or reaped. There are as many as pool workers
    times filters and instances that use them.
    """

    def __init__(self, path: Path, find: Callable[[str], LocalKeeper | None], on_unused: Callable[[], None]) -> None:
        self._path = path
        self._find = find
        self._on_unused = on_unused
        self._lock = threading.Lock()
        self._channels: set[PassingChannel] = set()
        #: Connections by the pool that they use.
        self._users: Counter[str] = Counter()

    def start(self) -> None:
        """Listen; in the event loop."""
        self._loop = asyncio.get_running_loop()
        self._path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self._path))
        self._listener.listen(_BACKLOG)
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def users(self, pool: str) -> int:
        """Connections that use a pool."""
        with self._lock:
            return self._users[pool]

    def close(self) -> None:
        """Listen no more, and end all connections."""
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        self._path.unlink(missing_ok=True)
        with self._lock:
            channels = [*self._channels]
        for channel in channels:
            with contextlib.suppress(OSError):
                channel.sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as error:  # no more descriptors: whoever connects is not answered, and tries again
            log.warning("a connection to a pool cannot be taken", extra={"reason": str(error)})
            return
        sock.setblocking(True)
        channel = PassingChannel(sock, talk.MAX_BYTES)
        with self._lock:
            self._channels.add(channel)
        watched_thread(lambda: self._serve(channel), "pypes-pool-user", lambda: None)

    def _serve(self, channel: PassingChannel) -> None:
        """The life of one connection."""
        pool = ""
        try:
            with contextlib.suppress(OSError, Broken):
                frame = channel.read()
                if frame is None or frame[0] != talk.USE:
                    return
                [pool] = talk.said(frame[1], str)
                with self._lock:
                    self._users[pool] += 1
                keeper = self._find(pool)
                if keeper is None:
                    channel.write(talk.NOT_THERE, talk.say("the node has no such pool any more"))
                    return
                channel.write(talk.THERE, b"")
                while (frame := channel.read()) is not None:
                    _answer(keeper, channel, *frame)
        finally:
            with self._lock:
                self._channels.discard(channel)
                if pool:
                    self._users[pool] -= 1
            channel.close()
            with contextlib.suppress(RuntimeError):  # the loop is closed: nothing is left to be told
                self._loop.call_soon_threadsafe(self._on_unused)


def _answer(keeper: LocalKeeper, channel: PassingChannel, kind: int, payload: bytes | bytearray) -> None:
    if kind == talk.CONNECT:
        [seat] = talk.said(payload, int)
        if not 0 <= seat < keeper.width:
            raise Broken(f"a seat {seat} that the pool does not have")
        try:
            connection = keeper.connect(seat)
        except Unreachable as error:
            channel.write(talk.AWAY, talk.say(str(error)))
            return
        with connection.sock as sock:
            channel.pass_on(talk.SOCKET, talk.say(connection.worker, connection.user), sock.fileno())
    elif kind == talk.LOST:
        seat, worker, fault = talk.said(payload, int, int, str)
        if not 0 <= seat < keeper.width:
            raise Broken(f"a seat {seat} that the pool does not have")
        with socket.socket() as nothing:  # the keeper looks at seat and number only
            loss = keeper.lost(Connection(seat, worker, 0, nothing), fault)
        channel.write(talk.LOSS, talk.say_loss(loss))
    else:
        raise Broken(f"a frame of kind {kind}")
