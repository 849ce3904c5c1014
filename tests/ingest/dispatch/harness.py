"""A dispatcher on a queue in memory, and a scripted instance at the other end of a real socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pypes.core.limits import Limits
from pypes.ingest import protocol
from pypes.ingest.delivery import Header
from pypes.ingest.dispatch.dispatcher import Dispatcher
from pypes.ingest.dispatch.topology import Topology
from pypes.ingest.protocol import FrameReader, Item
from tests.ingest import harness
from tests.ingest.memory.queue import MemoryQueue

GRAPHS = {"g": 1}
#: Deliveries that are fetched ahead of each stream: more than any test posts.
AHEAD = 1000
TWO = {"g": 1, "h": 1}


class ScriptedInstance:
    """The other end of a dispatcher's connection, played by the test."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.items: list[Item] = []
        self.bodies: dict[int, bytes] = {}
        self.flush_requests = 0
        self.is_closed = False
        self._reader = FrameReader()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen()
        self._listener.setblocking(False)
        self._socket: socket.socket | None = None

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Read frames until the test sees what it waits for."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            if self._socket is None:
                self._socket, _ = await loop.sock_accept(self._listener)
                self._socket.setblocking(False)
            while not predicate():
                data = await loop.sock_recv(self._socket, 1 << 16)
                if not data:
                    self.is_closed = True
                    return
                for kind, head, body in self._reader.feed(data):
                    if kind == protocol.DELIVER:
                        for item, own in protocol.read_items(head, body):
                            self.items.append(item)
                            self.bodies[item.number] = own
                    elif kind == protocol.FLUSH:
                        self.flush_requests += 1

    async def got(self, count: int) -> list[Item]:
        await self.until(lambda: len(self.items) >= count)
        return self.items

    async def say(self, *frames: bytes) -> None:
        assert self._socket is not None
        await asyncio.get_running_loop().sock_sendall(self._socket, b"".join(frames))

    def die(self) -> None:
        self._listener.close()
        if self._socket is not None:
            self._socket.close()


@asynccontextmanager
async def dispatching(limits: Limits | None = None) -> AsyncIterator[tuple[Dispatcher, MemoryQueue, asyncio.Queue[int]]]:
    lost: asyncio.Queue[int] = asyncio.Queue()
    queue = MemoryQueue(ahead=AHEAD)
    dispatcher = Dispatcher(limits or Limits(), lost.put_nowait)
    dispatcher.add(queue)
    try:
        yield dispatcher, queue, lost
    finally:
        dispatcher.close()
        await queue.close()


def topology(*instances: ScriptedInstance, first: int = 1, **changes: object) -> Topology:
    given: dict[str, Any] = {"instances": {number: each.path for number, each in enumerate(instances, first)}, "graphs": GRAPHS}
    return Topology(**{**given, **changes})


async def post(queue: MemoryQueue, body: bytes = b"{}", graph: str = "g", **header: Any) -> str:
    return await queue.intake.append(Header(graph, content_type="application/json", length=len(body), **header), body)


def published(*items: Item, ids: list[str | None] | None = None) -> bytes:
    return protocol.acks([protocol.Published(1, ("out",), [item.number for item in items], ids or [])], [])


async def state_of(queue: MemoryQueue, receipt: str) -> str:
    found = await queue.receipts.wait(receipt, 10)
    assert found is not None
    return found.state


def run(test: Callable[[list[ScriptedInstance]], Coroutine[None, None, None]]) -> Callable[[list[ScriptedInstance]], None]:
    """Run an async test in a loop of its own, with a deadline."""

    def wrapped(instances: list[ScriptedInstance]) -> None:
        harness.run(test(instances))

    wrapped.__name__ = test.__name__
    wrapped.__doc__ = test.__doc__
    return wrapped
