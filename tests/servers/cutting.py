"""A proxy between a client and a server over TCP, which breaks a connection when a test says so."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

from tests.serving import in_thread

_PIECE_BYTES = 1 << 16


@dataclass
class Cutting:
    """Passes on what comes; tests say what is to happen instead."""

    port: int = 0
    #: So many messages of clients are passed on; the next one breaks its connection, and all is passed on again.
    most: int | None = None
    #: True if the server gets that message, and the connection breaks in the middle of its answer.
    is_answered: bool = False
    #: True if no connection lasts.
    is_down: bool = False

    def cut_after(self, most: int, *, is_answered: bool) -> None:
        """Break a connection after so many messages of clients."""
        self.most, self.is_answered = most, is_answered

    @property
    def has_cut(self) -> bool:
        """False if so many messages have not come since."""
        return self.most is None


@contextmanager
def cutting(port: int) -> Iterator[Cutting]:
    """A proxy before a port of loopback while it runs."""
    state = Cutting()

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            if state.is_down:
                return
            with socket.create_connection(("127.0.0.1", port)) as server:
                answers = Thread(target=_pass, args=(server, self.request))
                answers.start()
                with suppress(OSError):
                    while data := self.request.recv(_PIECE_BYTES):
                        if state.most == 0:
                            state.most = None
                            if state.is_answered:
                                self.request.shutdown(socket.SHUT_WR)
                            else:
                                break
                        elif state.most is not None:
                            state.most -= 1
                        server.sendall(data)
                for each in (server, self.request):
                    with suppress(OSError):
                        each.shutdown(socket.SHUT_RDWR)
                answers.join()

    with in_thread(ThreadingTCPServer(("127.0.0.1", 0), Handler)) as served:
        state.port = served.server_address[1]
        yield state


def _pass(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_PIECE_BYTES):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
