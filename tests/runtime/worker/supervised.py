"""Workers under a supervisor that does what the test says, and queues that are real."""

from __future__ import annotations

import asyncio
import functools
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from pypes.core.limits import Limits
from pypes.errors import NotFound
from pypes.ingest import protocol
from pypes.ingest.delivery import Header
from pypes.ingest.protocol import FrameReader
from pypes.runtime.rpc import Peer, RpcServer
from pypes.runtime.worker.config import WorkerConfig


class Supervisor:
    """Answers what workers ask, and tells them what the test wants; plays one instance that acknowledges everything."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.changed = asyncio.Condition()
        self.is_holding = False
        self.held: list[tuple[asyncio.StreamWriter, int]] = []
        self.topology: dict[str, Any] = {
            "generation": 1,
            "instances": {"1": str(folder / "i-1.sock")},
            "graphs": {"g": 1, "n": 1},
            "routes": {"news": "n"},
            "default": "g",
        }
        self.status: dict[str, Any] = {
            "state": "ready", "pid": 1, "url": "http://[::1]:1", "uptime_s": 1.5, "generation": 2, "arbiter": 2,
            "workers": [{"pid": 3, "slot": 0, "state": "ready"}],
            "instances": [
                {"id": 1, "generation": 1, "pid": 4, "state": "stopping", "graphs": ["g"]},
                {"id": 2, "generation": 2, "pid": 5, "state": "ready", "graphs": ["g", "n"]},
                {"id": 3, "generation": 2, "pid": 6, "state": "starting", "graphs": ["g"]},
            ],
            "pools": [],
            "graphs": [{"name": "g", "version": 1}],
            "default": "g",
        }  # fmt: skip
        self.server = RpcServer(self.handle)

    async def start(self) -> None:
        await self.server.start(str(self.folder / "control.sock"))
        self.instance = await asyncio.start_unix_server(self.serve, str(self.folder / "i-1.sock"))

    async def handle(self, peer: Peer, method: str, params: dict[str, Any]) -> Any:
        self.heard.append((method, params))
        async with self.changed:
            self.changed.notify_all()
        if method == "graphs.get":
            raise NotFound("there is no such graph", code="graph.not_found", where=params["name"])
        answers = {"hello": self.topology, "ready": None, "lost": False, "drained": None, "components.rescan": {}}
        return self.status if method == "status" else answers[method]

    async def hears(self, method: str) -> dict[str, Any]:
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(lambda: any(name == method for name, _ in self.heard))
        return next(params for name, params in self.heard if name == method)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = FrameReader()
        writer.write(protocol.held([]))
        while data := await reader.read(1 << 16):
            for kind, head, body in frames.feed(data):
                if kind != protocol.DELIVER:
                    continue
                for item, _ in protocol.read_items(head, body):
                    self.held.append((writer, item.number))
            if not self.is_holding:
                self.release()
        writer.close()

    def release(self) -> None:
        for writer, number in self.held:
            writer.write(protocol.acks([protocol.Published(1, ("out",), [number], [])], []))
        self.held.clear()

    def config(self, **changes: Any) -> WorkerConfig:
        given: dict[str, Any] = {
            "data_dir": str(self.folder / "data"),
            "runtime_dir": str(self.folder),
            "control_socket": str(self.folder / "control.sock"),
            "listen_fd": -1,
            "lifeline_fd": -1,
            "host": "127.0.0.1",
            "port": 0,
            "workers": 1,
            "session_key": b"",
            "node": 7,
            "limits": Limits(grace_s=10.0),
        }
        return WorkerConfig(**{**given, **changes})

    async def close(self) -> None:
        self.instance.close()
        await self.server.close()


def supervised(test: Callable[[Supervisor], Coroutine[None, None, None]]) -> Callable[[], None]:
    @functools.wraps(test)
    def wrapped() -> None:
        async def play() -> None:
            # the paths of sockets must be short
            with tempfile.TemporaryDirectory() as folder:
                supervisor = Supervisor(Path(folder))
                await supervisor.start()
                try:
                    await test(supervisor)
                finally:
                    await supervisor.close()

        asyncio.run(play())

    del wrapped.__wrapped__  # pytest would take the argument for a fixture
    return wrapped


def header(graph: str = "g") -> Header:
    return Header(graph, content_type="application/json", length=2)
