"""What tests of sources share: scripted instances on real sockets, a worker around a real store, and copies of its files."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from pypes.core.limits import Limits
from pypes.core.media_types import PACKETS
from pypes.ingest import protocol
from pypes.ingest.dispatch.dispatcher import Dispatcher
from pypes.ingest.dispatch.topology import Topology
from pypes.ingest.protocol import FrameReader, Trigger
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.store.shards import Shards
from pypes.observe.tallies import Tallies
from pypes.runtime.worker.fleet import Fleet
from pypes.runtime.worker.sources import Sources
from tests.ingest.harness import lease_any, until

#: What there is to fetch: the numbers below, two at a time.
ALL = 14


class Instance:
    """Plays an instance that fetches numbers from the cursor up to ``end``. ``dies_at``: a step, and at which number.

    ``rests_at``: a number that it does not go on with before it is told to :meth:`go_on`.
    """

    def __init__(
        self,
        path: Path,
        dies_at: tuple[str, int] | None = None,
        error: str = "",
        says_goodbye: bool = False,
        leaves: bool = False,
        rests_at: int | None = None,
        end: int = ALL,
        code: str = "",
    ) -> None:
        self.path = path
        self.end = end
        self.triggers: list[Trigger] = []
        self.given_up: list[int] = []
        self.sent = 0
        self.has_ended = False
        self._dies_at = dies_at
        self._error = error
        self._code = code
        self._says_goodbye = says_goodbye
        self._leaves = leaves
        self._rests_at = rests_at
        self._resting: Callable[[], object] | None = None
        self._at: dict[int, int] = {}

    async def start(self) -> Instance:
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = FrameReader()
        try:
            with suppress(ConnectionError):
                while data := await reader.read(1 << 16):
                    for kind, head, _ in frames.feed(data):
                        if not self._take(kind, head, writer):
                            if self._leaves:
                                writer.write(protocol.left("g", []))
                                continue
                            if self._says_goodbye:
                                writer.write(protocol.signal(protocol.GOODBYE))
                            return
        finally:
            writer.close()

    def _take(self, kind: int, head: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answer a frame; False to die of it."""
        if kind == protocol.TRIGGER:
            trigger = protocol.read_trigger(head)
            number = trigger.number
            self.triggers.append(trigger)
            self._at[number] = int(trigger.cursor or 0)
            if self._dies_at == ("triggered", self._at[number]):
                return False
        elif kind == protocol.ENOUGH:
            self.given_up.append(protocol.read_more(head))
            return True
        elif kind == protocol.MORE:
            number = protocol.read_more(head)
            if self._dies_at == ("stored", self._at[number]):
                return False
        else:
            return True
        at = self._at[number]
        if at >= self.end or self._error:
            if self._dies_at == ("ending", at):
                return False
            self.has_ended = True
            writer.write(protocol.ended(number, self._error, self._code))
            return True
        if at == self._rests_at:
            self._rests_at, self._resting = None, partial(self._fetch, number, writer)
            return True
        return self._fetch(number, writer)

    def _fetch(self, number: int, writer: asyncio.StreamWriter) -> bool:
        at = self._at[number]
        body = orjson.dumps([{"fields": {"id": each}} for each in (at, at + 1)])
        writer.write(protocol.fetched(number, 2, body, str(at + 2)))
        self.sent += 1
        self._at[number] = at + 2
        return self._dies_at != ("fetched", at + 2)

    @property
    def is_resting(self) -> bool:
        return self._resting is not None

    def go_on(self) -> None:
        assert self._resting is not None
        self._resting()

    def close(self) -> None:
        self._server.close()


