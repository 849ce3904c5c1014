"""A real worker with its application and short path within the test: bytes reach the protocol exactly as the test cuts them."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

from uvicorn.config import Config
from uvicorn.server import ServerState

from pypes.api.app import create_app
from pypes.api.door import Door
from pypes.api.protocol import Protocol
from pypes.runtime.worker.config import WorkerConfig
from pypes.runtime.worker.worker import IngestWorker
from tests.ingest.harness import until
from tests.runtime.worker.supervised import Supervisor

_RECEIPT = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
#: What a socket of a test takes before the other end reads: a few answers.
_SMALL_BUFFER = 4096


class Answer(NamedTuple):
    """An answer without what is never the same twice."""

    status: bytes
    fields: dict[bytes, bytes]
    body: bytes


class Served:
    """A worker under a supervisor that the test plays, and connections to it."""

    def __init__(self, supervisor: Supervisor, worker: IngestWorker, config: WorkerConfig) -> None:
        self.supervisor = supervisor
        self.worker = worker
        self.state = ServerState()
        self.state.default_headers = [(b"date", b"today")]
        app, self.short_path = create_app(worker, config)
        uvicorn = Config(app, interface="asgi3", ws="none", lifespan="off", log_config=None, access_log=False)
        uvicorn.load()
        make = partial(Protocol, config=uvicorn, server_state=self.state, app_state={})
        self._make = partial(make, Door(config.limits), self.short_path)

    @classmethod
    async def start(cls, supervisor: Supervisor, **changes: Any) -> Served:
        """Start a worker, which knows nobody's host yet."""
        config = supervisor.config(**changes)
        served = cls(supervisor, await IngestWorker.start(config), config)
        await supervisor.hears("ready")
        # the short path takes only hosts that the guard has found good
        assert (await served.said([LAST]))[0].status == b"HTTP/1.1 200 OK"
        return served

    async def connect(self, *, has_small_buffers: bool = False) -> Connection:
        ours, theirs = socket.socketpair()
        if has_small_buffers:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SMALL_BUFFER)
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_accepted_socket(self._make, theirs)
        if has_small_buffers:
            transport.set_write_buffer_limits(high=_SMALL_BUFFER)
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=_SMALL_BUFFER if has_small_buffers else 1 << 16)
        return Connection(protocol, reader, writer)

    async def said(self, pieces: Iterable[bytes]) -> list[Answer]:
        """The answers to bytes after which nothing comes that keeps the connection."""
        connection = await self.connect()
        for piece in pieces:
            connection.give(piece)
            await asyncio.sleep(0)
        return await connection.rest()

    @property
    def accepted(self) -> int:
        """Deliveries taken so far."""
        return self.worker.queue_stats()[0].appended

    async def stop(self) -> None:
        """Stop when all clients have hung up."""
        await until(lambda: not self.state.connections)
        await self.worker.stop()


class Connection:
    """One connection from the outside; what is given arrives in one piece."""

    def __init__(self, protocol: Protocol, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.protocol = protocol
        self._reader = reader
        self._writer = writer

    def give(self, piece: bytes) -> None:
        """Have the protocol read this, unless it has ended the connection."""
        if self.protocol.parser is not None:
            self.protocol.data_received(piece)

    async def answer(self) -> Answer:
        """The next answer."""
        async with asyncio.timeout(10):
            head = await self._reader.readuntil(b"\r\n\r\n")
            size = re.search(rb"\r\ncontent-length: (\d+)", head)
            body = await self._reader.readexactly(int(size[1])) if size is not None else b""
        status, *lines = head.strip().split(b"\r\n")
        fields = dict(_RECEIPT.sub(b"RECEIPT", line).split(b": ", 1) for line in lines)
        assert len(fields) == len(lines), head
        if b"retry-after" in fields:
            # it follows from how much time has passed
            fields[b"retry-after"] = b"SOON" if int(fields[b"retry-after"]) > 0 else b"NEVER"
        return Answer(status, fields, _RECEIPT.sub(b"RECEIPT", body))

    async def rest(self) -> list[Answer]:
        """All answers until the connection ends."""
        found: list[Answer] = []
        while (answer := await self._answer_or_end()) is not None:
            found.append(answer)
        self.hang_up()
        return found

    async def _answer_or_end(self) -> Answer | None:
        try:
            return await self.answer()
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise
            return None

    def hang_up(self) -> None:
        self._writer.close()


#: Ends a connection.
LAST = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
