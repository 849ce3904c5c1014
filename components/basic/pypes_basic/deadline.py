"""Deadline: connections that are cut when the time for all of them together is over, whatever the server does meanwhile."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from types import TracebackType
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

#: Longest wait for one step: a connection, a part of the answer.
STEP_S = 30.0


class Deadline:
    """The time within which everything must be done. Use it as a context manager around the requests.

    A time limit of a socket begins anew with each byte; a server that sends one now and then would hold its client for ever. So
    when the time is over, every connection that was opened within is shut down, in whatever it is then.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.is_over = False
        self._ends = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._timer.cancel()
        with self._lock:
            for sock in self._open:
                sock.close()
            self._open.clear()

    @property
    def timeout(self) -> urllib3.Timeout:
        """Time limits for the next request."""
        left_s = max(0.001, min(STEP_S, self._ends - time.monotonic()))
        return urllib3.Timeout(connect=left_s, read=left_s)

    def watch(self, sock: socket.socket) -> None:
        """Have a socket shut down when the time is over; raises ``TimeoutError`` if it is."""
        with self._lock:
            if self.is_over:
                sock.close()
                raise TimeoutError("the time is over")
            # a descriptor of its own: the connection goes on to wrap the socket, and closes it when it likes
            self._open.append(sock.dup())

    def _cut(self) -> None:
        with self._lock:
            self.is_over = True
            for sock in self._open:
                with contextlib.suppress(OSError):  # the server has hung up already
                    sock.shutdown(socket.SHUT_RDWR)

    def pool(self, **options: Any) -> urllib3.PoolManager:
        """A pool whose connections are watched."""
        watch = self.watch

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                made = super()._new_conn()
                watch(made)
                return made

        class Encrypted(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                made = super()._new_conn()
                watch(made)
                return made

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class EncryptedPool(HTTPSConnectionPool):
            ConnectionCls = Encrypted

        made = urllib3.PoolManager(**options)
        made.pool_classes_by_scheme = {"http": PlainPool, "https": EncryptedPool}
        return made