class Worker:
    """What of an ingest worker has to do with sources. Nothing is handed over: what was enqueued stays to be counted.

    With ``fleet``, the folder that it shares, graph ``g`` fires once for all in it.
    """

    def __init__(self, data: Path, *, node: int = 1, fleet: Path | None = None, **options: Any) -> None:
        self.data = data
        self.node = node
        self.fleet = fleet
        self.options = options
        self.lost: asyncio.Queue[int] = asyncio.Queue()
        self.instances: dict[int, Instance] = {}
        self.topology = Topology(graphs={"g": 1}, sources={"g": ["source"]}, fleet=frozenset({"g"} if fleet else ()))

    async def __aenter__(self) -> Worker:
        self.queue = await EmbeddedQueue.open(
            Shards(self.data).lock(0), node=self.node, limits=self.options.pop("limits", Limits()), **self.options
        )
        self.dispatcher = Dispatcher(Limits(), self.lost.put_nowait)
        fleet = None if self.fleet is None else Fleet(self.fleet, self.node)
        self.tallies = Tallies()
        self.sources = Sources(self.dispatcher, Limits(), fleet, tallies=self.tallies)
        self.frames = 0
        hear = self.dispatcher.on_fetch

        def heard(*said: Any) -> None:
            self.frames += 1
            assert hear is not None
            hear(*said)

        self.dispatcher.on_fetch = heard
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.sources.stop()
        self.dispatcher.close()
        for instance in self.instances.values():
            instance.close()
        await self.queue.close()

    async def add(self, number: int, **options: Any) -> Instance:
        instance = await Instance(self.data / f"{number}.sock", **options).start()
        self.instances[number] = instance
        self.announce()
        return instance

    def announce(self, **changes: Any) -> None:
        paths = {number: str(instance.path) for number, instance in self.instances.items()}
        self.topology = replace(self.topology, instances=paths, **changes)
        self.dispatcher.apply(self.topology)

    async def reap(self) -> None:
        """An instance has died: what the supervisor does then."""
        number = await self.lost.get()
        self.instances.pop(number).close()
        self.announce()
        self.dispatcher.gone(number)

    async def idle(self) -> None:
        """Wait until no run is under way."""
        await until(lambda: not self.sources._runs)

    async def enqueued(self) -> list[int]:
        """The numbers in the queue that this did not find before, in the order in which they were fetched."""
        found: list[int] = []
        while self.queue.stats().ready:
            for lease in lease_any(self.queue, 100, 1 << 30):
                assert lease.header.start in self.topology.sources["g"]
                assert (lease.header.content_type, lease.header.poster) == (PACKETS, f"source:{lease.header.start}")
                assert isinstance(lease.body, bytes)
                packets = orjson.loads(lease.body)
                assert lease.header.documents == len(packets)
                found += [packet["fields"]["id"] for packet in packets]
            await asyncio.sleep(0.001)
        return found

    async def cursor(self) -> int:
        return int((await self.queue.cursors.of_filter("source", "g")).get("g", 0))

    async def run(self, at: float | None = None) -> None:
        """Trigger graph ``g``, and wait for the end of the run."""
        await self.sources.trigger(self.queue, "g", at)
        await self.idle()


async def two(stack: AsyncExitStack, base: Path, shared: Path, **options: Any) -> tuple[Worker, Worker]:
    """Two nodes of a fleet."""
    return (
        await stack.enter_async_context(Worker(base / "a", node=1, fleet=shared, **options)),
        await stack.enter_async_context(Worker(base / "b", node=2, fleet=shared, **options)),
    )


def file_of(shared: Path) -> dict[str, Any]:
    """What the file of graph ``g`` holds."""
    found: dict[str, Any] = orjson.loads((shared / "g.json").read_bytes())
    return found


def reasons(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Why runs waited, as it was logged."""
    return [str(record.__dict__["reason"]) for record in caplog.records if "reason" in record.__dict__]


class Copying(sqlite3.Connection):
    """Calls ``copy`` after every statement: what is in the files then is what a kill leaves behind."""

    copy: Callable[[], None] = staticmethod(lambda: None)

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        try:
            return super().execute(*arguments)
        finally:
            self.copy()

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        try:
            return super().executemany(*arguments)
        finally:
            self.copy()


class Copies:
    """Copies of folders, all of them together, in every state that they are ever seen in; ``folders`` by the name of the copy."""

    def __init__(self, home: Path, **folders: Path) -> None:
        self._home = home
        self._folders = folders
        self._seen: dict[str, Path] = {}
        self._lock = threading.Lock()
        connection = type("Connection", (Copying,), {"copy": staticmethod(self._committing)})
        #: Opens databases that are looked at after every statement that writes.
        self.connect: Callable[..., sqlite3.Connection] = partial(sqlite3.connect, factory=connection)

    def _committing(self) -> None:
        if threading.current_thread().name.startswith("pypes-commit"):  # who only reads leaves nothing behind
            self.look()

    def look(self) -> None:
        """Copy what is there now, unless it was seen before."""
        with self._lock:
            found = {
                f"{name}/{path.name}": path.read_bytes()
                for name, folder in self._folders.items()
                for path in sorted(folder.iterdir())
                if path.is_file() and not path.name.endswith(("-shm", "lock"))
            }
            digest = hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()
            if digest in self._seen:
                return
            copy = self._seen[digest] = self._home / f"{len(self._seen):03d}"
            for name in self._folders:
                (copy / name).mkdir(parents=True)
            for name, data in found.items():
                (copy / name).write_bytes(data)

    def made(self) -> list[Path]:
        """The folders of all copies, in the order in which they were made."""
        return list(self._seen.values())
