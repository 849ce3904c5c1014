"""A load of single documents at a steady rate, in a process of its own that takes little of the machine.

``python -m benchmarks.paced PORT RATE`` says ``loading`` on a line and posts until its input ends. It fails if an answer is not
202, or if it falls behind by more than a second.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import cast

import uvloop

from benchmarks.documents import document
from benchmarks.load import beside

CONNECTIONS = 64
#: Seconds between two looks for documents that are due.
TICK_S = 0.002
BEHIND_S = 1.0
_ACCEPTED = b"HTTP/1.1 202 "


class Client(asyncio.Protocol):
    """A connection that posts a document whenever it has been answered and one is due."""

    def __init__(self, idle: deque[Client]) -> None:
        self._idle = idle
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._idle.append(self)

    def post(self, body: bytes) -> None:
        head = b"POST /docs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._transport.write(head % len(body) + body)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if not end:
            return
        if not head.startswith(_ACCEPTED):
            raise SystemExit(f"not accepted: {self._answer[:300]!r}")
        at = head.lower().index(b"content-length:") + 15
        if len(body) >= int(head[at:].partition(b"\r")[0]):
            self._answer = b""
            self._idle.append(self)


async def load(port: int, rate: float) -> None:
    """Post until the input ends."""
    loop = asyncio.get_running_loop()
    idle: deque[Client] = deque()
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: Client(idle), "127.0.0.1", port)
    over = asyncio.Event()
    loop.add_reader(sys.stdin, over.set)
    sys.stdout.write("loading\n")
    sys.stdout.flush()
    first, numbers, begin = time.time_ns(), count(), loop.time()
    sent = 0
    while not over.is_set() or len(idle) < CONNECTIONS:
        await asyncio.sleep(TICK_S)
        if over.is_set():
            continue
        due = (loop.time() - begin) * rate
        while sent < due and idle:
            body = document(next(numbers)).replace(b'"body":', b'"text":', 1)
            idle.popleft().post(body.replace(b'"doc-', b'"load-%d-' % first, 1))
            sent += 1
        if due - sent > BEHIND_S * rate:
            raise SystemExit(f"{rate:,.0f} documents/s are too many: {sent} sent where {due:,.0f} were due")


@contextmanager
def paced(port: int, rate: float) -> Iterator[None]:
    """Load the server while the block lasts."""
    with beside("benchmarks.paced", str(port), str(rate), ready=b"loading\n"):
        yield


if __name__ == "__main__":
    uvloop.run(load(int(sys.argv[1]), float(sys.argv[2])))
