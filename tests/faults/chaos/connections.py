"""Connections that begin something and do not go on."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

#: Open at a time, at most: far fewer than a worker takes.
MOST = 100
BEGINNINGS = (
    b"",
    b"POST /do",
    b"POST /docs HTTP/1.1\r\nHost: localhost\r\nContent-Ty",
    b"GET /receipts/",
    b'POST /docs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"serial": "half"',
    b"POST /docs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n" + b'{"serial": "half"',
    b"POST /docs HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nContent-Length: 9000000\r\n\r\n"
    + b"serial\r\nhalf\r\n" * 100,
)


class HalfOpen:
    """Half-open connections to a node; nothing of them may ever be published."""

    def __init__(self, port: int, rng: random.Random) -> None:
        self._port = port
        self._rng = rng
        self._links: list[socket.socket] = []

    def open(self, count: int) -> int:
        """Open so many more, as far as there may be more and the node takes them; returns how many it were."""
        opened = 0
        for _ in range(min(count, MOST - len(self._links))):
            with suppress(OSError):
                link = socket.create_connection(("127.0.0.1", self._port), 1.0)
                self._links.append(link)
                link.sendall(self._rng.choice(BEGINNINGS))
                opened += 1
        return opened

    def close(self, share: float = 1.0) -> None:
        """Close some of them, at random."""
        gone = [link for link in self._links if self._rng.random() < share]
        for link in gone:
            self._links.remove(link)
            link.close()
