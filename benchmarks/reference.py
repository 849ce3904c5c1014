"""What one would write by hand to accept the same documents: the ceiling that the node's throughput is measured against.

One process: an httptools protocol on uvloop that inflates, parses each document, sets the five fields that the graph sets, and
answers 202 once the body is durable. A thread writes whatever arrived during the last sync, and calls fdatasync once for all of
that. The service checks nothing but the JSON, bounds nothing, follows nothing, and publishes nowhere, as ``Null`` does::

    python -m benchmarks.reference PORT FILE

``GET`` of any path answers with the number of documents so far.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections import deque
from pathlib import Path
from typing import cast

import httptools
import orjson
import uvloop
from isal import igzip

_GZIP = b"\x1f\x8b"
_ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n" + b'{"accepted":true}'


class Committer:
    """Appends bodies to a file; those that come while one sync runs share the next."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[bytes, asyncio.Transport]] = deque()
        self._wakeup = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def append(self, body: bytes, client: asyncio.Transport) -> None:
        """The client is answered when the body is durable."""
        self._waiting.append((body, client))
        self._wakeup.set()

    def _run(self) -> None:
        while True:
            self._wakeup.wait()
            self._wakeup.clear()
            batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if not batch:
                continue
            view = memoryview(b"".join([len(body).to_bytes(4, "little") + body for body, _ in batch]))
            while view:
                view = view[os.write(self._fd, view) :]
            getattr(os, "fdatasync", os.fsync)(self._fd)
            self._loop.call_soon_threadsafe(_answer, [client for _, client in batch])


def _answer(clients: list[asyncio.Transport]) -> None:
    for client in clients:
        if not client.is_closing():
            client.write(_ACCEPTED)


class Service(asyncio.Protocol):
    """One connection."""

    documents = 0

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._parser = httptools.HttpRequestParser(self)
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, piece: bytes) -> None:
        self._body.append(piece)

    def on_message_complete(self) -> None:
        body, self._body = b"".join(self._body), []
        if self._parser.get_method() == b"GET":
            count = b"%d" % Service.documents
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(count), count))
            return
        text = igzip.decompress(body) if body.startswith(_GZIP) else body  # type: ignore[no-untyped-call]
        for line in text.split(b"\n"):
            document = orjson.loads(line)
            document["set0"] = "x"
            document["set1"] = "x"
            document["set2"] = "x"
            document["set3"] = "x"
            document["set4"] = "x"
            Service.documents += 1
        self._committer.append(body, self._transport)


async def serve(port: int, path: Path) -> None:
    loop = asyncio.get_running_loop()
    committer = Committer(path)
    server = await loop.create_server(lambda: Service(committer), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
