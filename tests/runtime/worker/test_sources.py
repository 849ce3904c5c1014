"""The worker's side of sources: scripted instances on real sockets, a real store, and a crash at every step in between."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import sqlite3
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from pypes.core.limits import Limits
from pypes.errors import Conflict, Draining, NotFound
from pypes.ingest import protocol
from pypes.ingest.delivery import PACKETS
from pypes.ingest.dispatch.dispatcher import Dispatcher
from pypes.ingest.dispatch.topology import Topology
from pypes.ingest.ordering import key_of, pack_keys
from pypes.ingest.outcome import Outcome
from pypes.ingest.protocol import FrameReader, Trigger
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.store.shards import Shards
from pypes.runtime.worker import sources
from pypes.runtime.worker.sources import MAX_DEATHS, Sources

#: What there is to fetch: the numbers below, two at a time.
ALL = 14
STEPS = ("triggered", "fetched", "stored", "ending")


class Instance:
    """Plays an instance that fetches numbers from the cursor on. ``dies_at``: a step, and at which number.

    ``rests_at``: a number that it does not go on with before it is told to :meth:`go_on`.
    """

    def __init__(
        self,
        path: Path,
        dies_at: tuple[str, int] | None = None,
        error: str = "",
        says_goodbye: bool = False,
        rests_at: int | None = None,
    ) -> None:
        self.path = path
        self.triggers: list[Trigger] = []
        self.given_up: list[int] = []
        self.sent = 0
        self.has_ended = False
        self._dies_at = dies_at
        self._error = error
        self._says_goodbye = says_goodbye
        self._rests_at = rests_at
        self._resting: Callable[[], object] | None = None
        self._at: dict[int, int] = {}

    async def start(self) -> Instance:
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = FrameReader()
        with suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                for kind, head, _ in frames.feed(data):
                    if not self._take(kind, head, writer):
                        if self._says_goodbye:
                            writer.write(protocol.signal(protocol.GOODBYE))
                        writer.close()
                        return
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
        if at >= ALL or self._error:
            if self._dies_at == ("ending", at):
                return False
            self.has_ended = True
            writer.write(protocol.ended(number, self._error))
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
    """What of an ingest worker has to do with sources. Nothing is handed over: what was enqueued stays to be counted."""

    def __init__(self, data: Path, **options: Any) -> None:
        self.data = data
        self.options = options
        self.lost: asyncio.Queue[int] = asyncio.Queue()
        self.instances: dict[int, Instance] = {}
        self.topology = Topology(graphs={"g": 1}, sources={"g": ["source"]})

    async def __aenter__(self) -> Worker:
        self.queue = await EmbeddedQueue.open(
            Shards(self.data).claim(0), node=1, limits=self.options.pop("limits", Limits()), **self.options
        )
        self.dispatcher = Dispatcher(Limits(), self.lost.put_nowait)
        self.sources = Sources(self.dispatcher, Limits())
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
        """The numbers that are in the queue, in the order in which they were fetched."""
        found: list[int] = []
        while self.queue.stats().ready:
            for lease in self.queue.lease(100, 1 << 30):
                assert lease.header.start == "source"
                assert lease.header.content_type == PACKETS
                assert isinstance(lease.body, bytes)
                packets = orjson.loads(lease.body)
                assert lease.header.documents == len(packets)
                found += [packet["fields"]["id"] for packet in packets]
            await asyncio.sleep(0.001)
        return found

    async def cursor(self) -> int:
        return int((await self.queue.cursors("source", "g")).get("g", 0))


async def until(condition: Callable[[], Any]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for tells no one; the deadline is that of run()
        await asyncio.sleep(0.001)


def run(main: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await main

    asyncio.run(bounded())


def test_what_was_fetched_is_enqueued_with_its_cursor(tmp_path: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            instance = await worker.add(1)
            assert await worker.sources.trigger(worker.queue, "g") == ["source"]
            with pytest.raises(Conflict, match="running"):
                await worker.sources.trigger(worker.queue, "g")
            await worker.idle()
            assert await worker.cursor() == ALL
            await worker.sources.trigger(worker.queue, "g")
            await worker.idle()
            assert [trigger.cursor for trigger in instance.triggers] == ["", str(ALL)]
            assert await worker.enqueued() == list(range(ALL))

    run(main())


def test_only_an_instance_that_runs_the_graph_is_elected(tmp_path: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            idle = await worker.add(1)
            runs = await worker.add(2)
            worker.announce(runs={1: frozenset({"other"}), 2: frozenset({"g"})})
            await worker.sources.trigger(worker.queue, "g")
            await worker.idle()
            assert (len(idle.triggers), len(runs.triggers)) == (0, 1)
            assert await worker.cursor() == ALL

    run(main())


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_graph_that_is_taken_down_takes_no_more(tmp_path: Path, is_gone: bool) -> None:
    """What its source fetches meanwhile waits: for the graph to stay after all, or is fetched again the next time."""

    async def main() -> None:
        async with Worker(tmp_path) as worker:
            instance = await worker.add(1, rests_at=4)
            await worker.sources.trigger(worker.queue, "g")
            await until(lambda: instance.is_resting)
            worker.announce(closing=frozenset({"g"}))
            with pytest.raises(Conflict, match="taken down"):
                await worker.sources.trigger(worker.queue, "g")
            frames = worker.frames
            instance.go_on()
            await until(lambda: worker.frames > frames)
            assert await worker.cursor() == 4
            if is_gone:
                worker.announce(closing=frozenset(), graphs={}, sources={})
                await worker.idle()
                assert await worker.cursor() == 4
                worker.announce(graphs={"g": 2}, sources={"g": ["source"]})
                await worker.sources.trigger(worker.queue, "g")
            else:
                worker.announce(closing=frozenset())
            await worker.idle()
            assert len(instance.triggers) == 1 + is_gone
            assert await worker.enqueued() == list(range(ALL))

    run(main())


@pytest.mark.parametrize("at", [0, 2, ALL])
@pytest.mark.parametrize("step", STEPS)
def test_an_instance_dies_at_any_step(tmp_path: Path, step: str, at: int) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            first = await worker.add(1, dies_at=(step, at))
            await worker.sources.trigger(worker.queue, "g")
            await until(lambda: first.has_ended or not worker.lost.empty())
            if not first.has_ended:
                await worker.reap()
                await worker.add(2)
            await worker.idle()
            assert await worker.cursor() == ALL
            assert await worker.enqueued() == list(range(ALL))

    run(main())


def test_a_source_that_kills_its_instances_is_given_up(tmp_path: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            for number in range(MAX_DEATHS):
                await worker.add(number, dies_at=("triggered", 0))
                if not number:
                    await worker.sources.trigger(worker.queue, "g")
                await worker.reap()
            await worker.idle()
            assert await worker.enqueued() == []
            await worker.add(99)
            await worker.sources.trigger(worker.queue, "g")
            await worker.idle()
            assert await worker.enqueued() == list(range(ALL))

    run(main())


def test_a_source_that_gets_on_is_not_given_up(tmp_path: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            for number in range(MAX_DEATHS + 1):
                await worker.add(number, dies_at=("stored", 2 * number + 2))
                if not number:
                    await worker.sources.trigger(worker.queue, "g")
                await worker.reap()
            await worker.add(99)
            await worker.idle()
            assert await worker.enqueued() == list(range(ALL))

    run(main())


def test_a_new_version_takes_over_in_the_middle(tmp_path: Path) -> None:
    """The old instance says goodbye; that is no death, however often it happens."""

    async def main() -> None:
        async with Worker(tmp_path) as worker:
            for number in range(MAX_DEATHS + 1):
                instance = await worker.add(number, dies_at=("stored", 2 * number + 2), says_goodbye=True)
                if not number:
                    await worker.sources.trigger(worker.queue, "g")
                await until(lambda sent=instance: sent.sent)  # type: ignore[misc]
                worker.instances.pop(number).close()
                worker.announce()
            assert ALL == 2 * (MAX_DEATHS + 2)
            await worker.add(99)
            await worker.idle()
            assert await worker.enqueued() == list(range(ALL))

    run(main())


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


def test_a_worker_dies_at_any_step(tmp_path: Path) -> None:
    """Every state in which the files ever are is opened again, and the run goes on from there to the same end."""
    data = tmp_path / "data"
    seen: dict[str, Path] = {}

    def copy() -> None:
        if not threading.current_thread().name.startswith("pypes-commit"):
            return  # who only reads leaves nothing behind
        files = [path for path in sorted((data / "shards" / "000").glob("queue.db*")) if not path.name.endswith("-shm")]
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
        if digest not in seen:
            seen[digest] = tmp_path / digest[:8]
            (seen[digest] / "shards" / "000").mkdir(parents=True)
            for path in files:
                shutil.copy(path, seen[digest] / "shards" / "000" / path.name)

    async def record() -> None:
        connection = type("Connection", (Copying,), {"copy": staticmethod(copy)})
        async with Worker(data, connect=partial(sqlite3.connect, factory=connection)) as worker:
            await worker.add(1)
            await worker.sources.trigger(worker.queue, "g")
            await worker.idle()
            assert await worker.enqueued() == list(range(ALL))

    async def resume(copied: Path) -> int:
        async with Worker(copied) as worker:
            before = await worker.cursor()
            assert await worker.enqueued() == list(range(before))
            await worker.add(1)
            await worker.sources.resume(worker.queue)
            if not worker.sources._runs:
                # nobody has been told that it will run, or it has run
                assert before in (0, ALL)
                await worker.sources.trigger(worker.queue, "g")
            await worker.idle()
            assert await worker.enqueued() == list(range(before, ALL))
            return before

    run(record())
    found = set()
    for copied in list(seen.values()):  # they grow no more
        found.add(asyncio.run(resume(copied)))
    assert found == set(range(0, ALL + 1, 2))


class Failing(sqlite3.Connection):
    """Does not take the third cursor, as a disk does that fails for a moment."""

    cursors = 0

    def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
        if "cursors" in sql and rows:
            Failing.cursors += 1
            if Failing.cursors == 3:
                raise sqlite3.OperationalError("disk I/O error")
        return super().executemany(sql, rows)


def test_what_the_disk_did_not_take_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "STORE_RETRY_S", 0.01)

    async def main() -> None:
        Failing.cursors = 0
        async with Worker(tmp_path, connect=partial(sqlite3.connect, factory=Failing), probe_s=0.005) as worker:
            instance = await worker.add(1)
            await worker.sources.trigger(worker.queue, "g")
            await worker.idle()
            assert [trigger.cursor for trigger in instance.triggers] == ["", "2"]
            assert instance.given_up == [instance.triggers[0].number]
            assert await worker.enqueued() == list(range(ALL))

    run(main())


def test_a_run_outlives_its_worker(tmp_path: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            worker.announce()
            await worker.sources.trigger(worker.queue, "g")
        with pytest.raises(Draining):
            await worker.sources.trigger(worker.queue, "g")
        async with Worker(tmp_path) as worker:
            await worker.sources.resume(worker.queue)
            await worker.add(1)
            await worker.idle()
            assert await worker.enqueued() == list(range(ALL))
        async with Worker(tmp_path) as worker:
            await worker.sources.resume(worker.queue)
            assert not worker.sources._runs

    run(main())


def test_a_scheduled_time_counts_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            worker.announce()
            await worker.sources.trigger(worker.queue, "g", at=100.0)
            await worker.sources.trigger(worker.queue, "g", at=160.0)  # part of the run that waits for an instance
            instance = await worker.add(1)
            await worker.idle()
            for at in (100.0, 160.0):
                await worker.sources.trigger(worker.queue, "g", at=at)
                await worker.idle()
            assert len(instance.triggers) == 1
        async with Worker(tmp_path) as worker:
            instance = await worker.add(1)
            await worker.sources.trigger(worker.queue, "g", at=160.0)
            await worker.idle()
            assert not instance.triggers
            await worker.sources.trigger(worker.queue, "g", at=220.0)
            await worker.idle()
            assert len(instance.triggers) == 1

    run(main())


@pytest.mark.parametrize("at", [2.0, None])
def test_what_is_triggered_as_a_run_ends_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: float | None
) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            instance = await worker.add(1)
            queue, move = worker.queue, worker.queue.move
            second: list[asyncio.Task[list[str]]] = []

            def moved(cursor: Any) -> Any:
                if cursor[2].endswith("false}") and not second:
                    second.append(asyncio.ensure_future(worker.sources.trigger(queue, "g", at=at)))
                return move(cursor)

            monkeypatch.setattr(queue, "move", moved)
            await worker.sources.trigger(queue, "g", at=1.0)
            await until(lambda: second and second[0].done())
            assert second[0].result() == ["source"]
            await worker.idle()
            assert (await queue.cursors("", "g"))["g"] == f'{{"at":{at or 1.0},"is_due":false}}'
            assert len(instance.triggers) == 2

    run(main())


def test_a_full_queue_holds_the_source_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "FULL_RETRY_S", 0.01)

    async def main() -> None:
        async with Worker(tmp_path, limits=Limits(queue_max_deliveries=2)) as worker:
            instance = await worker.add(1)
            await worker.sources.trigger(worker.queue, "g")
            await until(lambda: instance.sent == 3)
            assert worker.queue.stats().deliveries == 2
            assert await worker.cursor() == 4
            while worker.sources._runs:
                for lease in worker.queue.lease(2, 1 << 30):
                    worker.queue.ack(lease, Outcome(published=lease.header.documents))
                await asyncio.sleep(0.001)
            assert await worker.cursor() == ALL

    run(main())


def test_documents_of_an_ordered_graph_have_their_keys(tmp_path: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            worker.announce(ordered=frozenset({"g"}))
            await worker.add(1)
            await worker.sources.trigger(worker.queue, "g")
            await worker.idle()
            (lease,) = worker.queue.lease(1, 1 << 30)
            assert lease.header.keys == pack_keys([key_of("0"), key_of("1")])

    run(main())


def test_a_source_that_fails_ends_its_run(tmp_path: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            await worker.add(1, error="no route")
            await worker.sources.trigger(worker.queue, "g")
            await worker.idle()
            assert await worker.enqueued() == []

    run(main())


def test_a_graph_that_is_deleted_ends_its_run(tmp_path: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            worker.announce()
            await worker.sources.trigger(worker.queue, "g")
            worker.announce(graphs={}, sources={})
            await worker.idle()

    run(main())


def test_what_cannot_run_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with Worker(tmp_path) as worker:
            with pytest.raises(NotFound):
                worker.sources.check("g")
            worker.announce(paused=frozenset({"g"}))
            with pytest.raises(Conflict, match="paused"):
                worker.sources.check("g")
            worker.announce(paused=frozenset(), sources={})
            with pytest.raises(Conflict, match="nothing to run"):
                worker.sources.check("g")
            worker.announce(graphs={}, failed={"g": "broken"})
            with pytest.raises(Conflict, match="could not be set up"):
                worker.sources.check("g")

    run(main())
